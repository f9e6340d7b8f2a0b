"""Half a replay on SQLite, a move, the other half on PostgreSQL: as if nothing had happened."""

from pathlib import Path

import pytest

from tests.runtime.live_rig import lone_error
from tests.runtime.replay_rig import BARS, ONE_USER, PowerCut, options, told
from tests.unit.test_moves import moved
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.cli.play_request import PlayRequest
from tradefleet.wiring.playing import OWNER, _play

HALF = len(BARS) // 2


async def play(url: str, strategy: str, *, resume: bool = False, until: int = 10**9):
    """Play the bars on a database, until the power is cut."""
    chosen = options(strategy)
    store, clock = await open_store(url), ReplayClock(BARS[0].opened_at)
    request = PlayRequest(
        file=Path(),
        symbol=str(chosen.symbol),
        timeframe="1m",
        strategy=strategy,
        balance="1000",
        resume=resume,
    )

    async def on_bar(number: int) -> None:
        if number >= until:
            raise PowerCut

    try:
        played = await _play(request, chosen, BARS, store, store.paper_books, clock, on_bar)
        return told(played)
    except ExceptionGroup as group:
        raise lone_error(group) from group
    finally:
        await store.release_leases(OWNER)  # as who is stopped does
        await store.close()


async def books_of(url: str):
    """Return the position and every posting of the user."""
    store = await open_store(url)
    async with store.open(ONE_USER, reading=True) as own:
        memories, entries = await own.memories(), await own.entries()
    await store.close()
    postings = [(e.id, e.booked_at, p) for e in entries for p in e.postings]
    return list(memories.values()), sorted(postings, key=repr)


async def test_who_moves_in_the_midst_of_trading_ends_as_who_stayed(
    sqlite_url, bare_postgres_url, tmp_path
):
    strategy = "apex"
    stayed = str(tmp_path / "stayed.db")
    undisturbed = await play(stayed, strategy)
    with pytest.raises(PowerCut):
        await play(sqlite_url, strategy, until=HALF)
    at_half = await books_of(sqlite_url)
    await moved(sqlite_url, bare_postgres_url)
    assert await books_of(bare_postgres_url) == at_half
    assert await play(bare_postgres_url, strategy, resume=True) == undisturbed
    (bot,) = (told_of for name, told_of in undisturbed.items() if name != "signals")
    assert len(bot["trades"]) > 2
    memories, postings = await books_of(bare_postgres_url)
    expected_memories, expected = await books_of(stayed)
    assert [m.position for m in memories] == [m.position for m in expected_memories]
    assert [m.cash for m in memories] == [m.cash for m in expected_memories]
    assert len(postings) == len(expected)
