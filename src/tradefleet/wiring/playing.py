"""Replay and backtest, put together: the same bars, strategies, engine and matching."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from tradefleet import strategies
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.ledger import EXTERNAL, LedgerEntry, place_of
from tradefleet.domain.limits import TIERS, GuardMemory
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe, TradingRules
from tradefleet.domain.money import ZERO, parse_amount
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.user_guard import UserGuard
from tradefleet.plugins import find_plugins
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.runtime.replay_session import ReplaySession
from tradefleet.simulation.backtest import Backtest
from tradefleet.simulation.metrics import measure
from tradefleet.simulation.options import PlayOptions, split_parameters
from tradefleet.simulation.paper_book import PaperBook
from tradefleet.simulation.recorded import count_gaps
from tradefleet.simulation.results import BotResult, ledger_agrees, result_json
from tradefleet.store import PaperBooks, PaperChange, Store
from tradefleet.stores.memory import MemoryPaperBooks, MemoryStore
from tradefleet.strategy import StrategySpec
from tradefleet.surfaces.cli.bar_file import load_bars
from tradefleet.surfaces.cli.play_request import PlayRequest
from tradefleet.surfaces.cli.report import write_report
from tradefleet.venue import MarketEvent
from tradefleet.venues.paper import PaperVenue

BOTS_MAX = 100_000
OWNER = "replay"


class RulesOnly:
    """The public side of a market whose bars are played from outside."""

    def __init__(self, rules: TradingRules) -> None:
        self._rules = rules

    async def rules(self, symbol: Symbol) -> TradingRules:
        return self._rules

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        return ()

    async def events(self, streams: Sequence[Stream]) -> Any:
        nothing: list[MarketEvent] = []
        for event in nothing:
            yield event


def read_request(request: PlayRequest) -> tuple[PlayOptions, list[Bar], StrategySpec]:
    """Read the words of a request; Refused for anything that cannot be played."""
    known = find_plugins(strategies, "STRATEGY")
    spec = known.get(request.strategy)
    if spec is None:
        raise Refused(
            f"There is no strategy {request.strategy!r}; choose one of: {', '.join(sorted(known))}."
        )
    if not 1 <= request.bots <= BOTS_MAX:
        raise Refused(f"--bots must be from 1 to {BOTS_MAX}, not {request.bots}.")
    own, rules, costs, limited = split_parameters(request.params, spec)
    spec.build(own)  # so that bad parameters are refused before anything is written
    timeframe = Timeframe.parse(request.timeframe)
    options = PlayOptions(
        symbol=Symbol.parse(request.symbol),
        timeframe=timeframe,
        strategy=request.strategy,
        balance=parse_amount(request.balance, "balance"),
        bots=request.bots,
        strategy_params=own,
        rules=rules,
        costs=costs,
        limited=limited,
    )
    return options, load_bars(request.file, timeframe), spec


async def replay(request: PlayRequest, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Play a bar file through the live pipeline and return its result as JSON."""
    started = time.perf_counter()
    options, bars, _ = read_request(request)
    clock = ReplayClock(bars[0].opened_at)
    store: Store
    books: PaperBooks
    if request.db:
        from tradefleet.stores.sql import open_store  # a replay in memory needs no database

        sql = await open_store(request.db)
        store, books = sql, sql.paper_books
    else:
        store, books = MemoryStore(clock), MemoryPaperBooks()

    async def on_bar(number: int) -> None:
        progress(number, len(bars))
        if request.pace:
            await asyncio.sleep(request.pace)

    try:
        signals, results = await _play(request, options, bars, store, books, clock, on_bar)
    finally:
        await store.close()
    return result_json(
        bars=len(bars),
        gaps=count_gaps(bars, options.timeframe),
        signals=signals,
        bots=results,
        elapsed=time.perf_counter() - started,
    )


