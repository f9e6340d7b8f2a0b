"""A position is what its fills made it: oldest lots leave first, and no unit is lost."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import fill, trade
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.market import Side
from tradefleet.domain.money import money_context
from tradefleet.domain.position import Lot, Position, take_lots


def bought(quantity="1", price="100", **changes) -> Position:
    return Position.opened_by(fill(quantity, price, **changes))


def sell(quantity="1", price="110", **changes):
    return fill(quantity, price, Side.SELL, **changes)


# ---- lots


def test_the_oldest_lots_leave_first():
    lots = (Lot(Decimal(1), Decimal(100)), Lot(Decimal(2), Decimal(300)))

    assert take_lots(lots, Decimal(2)) == ((Lot(Decimal(1), Decimal(150)),), 250)
    assert take_lots(lots, Decimal(1)) == (lots[1:], 100)
    assert take_lots(lots, Decimal(0)) == (lots, 0)


def test_more_than_is_held_cannot_be_sold():
    with pytest.raises(BrokenInvariant, match="more was sold"):
        take_lots((Lot(Decimal(1), Decimal(100)),), Decimal("1.00000001"))


def test_a_lot_sold_in_thirds_gives_up_all_of_its_cost():
    lots, costs = (Lot(Decimal(3), Decimal(100)),), []
    for _ in range(3):
        lots, cost = take_lots(lots, Decimal(1))
        costs.append(cost)

    assert costs == [Decimal("33.33333333"), Decimal("33.33333334"), Decimal("33.33333333")]
    assert lots == ()


sizes = st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-8))


@settings(deadline=None)
@given(
    st.lists(st.tuples(sizes, sizes), min_size=1, max_size=5),
    st.lists(st.integers(1, 100), max_size=8),
)
def test_partial_sales_lose_no_unit(bought_lots, percentages):
    with money_context():
        lots = tuple(Lot(quantity, cost) for quantity, cost in bought_lots)
        held, paid, taken = sum(q for q, _ in bought_lots), sum(c for _, c in bought_lots), 0
        for percentage in [*percentages, 100]:
            part = held * percentage / 100
            lots, cost = take_lots(lots, part)
            held, taken = held - part, taken + cost
            assert sum((lot.quantity for lot in lots), Decimal(0)) == held
            assert sum((lot.cost for lot in lots), Decimal(0)) == paid - taken
        assert (lots, held, taken) == ((), 0, paid)


# ---- one round trip


def test_a_position_is_opened_by_a_buy():
    opened = bought("2", "100")

    assert (opened.quantity, opened.entry_price, opened.bought) == (2, 100, 200)
    with pytest.raises(BrokenInvariant, match="opened by a buy"):
        Position.opened_by(sell())


def test_buys_add_up_and_the_entry_price_is_their_mean():
    position = bought("1", "100").after(fill("3", "120", id="f2"))

    assert (position.quantity, position.entry_price) == (4, 115)
    assert position.lots == (Lot(Decimal(1), Decimal(100)), Lot(Decimal(3), Decimal(360)))


def test_a_partial_sale_realizes_its_oldest_part():
    position = bought("1", "100").after(fill("1", "200", id="f2")).after(sell("1.5", "300"))

    assert position.quantity == Decimal("0.5")
    assert position.realized == 450 - 100 - 100
    assert position.unrealized(Decimal(300)) == 50


def test_fees_in_quote_are_kept_apart_from_the_gross_profit():
    position = bought(fee="0.1").after(sell(fee="0.11"))

    assert (position.gross_pnl, position.fees_quote, position.quantity) == (10, Decimal("0.21"), 0)


def test_a_fee_in_a_third_asset_counts_at_its_value():
    position = bought(fee="0.001", fee_asset="BNB", fee_quote="0.6")

    assert (position.quantity, position.fees_quote, position.base_fees_quote) == (
        1,
        Decimal("0.6"),
        0,
    )


def test_a_fee_in_base_leaves_less_to_sell():
    position = bought("1", "100", fee="0.001", fee_asset="BTC", fee_quote="0.1")
    assert position.quantity == Decimal("0.999")

    closed = position.after(sell("0.999", "110"))
    # 109.89 came back for 100; the fee is told apart and not paid twice.
    assert closed.gross_pnl - closed.fees_quote == Decimal("9.89")
    assert closed.gross_pnl == Decimal("9.99")
    assert closed.realized + closed.base_fees_quote == closed.gross_pnl


def test_a_base_fee_of_a_later_buy_counts_too():
    position = bought().after(
        fill("1", "100", id="f2", fee="0.001", fee_asset="BTC", fee_quote="0.1")
    )

    assert (position.quantity, position.base_fees_quote) == (Decimal("1.999"), Decimal("0.1"))


def test_a_base_fee_of_a_sell_takes_what_is_held():
    position = bought("1", "100").after(
        sell("0.5", "110", fee="0.001", fee_asset="BTC", fee_quote="0.11")
    )
    assert position.quantity == Decimal("0.499")
    assert position.sold_quantity == Decimal("0.5")

    closed = position.after(sell("0.499", "110"))
    assert closed.quantity == 0
    assert closed.gross_pnl - closed.fees_quote == Decimal("54.89") + 55 - 100


def test_a_base_fee_beyond_what_is_held_costs_extra():
    closed = bought("1", "100").after(
        sell("1", "110", fee="0.001", fee_asset="BTC", fee_quote="0.11")
    )
    assert (closed.quantity, closed.lots) == (0, ())
    assert closed.gross_pnl - closed.fees_quote == 10 - Decimal("0.11")

    half = bought("1", "100").after(
        sell("0.9995", "110", fee="0.001", fee_asset="BTC", fee_quote="0.11")
    )
    assert half.quantity == 0
    assert half.base_fees_quote == Decimal("0.055")


def test_selling_more_than_is_held_is_our_own_bug():
    with pytest.raises(BrokenInvariant):
        bought("1").after(sell("1.1"))
    with pytest.raises(BrokenInvariant):
        bought("1").after(sell("1.1", fee="0.2", fee_asset="BTC"))


@pytest.mark.parametrize("paid_in", ["USDT", "BTC", "BNB"])
def test_the_result_counts_what_is_sold_what_is_held_and_all_fees(paid_in):
    given_ = {"fee": "0.01", "fee_asset": paid_in, "fee_quote": "0.5"}
    position = bought("2", "100", **given_).after(sell("1", "110", **given_))
    closed = position.after(sell(position.quantity, "120"))

    assert position.result(Decimal(120)) == closed.gross_pnl - closed.fees_quote
    assert closed.result(Decimal(7)) == closed.gross_pnl - closed.fees_quote


# ---- the trade it becomes


def test_a_trade_is_judged_after_fees():
    won = replace(trade(10), fees=Decimal("0.5"))

    assert (won.pnl, won.pnl_percentage, won.is_winner) == (Decimal("9.5"), Decimal("9.5"), True)
    assert not replace(won, fees=Decimal(10)).is_winner
