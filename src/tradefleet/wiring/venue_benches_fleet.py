"""What benchmarks of real venues stand on: a simulated venue, users with keys, a service apart."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.ledger import EXTERNAL, LedgerEntry, place_of
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.user import Account, AccountKey, Mode, User
from tradefleet.engine.key_guard import CHECK_EVERY
from tradefleet.engine.pace import Allowance
from tradefleet.keyring import user_key
from tradefleet.runtime.real_world import RealClock
from tradefleet.runtime.venue_limits import VENUE_LIMITS, VenueLimits
from tradefleet.store import SealedKey
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.vault import Place, Vault
from tradefleet.wiring.simulated import Simulation, simulated

VENUE = "binance"
MODE = Mode.TESTNET
MONEY_THERE = {"USDT": "1000000", "BTC": "10"}
ALLOCATION = Decimal(1000)
AT_ONCE = 16  # questions to the admin port
PATIENCE = 600.0  # seconds for a service to come to where it is wanted
LOOK_SECONDS = 0.1
STOP_SECONDS = 60.0

ENOUGH = Allowance.windowed(1e12, 60)
# Our own governor's, which would keep to what an address may ask for in a minute.
NO_LIMITS = {
    name: VenueLimits(
        address=(ENOUGH,),
        keyed=dict.fromkeys(limits.keyed, (ENOUGH,)),
        closing=limits.closing,
        read=limits.read,
    )
    for name, limits in VENUE_LIMITS.items()
}

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """So many users, each with one account and so many bots, spread over symbols."""

    users: int
    bots: int
    symbols: Sequence[Symbol]
    timeframe: Timeframe
    strategies: Sequence[str]


# ------------------------------------------------------------------ the venue's side


@asynccontextmanager
async def bench_venue(
    folder: Path, *, market: str, more_pairs: int = 0, tls: bool = False
) -> AsyncIterator[Simulation]:
    """Run a simulated Binance that counts no rates; its journal and certificate go to folder."""
    words = ["--venue", VENUE, "--market", market, "--no-limits", "--more-pairs", str(more_pairs)]
    words += ["--journal", str(journal_in(folder))]
    if tls:
        words += ["--tls", str(certificate_in(folder))]
    async with simulated(*words) as simulation:
        yield simulation


def certificate_in(folder: Path) -> Path:
    return folder / "venue.pem"


def journal_in(folder: Path) -> Path:
    return folder / "venue.jsonl"


async def open_clients(simulation: Simulation, count: int) -> list[Credentials]:
    """Give so many clients money there, and return a key of each."""
    room = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession() as http:

        async def opened(number: int) -> Credentials:
            async with room:
                made = await tell(
                    http, simulation, "clients", name=f"u{number:06}", balances=MONEY_THERE
                )
            return Credentials(api_key=Secret(made["api_key"]), api_secret=Secret(made["secret"]))

        return await asyncio.gather(*(opened(number) for number in range(count)))


async def tell(
    http: aiohttp.ClientSession, simulation: Simulation, what: str, **fields: object
) -> Figures:
    """Tell the venue's admin port something and return its answer."""
    async with http.post(f"{simulation.admin}/{what}", json=fields) as answer:
        found: Figures = await answer.json()
        if answer.status != 200:
            raise Refused(f"The simulated venue does not do it: {found.get('error')}")
        return found


# ------------------------------------------------------------------------- the disk

SYNCS = 200
SYNC_BYTES = 4096


