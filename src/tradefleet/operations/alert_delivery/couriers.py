"""Takes changes of alerts and brings each to every receiver: kept in the database, at least once.

Each receiver has a task of its own, so that a dead or slow one holds up nobody. What waits for a
receiver goes out as one message, and messages keep a distance: a flood of alerts is a few messages.
While the database is away, changes wait in memory and are sent from there.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tradefleet.alert import AlertChange, AlertState, Level
from tradefleet.clock import Clock
from tradefleet.delivery import AlertDelivery
from tradefleet.domain.errors import StoreError
from tradefleet.engine.pace import Backoff
from tradefleet.operations.alert_delivery.receiver import NotTaken, Receiver
from tradefleet.operations.resting import rest
from tradefleet.store import Store
from tradefleet.webhook import Outcome

logger = logging.getLogger(__name__)

DUTY = "alerts to {receiver}"
DUTY_SECONDS = 60.0  # more than any receiver may take
STORE_SECONDS = 5.0
IDLE = 5.0  # seconds between two looks when nothing is heard
APART = 5.0  # seconds between two messages to one receiver, whatever is heard
TOGETHER_MAX = 20  # changes in one message
RETRY = Backoff(first=5, factor=2, most=900)
TRIES_MAX = 100  # about a day; then a delivery is given up
REFUSALS_MAX = 10  # about an hour, of a receiver that would say the same again
HELD_MAX = 100  # changes for one receiver while the database is away; of more, the oldest go


@dataclass(frozen=True, slots=True)
class Tried:
    """What one try came to."""

    text: str
    is_done: bool = True
    wait: float | None = None
    is_refusal: bool = False


@dataclass(slots=True)
class Held:
    """What is known of one receiver only in memory, while the database is away.

    unwritten: still to be sent; sent: without the database's knowing. failures: in a row, and
    until when it is left alone.
    """

    unwritten: deque[AlertChange] = field(default_factory=lambda: deque(maxlen=HELD_MAX))
    sent: deque[AlertChange] = field(default_factory=lambda: deque(maxlen=HELD_MAX))
    failures: int = 0
    not_before: float = 0.0
    unkept: list[AlertDelivery] = field(default_factory=list)  # tried, and not written down yet
    wake: asyncio.Event = field(default_factory=asyncio.Event)


Pouch = defaultdict[str, Held]


def empty_pouch() -> Pouch:
    return defaultdict(Held)


@dataclass(slots=True, kw_only=True)
class Couriers:
    """store: None while the database is away; pouch: outlives that. owner names this process."""

    store: Store | None
    clock: Clock
    receivers: Sequence[Receiver]
    owner: str
    pouch: Pouch = field(default_factory=empty_pouch)

    # ---------------------------------------------------------------- taking

    async def tell(self, change: AlertChange) -> None:
        """Take a change to be told; twice the same is told once."""
        names = [receiver.name for receiver in self.receivers]
        try:
            async with asyncio.timeout(STORE_SECONDS):
                if self.store is None:
                    raise TimeoutError
                await self.store.alert_deliveries.add(change, names, self.clock.now())
        except (StoreError, TimeoutError):
            for name in names:
                held = self.pouch[name]
                if change not in held.unwritten and change not in held.sent:
                    held.unwritten.append(change)
        for name in names:
            self.pouch[name].wake.set()

    # --------------------------------------------------------------- sending

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for receiver in self.receivers:
                tasks.create_task(self._serve(receiver), name=receiver.name)

    async def _serve(self, receiver: Receiver) -> None:
        while True:
            tried = await self.turn(receiver)
            if tried:
                await self.clock.sleep(APART)
            else:
                await rest(self.clock, IDLE, self.pouch[receiver.name].wake)

    async def turn(self, receiver: Receiver) -> bool:
        """Send what is due to a receiver; say whether anything was, well or in vain."""
        held, now = self.pouch[receiver.name], self.clock.now()
        held.wake.clear()
        try:
            async with asyncio.timeout(STORE_SECONDS):
                waiting = await self._waiting(receiver.name, held, now)
        except (StoreError, TimeoutError):
            return await self._turn_alone(receiver, held)
        due = waiting[0].next_at if waiting else None
        if due is None or due > now:
            return False
        tried = await self._try(receiver, [each.change for each in waiting])
        held.unkept = [after(each, tried, self.clock.now()) for each in waiting]
        self._log(receiver, held.unkept, tried)
        try:
            await self._keep(held)
        except (StoreError, TimeoutError) as error:
            logger.warning("what became of alerts to %s is written later: %s", receiver.name, error)
        return True

    async def _waiting(self, name: str, held: Held, now: datetime) -> Sequence[AlertDelivery]:
        """Return what waits for a receiver, if it is this process's duty to send it."""
        if self.store is None:
            raise TimeoutError
        await self._keep(held)
        await self._write_down(name, held, now)
        duties = self.store.duties
        duty = DUTY.format(receiver=name)
        if await duties.take(duty, self.owner, now=now, ttl=DUTY_SECONDS) is None:
            return []
        return await self.store.alert_deliveries.waiting(name, TOGETHER_MAX)

    async def _keep(self, held: Held) -> None:
        """Write down what became of deliveries."""
        if held.unkept and self.store is not None:
            async with asyncio.timeout(STORE_SECONDS):
                await self.store.alert_deliveries.keep(held.unkept)
            held.unkept = []

    async def _write_down(self, name: str, held: Held, now: datetime) -> None:
        """Give the database what it missed: what waits, and what was sent without it."""
        if self.store is None or not (held.sent or held.unwritten):
            return
        deliveries = self.store.alert_deliveries
        sent = [*held.sent]
        for change in (*sent, *held.unwritten):
            await deliveries.add(change, [name], now)
        waiting = await deliveries.waiting(name, len(sent) + HELD_MAX)
        known = [each for each in waiting if each.change in sent]
        await deliveries.keep(
            [after(each, Tried("sent without the database"), now) for each in known]
        )
        held.sent.clear()
        held.unwritten.clear()
        held.failures, held.not_before = 0, 0.0

    async def _turn_alone(self, receiver: Receiver, held: Held) -> bool:
        """Send what is held in memory: above all, that the database is away."""
        if not held.unwritten or held.not_before > self.clock.monotonic():
            return False
        changes = [*held.unwritten][:TOGETHER_MAX]
        tried = await self._try(receiver, changes)
        if tried.is_done:
            held.failures = 0
            for change in changes:
                held.unwritten.remove(change)
                held.sent.append(change)
            return True
        held.failures += 1
        held.not_before = self.clock.monotonic() + (tried.wait or RETRY.wait(held.failures))
        return True

    async def _try(self, receiver: Receiver, changes: Sequence[AlertChange]) -> Tried:
        # An error is an answer here: what a receiver fails with must not end what trades.
        (found,) = await asyncio.gather(within(receiver, changes), return_exceptions=True)
        if isinstance(found, str):
            return Tried(found)
        if isinstance(found, NotTaken):
            text, wait = str(found), found.wait
            return Tried(text, is_done=False, wait=wait, is_refusal=found.is_refusal)
        text = "no answer in time" if isinstance(found, TimeoutError) else type(found).__name__
        return Tried(text, is_done=False)

    def _log(self, receiver: Receiver, done: Sequence[AlertDelivery], tried: Tried) -> None:
        if tried.is_done:
            return
        given_up = sum(not each.is_waiting for each in done)
        if given_up:
            logger.error("%d alerts to %s are given up: %s", given_up, receiver.name, tried.text)
        elif done[0].tries == 1:
            logger.warning("alerts to %s wait: %s", receiver.name, tried.text)

    # --------------------------------------------------------------- testing

    async def test(self) -> Sequence[tuple[str, bool, str]]:
        """Send a test to every receiver at once; return what each answered, and if it took it."""
        change = AlertChange(
            rule="test",
            level=Level.WARNING,
            state=AlertState.FIRED,
            metric="test",
            value=None,
            unit="",
            text="This is a test of where alerts go. All is as it was.",
            cure="There is nothing to do.",
            at=self.clock.now(),
            id=0,
        )
        tried = await asyncio.gather(*(self._try(each, [change]) for each in self.receivers))
        return [
            (receiver.name, result.is_done, result.text)
            for receiver, result in zip(self.receivers, tried, strict=True)
        ]


async def within(receiver: Receiver, changes: Sequence[AlertChange]) -> str:
    async with asyncio.timeout(DUTY_SECONDS / 2):
        return await receiver.send(changes)


def after(delivery: AlertDelivery, tried: Tried, now: datetime) -> AlertDelivery:
    """Return a delivery after a try."""
    tries = delivery.tries + 1
    if tried.is_done:
        done = replace(delivery, tries=tries, next_at=None, done_at=now, error="")
        return replace(done, outcome=Outcome.DELIVERED)
    if tries >= (REFUSALS_MAX if tried.is_refusal else TRIES_MAX):
        over = replace(delivery, tries=tries, next_at=None, done_at=now, error=tried.text)
        return replace(over, outcome=Outcome.GIVEN_UP)
    wait = tried.wait if tried.wait is not None else RETRY.wait(tries)
    return replace(delivery, tries=tries, next_at=now + timedelta(seconds=wait), error=tried.text)
