"""Replays to interrupt: what outlives a process, and a fuse that ends one at any write."""

import asyncio
import copy
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from typing import Any, TypeVar

from tests.bars import generated
from tests.makers import BTC, after_start
from tests.runtime.live_rig import lone_error
from tradefleet import strategies
from tradefleet.domain.ids import UserId
from tradefleet.domain.market import Bar, Timeframe
from tradefleet.domain.order import Order
from tradefleet.plugins import find_plugins
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.runtime.replay_session import ReplaySession
from tradefleet.simulation.options import PlayOptions
from tradefleet.simulation.results import BotResult, trade_json
from tradefleet.store import PaperChange
from tradefleet.stores.memory import MemoryPaperBooks, MemoryStore
from tradefleet.strategy import StrategySpec
from tradefleet.venues.paper import PaperVenue
from tradefleet.wiring.playing import RulesOnly, backtest_of, result_of, writer_of

T = TypeVar("T")
STRATEGIES: Mapping[str, StrategySpec] = find_plugins(strategies, "STRATEGY")
# In these 600 bars APEX leaves in each of its ways: stop, breakeven, trail, all three targets,
# the opposite signal and the cross.
BARS = generated(32, 600)
PARAMETERS = {
    "apex": {"warmup": "60", "score_min": "3", "filters_min": "4"},
    "ema_cross": {"warmup": "30", "fast": "5", "slow": "13"},
}
ONE_USER = UserId("replay-00001")


def options(strategy: str, **changes: Any) -> PlayOptions:
    """Return how the tests play: 1000 USDT a bot, on one-minute bars."""
    given = {
        "symbol": BTC,
        "timeframe": Timeframe(60),
        "strategy": strategy,
        "balance": Decimal(1000),
        "strategy_params": PARAMETERS.get(strategy, {}),
        **changes,
    }
    return PlayOptions(**given)


# ------------------------------------------------------------------- the end of a process


class PowerCut(Exception):
    """The process is gone: nothing that it did not write down is left of it."""


@dataclass(slots=True)
class Fuse:
    """Lets so many writes pass, then cuts the power: before the write is kept, or after.

    before is called with each write's number and name, before the write is kept.
    """

    at: int = 10**9
    after: bool = False
    before: Callable[[int, str], None] = lambda number, name: None
    burnt: int = 0

    def light(self, name: str) -> None:
        self.burnt += 1
        self.before(self.burnt, name)
        if self.burnt > self.at or (self.burnt == self.at and not self.after):
            raise PowerCut(name)

    async def burn(self, name: str, write: Callable[[], Awaitable[T]]) -> T:
        self.light(name)
        result = await write()
        if self.burnt == self.at:
            raise PowerCut(name)
        return result


