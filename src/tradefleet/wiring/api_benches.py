"""Measure the API of a whole service: many signed-in users ask while everybody's bots run.

The service is `tradefleet serve` as anybody starts it, in a process of its own on one core; the
requests come from another. They are due at times of their own, whether or not earlier ones were
answered, and are measured from when they were due.
"""

import asyncio
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import MemoryChanged, OrderPlaced, Record, TradeClosed
from tradefleet.domain.errors import Refused, ensure
from tradefleet.domain.ids import OrderId, UserId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import Order, OrderState, Purpose
from tradefleet.domain.position import Trade
from tradefleet.identity import SESSION_LIFETIME, Session, drawn
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.runtime.real_world import RealClock
from tradefleet.simulation.assets import ASSETS
from tradefleet.simulation.noise import key_of, mix
from tradefleet.store import Batch
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.vault import new_master
from tradefleet.wiring.api_benches_load import Answered, Load, Shot
from tradefleet.wiring.benches import make_users
from tradefleet.wiring.venue_benches_fleet import KEPT, free_port

WARM_SECONDS = 8.0
SETTLED_SECONDS = 30  # until all bots run again after the last request
START_SECONDS = 300.0
STOP_SECONDS = 60.0
TRADES = 10  # closed ones of each user, with their orders
QUOTE = "USDT"
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# Of a hundred requests: so many of each; those with a body change something, once for each key.
MIX: Sequence[tuple[int, str, str, dict[str, str] | None]] = (
    (30, "GET", "/api/v1/status", None),
    (20, "GET", "/api/v1/positions", None),
    (15, "GET", "/api/v1/orders?limit=20", None),
    (10, "GET", "/api/v1/balances", None),
    (8, "GET", "/api/trade/status/", None),
    (6, "GET", "/api/trade/history/?days=30&limit=20", None),
    (6, "GET", "/api/trade/pnl/?period=monthly&months=12", None),
    (3, "PUT", "/api/v1/settings/open_positions_max", {"value": "7"}),
    (1, "POST", "/api/v1/trading/pause", {"reason": "lunch"}),
    (1, "POST", "/api/v1/trading/resume", {}),
)

DRAWN = [(verb, path, body) for share, verb, path, body in MIX for _ in range(share)]


def api(bots: int, per_second: int, seconds: float) -> dict[str, Any]:
    """Ask a service with so many bots, three a user, so often a second, for so many seconds."""
    if sys.platform == "win32":
        return asyncio.run(_api(bots, per_second, seconds))
    import uvloop

    found: dict[str, Any] = uvloop.run(_api(bots, per_second, seconds))
    return found


async def all_run(port: int, bots: int) -> None:
    """Wait until every bot runs: whose user paused just now is being taken again."""
    for _ in range(SETTLED_SECONDS):
        health = await asyncio.to_thread(ask, port, "/health")
        if health["metrics"]["active_bots"]["value"] == bots:
            return
        await asyncio.sleep(1)
    raise Refused("Not every bot was running at the end.")


