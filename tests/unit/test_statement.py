"""The venue's ledger against ours: they agree to the unit, and what is wrong in ours is found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import ACCOUNT, BOT, BTC, ETH, START, USER, after_start
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.ledger import (
    EXTERNAL,
    FREE,
    OWN,
    Balances,
    LedgerEntry,
    Posting,
    place_of,
)
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import Fill
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement, entries_of_trade
from tradefleet.engine.statement import (
    Comparison,
    Trouble,
    clear_moment,
    compare,
    due_after,
    marks_of,
    symbols_of,
    unbooked,
)
from tradefleet.runtime.account_books import AccountBooks

D = Decimal
ONE, COST, FEE = D(1), D(100), D("0.1")
UNTIL = after_start(hours=24)
UNITS = st.integers(1, 10**12).map(lambda n: D(n).scaleb(-8))
FEES = st.one_of(st.just(D(0)), st.integers(1, 10**8).map(lambda n: D(n).scaleb(-8)))
TIMES = st.integers(1, 86_399).map(lambda seconds: after_start(seconds=seconds))
TRADES = st.tuples(TIMES, st.sampled_from(list(Side)), UNITS, UNITS, FEES, st.sampled_from("bqt"))
PAYMENTS = st.tuples(
    TIMES,
    st.sampled_from(["BTC", "USDT", "BNB", "ETH.S"]),
    UNITS,
    st.sampled_from([EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.REBATE, EntryKind.OTHER]),
)
PAID_IN = {"b": "BTC", "q": "USDT", "t": "BNB"}


def traded(
    number: int,
    at: datetime,
    side: Side = Side.BUY,
    quantity: Decimal = ONE,
    cost: Decimal = COST,
    fee: Decimal = FEE,
    pays: str = "q",
) -> Fill:
    return Fill(
        id=FillId(f"T{number}"),
        order_id=OrderId(f"o{number}"),
        symbol=BTC,
        side=side,
        quantity=quantity,
        price=D(100),
        cost=cost,
        fee=fee,
        fee_asset=PAID_IN[pays],
        fee_quote=D(0),
        filled_at=at,
    )


def rows_of(fill: Fill) -> list[VenueEntry]:
    return list(
        entries_of_trade(
            trade_id=fill.id,
            order_id=fill.order_id,
            symbol=fill.symbol,
            side=fill.side,
            quantity=fill.quantity,
            cost=fill.cost,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            at=fill.filled_at,
        )
    )


def paid(number: int, asset: str, amount: Decimal, kind: EntryKind, at: datetime) -> VenueEntry:
    return VenueEntry(id=f"L{number}", kind=kind, asset=asset, amount=amount, at=at)


def booked(fill: Fill) -> LedgerEntry:
    return LedgerEntry.of_fill(fill, user_id=USER, account_id=ACCOUNT, bot_id=BOT)


def by_hand(fill: Fill) -> LedgerEntry:
    return LedgerEntry.of_external_trade(fill, user_id=USER, account_id=ACCOUNT, place=OWN)


def moved(asset: str, amount: Decimal, at: datetime, kind: str = "external") -> LedgerEntry:
    return LedgerEntry(
        id=f"{kind}:{asset}:{at.timestamp()}:{amount}",
        user_id=USER,
        account_id=ACCOUNT,
        kind=kind,
        booked_at=at,
        postings=(Posting(EXTERNAL, asset, -amount), Posting(OWN, asset, amount)),
    )


def held(
    rows: Sequence[VenueEntry], books: Sequence[LedgerEntry], *, hidden: tuple[str, ...] = ()
) -> Comparison:
    return compare(VenueStatement(tuple(rows), hidden), books, since=START, until=UNTIL)


class Day:
    """A day of an account: what its venue writes down, and what is in our books."""

    def __init__(self, trades, payments) -> None:
        self.fills = [traded(n, *each) for n, each in enumerate(trades)]
        self.rows = [row for fill in self.fills for row in rows_of(fill)]
        self.books = [
            booked(fill) if number % 3 else by_hand(fill) for number, fill in enumerate(self.fills)
        ]
        for number, (at, asset, amount, kind) in enumerate(payments):
            amount = -amount if kind is EntryKind.WITHDRAWAL else amount
            self.rows.append(paid(number, asset, amount, kind, at))
            self.books.append(moved(asset, amount, at + timedelta(seconds=40)))


# ------------------------------------------------------------------ what agrees


@given(st.lists(TRADES, max_size=12), st.lists(PAYMENTS, max_size=6))
def test_any_day_agrees_to_the_unit(trades, payments):
    day = Day(trades, [each for each in payments if each[0] < UNTIL - timedelta(minutes=1)])
    found = held(day.rows, day.books)
    assert found.agrees
    assert found.troubles == found.differing == ()
    assert found.trades == len(day.fills)
    assert found.others == 0
    balances = Balances()
    for entry in day.books:
        balances.book(entry)
    totals = {asset: total for asset, total in balances.account_totals().items() if total}
    assert {line.asset: line.moved for line in found.lines if line.moved} == totals
    assert len(found.explained) == len(day.rows) - sum(len(rows_of(fill)) for fill in day.fills)


@given(st.lists(TRADES, min_size=1, max_size=12), st.data())
def test_a_lost_a_doubled_and_a_wrong_trade_are_found_though_balances_were_put_right(trades, data):
    day = Day(trades, [])
    number = data.draw(st.integers(0, len(trades) - 1))
    fill, good = day.fills[number], day.books.pop(number)
    fault = data.draw(st.sampled_from(["lost", "doubled", "fee", "amount", "renamed"]))
    wrong: list[LedgerEntry] = []
    if fault == "doubled":
        wrong = [good, replace(good, id=f"external_trade:{ACCOUNT}:{fill.id}")]
        wrong = wrong if good.kind == "fill" else [good, booked(fill)]
    elif fault == "fee":
        wrong = [booked(replace(fill, fee=fill.fee + data.draw(UNITS)))]
    elif fault == "amount":
        wrong = [booked(replace(fill, cost=fill.cost + data.draw(UNITS)))]
    elif fault == "renamed":
        wrong = [booked(replace(fill, id=FillId("T?")))]
    day.books += wrong
    # By then the difference to the venue's balances was found and booked: the sums agree.
    right, now = Balances(), Balances()
    right.book(good)
    for entry in wrong:
        now.book(entry)
    for asset in ("BTC", "USDT", "BNB"):
        missing = right.account_totals().get(asset, D(0)) - now.account_totals().get(asset, D(0))
        if missing:
            day.books.append(moved(asset, missing, UNTIL))
    found = compare(
        VenueStatement(tuple(day.rows)),
        day.books,
        since=START,
        until=UNTIL,
        ours={fill.id for fill in day.fills},
    )
    assert found.differing == ()
    assert not found.agrees
    expected = {
        "lost": [(fill.id, Trouble.LOST)],
        "doubled": [(fill.id, Trouble.DOUBLED)],
        "fee": [(fill.id, Trouble.WRONG_FEE)],
        "amount": [(fill.id, Trouble.WRONG_AMOUNT)],
        "renamed": [(fill.id, Trouble.LOST), (FillId("T?"), Trouble.UNKNOWN)],
    }[fault]
    assert sorted((each.trade_id, each.trouble) for each in found.troubles) == sorted(expected)


@given(st.lists(TRADES, max_size=8), st.lists(PAYMENTS, min_size=1, max_size=6), st.data())
def test_money_our_books_do_not_have_is_found_to_the_unit(trades, payments, data):
    day = Day(trades, [(START + (at - START) / 2, *rest) for at, *rest in payments])
    off = data.draw(st.sampled_from([D("1e-8"), D("-1e-8"), D(7)]))
    asset = data.draw(st.sampled_from(["BTC", "USDT"]))
    day.books.append(moved(asset, off, after_start(hours=20), "wrong"))
    (line,) = held(day.rows, day.books).differing
    assert (line.asset, line.difference) == (asset, -off)


# --------------------------------------------------------------- whose, and when


def test_a_trade_of_somebody_else_may_be_in_a_difference_that_was_booked():
    fill = traded(1, after_start(hours=1))
    books = [moved("BTC", D(1), after_start(hours=2)), moved("USDT", D("-100.1"), UNTIL)]
    found = held(rows_of(fill), books)
    assert found.agrees
    assert (found.trades, found.others) == (0, 1)
    assert unbooked(VenueStatement(tuple(rows_of(fill))), books) == {fill.id}


def test_a_trade_belongs_where_the_venue_puts_it_whatever_our_books_say():
    before = traded(1, START)
    late = traded(2, UNTIL + timedelta(seconds=1))
    books = [
        booked(replace(before, filled_at=START + timedelta(seconds=1))),
        booked(replace(late, filled_at=UNTIL)),
    ]
    found = held([*rows_of(before), *rows_of(late)], books)
    assert found.agrees
    assert found.lines == ()
    assert found.trades == 0


def test_what_is_finer_than_the_venue_writes_is_no_wrong_amount():
    """Kraken's ledger has four digits of a dollar; its list of trades has more."""
    fill = traded(1, after_start(hours=1), cost=D("33.54612"), fee=D("0.0872"))
    rows = [
        replace(row, amount=D("-33.5461"), step=D("0.0001"))
        if row.asset == "USDT" and row.kind is EntryKind.TRADE
        else row
        for row in rows_of(fill)
    ]
    found = held(rows, [booked(fill), moved("USDT", D("0.00002"), UNTIL)])
    assert found.agrees
    wrong = held(rows, [booked(replace(fill, cost=D("33.54632")))])
    assert [each.trouble for each in wrong.troubles] == [Trouble.WRONG_AMOUNT]


