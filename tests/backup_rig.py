"""What tests of backups share: a database with something in it, a writer beside, the backups."""

import asyncio
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.makers import after_start, fill
from tests.postgres_server import execute
from tests.store_rig import ALICE, BOB, batch, booked, bot, order_of, register, take
from tradefleet.domain.effects import OrderPlaced
from tradefleet.operations.backup.backups import Backups
from tradefleet.operations.backup.shelf import DAILY, WEEKLY, Shelf
from tradefleet.runtime.real_world import RealClock
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.sql import open_store
from tradefleet.stores.sql.copies import copier_of, postgres
from tradefleet.vault import new_master
from tradefleet.wiring.backup import digest_of, make_safe

MASTER, OTHER_MASTER = new_master(), new_master()
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
GROUP = 20


def require_programs(url: str) -> None:
    """Skip, aloud, where PostgreSQL's own programs are not here."""
    if not url.startswith("postgresql"):
        return
    server = int(execute(url, "SHOW server_version_num")[0][0]) // 10_000
    for program in ("pg_dump", "pg_restore"):
        if version_of(program) < server:
            pytest.skip(f"NOT TESTED: {program} of PostgreSQL {server} is not on this machine")


def version_of(program: str) -> int:
    """Return the newest version of a program that is here, 0: there is none."""
    said = [
        subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
        for path in postgres.candidates(program)
    ]
    return max((int(re.search(r"\) (\d+)", each)[1]) for each in said), default=0)


def backups(url: str, folder: Path, *, clock=None, masters=(MASTER,), daily=7, weekly=4) -> Backups:
    of = digest_of(copier_of(url).identity)
    return Backups(
        copier=copier_of(url),
        place="the database",
        masters=masters,
        shelf=Shelf(folder / "shelf", of, {DAILY: daily, WEEKLY: weekly}),
        clock=clock or RealClock(),
        version="1.2.3",
        make_safe=make_safe,
    )


def clock_at(at: datetime = NOW) -> ReplayClock:
    return ReplayClock(at)


def group_of(lease, start: int):
    """Return batches whose parts belong together: each an order, its fill and the entry."""
    owner = bot(lease.user_id)
    made = []
    for number in range(start, start + GROUP):
        at = after_start(seconds=number)
        order = order_of(owner, f"o{number} {lease.user_id}", seq=number + 1, decided_at=at)
        done = fill(id=f"f{number} {lease.user_id}", order_id=order.id, at=at)
        made.append(batch(lease, OrderPlaced(order), booked(done, owner)))
    return made


async def filled(url: str, orders: int = 2 * GROUP):
    """Put two users and orders of one of them into a database; return its store and leases."""
    store = await open_store(url)
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    leases = await take(store)
    for start in range(0, orders, GROUP):
        assert not any(await store.write(group_of(leases[ALICE], start)))
    return store, leases


class Writer:
    """Journals group after group while it is entered; confirmed is how many orders were."""

    def __init__(self, store, lease, start: int) -> None:
        self.store, self.lease, self.confirmed = store, lease, start
        self._ends, self._wrote = False, asyncio.Event()

    async def another(self, groups: int = 1) -> None:
        """Wait until so many groups more are confirmed."""
        wanted = self.confirmed + groups * GROUP
        while self.confirmed < wanted:
            self._wrote.clear()
            await self._wrote.wait()

    async def _write(self) -> None:
        while not self._ends:
            assert not any(await self.store.write(group_of(self.lease, self.confirmed)))
            self.confirmed += GROUP
            self._wrote.set()

    async def __aenter__(self) -> "Writer":
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._tasks.create_task(self._write())
        return self

    async def __aexit__(self, *failure) -> None:
        self._ends = True
        await self._tasks.__aexit__(*failure)
