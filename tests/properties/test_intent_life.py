"""Whatever becomes of an intent, it is sent once, filled as the venue filled it, and never lost."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.makers import START, fill
from tests.properties.effort import hunts, tries
from tests.properties.stores import KINDS, Kept, tell
from tests.store_rig import ALICE, account, batch, booked, bot, order_of, register, take
from tradefleet.domain.effects import OrderChanged, OrderPlaced, Record
from tradefleet.domain.errors import BrokenInvariant, TradefleetError
from tradefleet.domain.ids import FillId, OrderId, client_order_id
from tradefleet.domain.market import Side
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    Fill,
    Order,
    OrderEvent,
    OrderReport,
    OrderState,
    OutcomeLost,
    Rejected,
    Voided,
)
from tradefleet.engine import order_life, reconcile
from tradefleet.engine.order_life import after, look_up_due, resolve
from tradefleet.engine.reconcile import may_be_ours, order_news
from tradefleet.store import Lease
from tradefleet.stores.memory import journal

S = OrderState
KEY = b"k" * 32
OWNER = bot(ALICE)
DEADLINE, GRACE, VISIBLE = timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=1)
LOST = (S.UNKNOWN, S.QUARANTINED)
FATES = (
    "taken", "refused", "answer lost", "request lost", "late", "crash", "crash after", "waits",
    "given up",
)  # fmt: skip
NUMBERS = st.integers(0, 9)
WORKING_MAX = 3


@dataclass(slots=True)
class AtVenue:
    """An order as the venue has it: nobody tells it by itself."""

    order: Order
    is_open: bool = True
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((each.quantity for each in self.fills), Decimal(0))

    @property
    def report(self) -> OrderReport:
        return OrderReport(f"v-{self.order.seq}", self.is_open, self.filled)


@dataclass(frozen=True, slots=True)
class LookUp:
    """What the venue answered once; it may arrive late, or twice."""

    order_id: OrderId
    report: OrderReport | None
    fills: tuple[Fill, ...]


class IntentLife(Kept):
    """One bot's orders: its host crashes, the store does not, and the venue says little."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.host: dict[OrderId, Order] = {}
        self.known: dict[FillId, OrderId] = {}
        self.venue: dict[OrderId, AtVenue] = {}
        self.under_way: dict[OrderId, Order] = {}
        self.before: dict[OrderId, Order] = {}  # as a zombie still remembers them
        self.sent: Counter[OrderId] = Counter()
        self.answers: list[LookUp] = []
        self.numbers = 0

    @initialize()
    def begin(self) -> None:
        self.run(register(self.store, ALICE, OWNER))
        self.lease: Lease = self.run(take(self.store))[ALICE]

    # ------------------------------------------------------------ our own side

    def write(self, *records: Record, arms: bool = False) -> bool:
        """Write what happened, all or nothing; say whether it was kept."""
        version = self.lease.kill_version if arms else None
        (error,) = self.run(self.store.write([batch(self.lease, *records, kill_version=version)]))
        return error is None

    def take_news(self, news: Sequence[OrderEvent]) -> None:
        """Let the orders live through news and write it down, each fill with its entry."""
        records: list[Record] = []
        for event in news:
            order = after(self.host[event.order_id], event)
            self.host[order.id] = order
            if isinstance(event, Fill):
                self.known[event.id] = order.id
                records.append(booked(event, OWNER))
            records.append(OrderChanged(order))
        if records:
            assert self.write(*records), "what happened could not be written down"

    def crash(self) -> None:
        """Forget all and begin from what is written: whatever was being sent is in doubt."""
        load = self.run(self.store.load_user(ALICE))
        for order in load.working_orders:
            durable = self.host[order.id]
            assert order == durable, "what was written differs from what was believed"
        working = {order.id for order in load.working_orders}
        for order in self.host.values():
            assert order.id in working or order.is_final, "a working order was forgotten"
        self.known |= load.fill_ids
        for order in load.working_orders:
            if order.state is S.SENDING:
                self.take_news([OutcomeLost(order.id, "a crash while it was sent")])

    def some(self, number: int, *states: OrderState) -> OrderId:
        """Return one of our orders that are in one of these states; it has been asked for one."""
        names = [name for name, order in self.host.items() if order.state in states]
        return names[number % len(names)]

    def has(*states: OrderState) -> Callable[["IntentLife"], bool]:  # type: ignore[misc]
        return lambda self: any(order.state in states for order in self.host.values())

    @rule(quantity=st.integers(1, 3), fate=st.sampled_from(FATES))
    @precondition(lambda self: sum(order.is_working for order in self.host.values()) < WORKING_MAX)
    def decides(self, quantity: int, fate: str) -> None:
        seq = len(self.host) + 1
        name = client_order_id(KEY, ALICE, OWNER.account_id, OWNER.id, seq)
        assert may_be_ours(name)
        assert name not in self.host, "two orders have one name"
        order = order_of(
            OWNER, name, seq=seq, quantity=Decimal(quantity), reserved=Decimal(100 * quantity)
        )
        assert self.write(OrderPlaced(order))
        self.host[name] = self.before[name] = order
        if fate == "waits":
            return
        if fate == "given up":
            self.take_news([Voided(name, "stale")])
        elif self.arms(order):
            self.leaves(name, fate)

    def arms(self, order: Order) -> bool:
        """Arm an order as somebody believes it to be; say whether that may be sent."""
        now = self.clock.now()
        try:
            armed = after(order, Armed(order.id, self.lease.epoch, now, now + DEADLINE))
        except BrokenInvariant:
            return False
        if not self.write(OrderChanged(armed), arms=True):
            return False
        self.sent[order.id] += 1
        if self.host[order.id] is order:
            self.host[order.id] = armed
        return True

    def leaves(self, name: OrderId, fate: str) -> None:
        order = self.host[name]
        if fate in ("taken", "answer lost", "crash after"):
            self.venue[name] = AtVenue(order)
        if fate == "late":
            self.under_way[name] = order
        match fate:
            case "taken":
                self.take_news([Acknowledged(name, f"v-{order.seq}")])
            case "refused":
                self.take_news([Rejected(name, "no funds")])
            case "crash" | "crash after":
                self.crash()
            case _:
                self.take_news([OutcomeLost(name, "timeout")])

    @rule(number=NUMBERS, resurrects=st.booleans())
    @precondition(has(*(state for state in S if state is not S.CREATED)))
    def sends_again(self, number: int, resurrects: bool) -> None:
        """A zombie, or a bug, tries to send what was sent or given up already."""
        name = self.some(number, *(state for state in S if state is not S.CREATED))
        self.arms(self.before[name] if resurrects else self.host[name])

    @rule(number=NUMBERS, fate=st.sampled_from(["taken", "refused", "given up"]))
    @precondition(has(S.CREATED))
    def goes_on(self, number: int, fate: str) -> None:
        """What was only written down, perhaps by a host before this one, is sent or given up."""
        name = self.some(number, S.CREATED)
        if fate == "given up":
            self.take_news([Voided(name, "stale")])
        elif self.arms(self.host[name]):
            self.leaves(name, fate)

    @rule(number=NUMBERS, answer_lost=st.booleans(), too_late=st.booleans())
    @precondition(has(S.OPEN, S.UNKNOWN, S.CLOSING))
    def cancels(self, number: int, answer_lost: bool, too_late: bool) -> None:
        name = self.some(number, S.OPEN, S.UNKNOWN, S.CLOSING)
        self.take_news([CancelSent(name)])
        if name in self.venue and not too_late:
            self.venue[name].is_open = False
        if answer_lost:
            self.take_news([CancelLost(name)])

    @rule()
    def crashes(self) -> None:
        self.crash()

    # --------------------------------------------------------------- the venue

    @rule(number=NUMBERS)
    @precondition(lambda self: self.under_way)
    def arrives(self, number: int) -> None:
        """A request that was under way for long is there, whatever we have concluded."""
        name = list(self.under_way)[number % len(self.under_way)]
        self.venue[name] = AtVenue(self.under_way.pop(name))

    @property
    def open_(self) -> list[AtVenue]:
        return [there for there in self.venue.values() if there.is_open]

    @rule(number=NUMBERS, quantity=st.integers(1, 3), closes=st.booleans())
    @precondition(lambda self: self.open_)
    def trades(self, number: int, quantity: int, closes: bool) -> None:
        """The venue fills a part of an order, and perhaps gives up the rest."""
        there = self.open_[number % len(self.open_)]
        self.numbers += 1
        part = min(Decimal(quantity), there.order.quantity - there.filled)
        name, now = there.order.id, self.clock.now()
        there.fills.append(fill(part, 100, Side.BUY, f"t{self.numbers}", order_id=name, at=now))
        there.is_open = not closes and there.filled < there.order.quantity

    @rule(number=NUMBERS)
    @precondition(lambda self: self.open_)
    def ends(self, number: int) -> None:
        self.open_[number % len(self.open_)].is_open = False

    @rule(seconds=st.sampled_from([1, 8, 700]))
    def waits(self, seconds: int) -> None:
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))

    # ------------------------------------------------------------ what it tells

    def told_of(self, name: OrderId, hidden: int = 0) -> LookUp:
        """Return what the venue shows of an order, but for the latest fills."""
        there = self.venue.get(name)
        if there is None:
            return LookUp(name, None, ())
        return LookUp(name, there.report, tuple(there.fills[: len(there.fills) - hidden]))

    @rule(number=NUMBERS, hidden=st.integers(0, 2), twice=st.booleans())
    @precondition(lambda self: self.venue)
    def a_look_up_leaves(self, number: int, hidden: int, twice: bool) -> None:
        """An answer is under way: of this moment, backwards, and perhaps twice the same."""
        told = self.told_of(list(self.venue)[number % len(self.venue)], hidden)
        self.answers.append(replace(told, fills=told.fills[::-1] * (1 + twice)))

    @rule(number=NUMBERS, again=st.booleans())
    @precondition(lambda self: self.answers)
    def an_answer_comes(self, number: int, again: bool) -> None:
        """Late, out of order, and perhaps not for the last time."""
        place = number % len(self.answers)
        self.look_up(self.answers[place] if again else self.answers.pop(place))

    @rule(number=NUMBERS, hidden=st.integers(0, 1))
    @precondition(lambda self: self.host)
    def looks(self, number: int, hidden: int) -> None:
        """A look-up that is answered at once."""
        names = list(self.host)
        self.look_up(self.told_of(names[number % len(names)], hidden))

    @rule(number=NUMBERS)
    @precondition(has(*LOST))
    def looks_until_it_knows(self, number: int) -> None:
        self.settles(self.some(number, *LOST))

    def settles(self, name: OrderId) -> None:
        for _ in range(4):
            self.clock.move_to(self.clock.now() + DEADLINE + GRACE)
            self.look_up(self.told_of(name))

    def look_up(self, answer: LookUp) -> None:
        order, now = self.host[answer.order_id], self.clock.now()
        if order.state is S.CREATED and answer.report is None:
            return
        news = order_news(order, answer.report, answer.fills, self.known.keys(), now)
        self.take_news(news)
        order = self.host[answer.order_id]
        given_up = resolve(order, now, grace=GRACE) if answer.report is None else None
        if given_up is not None:
            self.take_news([given_up])
        again = order_news(self.host[order.id], answer.report, answer.fills, self.known.keys(), now)
        assert answer.report is None or again == [], "the same answer tells something twice"

    # ------------------------------------------------------------- what holds

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        assert max(self.sent.values(), default=0) <= 1, "an order was sent twice"

    @invariant()
    def nothing_is_filled_that_the_venue_did_not_fill(self) -> None:
        for name, order in self.host.items():
            there = self.venue.get(name)
            booked_ = [f for f in (there.fills if there else []) if f.id in self.known]
            assert order.filled == sum((f.quantity for f in booked_), Decimal(0))
            assert order.filled <= order.quantity

    @invariant()
    def done_is_done(self) -> None:
        for name, order in self.host.items():
            if order.state is S.DONE:
                there = self.venue[name]
                assert not there.is_open, "done, and open at the venue"
                assert order.filled == there.filled, "done before all fills were booked"

    @invariant()
    def what_is_final_holds_nothing_back(self) -> None:
        for order in self.host.values():
            open_ = order.quantity - order.filled
            assert order.open_quantity == (0 if order.is_final else open_)
            assert order.is_final != order.is_working

    @invariant()
    def what_is_in_doubt_is_looked_up_soon(self) -> None:
        now = self.clock.now()
        for order in self.host.values():
            due = look_up_due(order, now, VISIBLE)
            assert (due is not None) >= (order.state in LOST)
            assert due is None or now < due <= now + timedelta(seconds=60)

    def finish(self) -> None:
        """Let everything arrive and be told: all is final, and both sides agree."""
        if not hasattr(self, "lease"):
            return
        for there in self.venue.values():
            there.is_open = False
        for name in self.host:
            if self.host[name].state is S.CREATED:
                self.take_news([Voided(name, "stale")])
            self.settles(name)
        for name, order in self.host.items():
            there = self.venue.get(name)
            assert order.filled == (there.filled if there else 0), "fills were lost"
            assert order.is_final or order.state is S.QUARANTINED, "an intent is stuck"
            assert there is None or order.state is S.DONE, "an order at the venue is not ours"
        self.done_is_done()
        self.run(self.all_is_kept())

    async def all_is_kept(self) -> None:
        async with self.store.open(ALICE, reading=True) as own:
            kept = {order.id: order for order in await own.orders(limit=1000)}
            entries = await own.entries(account(ALICE).id)
        assert kept == self.host, "an id was forgotten, or what became of it"
        fills = [f for there in self.venue.values() for f in there.fills]
        assert sorted(e.id for e in entries) == sorted(
            f"fill:{OWNER.account_id}:{f.id}" for f in fills
        )


