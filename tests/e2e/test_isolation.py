"""Faults in some bots' own strategies leave every other bot's results as they were."""

import asyncio
from contextvars import ContextVar
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

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


session_spoil = ContextVar("session_spoil")


def user_of(number):
    return UserId(f"replay-{number:05}")


class Spoiled(ReplaySession):
    """A replay in which some bots are changed before it starts."""

    async def _ensure_bot(self, number):
        await super()._ensure_bot(number)
        if number in session_spoil.get():
            async with self.store.open(user_of(number)) as user:
                (bot,) = await user.bots()
                await user.save_bot(replace(bot, **session_spoil.get()[number]))


async def play(spoil=MappingProxyType({})):
    """Replay for BOTS bots, some changed before it starts; return results, store and notices."""
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
    return results, store, await store.due_notices(now=clock.now(), limit=100_000)


FAULTS = {
    1: ({"strategy": "broken"}, "ZeroDivisionError"),
    500: ({"params": {"fast": "50", "slow": "2"}}, "fast"),
    BOTS: ({"strategy": "no_such_strategy"}, "no_such_strategy"),
}


async def test_faults_in_three_bots_leave_997_others_as_they_were(sound_run):
    results, store, notices = await play({number: spoil for number, (spoil, _) in FAULTS.items()})
    others = [number for number in range(BOTS) if number + 1 not in FAULTS]
    assert len(others) == BOTS - len(FAULTS)
    for number in others:
        assert results[number].name == sound_run[number].name
        assert results[number].trades == sound_run[number].trades
        assert results[number].equity == sound_run[number].equity
        assert results[number].ledger_balanced

    for number, (_, said) in FAULTS.items():
        async with store.open(user_of(number), reading=True) as user:
            (bot,) = await user.bots()
        assert bot.status is BotStatus.SET_ASIDE
        assert said in bot.note
        told = [n.notice.text for n in notices if n.notice.user_id == bot.user_id]
        assert any("set aside" in text for text in told)


@pytest.fixture(scope="module")
def sound_run():
    results, _, _ = asyncio.run(play())
    assert len(results) == BOTS
    assert sum(len(r.trades) for r in results) >= BOTS
    return results


def test_every_bot_is_its_own(sound_run):
    assert len({BotId(result.name) for result in sound_run}) == BOTS
