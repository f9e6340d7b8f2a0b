"""Looks all chains of the audit log through, in a stream, and says what is wrong with them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tradefleet.domain.audit import (
    ERASED,
    FAULTS_KEPT,
    SYSTEM,
    ChainKeys,
    ChainWalk,
    Fault,
    Written,
    Wrong,
    entry_of,
)
from tradefleet.store import AuditStore

PAGE = 5_000  # lines in memory at one moment
STRAYS_KEPT = 200  # lines that nothing in their own chain explains, looked for in others
LOST_KEPT = 2_000  # places nothing was found at


@dataclass(slots=True)
class AuditReport:
    """What was looked at, and what is wrong with it; records: of checkpoints."""

    chains: int = 0
    lines: int = 0
    erased: int = 0
    records: int = 0
    checkpoint_at: str = ""
    faults: list[Fault] = field(default_factory=list)
    count: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not self.count

    def add(self, faults: Sequence[Fault]) -> None:
        self.count.update(fault.wrong.value for fault in faults)
        self.faults += faults[: FAULTS_KEPT - len(self.faults)]

    def told(self) -> list[str]:
        """Return the report for people."""
        seen = f"{self.chains} chains, {self.lines} lines"
        if self.erased:
            seen += f" ({self.erased} of erased users: their place, time and action only)"
        if self.records:
            seen += f"; {self.records} checkpoints, the last of {self.checkpoint_at}"
        lines = [seen, *self.notes]
        if self.is_well:
            return [*lines, "✅ All lines are as they were written."]
        lines += [f"❌ {fault}" for fault in self.faults]
        if (more := self.count.total() - len(self.faults)) > 0:
            lines.append(f"❌ and {more} more")
        return lines

    def data(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "ok": self.is_well,
            "chains": self.chains,
            "lines": self.lines,
            "erased_lines": self.erased,
            "checkpoints": self.records,
            "last_checkpoint": self.checkpoint_at,
            "faults": self.count.total(),
            "by_kind": dict(self.count),
            "notes": self.notes,
            "found": [
                {
                    "wrong": fault.wrong.value,
                    "user": fault.user_id,
                    "from": fault.number,
                    "to": fault.last,
                    "text": str(fault),
                }
                for fault in self.faults
            ],
        }


@dataclass(slots=True)
class Verifier:
    """One look through the log; expected: hashes of checkpoints that were not found in their place.

    Chains of erased users bear another name since, so what is expected is looked for in them.
    """

    audits: AuditStore
    keys: ChainKeys
    expected: dict[str, Fault] = field(default_factory=dict)
    report: AuditReport = field(default_factory=AuditReport)
    _erased: set[str] = field(default_factory=set)
    _walk: ChainWalk | None = None
    _strays: list[Written] = field(default_factory=list)
    _lost: list[tuple[str, int]] = field(default_factory=list)

    async def verify(self, user_id: str | None = None) -> AuditReport:
        """Look at every chain, or at one user's; the service's own tells who was erased."""
        await self._learn()
        await self._read(SYSTEM)
        self._end()
        if not self.report.lines and self.keys.are_kept:
            text = "there is none: the service has not begun it, or all of it was removed"
            self.report.add([Fault(Wrong.WEAK, SYSTEM, 1, 1, text)])
        if user_id != SYSTEM:
            await self._read(user_id)
            self._end()
        self._explain()
        self.report.add([*self.expected.values()])
        return self.report

    async def _learn(self) -> None:
        """Learn who was erased before any line is judged: what named them stands above that."""
        walk, after = ChainWalk(SYSTEM, self.keys, ()), None
        while page := await self.audits.lines(after=after, limit=PAGE, user_id=SYSTEM):
            for line in page:
                if line.action == ERASED and walk.was_written(line, line.number):
                    self._erased.add(str(entry_of(line).asked.get("user")))
            after = (page[-1].user_id, page[-1].number)

    async def _read(self, user_id: str | None) -> None:
        after: tuple[str, int] | None = None if user_id is not None else (SYSTEM, 2**62)
        while page := await self.audits.lines(after=after, limit=PAGE, user_id=user_id):
            for line in page:
                if self._walk is None or self._walk.user_id != line.user_id:
                    self._end()
                    self._walk = ChainWalk(line.user_id, self.keys, self._erased)
                self._take(line, self._walk)
            after = (page[-1].user_id, page[-1].number)

    def _take(self, line: Written, walk: ChainWalk) -> None:
        walk.take(line)
        self.report.lines += 1
        if line.user_id in self._erased:
            self.report.erased += 1
            self.expected.pop(line.hash, None)

    def _end(self) -> None:
        walk, self._walk = self._walk, None
        if walk is None:
            return
        walk.end()
        self.report.chains += 1
        self.report.add(walk.faults)
        self.report.count.update({"more": walk.more} if walk.more else {})
        self._strays += walk.strays[: STRAYS_KEPT - len(self._strays)]
        for gap in walk.missing:
            room = LOST_KEPT - len(self._lost)
            self._lost += [(walk.user_id, number) for number in gap[:room]]

    def _explain(self) -> None:
        """Say of lines that stand in a chain from which other chain they were taken."""
        for line in self._strays:
            walk = ChainWalk(line.user_id, self.keys, self._erased)
            for whose, number in self._lost:
                if whose != line.user_id and walk.was_written(line, number, whose):
                    self._say_taken(line, whose, number)
                    break

    def _say_taken(self, line: Written, whose: str, number: int) -> None:
        for at, found in enumerate(self.report.faults):
            if (found.user_id, found.number) == (line.user_id, line.number):
                text = f"was written as line {number} of {whose or 'the service'}"
                self.report.faults[at] = Fault(
                    Wrong.MOVED, line.user_id, line.number, line.number, text
                )
                self.report.count[found.wrong.value] -= 1
                self.report.count[Wrong.MOVED.value] += 1
                return
