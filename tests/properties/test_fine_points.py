"""What no other test looked at, as changing every operator and constant once has shown."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import ACCOUNT, BOT, BTC, ETH, START, USER, after_start, fill, order
from tests.store_rig import ALICE
from tradefleet.domain.errors import BrokenInvariant, LeaseLost
from tradefleet.domain.ids import UserId
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, Balances, LedgerEntry, place_of
from tradefleet.domain.market import Side
from tradefleet.domain.order import (
    Acknowledged,
    ClosedByVenue,
    Order,
    OrderEvent,
    OrderState,
    Voided,
    parted,
)
from tradefleet.domain.position import Lot, Position, take_lots
from tradefleet.engine.order_life import after
from tradefleet.engine.reconcile import Claim, judge, may_be_ours, movement_entry
from tradefleet.store import Batch, KillSwitched
from tradefleet.stores._gate import refusal

S = OrderState
D = Decimal

# ---- orders


def test_a_void_order_remembers_why():
    assert after(order(), Voided("o1", "too late")).note == "too late"


def test_an_order_may_be_closed_by_the_venue_at_its_full_quantity():
    opened = order(3, state=S.OPEN, filled=D(1))
    closed = after(opened, ClosedByVenue("o1", D(3)))

    assert (closed.state, closed.venue_filled) == (S.CLOSING, 3)


def test_a_done_order_that_is_closed_again_stays_as_it_is():
    done = order(3, state=S.DONE, filled=D(3), venue_filled=D(3))

    assert after(done, ClosedByVenue("o1", D(3))) is done


@pytest.mark.parametrize(
    ("given", "event", "says"),
    [
        (order(), Acknowledged("o2", "v1"), "news of o2 given to order o1"),
        (order(), ClosedByVenue("o1", D(2)), "the venue closed order o1 at 2; known are 0 of 1"),
        (order(state=S.DONE), fill(), "order o1 is done: no Fill now"),
        (order(state=S.OPEN), fill(2), "order o1 filled 2 of 1"),
        (
            order(state=S.OPEN, venue_order_id="v1"),
            Acknowledged("o1", "v2"),
            "the venue has two orders under the name o1",
        ),
        (
            order(3, state=S.CLOSING, venue_filled=D(1)),
            fill(2),
            "order o1 filled 2 of the 1 the venue closed it with",
        ),
        (
            order(3, state=S.DONE, filled=D(1), venue_filled=D(1)),
            ClosedByVenue("o1", D(2)),
            "order o1 is done at 1: ",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_a_broken_invariant_says_which_order_and_what(given: Order, event: OrderEvent, says: str):
    with pytest.raises(BrokenInvariant) as caught:
        after(given, event)
    assert says in str(caught.value)


def test_a_fill_in_two_parts_is_the_same_to_the_last_unit():
    whole = replace(
        fill("0.7", "3", Side.SELL, fee="0.00000005", fee_quote="0.00000007"), cost=D("2.10000001")
    )
    first, second = parted(whole, D("0.3"))

    assert (first.quantity, second.quantity) == (D("0.3"), D("0.4"))
    assert (first.cost, second.cost) == (D("0.90000000"), D("1.20000001"))
    assert (first.fee, second.fee) == (D("0.00000002"), D("0.00000003"))
    assert (first.fee_quote, second.fee_quote) == (D("0.00000003"), D("0.00000004"))
    same = {name: getattr(whole, name) for name in ("id", "order_id", "side", "price", "fee_asset")}
    for part in (first, second):
        assert {name: getattr(part, name) for name in same} == same


# ---- names


@pytest.mark.parametrize("place", [16, 20])
@pytest.mark.parametrize("letter", ["X", "A", "g", "7"])
def test_a_name_with_a_strange_letter_is_not_ours(place: int, letter: str):
    ours = "0123456789ab5def89ab0123456789ab"
    assert may_be_ours(ours)

    named = ours[:place] + letter + ours[place + 1 :]
    assert may_be_ours(named) is (place == 20 and letter == "7")


# ---- lots and positions


def test_what_is_left_of_the_oldest_lot_stays_the_oldest():
    lots = (Lot(D(2), D(200)), Lot(D(1), D(300)), Lot(D(1), D(400)))
    left, cost = take_lots(lots, D(1))

    assert cost == 100
    assert left == (Lot(D(1), D(100)), *lots[1:])


def test_a_position_knows_since_when_and_at_what_it_was_sold():
    opened = Position.opened_by(fill(2, 100, at=after_start(hours=1)))
    assert opened.opened_at == after_start(hours=1)

    half = opened.after(fill(1, 110, Side.SELL, "f2"))
    assert (half.sold, half.exit_price) == (110, 110)
    assert half.after(fill(1, 130, Side.SELL, "f3")).exit_price == 120


def test_messages_of_positions_are_as_they_are():
    with pytest.raises(BrokenInvariant, match=r"^more was sold than is held$"):
        take_lots((), D(1))
    with pytest.raises(BrokenInvariant, match=r"^a position is opened by a buy$"):
        Position.opened_by(fill(1, 100, Side.SELL))


# ---- entries


def test_an_entry_says_whose_it_is_and_of_what_kind():
    moved = LedgerEntry.of_transfer(
        id="t1",
        user_id=USER,
        account_id=ACCOUNT,
        kind="deposit",
        at=START,
        asset="USDT",
        amount=D(5),
        source=EXTERNAL,
        target=FREE,
    )
    assert (moved.id, moved.user_id, moved.account_id) == ("t1", USER, ACCOUNT)
    assert (moved.kind, moved.booked_at) == ("deposit", START)

    filled = LedgerEntry.of_fill(fill(), user_id=USER, account_id=ACCOUNT, bot_id=BOT)
    assert (filled.kind, filled.user_id, filled.account_id) == ("fill", USER, ACCOUNT)


def sold(quantity: int, held: int) -> LedgerEntry:
    """A sale of which the bot held a part, the rest was the user's own."""
    whole = fill(quantity, 100, Side.SELL)
    mine, beyond = parted(whole, D(held))
    return LedgerEntry.of_fill(mine, user_id=USER, account_id=ACCOUNT, bot_id=BOT, beyond=beyond)


