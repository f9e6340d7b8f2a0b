"""Money moves, it never appears; position and ledger tell the same story of any fills."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import ACCOUNT, BOT, START, USER, after_start, fill
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ledger import (
    EXTERNAL,
    FEES,
    FREE,
    MARKET,
    OWN,
    Balances,
    LedgerEntry,
    Posting,
    place_of,
    place_of_universe,
)
from tradefleet.domain.market import Side
from tradefleet.domain.money import money_context
from tradefleet.domain.position import Position

PLACE = place_of(BOT)


def booked(done):
    return LedgerEntry.of_fill(done, user_id=USER, account_id=ACCOUNT, bot_id=BOT)


def transfer(amount, source=EXTERNAL, target=FREE, id="t1", asset="USDT"):
    return LedgerEntry.of_transfer(
        id=id,
        user_id=USER,
        account_id=ACCOUNT,
        kind="deposit",
        at=START,
        asset=asset,
        amount=Decimal(amount),
        source=source,
        target=target,
    )


def amounts(entry):
    return [(p.place, p.asset, p.amount) for p in entry.postings]


def test_what_a_universe_was_given_has_a_place_of_its_own():
    assert place_of_universe("u1") == "universe:u1" != place_of("u1")


def test_a_trade_made_by_hand_is_booked_like_a_fill_at_the_place_it_belongs_to():
    done = fill("2", "100", Side.SELL, fee="0.2")
    entry = LedgerEntry.of_external_trade(done, user_id=USER, account_id=ACCOUNT, place=OWN)

    assert (entry.id, entry.kind) == ("external_trade:a1:f1", "external_trade")
    ours = [(OWN if place == PLACE else place, *rest) for place, *rest in amounts(booked(done))]
    assert amounts(entry) == ours


def test_what_the_user_keeps_besides_is_part_of_the_account():
    balances = Balances()
    balances.book(transfer(5, EXTERNAL, OWN))

    assert balances.account_totals() == {"USDT": 5}


def test_a_buy_moves_base_in_quote_out_and_the_fee_to_fees():
    entry = booked(fill("2", "100", fee="0.2"))

    assert entry.id == "fill:a1:f1"
    assert amounts(entry) == [
        (PLACE, "BTC", 2),
        (MARKET, "BTC", -2),
        (PLACE, "USDT", -200),
        (MARKET, "USDT", 200),
        (PLACE, "USDT", Decimal("-0.2")),
        (FEES, "USDT", Decimal("0.2")),
    ]


def test_a_sell_moves_the_other_way_and_pays_its_fee_in_any_asset():
    entry = booked(fill("2", "100", Side.SELL, fee="0.01", fee_asset="BNB"))

    assert amounts(entry)[0::2] == [
        (PLACE, "BTC", -2),
        (PLACE, "USDT", 200),
        (PLACE, "BNB", Decimal("-0.01")),
    ]


def test_a_fee_of_nothing_is_no_negative_zero():
    assert str(booked(fill()).postings[4].amount) == "0"


def test_an_entry_that_makes_money_appear_cannot_be_made():
    with pytest.raises(BrokenInvariant, match="entry x does not balance"):
        LedgerEntry(
            id="x",
            user_id=USER,
            account_id=ACCOUNT,
            kind="adjustment",
            booked_at=START,
            postings=(Posting(FREE, "USDT", Decimal(1)), Posting(FREE, "BTC", Decimal(-1))),
        )


def test_the_account_holds_what_came_in_and_did_not_go_out():
    balances = Balances()
    for entry in (
        transfer(1000),
        transfer(400, FREE, PLACE, "t2"),
        booked(fill("2", "100", fee="0.002", fee_asset="BTC")),
    ):
        balances.book(entry)

    assert balances.of(FREE, "USDT") == 600
    assert balances.of(PLACE, "USDT") == 200
    assert balances.of(PLACE, "BTC") == Decimal("1.998")
    assert balances.of("bot:b2", "USDT") == 0
    assert balances.account_totals() == {"USDT": 800, "BTC": Decimal("1.998")}
    assert balances.everything() == {"USDT": 0, "BTC": 0}


def test_entries_balance_whatever_the_global_context():
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        balances = Balances()
        balances.book(transfer("123456789.12345678"))
        balances.book(booked(fill("1.23456789", "98765", fee="0.12345678")))
        balances.book(transfer("0.00000001", id="t2"))

    assert balances.of(FREE, "USDT") == Decimal("123456789.12345679")
    assert balances.everything() == {"USDT": 0, "BTC": 0}


ASSETS = {"quote": "USDT", "base": "BTC", "third": "BNB"}
trades = st.lists(
    st.tuples(
        st.booleans(),  # buy?
        st.integers(1, 99),  # quantity, or the share sold in percent
        st.integers(1, 99_999),  # price in cents
        st.sampled_from(list(ASSETS)),
        st.booleans(),  # told twice?
    ),
    max_size=15,
)


@settings(deadline=None)
@given(trades)
def test_position_and_ledger_tell_the_same_story(story):
    with money_context():
        position, balances, seen, others = None, Balances(), set(), Decimal(0)
        for number, (buys, size, cents, paid_in, twice) in enumerate(story):
            price, held = Decimal(cents) / 100, position.quantity if position else Decimal(0)
            side = Side.BUY if buys or not held else Side.SELL
            quantity = Decimal(size) if side is Side.BUY else held * size / 100
            if side is Side.SELL and paid_in == "base":
                quantity = quantity / 2  # leave something for the fee
            fee = quantity / 1000 * (price if paid_in == "quote" else 1)
            done = fill(
                quantity,
                price,
                side,
                id=f"f{number}",
                fee=fee,
                fee_asset=ASSETS[paid_in],
                fee_quote=quantity / 1000 * price,
                at=after_start(minutes=number),
            )
            for _ in range(1 + twice):
                entry = booked(done)
                if entry.id in seen:
                    continue
                seen.add(entry.id)
                balances.book(entry)
                others += done.fee_quote if paid_in == "third" else 0
                position = position.after(done) if position else Position.opened_by(done)
            assert position.quantity == balances.of(PLACE, "BTC")
            assert position.quantity == sum((lot.quantity for lot in position.lots), Decimal(0))
            net = position.gross_pnl - position.fees_quote
            assert net == balances.of(PLACE, "USDT") - others
        assert set(balances.everything().values()) <= {0}
        if position is None or not position.quantity:
            return
        last = fill(position.quantity, 77, Side.SELL, id="last", at=after_start(days=1))
        balances.book(booked(last))
        closed = position.after(last)
        assert (closed.quantity, closed.lots) == (0, ())
        assert closed.gross_pnl - closed.fees_quote == balances.of(PLACE, "USDT") - others
        assert closed.realized + closed.base_fees_quote == closed.gross_pnl


@settings(deadline=None)
@given(trades, st.randoms(use_true_random=False))
def test_the_order_of_booking_does_not_matter(story, chance):
    entries = [
        booked(fill(size, cents, Side.BUY if buys else Side.SELL, id=f"f{n}", fee=size))
        for n, (buys, size, cents, _, _) in enumerate(story)
    ]
    shuffled = list(entries)
    chance.shuffle(shuffled)
    one, two = Balances(), Balances()
    for entry, other in zip(entries, shuffled, strict=True):
        one.book(entry)
        two.book(other)

    assert one.account_totals() == two.account_totals()
    assert one.everything() == two.everything()