def disk_of(folder: Path) -> Figures:
    """Return what the disk under a folder takes for the smallest thing to be written down."""
    waits = []
    with (folder / "disk").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(bytes(SYNC_BYTES))
            os.fsync(file.fileno())
            waits.append((time.perf_counter() - started) * 1000)
    waits.sort()
    return {
        "disk_p50_ms": round(waits[SYNCS // 2], 2),
        "disk_p99_ms": round(waits[int(SYNCS * 0.99)], 2),
    }


# ----------------------------------------------------------------------- our side


async def fill_database(
    url: str, master: Secret, keys: Sequence[Credentials], crowd: Crowd
) -> None:
    """Write a database as it is after so many users have connected an account and added bots."""
    store, clock = await open_store(url), RealClock()
    try:
        vault = Vault([master], await store.secret("key_fingerprints"))
        for number in range(crowd.users):
            await add_user(store, vault, clock, crowd, number, keys[number])
    finally:
        await store.close()


async def add_user(
    store: SqlStore, vault: Vault, clock: Clock, crowd: Crowd, number: int, key: Credentials
) -> None:
    at, user_id = clock.now(), UserId(f"u{number:06}")
    account = Account(
        id=AccountId(f"{user_id}:{VENUE}"),
        user_id=user_id,
        venue=VENUE,
        mode=MODE,
        created_at=at,
        key=AccountKey(masked=key.api_key.masked(), connected_at=at, checked_at=at, can_trade=True),
    )
    async with store.open(user_id) as user:
        # Limits that say nothing, as the host has no tiers: nothing keeps an order back.
        await user.save_user(User(id=user_id, username=user_id, created_at=at, tier="bench"))
        await user.save_limits(RiskLimits())
        await user.save_account(account)
        wrapped = await user_key(user, vault)
        await user.save_sealed_key(
            SealedKey(
                account_id=account.id,
                sealed=vault.seal(wrapped, Place.of(account), key),
                fingerprint=vault.fingerprint(key.api_key),
                sealed_at=at,
                check_at=at + CHECK_EVERY,
            )
        )
        for each in range(number * crowd.bots, (number + 1) * crowd.bots):
            spec = BotSpec(
                id=BotId(f"b{each:06}"),
                user_id=user_id,
                account_id=account.id,
                venue=VENUE,
                symbol=crowd.symbols[each % len(crowd.symbols)],
                timeframe=crowd.timeframe,
                strategy=crowd.strategies[each // len(crowd.symbols) % len(crowd.strategies)],
                allocation=ALLOCATION,
                status=BotStatus.RUNNING,
            )
            await user.add_bot(spec)
            await user.book(
                LedgerEntry.of_transfer(
                    id=f"allocation:{spec.id}",
                    user_id=user_id,
                    account_id=account.id,
                    kind="allocation",
                    at=at,
                    asset="USDT",
                    amount=spec.allocation,
                    source=EXTERNAL,
                    target=place_of(spec.id),
                )
            )


@dataclass(slots=True)
class Served:
    """A service in a process of its own: it tells its figures when it is asked."""

    process: asyncio.subprocess.Process

    async def figures(self) -> Figures:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(b"figures\n")
            line = await self.process.stdout.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise Refused("The service that is measured has stopped; its log says why.")
        found: Figures = json.loads(line)
        return found

    async def until(self, is_there: Callable[[Figures], bool]) -> Figures:
        """Return the first figures that are as wanted; Refused when that takes too long."""
        found: Figures = {}
        for _ in range(int(PATIENCE / LOOK_SECONDS)):
            found = await self.figures()
            if is_there(found):
                return found
            await asyncio.sleep(LOOK_SECONDS)
        raise Refused(f"The service did not come so far in {PATIENCE:.0f} s: {found}.")


@asynccontextmanager
async def served(
    folder: Path, database: str, master: Secret, simulation: Simulation
) -> AsyncIterator[Served]:
    """Run the whole service over a database, with the simulated venue as its Binance."""
    process = await asyncio.create_subprocess_exec(
        *SERVICE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=folder,  # so that it reads no .env of ours
        env=variables(folder, database, master, simulation),
    )
    try:
        yield Served(process)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


SERVICE = (sys.executable, "-m", "tradefleet.wiring.venue_benches_node")
# What of our own surroundings a service needs, too; none of it is a setting.
KEPT = ("HOME", "LANG", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")


def variables(
    folder: Path, database: str, master: Secret, simulation: Simulation
) -> dict[str, str]:
    """Return the service's settings; the certificate made for the run is the only one trusted."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        **simulation.variables(),
        "DATA_DIR": str(folder),
        "DATABASE_URL": database,
        "ENCRYPTION_KEY": master.reveal(),
        "HTTP_PORT": str(free_port()),
        "LOG_LEVEL": "WARNING",
        "LOG_FILE": "",
        "SSL_CERT_FILE": str(certificate_in(folder)),
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