@pytest.mark.parametrize("held", [0, 1, 2])
def test_what_a_bot_sold_beyond_its_own_is_its_users(held: int):
    books = Balances()
    books.book(sold(3, held))

    assert (books.of(place_of(BOT), "BTC"), books.of(OWN, "BTC")) == (-held, held - 3)
    assert (books.of(place_of(BOT), "USDT"), books.of(OWN, "USDT")) == (
        100 * held,
        100 * (3 - held),
    )
    assert {each.place for each in sold(3, 0).postings} == {OWN, "market", "fees"}


# ---- reconciliation


def test_what_is_missing_altogether_is_short_to_the_last_unit():
    finding = judge({}, {}, [Claim(BTC, D(100), D(2))])

    assert finding.short == {"USDT": 100, "BTC": 2}
    assert not finding.is_clean


def test_several_hidden_trades_are_named_in_order():
    claims = [Claim(ETH, D(0), D(0)), Claim(BTC, D(0), D(0))]
    finding = judge({"USDT": D(10)}, {"BTC": D(1), "ETH": D(1)}, claims)

    assert finding.hidden == (BTC, ETH)


def test_what_moved_is_booked_as_whose_when_and_why():
    at = START + timedelta(microseconds=5)
    entry = movement_entry(
        {"USDT": D(-3)},
        Balances(),
        user_id=USER,
        account_id=ACCOUNT,
        kind="external",
        at=at,
        place=OWN,
    )

    assert (entry.user_id, entry.account_id, entry.kind) == (USER, ACCOUNT, "external")
    assert (entry.id, entry.booked_at) == ("external:a1:20260101T000000.000005", at)


# ---- the fence


def a_batch(epoch: int, kill_version: int | None = None) -> Batch:
    return Batch(user_id=ALICE, epoch=epoch, records=(), kill_version=kill_version)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_who_has_no_lease_may_not_write(epoch: int):
    for leases in ({}, {UserId("another"): (epoch, 0)}, {ALICE: (0, 0)}):
        error = refusal(a_batch(epoch), leases)
        assert isinstance(error, LeaseLost)
        assert ALICE in str(error)


def test_a_changed_kill_switch_stops_what_is_armed_and_says_so():
    assert refusal(a_batch(3), {ALICE: (3, 7)}) is None
    assert refusal(a_batch(3, 7), {ALICE: (3, 7)}) is None

    error = refusal(a_batch(3, 6), {ALICE: (3, 7)})
    assert isinstance(error, KillSwitched)
    assert ALICE in str(error)