def test_where_the_venue_hides_something_a_difference_is_no_alarm_but_a_wrong_trade_is():
    fill = traded(1, after_start(hours=1))
    hidden = ("Earn",)
    found = held(rows_of(fill), [booked(fill), moved("USDT", D(5), UNTIL)], hidden=hidden)
    assert found.agrees
    assert [line.asset for line in found.differing] == ["USDT"]
    assert not held(rows_of(fill), [booked(replace(fill, fee=D(1)))], hidden=hidden).agrees


def test_what_fee_somebody_else_paid_is_put_right_by_the_balances_and_ours_is_not():
    fill = traded(1, after_start(hours=1), fee=D("0.1"))
    rows = rows_of(replace(fill, fee=D("0.001"), fee_asset="BTC"))
    right = [moved("USDT", D("0.1"), UNTIL), moved("BTC", D("-0.001"), UNTIL)]
    assert held(rows, [by_hand(fill), *right]).agrees
    found = held(rows, [booked(fill), *right])
    assert [each.trouble for each in found.troubles] == [Trouble.WRONG_FEE]
    assert found.differing == ()


def test_pairs_that_were_traded_are_asked_for_though_nobody_trades_them_any_more():
    books = [
        booked(traded(1, after_start(hours=1))),
        by_hand(replace(traded(2, after_start(hours=2)), symbol=ETH, fee_asset="BNB")),
        booked(replace(traded(3, START), symbol=Symbol("SOL", "USDT"))),
        moved("XRP", D(1), after_start(hours=3)),
    ]
    assert symbols_of(books, after_start(minutes=5)) == {BTC, ETH}