async def _api(bots: int, per_second: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = f"sqlite:///{folder}/bench.db"
        signing = drawn()
        tokens = await fill(database, signing, bots)
        async with served(folder, database, signing) as (process, port):
            load = Load(lambda number: shot_of(number, tokens, port))
            before, begun = cpu_of(process.pid), time.perf_counter()
            answered = await load.run(port, per_second, WARM_SECONDS, seconds)
            took, used = time.perf_counter() - begun, cpu_of(process.pid) - before
            await all_run(port, bots)
    return {
        "bots": bots,
        "users": len(tokens),
        **judged(answered, seconds),
        "service_core_share": round(used / took, 3),
        "service_cpu_us_per_request": round(used / (took * per_second) * 1e6),
    }


def judged(answered: Sequence[Answered], seconds: float) -> dict[str, Any]:
    """Return the figures of what was answered."""
    refused = [each for each in answered if each.status != 200]
    ensure(not refused, f"{len(refused)} requests were not served, one with {refused[:1]}")
    ensure(bool(answered), "nothing was asked")
    reads = [each.seconds for each in answered if not each.name.startswith(("PUT", "POST"))]
    writes = [each.seconds for each in answered if each.name.startswith(("PUT", "POST"))]
    every = [*reads, *writes]
    return {
        "requests_per_s": round(len(answered) / seconds),
        "p50_ms": at_share(every, 0.5),
        "p95_ms": at_share(every, 0.95),
        "p99_ms": at_share(every, 0.99),
        "max_ms": at_share(every, 1),
        "reading_p99_ms": at_share(reads, 0.99),
        "writing_p99_ms": at_share(writes, 0.99),
        "generator_late_p99_ms": at_share([each.late for each in answered], 0.99),
        "floor_p95_ms": 10,
        "floor_p99_ms": 25,
    }


def at_share(samples: Sequence[float], share: float) -> float:
    """Return, in milliseconds, the time within which this share of the samples was."""
    if not samples:
        return 0.0
    return round(sorted(samples)[max(0, int(len(samples) * share) - 1)] * 1000, 2)


# ------------------------------------------------------------------ what is asked


def shot_of(number: int, tokens: Sequence[str], port: int) -> Shot:
    """Return the number-th request: of one of the users, by the shares of the mix."""
    drawn = mix(key_of(1, "shots") + number)
    place, token = drawn % 100, tokens[(drawn >> 8) % len(tokens)]
    verb, path, body = DRAWN[place]
    lines = [f"{verb} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}"]
    content = b"" if body is None else orjson.dumps(body)
    if body is not None:
        lines += [f"Idempotency-Key: bench-{number}", "Content-Type: application/json"]
        lines.append(f"Content-Length: {len(content)}")
    return Shot(f"{verb} {path}", "\r\n".join([*lines, "", ""]).encode() + content)


# ---------------------------------------------------------------- who asks, and the service


async def fill(url: str, signing: Secret, bots: int) -> list[str]:
    """Write a database of users with running bots, past trades and a session each.

    Return an access token of everybody.
    """
    store, clock = await open_store(url), RealClock()
    try:
        symbols = [Symbol(n, QUOTE) for n, asset in ASSETS.items() if n != QUOTE][:50]
        await make_users(store, bots, symbols, tier="enterprise")
        keys, sessions = AccessTokens([signing]), await furnish(store, clock)
        return [keys.sign(session, clock.now()).reveal() for session in sessions]
    finally:
        await store.close()


async def furnish(store: SqlStore, clock: Clock) -> list[Session]:
    """Let everybody be signed in, and have traded before."""
    now, found = clock.now(), []
    leases = await store.take_leases("bench", now=now, ttl=3600, limit=1_000_000)
    for lease in leases:
        session = session_of(lease.user_id, now)
        found.append(session)
        async with store.open(lease.user_id) as own:
            await own.identity.save_session(session)
            bot, memories = (await own.bots())[0], await own.memories()
        memory = MemoryChanged(replace(memories[bot.id], seq=TRADES))
        batch = Batch(user_id=lease.user_id, epoch=lease.epoch, records=(*past(bot, clock), memory))
        (fault,) = await store.write([batch])
        ensure(fault is None, "a past trade was refused")
    await store.release_leases("bench")
    return found


def session_of(user_id: UserId, now: datetime) -> Session:
    return Session(
        id=f"session-{user_id}",
        user_id=user_id,
        how="password",
        address="127.0.0.1",
        created_at=now,
        seen_at=now,
        expires_at=now + SESSION_LIFETIME,
    )


def past(bot: BotSpec, clock: Clock) -> list[Record]:
    """Return some closed trades of a bot's, and the orders that opened them."""
    found: list[Record] = []
    for number in range(1, TRADES + 1):
        at = clock.now() - timedelta(days=TRADES + 1 - number)
        found.append(
            OrderPlaced(
                Order(
                    id=OrderId(f"past-{bot.id}-{number}"),
                    user_id=bot.user_id,
                    account_id=bot.account_id,
                    bot_id=bot.id,
                    seq=number,
                    symbol=bot.symbol,
                    side=Side.BUY,
                    quantity=Decimal("0.5"),
                    purpose=Purpose.ENTRY,
                    decided_at=at,
                    reason="entry",
                    state=OrderState.DONE,
                    filled=Decimal("0.5"),
                )
            )
        )
        found.append(
            TradeClosed(
                Trade(
                    id=f"past-{bot.id}-{number}",
                    user_id=bot.user_id,
                    account_id=bot.account_id,
                    bot_id=bot.id,
                    symbol=bot.symbol,
                    opened_at=at,
                    closed_at=at + timedelta(hours=1),
                    quantity=Decimal("0.5"),
                    entry_price=Decimal(100),
                    exit_price=Decimal(100 + number % 3),
                    gross_pnl=Decimal(number % 3) / 2,
                    fees=Decimal("0.1"),
                    exit_reason="target_1",
                )
            )
        )
    return found


@asynccontextmanager
async def served(
    folder: Path, database: str, signing: Secret
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run the service on one core, and what asks it on the others, until all bots are taken."""
    port = free_port()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with Cores() as cores:
        cores.first_alone()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tradefleet", "serve"),
            stdout=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={
                **kept,
                "DATA_DIR": str(folder),
                "DATABASE_URL": database,
                "ENCRYPTION_KEY": new_master().reveal(),
                "HTTP_PORT": str(port),
                "JWT_SECRET": signing.reveal(),
                "LOG_LEVEL": "WARNING",
                "LOG_FILE": "",
            },
        )
        cores.all_others()
        try:
            await ready(process, port)
            yield process, port
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), STOP_SECONDS)
                except TimeoutError:
                    process.kill()
                    await process.wait()


class Cores:
    """Which cores this process runs on; what it starts inherits them. Linux alone knows them."""

    def __enter__(self) -> "Cores":
        self.mine: set[int] = set()
        if sys.platform == "linux":
            self.mine = os.sched_getaffinity(0)
        return self

    def first_alone(self) -> None:
        self._keep_to({min(self.mine, default=0)})

    def all_others(self) -> None:
        self._keep_to(self.mine - {min(self.mine, default=0)})

    def _keep_to(self, cores: set[int]) -> None:
        if sys.platform == "linux" and len(self.mine) > 1:
            os.sched_setaffinity(0, cores)

    def __exit__(self, *error: object) -> None:
        self._keep_to(self.mine)


async def ready(process: asyncio.subprocess.Process, port: int) -> None:
    """Wait until every bot is taken."""
    for _ in range(int(START_SECONDS / 0.25)):
        if process.returncode is not None:
            break
        try:
            await asyncio.to_thread(ask, port, "/readyz")
            return
        except (urllib.error.URLError, OSError):
            await asyncio.sleep(0.25)
    raise Refused("The service that is measured did not get ready; its log says why.")


def ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return orjson.loads(answer.read())


def cpu_of(pid: int) -> float:
    """Return the seconds a process has had of any core; 0 where that is not told."""
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return 0.0
    after = file.read_text().rpartition(")")[2].split()
    return (int(after[11]) + int(after[12])) / TICKS
