"""Reconciling turns the venue's word into events, adds nothing and tells nothing twice."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import ACCOUNT, BTC, ETH, START, USER, Number, after_start, fill, order, spec
from tradefleet.domain.ids import client_order_id
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, Balances, LedgerEntry
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    ClosedByVenue,
    Fill,
    NotFound,
    OrderReport,
    OrderState,
    OutcomeLost,
    Rejected,
)
from tradefleet.engine.order_life import after
from tradefleet.engine.reconcile import (
    Claim,
    Finding,
    balance_differences,
    claimed,
    judge,
    may_be_ours,
    movement_entry,
    order_news,
    seq_named,
    total,
)

S = OrderState
AT = after_start(minutes=1)


def report(filled: int = 0, is_open: bool = True, id: str = "v1") -> OrderReport:
    return OrderReport(id, is_open, Decimal(filled))


def news(order_, report_, fills=(), known=frozenset()):
    return order_news(order_, report_, list(fills), known, AT)


def sent(state: S = S.UNKNOWN, **changes):
    return order(3, state=state, sent_at=START, **changes)


def test_an_order_the_venue_does_not_know_is_not_found():
    assert news(sent(), None) == [NotFound("o1", AT)]


def test_an_order_never_sent_or_over_is_not_missed():
    assert news(order(), None) == []
    assert news(sent(S.ABSENT), None) == []
    assert news(sent(S.DONE), None) == []


def test_fills_prove_an_order_even_if_the_list_of_orders_lacks_it():
    assert news(sent(), None, [fill(1)]) == [fill(1)]


def test_an_unknown_order_is_found():
    assert news(sent(), report()) == [Acknowledged("o1", "v1")]


def test_news_come_in_the_order_they_must_be_taken():
    late, early = fill(1, id="f1", at=after_start(seconds=9)), fill(1, id="f2")

    assert news(sent(), report(2, is_open=False), [late, early]) == [
        Acknowledged("o1", "v1"),
        early,
        late,
        ClosedByVenue("o1", Decimal(2)),
    ]


def test_fills_known_repeated_or_of_other_orders_are_no_news():
    known, twice, other = fill(1), fill(1, id="f2"), fill(1, id="f3", order_id="o2")
    open_order = sent(S.OPEN, venue_order_id="v1")

    assert news(open_order, report(2), [twice, known, other, twice], {known.id}) == [twice]


def test_fills_of_one_moment_come_by_their_id():
    fills = [fill(1, id="f3"), fill(1, id="f1"), fill(1, id="f2")]

    assert [f.id for f in news(sent(), None, fills)] == ["f1", "f2", "f3"]


def test_a_fill_that_overtook_the_acknowledgement_leaves_the_name_to_learn():
    assert news(sent(S.OPEN), report()) == [Acknowledged("o1", "v1")]
    assert news(sent(S.OPEN, venue_order_id="v1"), report()) == []


def test_a_second_venue_order_under_one_name_is_reported_not_hidden():
    assert news(sent(S.OPEN, venue_order_id="v0"), report()) == [Acknowledged("o1", "v1")]


def test_what_the_venue_says_of_an_order_that_is_over_is_known():
    done = sent(S.DONE, venue_order_id="v1", filled=Decimal(2))
    closing = sent(S.CLOSING, venue_order_id="v1", venue_filled=Decimal(2))

    assert news(done, report(2, is_open=False)) == []
    assert news(closing, report(2, is_open=False)) == []
    assert news(closing, report(3, is_open=False)) == [ClosedByVenue("o1", Decimal(3))]


def test_a_refused_order_in_the_venues_list_is_no_news():
    refused = sent(S.REJECTED)

    assert news(refused, report(0, is_open=False)) == []
    assert news(refused, report()) == [Acknowledged("o1", "v1")]
    assert news(refused, report(0, is_open=False), [fill(1)])[1:] == [
        fill(1),
        ClosedByVenue("o1", Decimal(0)),
    ]


ARMED = Armed("o1", 1, START, after_start(seconds=5))
BEGINNINGS = [
    (),
    (ARMED,),
    (ARMED, OutcomeLost("o1", "timeout")),
    (ARMED, Acknowledged("o1", "v1")),
    (ARMED, Rejected("o1", "said so")),
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
@settings(deadline=None)
@given(
    parts=st.lists(st.integers(1, 2), max_size=4),
    looks=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=6),
)
def test_however_often_we_look_the_order_ends_as_at_the_venue(beginning, parts, looks):
    """Each look sees some of the fills, and the order as it was or as it ended."""
    fills = [fill(n, id=f"f{i}", at=after_start(seconds=i)) for i, n in enumerate(parts)]
    total = sum(parts)
    now, known = order(8), set()
    for event in beginning:
        now = after(now, event)
    for seen, ended in [*looks, (len(fills), True), (len(fills), True)]:
        visible = fills[:seen]
        told = report(total if ended else sum(parts[:seen]), is_open=not ended)
        events = order_news(now, told, visible, known, AT)
        for event in events:
            now = after(now, event)
            known |= {event.id} if isinstance(event, Fill) else set()
        assert order_news(now, told, visible, known, AT) == []
    assert now.filled == total
    assert now.state in (S.DONE, S.REJECTED)
    assert now.state is S.DONE or total == 0


# ---- balances


def test_only_differences_are_told():
    ours = {"USDT": Decimal(1000), "BTC": Decimal(1), "ETH": Decimal(0), "DOGE": Decimal(5)}
    venue = {"USDT": Decimal("999.5"), "BTC": Decimal("1.0"), "SOL": Decimal(2)}

    assert balance_differences(ours, venue) == {
        "DOGE": Decimal(-5),
        "SOL": Decimal(2),
        "USDT": Decimal("-0.5"),
    }


def test_the_smallest_difference_shows_whatever_the_global_context():
    ours, venue = {"BTC": Decimal("123456.00000001")}, {"BTC": Decimal("123456.00000002")}

    with decimal.localcontext(prec=5):
        assert balance_differences(ours, venue) == {"BTC": Decimal("1E-8")}


# ------------------------------------------------------------------ whose is an order?


def test_our_orders_are_known_by_their_names():
    own = spec(1)
    name = client_order_id(b"key", own.user_id, own.account_id, own.id, 7)

    assert may_be_ours(name)
    assert seq_named(name, own, b"key", range(1, 20)) == 7
    assert seq_named(name, own, b"key", range(8, 20)) is None
    assert seq_named(name, spec(2), b"key", range(1, 20)) is None
    assert seq_named(name, own, b"another key", range(1, 20)) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "web_1234",
        "x-TKT5PX2F" + "0" * 22,
        "0" * 12 + "4" + "0" * 3 + "8" + "0" * 15,
        "0" * 12 + "5" + "0" * 3 + "c" + "0" * 15,
        "A" * 12 + "5" + "A" * 3 + "8" + "A" * 15,
        "00000000-0000-5000-8000-000000000000",
    ],
)
def test_names_that_others_give_are_not_ours(name):
    assert not may_be_ours(name)


# --------------------------------------------------------------- what is in the account?


def amounts(**given: Number) -> dict[str, Decimal]:
    return {asset: Decimal(amount) for asset, amount in given.items()}


def claim(cash: Number = 0, quantity: Number = 0, symbol: Symbol = BTC) -> Claim:
    return Claim(symbol, Decimal(cash), Decimal(quantity))


def test_books_that_agree_with_the_venue_leave_nothing_to_say():
    finding = judge(amounts(USDT=900, BTC=1), amounts(USDT=900, BTC=1), [claim(900, 1)])

    assert finding.is_clean
    assert finding == Finding({}, (), {})


def test_what_came_in_and_what_went_out_is_told_by_asset():
    finding = judge(amounts(USDT=900, BNB=2), amounts(USDT=1000, BNB=1, BTC=1), [claim(900)])

    assert finding == Finding(amounts(USDT=100, BNB=-1, BTC=1), (), {})
    assert not finding.is_clean


def test_bots_miss_what_they_count_on_together():
    claims = [claim(600), claim(300, 2), claim(100, -1, ETH)]

    assert claimed(claims) == amounts(USDT=1000, BTC=2)
    finding = judge(amounts(USDT=950, BTC=2), amounts(USDT=950, BTC="1.5"), claims)
    assert finding.short == amounts(USDT=50, BTC="0.5")
    assert not finding.is_clean


def test_a_trade_that_nobody_lists_is_suspected_where_one_asset_was_paid_with_the_other():
    before = amounts(USDT=1000, BTC=1, ETH=1)

    assert judge(before, amounts(USDT=900, BTC=2, ETH=1), [claim(), claim()]).hidden == (BTC,)
    assert judge(before, amounts(USDT=900, BTC=2, ETH=2), [claim(symbol=ETH)]).hidden == (ETH,)
    assert judge(before, amounts(USDT=1100, BTC=2, ETH=1), [claim()]).hidden == ()


def movement(moved, place=OWN, **books: Number):
    balances = Balances()
    for held, amount in books.items():
        entry = LedgerEntry.of_transfer(
            id=held,
            user_id=USER,
            account_id=ACCOUNT,
            kind="deposit",
            at=START,
            asset="USDT",
            amount=Decimal(amount),
            source=EXTERNAL,
            target={"own": OWN, "free": FREE}[held],
        )
        balances.book(entry)
    entry = movement_entry(
        amounts(**moved),
        balances,
        user_id=USER,
        account_id=ACCOUNT,
        kind="external",
        at=START,
        place=place,
    )
    return [(p.place, p.asset, p.amount) for p in entry.postings]


def test_what_came_in_is_booked_at_its_place():
    assert movement({"USDT": 5, "BTC": 1}, FREE) == [
        (EXTERNAL, "BTC", -1),
        (FREE, "BTC", 1),
        (EXTERNAL, "USDT", -5),
        (FREE, "USDT", 5),
    ]


@pytest.mark.parametrize(
    ("own", "free", "taken"),
    [
        (10, 10, [(OWN, -8)]),
        (5, 10, [(OWN, -5), (FREE, -3)]),
        (0, 10, [(FREE, -8)]),
        (3, 2, [(OWN, -6), (FREE, -2)]),
        (0, 0, [(OWN, -8)]),
    ],
)
def test_what_went_out_is_taken_from_what_no_bot_owns(own, free, taken):
    got = movement({"USDT": -8}, own=own, free=free)

    assert got == [(EXTERNAL, "USDT", 8), *((place, "USDT", amount) for place, amount in taken)]


def test_a_total_is_exact():
    assert total([]) == 0
    assert total([Decimal("1e15"), Decimal("1e-18")]) == Decimal(
        "1000000000000000.000000000000000001"
    )