async def _play(
    request: PlayRequest,
    options: PlayOptions,
    bars: list[Bar],
    store: Store,
    books: PaperBooks,
    clock: ReplayClock,
    on_bar: Callable[[int], Awaitable[None]],
) -> tuple[int, list[BotResult]]:
    commits = GroupCommit(writer_of(books), Work())
    session = ReplaySession(
        options=options,
        bars=bars,
        store=store,
        venue=PaperVenue(
            source=RulesOnly(options.rules), books=books, commits=commits, costs=options.costs
        ),
        strategies=find_plugins(strategies, "STRATEGY"),
        clock=clock,
        owner=OWNER,
    )
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(commits.run())
        try:
            return await session.play(resume=request.resume, on_bar=on_bar)
        finally:
            writing.cancel()


def writer_of(books: PaperBooks) -> Callable[[list[PaperChange]], Awaitable[list[None]]]:
    """Return how a group of changes is written to the paper venue's books."""

    async def write(changes: list[PaperChange]) -> list[None]:
        await books.write(changes)
        return [None] * len(changes)

    return write


def backtest(request: PlayRequest) -> dict[str, Any]:
    """Run a bar file through engine and strategy alone; the same trades, and their figures."""
    started = time.perf_counter()
    options, bars, spec = read_request(request)
    runs = [backtest_of(options, spec, number) for number in range(1, options.bots + 1)]
    gc.disable()  # engine and strategy make no cycles, and the bars are not garbage
    for run in runs:
        run.run(bars)
    gc.enable()
    first = runs[0]
    equity = first.equity(bars)
    position = first.engine.position
    figures = measure(
        first.trades, equity, bars, open_since=position.opened_at if position else None
    ).as_json()
    if request.report is not None:
        write_report(
            request.report,
            title=f"{options.strategy} on {options.symbol} {options.timeframe}",
            bars=bars,
            trades=first.trades,
            equity=equity,
            metrics=figures,
        )
    result = result_json(
        bars=len(bars),
        gaps=count_gaps(bars, options.timeframe),
        signals=first.signals,
        bots=[result_of(run, bars) for run in runs],
        elapsed=time.perf_counter() - started,
    )
    return {**result, "metrics": figures}


def backtest_of(options: PlayOptions, spec: StrategySpec, number: int = 1) -> Backtest:
    """Return a backtest ready to run: a user, a bot and a paid-in paper account of its own."""
    user_id = UserId(f"replay-{number:05}")
    strategy = spec.build(options.strategy_params)
    bot = BotSpec(
        id=BotId(f"{user_id}-bot"),
        user_id=user_id,
        account_id=AccountId(f"{user_id}:paper"),
        venue="paper",
        symbol=options.symbol,
        timeframe=options.timeframe,
        strategy=options.strategy,
        allocation=options.balance,
        params=options.strategy_params,
        status=BotStatus.RUNNING,
    )
    guard = UserGuard(
        limits=options.limits,
        tier=TIERS["free"] if options.limited else None,
        memory=GuardMemory(user_id=user_id),
    )
    book = PaperBook()
    book.credit(options.symbol.quote, options.balance)
    engine = BotEngine.start(
        spec=bot,
        memory=None,
        working={},
        fills_seen={},
        rules=options.rules,
        plan=strategy.plan,
        guard=guard,
        order_key=b"",
    )
    return Backtest(
        engine=engine,
        strategy=strategy,
        book=book,
        costs=options.costs,
        timeframe=options.timeframe.delta,
    )


def result_of(run: Backtest, bars: Sequence[Bar]) -> BotResult:
    """Return what a backtest came to, with its ledger checked against the simulated venue."""
    engine, spec = run.engine, run.engine.spec
    base = engine.position.quantity if engine.position else ZERO
    paid_in = LedgerEntry.of_transfer(
        id=f"allocation:{spec.id}",
        user_id=spec.user_id,
        account_id=spec.account_id,
        kind="allocation",
        at=bars[0].opened_at,
        asset=spec.symbol.quote,
        amount=spec.allocation,
        source=EXTERNAL,
        target=place_of(spec.id),
    )
    return BotResult(
        name=spec.user_id,
        trades=run.trades,
        quote=engine.cash,
        base=base,
        last_close=bars[-1].close,
        ledger_balanced=ledger_agrees(
            [paid_in, *run.entries],
            bot_id=spec.id,
            symbol=spec.symbol,
            quote=engine.cash,
            base=base,
            venue=run.book.balances,
        ),
    )
