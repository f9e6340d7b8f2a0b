"""Measure how long a signal takes from the venue's stream back to the venue as orders.

Both ends are told by the venue's own clock: a tick that it sends, and the arrival of a request in
its journal. An entry goes out at the first price after its bar, an exit at the bar itself, where
what comes first is taking back the stop that rests at the venue.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from tradefleet.clock import Clock
from tradefleet.domain.errors import Refused, ensure
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.runtime.real_world import RealClock
from tradefleet.vault import new_master
from tradefleet.wiring.simulated import Simulation
from tradefleet.wiring.venue_benches_fleet import (
    Crowd,
    Served,
    bench_venue,
    disk_of,
    fill_database,
    journal_in,
    open_clients,
    served,
    tell,
)
from tradefleet.wiring.venue_benches_flip import FLIP
from tradefleet.wiring.venue_benches_orders import burst

PAIR = Symbol("BTC", "USDT")
LOW, HIGH = Decimal("65000.00"), Decimal("65001.00")
SECOND = 1.0  # the shortest bar
AFTER_CLOSE = 0.02  # seconds into a bar, when the tick comes that closes the one before
PRICE_AFTER = 0.1  # seconds from it to the price that lets entries go
SETTLED_MAX = 120  # seconds until all that a move asks for must be done
UNCOUNTED = 2  # moves at first, which find no connection open
FLUSHED_AFTER = 1.5  # seconds until the journal of the venue is in its file
ORDERS = ("create", "cancel")
# The simulated venue keeps books for everybody in one process, some hundred orders a second; an
# order that cannot leave within 4 s is given up, and so would be most of more than these.
SIMULATED_MAX = 2000
TOO_MANY = (
    f"not measured: it takes some hundred orders a second, and what cannot leave within 4 s is "
    f"given up, so that more than {SIMULATED_MAX:,} bots would not all go in"
)
FLOORS: dict[int, dict[str, float]] = {
    1: {"entry_p99_ms": 5, "exit_p99_ms": 5},
    1000: {"entry_last_ms": 150, "exit_last_ms": 150, "taker_last_ms": 150},
    10_000: {"taker_last_ms": 1500},
}


def latency(bots: int, moves: int, *, tls: bool) -> dict[str, Any]:
    """Let so many bots, each of a user of its own, go in and out together, so many times.

    Many are measured once more on a venue that takes orders and does no more: the simulated one
    needs longer for an order than we do.
    """
    if bots <= SIMULATED_MAX:
        found = asyncio.run(_latency(bots, moves, tls=tls))
    else:
        found = {"bots": bots, "simulated_venue": TOO_MANY}
    if bots > 1:
        found |= burst(bots)
    return found | {f"floor_{name}": value for name, value in FLOORS.get(bots, {}).items()}


async def _latency(bots: int, moves: int, *, tls: bool) -> dict[str, Any]:
    crowd = Crowd(
        users=bots, bots=1, symbols=[PAIR], timeframe=Timeframe(1), strategies=[FLIP.name]
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with bench_venue(folder, market="none", tls=tls) as simulation:
            keys = await open_clients(simulation, bots)
            master, database = new_master(), f"sqlite:///{folder}/bench.db"
            await fill_database(database, master, keys, crowd)
            async with (
                served(folder, database, master, simulation) as service,
                aiohttp.ClientSession() as http,
            ):
                await service.until(lambda now: now["joined"] == now["swept"] == bots)
                market = Market(simulation, http, service, bots)
                before = await service.figures()
                await market.play(moves + UNCOUNTED)
                after = await service.figures()
            await asyncio.sleep(FLUSHED_AFTER)
            asked = list(requests_in(journal_in(folder)))
        disk = disk_of(folder)
    cpu = (after["cpu_s"] - before["cpu_s"]) / (bots * (moves + UNCOUNTED))
    found = {"bots": bots, "moves": moves, "tls": tls, **judged(market.moves, asked, bots)}
    return found | {"cpu_us_per_bot_and_move": round(cpu * 1e6), **disk}


# ------------------------------------------------------------------------ the market


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the market, after the bar that ended at bar_us.

    at_us: when the tick was sent that orders were to follow. The venue tells of a bar by itself
    each second: when it was there first, orders are early, and the move is not counted.
    """

    bar_us: int
    at_us: int
    is_entry: bool


def moved(closed_us: int, priced_us: int, *, is_entry: bool) -> Move:
    """Return the move whose bar a tick closed at the one time, a price following at the other."""
    bar_us = closed_us - closed_us % 1_000_000
    return Move(bar_us, priced_us if is_entry else closed_us, is_entry)


