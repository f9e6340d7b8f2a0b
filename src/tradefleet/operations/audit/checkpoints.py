"""Writes outside of the database how far every chain has come, so that a cut end is noticed."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tradefleet.clock import Clock
from tradefleet.domain.audit import ChainKeys, Fault, Head, Wrong, moment_text
from tradefleet.domain.errors import StoreError
from tradefleet.operations.audit.records import Record, is_signed, read_record, record_text
from tradefleet.operations.audit.sinks import Sink, SinkFault
from tradefleet.operations.audit.verifying import AuditReport
from tradefleet.store import AuditStore, Store

logger = logging.getLogger(__name__)

DUTY = "audit checkpoints"
DUTY_ROUNDS = 3.0  # a duty is held for so many rounds without a word
HEADS_MAX = 500  # of one record
# Lines are dated before they are written, by clocks that differ: so far back is looked again.
OVERLAP = timedelta(minutes=5)
EXPECTED_KEPT = 100_000  # heads that are not in their place, and may be an erased user's


@dataclass(slots=True, eq=False)
class Trail:
    """What one sink has taken; each has records of its own, so that none waits for another."""

    sink: Sink
    last: Record | None = None
    since: datetime | None = None
    told: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    epoch: int | None = None  # of the duty; another process may have written in between

    async def follow(self, audits: AuditStore, keys: ChainKeys, now: datetime, epoch: int) -> None:
        """Let the sink take what moved since it took something last."""
        if self.epoch != epoch:
            self.last, self.told = await self.sink.last(), {}
            if self.last is not None:
                self.since = datetime.fromisoformat(self.last.at) - OVERLAP
            self.epoch = epoch
        heads: list[Head] = []
        async for head in self._moved(audits):
            heads.append(head)
            if len(heads) == HEADS_MAX:
                await self._put(heads, keys, now)
                heads = []
        if heads:
            await self._put(heads, keys, now)
        self.since = now - OVERLAP
        self.told = {user: told for user, told in self.told.items() if told[1] >= self.since}

    async def _moved(self, audits: AuditStore) -> AsyncIterator[Head]:
        after: str | None = None
        while page := await audits.heads(since=self.since, after=after, limit=HEADS_MAX):
            after = page[-1].user_id
            for head in page:
                if self.told.get(head.user_id, (0,))[0] != head.number:
                    yield head

    async def _put(self, heads: Sequence[Head], keys: ChainKeys, now: datetime) -> None:
        line = record_text(keys, self.last, moment_text(now), heads)
        await self.sink.take(line)
        self.last = read_record(line)
        self.told |= {head.user_id: (head.number, now) for head in heads}


@dataclass(slots=True, kw_only=True, eq=False)
class Checkpoints:
    """The rounds, by one process for all that share the database; no round ever stops trading."""

    store: Store
    keys: ChainKeys
    clock: Clock
    sinks: Sequence[Sink]
    owner: str
    seconds: float = 60.0
    fault: str = ""  # of the last round
    good_at: datetime | None = None  # when all sinks had taken all there was
    _trails: list[Trail] = field(init=False)

    def __post_init__(self) -> None:
        self._trails = [Trail(sink) for sink in self.sinks]

    async def run(self) -> None:
        """Write checkpoints, round by round, until cancelled."""
        while True:
            await self.turn()
            await self.clock.sleep(self.seconds)

    @property
    def lag(self) -> float:
        """The seconds since all sinks had all there was: 0 before the first round."""
        if self.good_at is None:
            return 0.0
        return (self.clock.now() - self.good_at).total_seconds()

    async def turn(self) -> None:
        """Write down what moved, if it is this process's turn."""
        now = self.clock.now()
        self.good_at = self.good_at or now
        try:
            ttl = self.seconds * DUTY_ROUNDS
            duty = await self.store.duties.take(DUTY, self.owner, now=now, ttl=ttl)
        except StoreError as error:
            self._fail([str(error)])
            return
        if duty is not None:
            faults = [await self._follow(trail, now, duty.epoch) for trail in self._trails]
            if any(faults):
                self._fail(faults)
                return
        self.fault, self.good_at = "", now

    async def _follow(self, trail: Trail, now: datetime, epoch: int) -> str:
        try:
            await trail.follow(self.store.audits, self.keys, now, epoch)
        except (SinkFault, StoreError) as error:
            return str(error)
        return ""

    def _fail(self, faults: Sequence[str]) -> None:
        self.fault = "; ".join(filter(None, faults))
        logger.error("no checkpoint of the audit log since %s: %s", self.good_at, self.fault)


# ---- holding the log to what was written outside of it


@dataclass(slots=True)
class Held:
    """What is expected of the log by its checkpoints, and was not found in its place."""

    expected: dict[str, Fault] = field(default_factory=dict)
    last: Record | None = None


async def hold_to(
    file: Path, audits: AuditStore, keys: ChainKeys, report: AuditReport, user_id: str | None
) -> dict[str, Fault]:
    """Compare the log with a file of checkpoints; return what is missing, by hash.

    Of a record's own faults the report is told at once.
    """
    held = Held()
    with file.open(encoding="utf-8", errors="replace") as lines:
        for place, text in enumerate(lines, 1):
            line = text.rstrip("\n")
            record = read_record(line)
            if record is None:
                report.notes.append(f"line {place} of {file.name} is no record: broken off?")
            elif not is_signed(line, record, keys):
                report.add([in_file(file, place, "was not written by the service, or changed")])
            else:
                await hold_to_record(file, place, record, audits, held, report, user_id)
    return held.expected


async def hold_to_record(
    file: Path,
    place: int,
    record: Record,
    audits: AuditStore,
    held: Held,
    report: AuditReport,
    user_id: str | None,
) -> None:
    before = "" if held.last is None else held.last.mac
    if before and record.number == 1 and not record.previous:
        # What goes to an address begins anew with each process: nobody can ask there what was last.
        report.notes.append(
            f"line {place} of {file.name} begins anew: no line proves the one before"
        )
    elif record.previous != before and record.mac != before:  # the same twice: an answer was lost
        report.add([in_file(file, place, "does not follow the record before it")])
    held.last = record
    report.records, report.checkpoint_at = report.records + 1, record.at
    wanted = [head for head in record.heads if user_id in (None, head.user_id)]
    found = await audits.hashes([(head.user_id, head.number) for head in wanted])
    for head in wanted:
        there = found.get((head.user_id, head.number))
        if there != head.hash and len(held.expected) < EXPECTED_KEPT:
            said = "is not there any more" if there is None else "is not the line that stood there"
            text = f"{said}; it was at the checkpoint of {record.at}"
            wrong = Wrong.CUT if there is None else Wrong.REPLACED
            held.expected[head.hash] = Fault(wrong, head.user_id, head.number, head.number, text)


def in_file(file: Path, place: int, text: str) -> Fault:
    return Fault(Wrong.CHANGED, f"checkpoints {file.name}", place, place, text)
