"""The lane of one account: its orders go to the venue one after the other, and come back.

A lane sends each intent once, ever. What is not proven is unknown, and an unknown order is
looked up until there is evidence; it is never sent again.
"""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from tradefleet.clock import Clock
from tradefleet.domain.effects import CancelOrder, OrderChanged, Record, SendOrder
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.events import Event
from tradefleet.domain.ids import OrderId
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    CancelSent,
    CancelState,
    Fill,
    NotFound,
    Order,
    OrderKind,
    OrderReport,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Purpose,
    Quarantined,
    Rejected,
    Voided,
)
from tradefleet.domain.tally import OrderTally
from tradefleet.domain.values import changed
from tradefleet.engine import order_life, reconcile
from tradefleet.engine.bot_engine import HALTED, BotEngine
from tradefleet.venue import AccountLink

logger = logging.getLogger(__name__)

MISSES_APART = timedelta(seconds=2)  # what is not found twice within less counts once
WAKES_EARLY = 0.1  # seconds; what is put here by then may be under way already
TAKEN_BACK_AGAIN = timedelta(seconds=1)
SENT_EARLIER = timedelta(seconds=5)  # the venue's clock may be behind ours
SILENT_LEAST = timedelta(seconds=1)
SILENT_MOST = timedelta(seconds=60)  # the longest pause while a venue does not answer at all
SILENT_CANCEL_MOST = timedelta(seconds=8)  # for a cancel, after which something is to be sold


class Job(StrEnum):
    """What a lane can be asked to do with an order."""

    SEND = "send"
    CANCEL = "cancel"
    LOOK_UP = "look_up"


class LaneBot(Protocol):
    """A bot as a lane sees it: its engine, and the lease epoch it trades under."""

    @property
    def engine(self) -> BotEngine: ...
    @property
    def epoch(self) -> int: ...


BotT = TypeVar("BotT", bound=LaneBot)
BotT_contra = TypeVar("BotT_contra", bound=LaneBot, contravariant=True)


@dataclass(frozen=True, slots=True)
class Errand(Generic[BotT]):
    """A job that is written down together with the decision it follows from.

    opens: an order that opens or adds, which no kill switch may have forbidden meanwhile.
    """

    job: Job
    bot: BotT
    order_id: OrderId
    opens: bool = False


class LaneOwner(Protocol[BotT_contra]):
    """What a lane needs of the host that runs its user."""

    @property
    def clock(self) -> Clock: ...

    async def arm(self, bot: BotT_contra, record: OrderChanged, *, opens: bool) -> bool:
        """Write the record that lets an order leave, under the user's lease.

        False: the store refused (another host owns the user, or a kill switch was thrown);
        the owner takes the user from the store again, and nothing may be sent.
        """

    async def tell(self, bot: BotT_contra, event: Event) -> bool:
        """Let a bot take an event and return once what follows is written down.

        False: the store refused, as for arm.
        """

    def left(self, order_id: OrderId) -> None:
        """An order is at its venue, or was not sent: another may be on its way."""

    def later(self, wait: timedelta, job: Job, bot: BotT_contra, order_id: OrderId) -> None:
        """Put a job on the bot's lane after a while."""


