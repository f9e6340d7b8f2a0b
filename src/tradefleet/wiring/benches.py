"""Measure this machine with the real parts: host, board, engine, journal, paper venue."""

import asyncio
import gc
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradefleet import strategies
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.consent import Consent, RiskNotice
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import AccountId, BotId, OrderId, UserId
from tradefleet.domain.ledger import EXTERNAL, LedgerEntry, place_of
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Bar, Side, Stream, Symbol, Timeframe, TradingRules
from tradefleet.domain.order import Order, Purpose
from tradefleet.domain.user import Account, Mode, User
from tradefleet.plugins import find_plugins
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.host import Host
from tradefleet.runtime.recovery import take_user
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.simulation.generated import generated_bars
from tradefleet.simulation.options import PlayOptions
from tradefleet.store import Batch, Lease
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.strategy import StrategySpec
from tradefleet.venues.paper import PaperVenue
from tradefleet.wiring.playing import RulesOnly, backtest_of, writer_of

MINUTE = Timeframe(60)
WARM_BARS = 500
BOTS_PER_USER = 3
FEW = 100  # bots whose cost per bot is the yardstick
FOREVER = 10.0**9
BACKTEST_RUNS = 3


class GeneratedMarket(RulesOnly):
    """Generated one-minute bars of many symbols."""

    def __init__(self, symbols: int, bars: int) -> None:
        super().__init__(TradingRules())
        self.bars = {
            Symbol(f"S{number:03}", "USDT"): generated_bars(bars, seed=number)
            for number in range(symbols)
        }

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        return self.bars[stream.symbol][:WARM_BARS]


class MarketClock(ReplayClock):
    """The market's time for the service, the machine's for measuring slices."""

    def monotonic(self) -> float:
        return time.perf_counter()


def hot_path(bots: int, symbols: int, bars: int) -> dict[str, Any]:
    """Run bots on symbols over one-minute bars; and a few, to compare the cost per bot."""
    few = asyncio.run(_hot_path(min(FEW, bots), min(symbols, FEW), bars))
    many = asyncio.run(_hot_path(bots, symbols, bars))
    return {
        "bots": bots,
        "symbols": symbols,
        "bars": bars,
        **many,
        "cpu_us_per_bot_bar_at_100": few["cpu_us_per_bot_bar"],
        "cpu_ratio_to_100": round(many["cpu_us_per_bot_bar"] / few["cpu_us_per_bot_bar"], 3),
        "bytes_per_bot_at_100": few["bytes_per_bot"],
        "memory_ratio_to_100": round(many["bytes_per_bot"] / few["bytes_per_bot"], 3),
        "floor_decision_p99_ms": 100,
        "floor_bytes_per_bot": 4096,
    }