class FusedStore:
    """A store in memory every write of which goes through the fuse."""

    WRITES = ("write", "save_run", "take_leases", "release_leases")

    def __init__(self, store: Any, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in self.WRITES:
            return found

        async def fused(*args: Any, **named: Any) -> Any:
            return await self._fuse.burn(name, lambda: found(*args, **named))

        return fused

    @asynccontextmanager
    async def open(self, user_id: UserId, *, reading: bool = False) -> AsyncIterator[Any]:
        changed = False
        async with self._store.open(user_id, reading=reading) as opened:
            yield opened
            changed = opened.draft.has_changes
            if changed:
                self._fuse.light("commit")
        if changed and self._fuse.burnt == self._fuse.at:
            raise PowerCut("commit")


# ----------------------------------------------------------------------- what is played


@dataclass(slots=True)
class World:
    """What outlives a process: the service's store and the paper venue's books.

    sent counts what arrived at the venue, by order.
    """

    store: MemoryStore
    books: MemoryPaperBooks
    sent: Counter[str] = field(default_factory=Counter)

    @classmethod
    def empty(cls) -> "World":
        return cls(MemoryStore(ReplayClock(BARS[0].opened_at)), MemoryPaperBooks())


def fork(value: Any) -> Any:
    """Return the world as it is now, which what happens to the other one does not change."""
    if isinstance(value, dict | list | deque):
        twin = copy.copy(value)
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            twin[key] = fork(item)
        return twin
    if isinstance(value, MemoryStore | MemoryPaperBooks):
        twin = copy.copy(value)
        vars(twin).update({name: fork(item) for name, item in vars(value).items()})
        return twin
    if is_dataclass(value) and not value.__dataclass_params__.frozen:
        twin = copy.copy(value)
        for each in fields(value):
            setattr(twin, each.name, fork(getattr(value, each.name)))
        return twin
    return value  # nobody can change it


class CountingVenue(PaperVenue):
    """The paper venue, counting what is sent to it in the world it stands in."""

    __slots__ = ("world",)

    async def submit(self, account_id: Any, order: Order) -> str:
        self.world.sent[order.id] += 1
        return await super().submit(account_id, order)


async def play(
    world: World,
    chosen: PlayOptions,
    bars: Sequence[Bar] = BARS,
    *,
    fuse: Fuse | None = None,
    resume: bool = False,
    venue: type[PaperVenue] = CountingVenue,
    known: Mapping[str, StrategySpec] = STRATEGIES,
) -> tuple[int, list[BotResult]]:
    """Play the bars in a new process on what outlived the last one; PowerCut ends it early."""
    fuse = fuse or Fuse()
    clock = ReplayClock(bars[0].opened_at)
    to_books = writer_of(world.books)

    async def write(changes: list[PaperChange]) -> list[None]:
        return await fuse.burn("paper", lambda: to_books(changes))

    async def on_bar(number: int) -> None:
        """Nobody watches."""

    commits: GroupCommit[PaperChange, None] = GroupCommit(write, Work())
    market = venue(
        source=RulesOnly(chosen.rules), books=world.books, commits=commits, costs=chosen.costs
    )
    market.world = world
    session = ReplaySession(
        options=chosen,
        bars=bars,
        store=FusedStore(world.store, fuse),
        venue=market,
        strategies=known,
        clock=clock,
        owner="replay",
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(commits.run())
            try:
                return await session.play(resume=resume, on_bar=on_bar)
            finally:
                writing.cancel()
    except ExceptionGroup as group:
        raise lone_error(group) from group


def backtest(chosen: PlayOptions, bars: Sequence[Bar] = BARS) -> tuple[int, list[BotResult]]:
    """Run the same in the engine alone."""
    spec = STRATEGIES[chosen.strategy]
    runs = [backtest_of(chosen, spec, number) for number in range(1, chosen.bots + 1)]
    for run in runs:
        run.run(bars)
    return runs[0].signals, [result_of(run, bars) for run in runs]


def told(played: tuple[int, Sequence[BotResult]]) -> dict[str, Any]:
    """Return what must be the same whatever happened on the way (not the orders' numbers)."""
    signals, results = played
    bots = {
        result.name: {
            "trades": [trade_json(trade) for trade in result.trades],
            "quote": result.quote,
            "base": result.base,
            "equity": result.equity,
            "ledger_balanced": result.ledger_balanced,
        }
        for result in results
    }
    return {"signals": signals, **bots}


async def ledger(world: World, user_id: UserId = ONE_USER) -> list[tuple[str, ...]]:
    """Return every posting of a user, without the numbers of orders and fills."""
    async with world.store.open(user_id, reading=True) as store:
        entries = await store.entries()
    return sorted(
        (entry.kind, str(entry.booked_at), posting.place, posting.asset, f"{posting.amount:f}")
        for entry in entries
        for posting in entry.postings
    )


async def notices(world: World) -> list[str]:
    """Return all that users were told."""
    waiting = await world.store.due_notices(now=after_start(days=99), limit=10**6)
    return sorted(f"{each.notice.at} {each.notice.text}" for each in waiting)
