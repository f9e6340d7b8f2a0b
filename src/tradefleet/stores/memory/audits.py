"""The audit log in memory: one user's chain, and all chains together."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tradefleet.clock import Clock
from tradefleet.domain.audit import (
    NO_KEYS,
    SYSTEM,
    WEAK,
    ChainKeys,
    Entry,
    Head,
    Written,
    entry_of,
)
from tradefleet.domain.ids import UserId
from tradefleet.store import who_acts
from tradefleet.stores._chain import lines_after
from tradefleet.stores.memory.rows import AuditLine, Rows


def added(
    keys: ChainKeys,
    chain: Sequence[AuditLine],
    user_id: UserId,
    at: datetime,
    action: str,
    asked: Mapping[str, Any],
    changed: list[dict[str, Any]],
) -> list[AuditLine]:
    """Return what is to be added to a chain."""
    last = chain[-1].written if chain else None
    head = None if last is None else (Head(user_id, last.number, last.hash), last.key_id)
    lines = lines_after(
        keys,
        head,
        user_id=user_id,
        at=at,
        who=who_acts(),
        action=action,
        asked=asked,
        changed=changed,
    )
    return [AuditLine(at, line.action, entry_of(line).asked, line) for line in lines]


def page_of(chain: Sequence[AuditLine], limit: int, before: int | None) -> Sequence[Entry]:
    entries = [entry_of(line.written) for line in chain]
    found = [entry for entry in entries if before is None or entry.number < before]
    return found[::-1][:limit]


class MemoryAudits:
    """All chains."""

    def __init__(self, every: Mapping[UserId, Rows], clock: Clock) -> None:
        self.keys = NO_KEYS
        self._every = every
        self._clock = clock
        self._own: list[AuditLine] = []
        self._kept: dict[str, bytes] = {}

    def _chains(self) -> dict[str, list[AuditLine]]:
        chains = {SYSTEM: self._own} | {id: rows.audit for id, rows in self._every.items()}
        return {user_id: chain for user_id, chain in sorted(chains.items()) if chain}

    async def note(self, action: str, detail: Mapping[str, Any]) -> None:
        now = self._clock.now()
        self._own += added(self.keys, self._own, SYSTEM, now, action, detail, [])

    async def page(self, limit: int, before: int | None = None) -> Sequence[Entry]:
        return page_of(self._own, limit, before)

    async def lines(
        self, *, after: tuple[str, int] | None, limit: int, user_id: str | None = None
    ) -> Sequence[Written]:
        found = [
            line.written
            for whose, chain in self._chains().items()
            for line in chain
            if user_id in (None, whose) and (after is None or (whose, line.written.number) > after)
        ]
        return found[:limit]

    async def heads(
        self, *, since: datetime | None, after: str | None, limit: int
    ) -> Sequence[Head]:
        found = [
            Head(UserId(whose), chain[-1].written.number, chain[-1].written.hash)
            for whose, chain in self._chains().items()
            if (since is None or chain[-1].at >= since) and (after is None or whose > after)
        ]
        return found[:limit]

    async def hashes(self, places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        wanted = set(places)
        return {
            (whose, line.written.number): line.written.hash
            for whose, chain in self._chains().items()
            for line in chain
            if (whose, line.written.number) in wanted
        }

    async def weak(self, limit: int) -> Sequence[Head]:
        found = [
            Head(UserId(whose), len(chain), "")
            for whose, chain in self._chains().items()
            if whose != SYSTEM and all(line.written.key_id in WEAK for line in chain)
        ]
        return found[:limit]

    async def kept_keys(self) -> Mapping[str, bytes]:
        return dict(self._kept)

    async def keep_key(self, id: str, sealed: bytes) -> None:
        self._kept[id] = sealed