@dataclass(slots=True, eq=False)
class AccountLane(Generic[BotT]):
    """What one account has to do, in order; busy while a task is working it off.

    unsure: orders that were never sent, as far as we know, until the venue says that it has none.
    """

    owner: LaneOwner[BotT]
    link: AccountLink
    jobs: deque[tuple[Job, BotT, OrderId]] = field(default_factory=deque)
    busy: bool = False
    unsure: set[OrderId] = field(default_factory=set)
    tally: OrderTally = field(default_factory=OrderTally)  # its venue's, in the whole process
    _missed: dict[OrderId, datetime] = field(default_factory=dict)  # when it was not found last
    _asked: dict[OrderId, tuple[Order, int]] = field(default_factory=dict)  # how often, in vain
    _due: dict[tuple[Job, OrderId], float] = field(default_factory=dict)  # put here by then
    _silent: dict[OrderId, tuple[BotT, int]] = field(default_factory=dict)  # no answer, how often
    _begun: Errand[BotT] | None = None  # what is to be done next, written down already

    def put(self, job: Job, bot: BotT, order_id: OrderId) -> None:
        """Let a job stand in line, once: a look-up that has not begun finds what is new, too."""
        entry = (job, bot, order_id)
        if entry not in self.jobs:
            self.jobs.append(entry)

    def take(self) -> tuple[Job, BotT, OrderId]:
        """Return what to do next: exits and cancels first, but nothing before its own order's.

        What is written down as being sent already goes before all.
        """
        if self._begun is not None:
            return self.jobs.popleft()
        earlier: set[OrderId] = set()
        for place, entry in enumerate(self.jobs):
            if entry[2] not in earlier and is_urgent(*entry):
                del self.jobs[place]
                return entry
            earlier.add(entry[2])
        return self.jobs.popleft()

    def errand(
        self, bot: BotT, act: SendOrder | CancelOrder, records: list[Record]
    ) -> Errand[BotT] | None:
        """Add to the records of a decision that it is acted upon at once; None: not possible.

        Only for a lane that is idle. An entry is written only if no kill switch was thrown since
        it was decided: whoever writes sees to that.
        """
        order = bot.engine.working.get(act.order_id)
        if order is None or self.jobs or order.id in self.unsure:
            return None
        if isinstance(act, CancelOrder):
            if order.state is not OrderState.OPEN or order.cancel is not CancelState.NONE:
                return None
            told = CancelSent(order.id)
            records.append(OrderChanged(order_life.after(order, told)))
            bot.engine.step(told)
            return Errand(Job.CANCEL, bot, order.id)
        if order.state is not OrderState.CREATED:
            return None
        opens = order.purpose is Purpose.ENTRY
        if opens and (bot.engine.is_halted or order.id in bot.engine.doomed):
            return None
        bot.engine.step(self._armed(bot, order))
        records.append(OrderChanged(bot.engine.working[order.id]))
        return Errand(Job.SEND, bot, order.id, opens)

    def begin(self, errand: Errand[BotT]) -> None:
        """Put an errand before all that came while it was being written down."""
        self._begun = errand
        self.jobs.appendleft((errand.job, errand.bot, errand.order_id))

    def _armed(self, bot: BotT, order: Order) -> Armed:
        now = self.owner.clock.now()
        return Armed(order.id, bot.epoch, now, now + self.link.timing.deadline)

    async def do(self, job: Job, bot: BotT, order_id: OrderId) -> None:
        """Do one job; whatever it raises is a fault of the link, not an answer of the venue."""
        begun, self._begun = self._begun, None
        order = bot.engine.working.get(order_id)
        if order is None:
            return
        match job:
            case Job.SEND if begun is not None:
                await self._submit(bot, order)
            case Job.CANCEL if order.state is OrderState.CREATED:
                await self._take_back(bot, order)
            case Job.CANCEL if begun is not None:
                await self._cancel(bot, order)
            case Job.SEND:
                await self._send(bot, order)
            case Job.CANCEL:
                if await self.owner.tell(bot, CancelSent(order.id)):
                    await self._cancel(bot, order)
            case Job.LOOK_UP:
                await self._look_up(bot, order)

    async def _send(self, bot: BotT, order: Order) -> None:
        """Write down that the order is about to leave, then let it leave, once."""
        if order.state is OrderState.CREATED and order.id in self.unsure:
            await self._look_up(bot, order)  # which sends it when the venue has none
            return
        if order.state is not OrderState.CREATED:
            return
        if reason := bot.engine.doomed.pop(order.id, ""):
            await self.owner.tell(bot, Voided(order.id, reason))
            return
        opens = order.purpose is Purpose.ENTRY
        if opens and bot.engine.is_halted:  # since it was put here: it waited its turn
            await self.owner.tell(bot, Voided(order.id, HALTED))
            return
        armed = self._armed(bot, order)
        sending = order_life.after(order, armed)
        if await self.owner.arm(bot, OrderChanged(sending), opens=opens):
            bot.engine.step(armed)
            await self._submit(bot, sending)

    async def _submit(self, bot: BotT, order: Order) -> None:
        """Let an order leave; that it does is written down already."""
        tally, began = self.tally, self.owner.clock.monotonic()
        try:
            try:
                venue_order_id = await self.link.submit(order)
            finally:
                self.owner.left(order.id)
        except VenueRejected as rejection:
            tally.rejected += 1
            tally.answers.add(self.owner.clock.monotonic() - began)
            self.answered()
            await self.owner.tell(bot, Rejected(order.id, str(rejection)))
        except (OutcomeUnknown, VenueUnavailable) as loss:
            unsent, timing = isinstance(loss, VenueUnavailable), self.link.timing
            tally.unsent += unsent
            tally.unknown += not unsent
            if unsent and sells_now(order):
                await self.owner.tell(bot, Rejected(order.id, str(loss)))
                return
            await self.owner.tell(bot, OutcomeLost(order.id, str(loss)))
            # What was not sent will not be found: it is asked about when it may be given up.
            first = timing.deadline + timing.grace if unsent else timing.visibility
            self._look_again(bot, order, first)
        else:
            tally.accepted += 1
            tally.answers.add(self.owner.clock.monotonic() - began)
            self.answered()
            await self.owner.tell(bot, Acknowledged(order.id, venue_order_id))

    async def _cancel(self, bot: BotT, order: Order) -> None:
        """Ask an order back; that it is asked back is written down already."""
        with suppress(VenueRejected, OutcomeUnknown, VenueUnavailable):
            await self.link.cancel(order)  # only the look-up says what became of it
        await self._look_up(bot, bot.engine.working.get(order.id, order))

    async def _take_back(self, bot: BotT, order: Order) -> None:
        """Let an order that was not sent never be; where it may have been, the venue is asked."""
        if order.id in self.unsure:
            await self._look_up(bot, order)
            order = bot.engine.working.get(order.id, order)
        if order.id in self.unsure or order.state is not OrderState.CREATED:
            self.owner.later(TAKEN_BACK_AGAIN, Job.CANCEL, bot, order.id)
        else:
            await self.owner.tell(bot, Voided(order.id, "taken back before it was sent"))

    async def _look_up(self, bot: BotT, order: Order) -> None:
        """Ask the venue about an order and pass on what is new; without evidence, ask again."""
        try:
            report = await self._ask(order)
            fills = await self._fills_of(order, report) if report is not None else ()
        except VenueUnavailable as silence:
            self._look_when_back(bot, order, silence.opens_at)
            return
        self._silent.pop(order.id, None)
        self.answered()
        if order.id in self.unsure:
            self.unsure.remove(order.id)
            sent_at_once = order.purpose is Purpose.EXIT or order.id in bot.engine.doomed
            if report is None and sent_at_once:
                self.put(Job.SEND, bot, order.id)
        known, now = bot.engine.fills_seen.keys(), self.owner.clock.now()
        for event in reconcile.order_news(order, report, fills, known, now):
            if isinstance(event, NotFound) and self._missed_just_now(order, now):
                continue
            await self.owner.tell(bot, event)
            if isinstance(event, NotFound):
                await self._judge(bot, order.id)
        if report is not None or order.id not in bot.engine.working:
            self._missed.pop(order.id, None)
        self._look_when_due(bot, order.id)

    def _missed_just_now(self, order: Order, now: datetime) -> bool:
        """Say whether the order was not found a moment ago too: one more proves nothing more."""
        missed = self._missed.get(order.id)
        if missed is not None and now - missed < MISSES_APART:
            return True
        self._missed[order.id] = now
        return False

    async def _ask(self, order: Order) -> OrderReport | None:
        """Return the venue's word on an order.

        Before one is given up, the venue's lists must lack it as well: a look-up by name alone
        proves no absence.
        """
        report = await self.link.look_up(order)
        if report is not None:
            return report
        once_more = changed(order, negatives=order.negatives + 1)
        gives_up = isinstance(self._verdict_on(once_more), ProvenAbsent)
        return await self._listed(order) if gives_up or order.id in self.unsure else None

    async def _listed(self, order: Order) -> OrderReport | None:
        """Look for an order among all that was placed and traded since it was sent."""
        since = (order.sent_at or order.decided_at) - SENT_EARLIER
        for listed in await self.link.orders_since([order.symbol], since, in_doubt=True):
            if listed.client_id == order.id:
                return OrderReport(listed.venue_order_id, listed.is_open, listed.filled)
        traded = await self.link.trades_since([order.symbol], since, in_doubt=True)
        mine = [trade for trade in traded if trade.client_id == order.id]
        if not mine:
            return None
        filled = reconcile.total(trade.quantity for trade in mine)
        return OrderReport(mine[0].venue_order_id, is_open=True, filled=filled)

    async def _fills_of(self, order: Order, report: OrderReport) -> Sequence[Fill]:
        """Return what was traded of an order, under the name the venue just gave it."""
        if not order.venue_order_id:
            order = changed(order, venue_order_id=report.venue_order_id)
        return await self.link.fills_of(order)

    async def _judge(self, bot: BotT, order_id: OrderId) -> None:
        """Decide whether an order that was not found is absent, or must be quarantined."""
        order = bot.engine.working.get(order_id)
        verdict = self._verdict_on(order) if order is not None else None
        if isinstance(verdict, Quarantined):
            logger.error("what became of order %s is unknown; look at its account", order_id)
        if verdict is not None:
            await self.owner.tell(bot, verdict)

    def _verdict_on(self, order: Order) -> ProvenAbsent | Quarantined | None:
        timing = self.link.timing
        return order_life.resolve(
            order,
            self.owner.clock.now(),
            grace=timing.grace,
            negatives_needed=timing.negatives,
        )

    def _look_when_due(self, bot: BotT, order_id: OrderId) -> None:
        """Ask again later, as long as something is open about the order; cancel again, too."""
        order, now = bot.engine.working.get(order_id), self.owner.clock.now()
        due = None
        if order is not None:
            before, times = self._asked.get(order_id, (None, 0))
            times = times + 1 if before == order else 0
            self._asked[order_id] = order, times
            due = order_life.look_up_due(order, now, self.link.timing.visibility, times=times)
        if order is None or due is None:
            self._asked.pop(order_id, None)
            return
        self._look_again(bot, order, due - now)

    def _look_when_back(self, bot: BotT, order: Order, opens_at: datetime | None) -> None:
        """Ask again after 1, 2, 4, 8 … seconds, or as soon as the venue answers anything."""
        _, times = self._silent.get(order.id, (bot, 0))
        self._silent[order.id] = bot, times + 1
        most = SILENT_MOST if order.cancel is CancelState.NONE else SILENT_CANCEL_MOST
        wait = min(timedelta(seconds=2 ** min(times, 6)), most)
        if opens_at is not None:
            wait = min(wait, max(opens_at - self.owner.clock.now(), SILENT_LEAST))
        self._look_again(bot, order, wait)

    def answered(self) -> None:
        """The venue answers: ask at once about the orders it was silent about."""
        silent, self._silent = self._silent, {}
        for order_id, (bot, _) in silent.items():
            order = bot.engine.working.get(order_id)
            if order is not None:
                self._look_again(bot, order, timedelta(0))

    def _look_again(self, bot: BotT, order: Order, wait: timedelta) -> None:
        """Ask again after a while, unless that will be done by then: bells multiply nothing."""
        job = Job.LOOK_UP if order.cancel is CancelState.NONE else Job.CANCEL
        now = self.owner.clock.monotonic()
        due = now + wait.total_seconds()
        self._due = {each: at for each, at in self._due.items() if at > now + WAKES_EARLY}
        if self._due.get((job, order.id), due + 1) > due:
            self._due[job, order.id] = due
            self.owner.later(wait, job, bot, order.id)


def sells_now(order: Order) -> bool:
    """Say whether an order is an exit that the bot tries again by itself when it is refused.

    One that provably was not sent need not wait until its absence is proven, too.
    """
    return order.purpose is Purpose.EXIT and order.kind is not OrderKind.RESTING_STOP


def is_urgent(job: Job, bot: LaneBot, order_id: OrderId) -> bool:
    """Say whether a job reduces what is at stake: none of ours may keep it waiting."""
    if job is Job.SEND:
        order = bot.engine.working.get(order_id)
        return order is not None and order.purpose is Purpose.EXIT
    return job is Job.CANCEL