@dataclass(slots=True)
class Market:
    """Moves the pair's price up and down; every second has trades."""

    simulation: Simulation
    http: aiohttp.ClientSession
    service: Served
    bots: int
    clock: Clock = field(default_factory=RealClock)
    moves: list[Move] = field(default_factory=list)

    async def play(self, moves: int) -> None:
        for _ in range(2):  # a strategy needs two bars to see that one rose
            await self._second(LOW)
        await (self._one_by_one(moves) if self.bots == 1 else self._together(moves))

    async def _one_by_one(self, moves: int) -> None:
        """Close a bar each second, the next one higher or lower in turn."""
        await self._second(HIGH)
        for number in range(moves):
            is_entry = number % 2 == 0
            closed_us, priced_us = await self._second(LOW if is_entry else HIGH)
            self.moves.append(moved(closed_us, priced_us, is_entry=is_entry))

    async def _together(self, moves: int) -> None:
        """Move the price, and leave it there until everybody has done what follows."""
        for number in range(moves):
            is_entry = number % 2 == 0
            price = HIGH if is_entry else LOW
            await self._second(price)
            closed_us, priced_us = await self._second(price)
            self.moves.append(moved(closed_us, priced_us, is_entry=is_entry))
            await self._settled(price, self.bots if is_entry else 0)

    async def _settled(self, price: Decimal, positions: int) -> None:
        resting = positions  # each position has a stop at the venue
        for _ in range(SETTLED_MAX):
            await self._second(price)
            now = await self.service.figures()
            if (now["positions"], now["working"], now["is_idle"]) == (positions, resting, True):
                return
        raise Refused(f"The bots did not come to rest: {now}.")

    async def _second(self, price: Decimal) -> tuple[int, int]:
        """Trade twice in the next second: to close the bar before, and once more."""
        now = self.clock.now().timestamp()
        await asyncio.sleep(SECOND - now % SECOND + AFTER_CLOSE)
        closed_us = await self._tick(price)
        await asyncio.sleep(PRICE_AFTER)
        return closed_us, await self._tick(price)

    async def _tick(self, price: Decimal) -> int:
        told = await tell(self.http, self.simulation, "tick", symbol=str(PAIR), price=str(price))
        at_us: int = told["at_us"]
        return at_us


# ------------------------------------------------------------------------ the verdict


@dataclass(frozen=True, slots=True)
class Request:
    """One request for or against an order, as the venue's journal has it."""

    arrived_us: int
    account: str


def requests_in(journal: Path) -> Iterator[Request]:
    with journal.open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["kind"] == "call" and entry["action"] in ORDERS:
                yield Request(entry["arrived_us"], entry["account"])


def judged(moves: Sequence[Move], asked: Sequence[Request], bots: int) -> dict[str, Any]:
    """Return how long after each move the first request of each account came, and the last."""
    entries: list[list[float]] = []
    exits: list[list[float]] = []
    ends = [*(after.bar_us for _, after in pairwise(moves)), asked[-1].arrived_us + 1]
    early = 0
    for number, (move, end_us) in enumerate(zip(moves, ends, strict=True)):
        firsts: dict[str, int] = {}
        for request in asked:
            if move.bar_us <= request.arrived_us < end_us:
                firsts.setdefault(request.account, request.arrived_us)
        ensure(len(firsts) == bots, f"{len(firsts)} of {bots} accounts followed move {number}")
        waits = sorted((first - move.at_us) / 1000 for first in firsts.values())
        if waits[0] < 0:
            early += 1
        elif number >= UNCOUNTED:
            (entries if move.is_entry else exits).append(waits)
    ensure(bool(entries and exits), f"of {len(moves)} moves {early} were told by nobody's tick")
    judge = spread if bots == 1 else ends_of
    return {"early": early} | judge("entry", entries) | judge("exit", exits)


def spread(name: str, waits: Iterable[Sequence[float]]) -> dict[str, float]:
    every = sorted(wait for each in waits for wait in each)
    return {
        f"{name}_p50_ms": round(every[len(every) // 2], 2),
        f"{name}_p99_ms": round(every[int(len(every) * 0.99)], 2),
        f"{name}_max_ms": round(every[-1], 2),
    }


def ends_of(name: str, waits: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the median over all moves of when the first and the last order came."""
    middle = len(waits) // 2
    return {
        f"{name}_first_ms": round(sorted(each[0] for each in waits)[middle], 1),
        f"{name}_last_ms": round(sorted(each[-1] for each in waits)[middle], 1),
        f"{name}_worst_last_ms": round(max(each[-1] for each in waits), 1),
    }
