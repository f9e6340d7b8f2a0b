"""A paper account behaves as a venue does: it refuses, fills in parts, and never owes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import MINUTE, RULES, START, Number, order
from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.market import Side, TradingRules
from tradefleet.domain.money import money_context
from tradefleet.domain.order import Fill, Purpose
from tradefleet.simulation.paper_book import Costs, PaperBook, PaperOrder

EXIT = Purpose.EXIT
NO_COSTS = Costs()


def account(usdt: Number = 1000, btc: Number = 0) -> PaperBook:
    book = PaperBook()
    book.credit("USDT", Decimal(usdt))
    book.credit("BTC", Decimal(btc))
    return book


def fills(
    book: PaperBook,
    price: Number = 100,
    id: str = "o1",
    *,
    costs: Costs = NO_COSTS,
    most: Number | None = None,
    rules: TradingRules = RULES,
) -> tuple[PaperOrder, Fill | None]:
    bound = None if most is None else Decimal(most)
    at = START + MINUTE
    return book.fill(id, price=Decimal(price), at=at, rules=rules, costs=costs, most=bound)


def test_what_is_paid_in_adds_up():
    book = account(10)
    book.credit("USDT", Decimal("0.5"))

    assert book.balances == {"USDT": Decimal("10.5"), "BTC": 0}


def test_a_buy_waits_and_fills_at_the_next_price():
    book = account()
    accepted = book.submit(order(2), RULES)
    assert (accepted.open, accepted.filled) == (True, 0)
    assert book.balances["USDT"] == 1000

    done, traded = fills(book, 101)
    assert (done.open, done.filled, done.reject_reason) == (False, 2, "")
    assert (traded.price, traded.cost, traded.fee) == (101, 202, Decimal("0.202"))
    assert (traded.fee_asset, traded.fee_quote) == ("USDT", traded.fee)
    assert (traded.order_id, traded.side, traded.filled_at) == ("o1", Side.BUY, START + MINUTE)
    assert book.balances == {"USDT": Decimal("797.798"), "BTC": 2}
    assert book.waiting == {}


def test_a_sell_brings_quote_in_and_pays_its_fee():
    book = account(0, 2)
    book.submit(order(2, purpose=EXIT), RULES)

    fills(book, 99)
    assert book.balances == {"USDT": Decimal("197.802"), "BTC": 0}


@pytest.mark.parametrize("quantity", ["0", "-1", "0.000001", "1.000001"])
def test_a_quantity_off_the_step_is_refused(quantity):
    with pytest.raises(VenueRejected, match="not on the step"):
        account().submit(order(quantity), RULES)


def test_what_is_not_held_cannot_be_sold():
    book = account(btc="1.99999")

    with pytest.raises(VenueRejected, match="insufficient BTC"):
        book.submit(order(2, purpose=EXIT), RULES)
    with pytest.raises(VenueRejected, match="insufficient ETH"):
        book.submit(order(2, purpose=EXIT, symbol=order().symbol.parse("ETH/USDT")), RULES)
    assert book.waiting == {}


def test_a_buy_that_cannot_be_paid_is_closed_without_a_fill():
    """1 at 1000 costs 1001 with the fee."""
    book = account("1000.99999999")
    book.submit(order(), RULES)

    closed, traded = fills(book, 1000)
    assert traded is None
    assert (closed.open, closed.filled, closed.reject_reason) == (False, 0, "insufficient USDT")
    assert book.balances == {"USDT": Decimal("1000.99999999"), "BTC": 0}
    assert book.waiting == {}


def test_a_buy_may_take_the_last_unit():
    book = account(1001)
    book.submit(order(), RULES)

    assert fills(book, 1000)[1] is not None
    assert book.balances == {"USDT": 0, "BTC": 1}


def test_two_sells_of_the_same_coins_fill_once():
    book = account(0, 1)
    for id in ("o1", "o2"):
        book.submit(order(1, id, purpose=EXIT), RULES)

    assert fills(book)[1] is not None
    closed, traded = fills(book, id="o2")
    assert (traded, closed.reject_reason) == (None, "insufficient BTC")


def test_an_order_fills_in_parts_as_the_volume_allows():
    book = account()
    book.submit(order("1.5"), RULES)

    part, first = fills(book, 100, most="1.000009")
    assert (part.open, part.filled, first.quantity) == (True, 1, 1)
    assert book.waiting["o1"] == part

    waits, nothing = fills(book, 90, most="0.000009")
    assert (waits, nothing) == (part, None)
    assert fills(book, 90, most=-1) == (part, None)

    done, last = fills(book, 110, most=7)
    assert (done.open, done.filled, last.quantity) == (False, Decimal("1.5"), Decimal("0.5"))
    assert book.balances == {"USDT": 1000 - Decimal("100.1") - Decimal("55.055"), "BTC": 1.5}
    assert first.id != last.id


def test_an_order_that_runs_out_of_money_keeps_what_it_has():
    book = account(101)
    book.submit(order(2), RULES)
    fills(book, 100, most=1)

    closed, traded = fills(book, 100)
    assert (closed.open, closed.filled, traded) == (False, 1, None)
    assert book.balances == {"USDT": Decimal("0.9"), "BTC": 1}


def test_slippage_moves_the_price_against_the_order():
    book = account(1000, 1)
    book.submit(order(1, "o1"), RULES)
    book.submit(order(1, "o2", purpose=EXIT), RULES)
    slips = Costs(slippage=Decimal("0.01"))

    assert fills(book, 100, "o1", costs=slips)[1].price == 101
    assert fills(book, 100, "o2", costs=slips)[1].price == 99


def test_notional_and_fee_are_each_rounded_half_even():
    book = account()
    rules = TradingRules()
    book.submit(order("0.00000005"), rules)

    traded = fills(book, "0.3", rules=rules)[1]  # 1.5e-8 and a thousandth of 2e-8
    assert (traded.cost, traded.fee) == (Decimal("2e-8"), 0)


def test_a_canceled_order_is_off_the_market():
    book = account()
    book.submit(order(), RULES)

    canceled = book.cancel("o1")
    assert (canceled.open, canceled.reject_reason) == (False, "canceled")
    assert book.waiting == {}
    assert book.cancel("o1") is None


def test_each_change_has_a_number_and_names_what_it_made():
    book = PaperBook()
    numbers = [book.number]
    book.credit("USDT", Decimal(1000))
    numbers.append(book.number)
    first = book.submit(order(1, "o1"), RULES)
    numbers.append(book.number)
    _, traded = fills(book)
    numbers.append(book.number)
    second = book.submit(order(1, "o2"), RULES)
    numbers.append(book.number)
    book.cancel("o2")
    numbers.append(book.number)

    assert numbers == [0, 1, 2, 3, 4, 5]
    assert first.venue_order_id != second.venue_order_id
    assert traded.id.startswith(f"{first.venue_order_id}-")


amounts = st.integers(1, 300).map(lambda n: Decimal(n).scaleb(-2))
steps_ = st.tuples(
    st.sampled_from(["buy", "sell", "fill", "cancel"]), amounts, st.integers(50, 200)
)


@given(st.lists(steps_, max_size=25))
def test_no_account_ever_owes_and_the_fills_explain_every_balance(script):
    book, traded, made = account(100, 1), [], 0
    for what, amount, price in script:
        if what in ("buy", "sell"):
            made += 1
            purpose = Purpose.ENTRY if what == "buy" else EXIT
            try:
                book.submit(order(amount, f"o{made}", purpose=purpose), RULES)
            except VenueRejected:
                assert what == "sell"
        for id in list(book.waiting):
            if what == "cancel":
                book.cancel(id)
            elif what == "fill":
                traded.append(fills(book, price, id, most=amount)[1])
        with money_context():
            done = [f for f in traded if f is not None]
            assert book.balances["BTC"] == 1 + sum(f.quantity * f.side.sign for f in done)
            assert book.balances["USDT"] == 100 - sum(f.cost * f.side.sign + f.fee for f in done)
            assert min(book.balances.values()) >= 0
            assert len({f.id for f in done}) == len(done)