def test_moves_between_our_own_places_move_nothing():
    entry = LedgerEntry.of_transfer(
        id="allocation",
        user_id=USER,
        account_id=ACCOUNT,
        kind="allocation",
        at=after_start(hours=1),
        asset="USDT",
        amount=D(10),
        source=FREE,
        target=place_of(BOT),
    )
    assert held([], [entry]).lines == ()


# --------------------------------------------------------------- from when, until when


def test_it_goes_on_where_the_last_one_ended():
    opening = moved("USDT", D(5), START, "opening")
    later = moved("USDT", D(1), after_start(hours=3))
    assert AccountBooks([]).begun is None
    assert AccountBooks([later, opening]).begun == START
    marks = marks_of(held([], []), user_id=USER, account_id=ACCOUNT, assets=["USDT"])
    assert AccountBooks([opening, *marks, later]).begun == UNTIL
    assert AccountBooks([*marks, opening]).begun == UNTIL


def test_what_is_written_down_moves_nothing_and_has_the_same_names_each_time():
    row = paid(1, "USDT", D(5), EntryKind.DEPOSIT, after_start(hours=2))
    found = held([row], [moved("USDT", D(5), after_start(hours=3))])
    assert found.explained == (row,)
    marks = marks_of(found, user_id=USER, account_id=ACCOUNT, assets=["USDT", "BTC", "BTC"])
    assert [each.kind for each in marks] == ["explained:deposit", "statement"]
    balances = Balances()
    for mark in marks:
        balances.book(mark)
    assert not any(balances.account_totals().values())
    again = marks_of(found, user_id=USER, account_id=ACCOUNT, assets=["USDT", "BTC"])
    assert again == marks
    assert held([row], [moved("USDT", D(5), after_start(hours=3)), *marks]).agrees


def test_from_a_moment_on_nothing_is_compared_yet():
    nothing = Comparison.of_nothing(UNTIL)
    assert nothing.agrees
    (mark,) = marks_of(nothing, user_id=USER, account_id=ACCOUNT, assets=["USDT"])
    assert (mark.kind, mark.booked_at) == ("statement", UNTIL)


def test_it_ends_where_two_clocks_cannot_disagree():
    moments = [after_start(seconds=each) for each in (10, 20, 30)]
    apart = timedelta(seconds=2)
    assert clear_moment(moments, [], apart) == moments[2]
    assert clear_moment(moments, [after_start(seconds=29)], apart) == moments[1]
    assert clear_moment(moments, [each + apart for each in moments], apart) is None


@pytest.mark.parametrize(
    ("after", "share", "due"),
    [(0, 0.5, 36), (0.1, 0.5, 36), (12, 0.5, 36), (11.9, 0.5, 36), (0, 0.0, 24), (0, 0.75, 18)],
)
def test_each_account_has_its_own_time_of_day(after, share, due):
    assert due_after(after_start(hours=after), share) == after_start(hours=due)
