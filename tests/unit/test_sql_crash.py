"""A process killed while it writes loses nothing it was told is kept, and halves no batch."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.makers import START, after_start, fill
from tests.store_rig import ALICE, BOB, batch, booked, bot, order_of, register, take
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.errors import StoreError
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.stores.sql import checkpoints, open_store

GROUP = 7
BATCHES_READ = 200


def placed_and_filled(lease, number):
    """Return a batch whose parts belong together: an order, its fill and the entry."""
    owner = bot(ALICE)
    order = order_of(owner, f"o{number}", seq=number, decided_at=after_start(seconds=number))
    done = fill(id=f"f{number}", order_id=order.id, at=order.decided_at)
    return batch(lease, OrderPlaced(order), booked(done, owner))


async def write_until_killed(url):
    store = await open_store(url)
    await register(store, ALICE, bot(ALICE))
    lease = (await take(store))[ALICE]
    for start in range(0, 1_000_000, GROUP):
        group = [placed_and_filled(lease, start + number) for number in range(GROUP)]
        assert not any(await store.write(group))
        print(start + GROUP, flush=True)


def write_and_kill(url, groups):
    """Let another process write and kill it then; return how many batches were confirmed."""
    code = f"import asyncio, {__name__} as t; asyncio.run(t.write_until_killed({url!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    confirmed = 0
    while confirmed < groups * GROUP:
        confirmed = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0].split()
    return int(rest[-1]) if rest else confirmed


@pytest.mark.parametrize("groups", [2, 40])
async def test_what_was_confirmed_survives_a_kill_and_nothing_is_halved(
    tmp_path, groups, open_sql_store
):
    url = str(tmp_path / "x.db")
    confirmed = await asyncio.to_thread(write_and_kill, url, groups)
    store = await open_sql_store(url)
    async with store.open(ALICE) as own:
        orders = await own.orders(limit=1_000_000)
        assert len(orders) >= confirmed
        assert len(orders) % GROUP == 0
        fills = await own.fills([order.id for order in orders[-BATCHES_READ:]])
        assert len(fills) == len(orders[-BATCHES_READ:])
        assert len(await own.entries()) == len(orders)


def size_of(file):
    return os.path.getsize(file) if os.path.exists(file) else 0


async def test_the_log_is_carried_over_while_others_write(
    sqlite_url, clock, monkeypatch, open_sql_store
):
    monkeypatch.setattr(checkpoints, "PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "AFTER", 0.0)
    monkeypatch.setattr(checkpoints, "LOG_MOST", 10)
    store = await open_sql_store(sqlite_url, clock=clock)
    await register(store, ALICE, bot(ALICE))
    lease = (await take(store))[ALICE]
    for start in range(0, 2000, 100):
        group = [placed_and_filled(lease, number) for number in range(start, start + 100)]
        assert not any(await store.write(group))
    log, database = size_of(f"{sqlite_url}-wal"), size_of(sqlite_url)
    await store.close()
    assert log < database
    assert size_of(f"{sqlite_url}-wal") == 0


async def test_hosts_commands_and_switches_at_once_do_not_shut_each_other_out(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    leases = await take(store)

    async def journal():
        for number in range(30):
            group = [
                batch(lease, OrderPlaced(order_of(bot(user), f"{user} {number}", seq=number)))
                for user, lease in leases.items()
            ]
            assert not any(await store.write(group))

    async def renew():
        for _ in range(30):
            assert len(await store.renew_leases("host", now=START, ttl=60)) == 2

    async def switch_all():
        for _ in range(15):
            await store.set_platform_switch(switch(Scope.PLATFORM, "*"))

    async def switch_one(user_id):
        for _ in range(15):
            async with store.open(user_id) as own:
                await own.set_switch(switch(Scope.USER, user_id))
                await own.audit("switch", {})

    await asyncio.gather(journal(), renew(), switch_all(), switch_one(ALICE), switch_one(BOB))
    for lease in await store.renew_leases("host", now=START, ttl=60):
        assert lease.kill_version == 30
        error = (await store.write([batch(lease, kill_version=0)]))[0]
        assert isinstance(error, StoreError)


def switch(scope, scope_id):
    return Switch(scope=scope, scope_id=scope_id, halt=Halt.STOP, reason="", changed_at=START)