@pytest.mark.parametrize("kind", KINDS)
def test_an_intent_is_sent_once_and_filled_as_the_venue_filled_it(kind):
    tell(lambda: IntentLife(kind), tries(60 if kind == "memory" else 8))


# ------------------------------------------------------------------ is it able to fail?

TABLE = order_life.TABLE


def dones(order: Order, event: object) -> Order:
    return replace(order, state=S.DONE)


def sends_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "may_become", lambda before, after: True)


def books_fills_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reconcile, "_new_fills", lambda order, fills, known: list(fills))


def is_done_before_its_fills(patch: pytest.MonkeyPatch) -> None:
    for state in (S.OPEN, S.SENDING, S.UNKNOWN):
        patch.setitem(TABLE, (state, type(ANY_CLOSE)), dones)


def believes_the_cancel(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(TABLE, (S.OPEN, CancelSent), dones)


def leaves_late_orders_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(TABLE, (S.ABSENT, Acknowledged), lambda order, event: order)


def forgets_what_it_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(TABLE, (S.OPEN, Fill), lambda order, event: replace(order, state=S.OPEN))


def holds_back_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Order, "open_quantity", property(lambda order: order.quantity - order.filled))


def never_looks_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(order_life, "_in_doubt", lambda order: False)


ANY_CLOSE = order_news(
    order_of(OWNER, "o1", state=S.OPEN, venue_order_id="v"),
    OrderReport("v", False, Decimal(0)),
    (),
    set(),
    START,
)[0]


@pytest.mark.parametrize(
    "breaks",
    [
        sends_twice,
        books_fills_again,
        is_done_before_its_fills,
        believes_the_cancel,
        leaves_late_orders_alone,
        forgets_what_it_counted,
        holds_back_for_ever,
        never_looks_again,
    ],
    ids=lambda each: each.__name__,
)
def test_the_story_sees_an_order_life_that(breaks, monkeypatch):
    breaks(monkeypatch)
    with pytest.raises((AssertionError, TradefleetError)):
        tell(lambda: IntentLife("memory"), hunts(300))
