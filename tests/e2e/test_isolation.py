"""A fault in one bot's own strategy leaves every other bot's results as they were."""

import asyncio
from contextvars import ContextVar
from dataclasses import replace
from decimal import Decimal

import pytest

from tradefleet import strategies
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.plugins import find_plugins
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.runtime.replay_session import ReplaySession
from tradefleet.simulation.generated import generated_bars
from tradefleet.simulation.options import PlayOptions
from tradefleet.stores.memory import MemoryPaperBooks, MemoryStore
from tradefleet.venues.paper import PaperVenue
from tradefleet.wiring.playing import RulesOnly, writer_of

BARS = generated_bars(260, seed=5)
BOTS = 1000
KNOWN = find_plugins(strategies, "STRATEGY")


class Broken:
    """Works for a while, then raises."""

    def __init__(self, sound):
        self.sound, self.plan, self.bars_needed = sound, sound.plan, sound.bars_needed
        self.why_not, self.trail_distance = sound.why_not, sound.trail_distance
        self.count = 0

    def on_bar(self, bar):
        self.count += 1
        if self.count == 150:
            raise ZeroDivisionError("a bug in one user's strategy")
        return self.sound.on_bar(bar)


def broken_build(params):
    return Broken(KNOWN["ema_cross"].build(params))


session_spoil = ContextVar("session_spoil", default=None)


class Spoiled(ReplaySession):
    """A replay whose first bot is changed before it starts."""

    async def _ensure_bot(self, number):
        await super()._ensure_bot(number)
        spoil = session_spoil.get()
        if spoil is not None and number == 1:
            async with self.store.open(UserId("replay-00001")) as user:
                (bot,) = await user.bots()
                await user.save_bot(replace(bot, **spoil))


async def play(spoil=None):
    """Replay for BOTS bots; spoil changes the first one before it starts."""
    clock = ReplayClock(BARS[0].opened_at)
    store, books = MemoryStore(clock), MemoryPaperBooks()
    options = PlayOptions(
        symbol=Symbol("BTC", "USDT"),
        timeframe=Timeframe(60),
        strategy="ema_cross",
        balance=Decimal(1000),
        bots=BOTS,
    )
    commits = GroupCommit(writer_of(books), Work())
    session = Spoiled(
        options=options,
        bars=BARS,
        store=store,
        venue=PaperVenue(source=RulesOnly(options.rules), books=books, commits=commits),
        strategies={**KNOWN, "broken": replace(KNOWN["ema_cross"], build=broken_build)},
        clock=clock,
        owner="test",
    )
    session_spoil.set(spoil)

    async def on_bar(number):
        pass

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(commits.run())
        _, results = await session.play(resume=False, on_bar=on_bar)
        writing.cancel()
    async with store.open(UserId("replay-00001")) as user:
        (first,) = await user.bots()
    notices = await store.due_notices(now=clock.now(), limit=100_000)
    return results, first, [n.notice for n in notices if n.notice.user_id == first.user_id]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"strategy": "broken"}, "ZeroDivisionError"),
        ({"params": {"fast": "50", "slow": "2"}}, "fast"),
        ({"strategy": "no_such_strategy"}, "no_such_strategy"),
    ],
    ids=["strategy raises", "bad parameters", "unknown strategy"],
)
async def test_a_fault_in_one_bot_leaves_999_others_as_they_were(sound_run, spoil, said):
    results, first, notices = await play(spoil)
    sound, _, _ = sound_run

    assert [r.trades for r in results[1:]] == [r.trades for r in sound[1:]]
    assert [r.equity for r in results[1:]] == [r.equity for r in sound[1:]]
    assert all(result.ledger_balanced for result in results[1:])
    assert first.status is BotStatus.SET_ASIDE
    assert said in first.note
    assert any("set aside" in notice.text for notice in notices)


@pytest.fixture(scope="module")
def sound_run():
    results = asyncio.run(play())
    assert len(results[0]) == BOTS
    assert sum(len(r.trades) for r in results[0]) >= BOTS
    return results


def test_every_bot_is_its_own(sound_run):
    results, _, _ = sound_run
    assert len({BotId(result.name) for result in results}) == BOTS
