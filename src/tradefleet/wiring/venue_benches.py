"""Measure connected accounts: a real venue's adapter, over sockets, against a simulated venue."""

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tradefleet.domain.credentials import Credentials
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.vault import new_master
from tradefleet.wiring.simulated import Simulation
from tradefleet.wiring.venue_benches_fleet import (
    Crowd,
    Figures,
    bench_venue,
    fill_database,
    open_clients,
    served,
)

USUAL = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "BNB")  # with USDT, on the simulated venue
STRATEGIES = ("ema_cross", "apex")
PAIRS = 3000  # as the real venue lists them
SETTLED_AFTER = 15.0  # seconds: every account was compared with the venue once


def accounts(users: int, bots: int, symbols: int, pairs: int = PAIRS) -> dict[str, Any]:
    """Connect so many users with so many bots each; tell what they take of memory and CPU."""
    return asyncio.run(_accounts(users, bots, symbols, pairs))


async def _accounts(users: int, bots: int, symbols: int, pairs: int) -> dict[str, Any]:
    crowd = Crowd(
        users=users,
        bots=bots,
        symbols=symbols_of(symbols),
        timeframe=Timeframe(60),
        strategies=STRATEGIES,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        more = max(symbols, pairs) if pairs else symbols
        async with bench_venue(folder, market="synthetic", more_pairs=more) as simulation:
            keys = await open_clients(simulation, users)
            alone = await _run(folder, simulation, keys, replace(crowd, users=0))
            fewer = await _run(folder, simulation, keys, replace(crowd, bots=1))
            all_of_them = await _run(folder, simulation, keys, crowd)
    per_user = (all_of_them["resident_mib"] - alone["resident_mib"]) / users
    further = (all_of_them["resident_mib"] - fewer["resident_mib"]) / max(1, users * (bots - 1))
    return {
        "users": users,
        "bots": users * bots,
        "symbols": symbols,
        "private_connections": all_of_them["private_connections"],
        "resident_mib": round(all_of_them["resident_mib"], 1),
        "resident_without_users_mib": round(alone["resident_mib"], 1),
        "mib_per_user": round(per_user, 3),
        "kib_per_further_bot": round(further * 1024, 2) if bots > 1 else None,
        "ready_cpu_s": round(all_of_them["ready_cpu_s"], 2),
        "ready_without_users_cpu_s": round(alone["ready_cpu_s"], 2),
        "ready_wall_s": round(all_of_them["ready_wall_s"], 2),
        "compared_cpu_s": round(all_of_them["cpu_s"], 2),
        "floor_mib_per_user": 0.5,
        "floor_resident_mib": 700,
        "floor_kib_per_further_bot": 32,
        "floor_ready_cpu_s": 10,
    }


def symbols_of(count: int) -> list[Symbol]:
    """Return pairs of the simulated venue: the usual ones, then invented ones."""
    invented = (f"C{number:04}" for number in range(count))
    return [Symbol(base, "USDT") for base in (*USUAL, *invented)][:count]


async def _run(
    folder: Path, simulation: Simulation, keys: list[Credentials], crowd: Crowd
) -> Figures:
    """Serve a crowd until all is quiet: figures of that time, and those of when it was ready."""
    master = new_master()
    database = f"sqlite:///{folder}/{crowd.users}-{crowd.bots}.db"
    await fill_database(database, master, keys, crowd)
    started = time.perf_counter()
    async with served(folder, database, master, simulation) as service:
        ready = await service.until(
            lambda now: now["recovered"] and now["joined"] == now["users"] == crowd.users
        )
        wall = time.perf_counter() - started
        await asyncio.sleep(SETTLED_AFTER if crowd.users else 0)
        settled = await service.until(lambda now: now["is_idle"])
    return {**settled, "ready_cpu_s": ready["cpu_s"], "ready_wall_s": wall}
