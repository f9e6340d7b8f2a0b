"""Users' transactions on SQLite, which run in the loop's own thread."""

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack

import pytest

from tests.store_rig import ALICE, BOB, START, bot, register, user
from tradefleet.domain.errors import BrokenInvariant, Refused, StoreUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.identity import SESSION_LIFETIME, Session
from tradefleet.stores.sql import glance, open_store


@pytest.fixture
async def store(sqlite_url, clock):
    opened = await open_store(sqlite_url, clock=clock, patience=0.3)
    yield opened
    await opened.close()


def session(number: int) -> Session:
    return Session(
        id=f"session {number:04}",
        user_id=ALICE,
        how="password",
        address="192.0.2.1",
        created_at=START,
        seen_at=START,
        expires_at=START + SESSION_LIFETIME,
    )


async def test_a_long_answer_comes_whole_and_in_its_order(store):
    await register(store, ALICE)
    count = glance.ROWS_AT_ONCE * 2 + 7
    async with store.open(ALICE) as own:
        for number in range(count):
            await own.identity.save_session(session(number))
    async with store.open(ALICE, reading=True) as own:
        found = await own.identity.sessions()
    assert [each.id for each in found] == [f"session {number:04}" for number in range(count)]


async def test_readers_see_one_moment_whatever_is_written_beside_them(store):
    await register(store, ALICE)
    async with store.open(ALICE, reading=True) as reader:
        before = await reader.user()
        async with store.open(ALICE) as own:
            await own.save_user(user(ALICE, username="another name"))
        assert await reader.user() == before
    async with store.open(ALICE, reading=True) as reader:
        assert (await reader.user()).username == "another name"


async def test_nothing_is_written_through_what_reads(store):
    await register(store, ALICE)
    async with store.open(ALICE, reading=True) as reader:
        with pytest.raises(BrokenInvariant, match="opened for reading"):
            await reader.save_user(user(ALICE))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection._connection.execute("DELETE FROM users")


async def test_those_beyond_the_first_readers_are_answered_too(store, monkeypatch):
    monkeypatch.setattr(glance, "CONNECTIONS_KEPT", 2)
    await register(store, ALICE)
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(store.open(ALICE, reading=True)) for _ in range(5)
        ]
        names = {(await reader.user()).username for reader in readers}
    assert len(names) == 1
    async with store.open(ALICE, reading=True) as again:
        assert await again.user() is not None


async def test_what_failed_changed_nothing_and_the_next_may_write(store):
    await register(store, ALICE)
    with pytest.raises(ZeroDivisionError):
        async with store.open(ALICE) as own:
            await own.save_user(user(ALICE, username="never"))
            raise ZeroDivisionError
    async with store.open(ALICE) as own:
        assert (await own.user()).username != "never"
        await own.save_user(user(ALICE, username="now"))
    async with store.open(ALICE, reading=True) as own:
        assert (await own.user()).username == "now"


async def test_a_row_that_is_refused_is_refused_in_its_words(store):
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB)
    with pytest.raises(Refused, match="is taken"):
        async with store.open(BOB) as own:
            await own.save_user(user(BOB, username=user(ALICE).username))
    with pytest.raises(Refused, match="already traded"):
        async with store.open(ALICE) as own:
            await own.add_bot(bot(ALICE, id="another"))


async def test_who_is_cancelled_while_it_is_written_down_has_written_it(store, monkeypatch):
    await register(store, ALICE)
    ending = glance.Stroke.end

    def slow_end(self):
        time.sleep(0.05)
        ending(self)

    monkeypatch.setattr(glance.Stroke, "end", slow_end)

    async def write():
        async with store.open(ALICE) as own:
            await own.save_user(user(ALICE, username="kept"))

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.02)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    async with store.open(ALICE, reading=True) as own:
        assert (await own.user()).username == "kept"


async def test_who_is_cancelled_while_reading_leaves_the_connection_to_nobody_midway(store):
    await register(store, ALICE)

    async def read():
        async with store.open(ALICE, reading=True) as own:
            await own._connection._beside(lambda: time.sleep(0.05))

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with store.open(ALICE, reading=True) as own:
        assert await own.user() is not None


async def test_a_lock_of_another_process_is_waited_for_without_stopping_the_loop(store, sqlite_url):
    await register(store, ALICE)
    other = sqlite3.connect(sqlite_url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def let_go():
        await asyncio.sleep(0.1)
        other.execute("ROLLBACK")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(let_go())
        async with store.open(ALICE) as own:
            await own.save_user(user(ALICE, username="after"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        async with store.open(ALICE):
            pass
    other.close()
    async with store.open(UserId("nobody"), reading=True) as own:
        assert await own.user() is None