async def _hot_path(bots: int, symbols: int, bars: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(f"sqlite:///{folder}/bench.db")
        market = GeneratedMarket(symbols, WARM_BARS + bars)
        await make_users(store, bots, list(market.bars))
        clock = MarketClock(next(iter(market.bars.values()))[0].opened_at)
        commits = GroupCommit(writer_of(store.paper_books), Work())
        venue = PaperVenue(source=market, books=store.paper_books, commits=commits)
        host = Host(
            store=store,
            clock=clock,
            venues={"paper": venue},
            strategies=find_plugins(strategies, "STRATEGY"),
            tiers={},
            order_key=await store.secret("order_ids"),
            owner="bench",
            live=False,
        )
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(commits.run())
            async with host:
                used = await _take_all(host, venue, clock, bots)
                measured = await _play(host, venue, market, clock, bots)
            writing.cancel()
        await store.close()
    return {**measured, "bytes_per_bot": used}


async def _take_all(host: Host, venue: PaperVenue, clock: ReplayClock, bots: int) -> int:
    """Take every user and warm every group; return the bytes this took per bot."""
    leases = await host.store.take_leases("bench", now=clock.now(), ttl=FOREVER, limit=bots)
    feed = Feed(venue="paper", market=venue.market, host=host, clock=clock)
    first = await take_user(host, leases[0])  # imports and caches are nobody's
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for lease in leases[1:]:
        await take_user(host, lease)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for group in host.board.groups.values():
        await feed.warm(group)
    gc.collect()
    gc.freeze()
    ensure(len(host.bots) == bots, "not every bot is running")
    return used // max(1, bots - len(first.bots))


async def _play(
    host: Host, venue: PaperVenue, market: GeneratedMarket, clock: ReplayClock, bots: int
) -> dict[str, Any]:
    """Play the bars; a bot's decision is made when its stream's last follower was served."""
    latencies: list[tuple[float, int]] = []
    followers = {
        stream: sum(len(group.followers) for group in groups)
        for stream, groups in host.board.by_stream.items()
    }
    streams = {stream.symbol: stream for stream in followers}
    count = len(next(iter(market.bars.values())))
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(WARM_BARS, count):
        for symbol, bars in market.bars.items():
            bar = bars[number]
            clock.move_to(bar.opened_at)
            for price in (bar.open, bar.low, bar.high):
                host.price("paper", symbol, price, bar.opened_at)
                if venue.waits(symbol) or not host.work.is_idle:
                    await host.settle()
                    await venue.trade(symbol, price, bar.opened_at)
        await host.settle()
        clock.move_to(bar.opened_at + timedelta(minutes=1))
        started = time.perf_counter()
        for symbol, bars in market.bars.items():
            if symbol in streams:
                await host.bar(streams[symbol], bars[number])
                done = time.perf_counter() - started
                latencies.append((done, followers[streams[symbol]]))
        await host.settle()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    played = count - WARM_BARS
    return {
        "decision_p50_ms": round(_quantile(latencies, 0.5) * 1000, 3),
        "decision_p99_ms": round(_quantile(latencies, 0.99) * 1000, 3),
        "decision_max_ms": round(max(latencies)[0] * 1000, 3),
        "cpu_us_per_bot_bar": round(cpu / (bots * played) * 1e6, 2),
        "wall_s": round(wall, 2),
        "orders": sum(bot.engine.seq for bot in host.bots.values()),
        "journal_items": host.journal.items,
        "journal_groups": host.journal.groups,
        "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _quantile(samples: Sequence[tuple[float, int]], share: float) -> float:
    """Return the value below which share of the weight lies."""
    wanted, seen = share * sum(weight for _, weight in samples), 0
    for value, weight in sorted(samples):
        seen += weight
        if seen >= wanted:
            return value
    return 0.0


async def make_users(
    store: SqlStore, bots: int, symbols: Sequence[Symbol], tier: str = "free"
) -> None:
    """Make users with three running bots each, spread over symbols and both strategies."""
    at = datetime.fromisoformat("2024-01-01T00:00:00Z")
    names, notice = ("ema_cross", "apex"), RiskNotice()
    read = Consent(version=notice.version, at=at, surface="benchmark", text_hash=notice.text_hash)
    for first in range(0, bots, BOTS_PER_USER):
        user_id = UserId(f"u{first:06}")
        account_id = AccountId(f"{user_id}:paper")
        async with store.open(user_id) as user:
            await user.save_user(User(id=user_id, username=user_id, created_at=at, tier=tier))
            await user.save_consent(read)
            await user.save_limits(RiskLimits())
            await user.save_account(
                Account(
                    id=account_id, user_id=user_id, venue="paper", mode=Mode.PAPER, created_at=at
                )
            )
            for number in range(first, min(first + BOTS_PER_USER, bots)):
                spec = BotSpec(
                    id=BotId(f"b{number:06}"),
                    user_id=user_id,
                    account_id=account_id,
                    venue="paper",
                    symbol=symbols[number % len(symbols)],
                    timeframe=MINUTE,
                    strategy=names[number // len(symbols) % 2],
                    allocation=Decimal(1000),
                    status=BotStatus.RUNNING,
                )
                await user.add_bot(spec)
                await user.book(
                    LedgerEntry.of_transfer(
                        id=f"allocation:{spec.id}",
                        user_id=user_id,
                        account_id=account_id,
                        kind="allocation",
                        at=at,
                        asset="USDT",
                        amount=spec.allocation,
                        source=EXTERNAL,
                        target=place_of(spec.id),
                    )
                )


def journal(intents: int, group_size: int) -> dict[str, Any]:
    """Write intents in groups to a SQLite file that syncs every group to the disk."""
    return asyncio.run(_journal(intents, group_size))


async def _journal(intents: int, group_size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        store = await open_store(f"sqlite:///{folder}/bench.db")
        await make_users(store, 1, [Symbol("BTC", "USDT")])
        at = datetime.fromisoformat("2024-01-01T00:00:00Z")
        (lease,) = await store.take_leases("bench", now=at, ttl=FOREVER, limit=1)
        groups = [
            [_intent(lease, number, at) for number in range(first, first + group_size)]
            for first in range(0, intents, group_size)
        ]
        times = []
        started = time.perf_counter()
        for group in groups:
            begun = time.perf_counter()
            results = await store.write(group)
            times.append(time.perf_counter() - begun)
            ensure(not any(results), "an intent was refused")
        elapsed = time.perf_counter() - started
        await store.close()
    times.sort()
    return {
        "intents": len(groups) * group_size,
        "group_size": group_size,
        "intents_per_s": round(len(groups) * group_size / elapsed),
        "group_p50_ms": round(times[len(times) // 2] * 1000, 3),
        "group_p99_ms": round(times[int(len(times) * 0.99)] * 1000, 3),
        "floor_intents_per_s": 50_000,
        "floor_group_p99_ms": 10,
    }


def _intent(lease: Lease, number: int, at: datetime) -> Batch:
    order = Order(
        id=OrderId(f"{number:032x}"),
        user_id=lease.user_id,
        account_id=AccountId(f"{lease.user_id}:paper"),
        bot_id=BotId("b000000"),
        seq=number + 1,
        symbol=Symbol("BTC", "USDT"),
        side=Side.BUY,
        quantity=Decimal("0.00100000"),
        purpose=Purpose.ENTRY,
        decided_at=at,
        reason="bench",
        reserved=Decimal("50.05000000"),
    )
    return Batch(user_id=lease.user_id, epoch=lease.epoch, records=(OrderPlaced(order),))


def backtest(bars: int) -> dict[str, Any]:
    """Run both strategies over generated one-minute bars with the live objects, some times each.

    The quickest run counts: what slows a run down is other work on the machine, nothing of ours.
    """
    played = generated_bars(bars)
    found = find_plugins(strategies, "STRATEGY")
    result: dict[str, Any] = {"bars": bars, "runs_of_each": BACKTEST_RUNS}
    for name in ("ema_cross", "apex"):
        options = PlayOptions(
            symbol=Symbol("BTC", "USDT"),
            timeframe=MINUTE,
            strategy=name,
            balance=Decimal(10_000),
        )
        runs = [one_backtest(options, found[name], played) for _ in range(BACKTEST_RUNS)]
        result[f"{name}_bars_per_s"] = round(bars / min(elapsed for elapsed, _ in runs))
        result[f"{name}_trades"] = runs[0][1]
    return {
        **result,
        "floor_ema_cross_bars_per_s": 150_000,
        "floor_apex_bars_per_s": 200_000,
        "goal_bars_per_s": 500_000,
    }


def one_backtest(
    options: PlayOptions, strategy: StrategySpec, bars: Sequence[Bar]
) -> tuple[float, int]:
    """Return the seconds a backtest took, and its number of trades."""
    run = backtest_of(options, strategy)
    gc.collect()
    gc.disable()  # as `tradefleet backtest` does
    started = time.perf_counter()
    run.run(bars)
    elapsed = time.perf_counter() - started
    gc.enable()
    return elapsed, len(run.trades)
