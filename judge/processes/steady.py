"""A steady run: one whole service with thousands of bots, watched for long among faults.

python -m judge.processes.steady --minutes 30 --bots 10000

The service is `tradefleet serve` as anybody starts it, with its strategies, its HTTP and its log
files. Most bots trade on paper; some hundreds at simulated venues, behind the network of L2 and
with the faults of L2, but for pages that shut a venue. It is never killed, for what is watched is
what grows: memory, errors, how long /health takes, log files. In the end it is stopped, and the
judge looks at what was traded.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from judge import report
from judge.processes.fleet import Fallen, addresses
from judge.processes.founding import ask, hear, pay_in
from judge.processes.proxy import Plan, Proxy
from judge.processes.running import CALM_FOR, LOOK, TIERS, Ran, Run, Sims, Size, keep, tail, venues
from judge.processes.venues import SYMBOLS
from judge.processes.watching import SqliteWatch, leases, unsettled
from judge.verdict import judge
from tradefleet.domain.ids import UserId
from tradefleet.domain.market import Symbol
from tradefleet.identity import drawn
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.runtime.real_world import RealClock
from tradefleet.simulation.assets import ASSETS
from tradefleet.stores.sql import open_store
from tradefleet.wiring.api_benches import session_of
from tradefleet.wiring.benches import make_users
from tradefleet.wiring.demo import TO_CONFIRM
from tradefleet.wiring.ground import open_ground
from tradefleet.wiring.venue_benches_fleet import free_port

HOST = "host-001"
SYMBOLS_OF_PAPER = 50
STRATEGY = "strategy=ema_cross timeframe=1m fast=2 slow=3 warmup=10"  # in and out every few minutes
ALLOCATION = 1000
# Half of these pages have status 403, which shuts a venue for five to ten minutes: the run would be
# one of shut doors. In L2, which counts no rates, they come.
SHUTTING = frozenset({"html"})
READY_SECONDS = 300.0
STOP_SECONDS = 60.0
SETTLE_SECONDS = 180.0
ASKED_EVERY = 0.1  # seconds between two requests of signed-in users
HEALTH_EVERY = 1.0
MEMORY_EVERY = 5.0
ASKING = 50  # users who ask
PATHS = ("/api/v1/status", "/api/v1/positions", "/api/v1/orders?limit=20", "/api/v1/balances")
WARM_SHARE = 1 / 3  # of the run, until memory is compared
FLAT, ERRORS, HEALTH_P95_MS, STOP_MOST = 0.02, 0.001, 100.0, 10.0


@dataclass(slots=True, kw_only=True)
class Watched:
    """What was measured from outside while the service ran."""

    memory: list[int] = field(default_factory=list)  # bytes
    health_ms: list[float] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)  # overall_status
    troubles: Counter[str] = field(default_factory=Counter)  # metrics that were not healthy
    asked: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        first = int(len(self.memory) * WARM_SHARE)
        settled = self.memory[first:]
        middle = len(settled) // 2
        before, after = statistics.median(settled[:middle]), statistics.median(settled[middle:])
        ordered = sorted(self.health_ms)
        return {
            "memory MiB, middle third and last": [
                round(each / 2**20, 1) for each in (before, after)
            ],
            "memory grew by": round(after / before - 1, 4),
            "memory MiB over time": [
                round(each / 2**20, 1) for each in self.memory[:: max(1, len(self.memory) // 30)]
            ],
            "requests": self.asked,
            "failed": dict(self.failed),
            "error rate": round(sum(self.failed.values()) / max(1, self.asked), 6),
            "health ms p50, p95, max": [
                round(ordered[int((len(ordered) - 1) * share)], 1) for share in (0.5, 0.95, 1.0)
            ],
            "health said": dict(self.said),
            "not healthy": dict(self.troubles),
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Steady(Run):
    """The stages of a steady run, in order."""

    bots: int
    port: int = field(default_factory=free_port)
    watched: Watched = field(default_factory=Watched)
    tokens: list[str] = field(default_factory=list)

    async def through(self, stack: AsyncExitStack) -> Ran:
        sims = await stack.enter_async_context(venues(self.folder, self.seed, self.size.accounts))
        signing = drawn()
        variables = {
            **self._variables(sims),
            "JWT_SECRET": signing.reveal(),
            "HTTP_PORT": str(self.port),
            "LOG_DIR": str(self.folder / "logs"),
            "LOG_FILE": "bot.log",
            "LEASE_TTL": "30",  # as it comes
            "LOG_MAX_MB": "1",  # so that half an hour has files to rotate
            "BACKUP_DIR": str(self.folder / "backups"),
            "MAX_BOTS_PER_SERVER": str(2 * self.bots),
            "MAX_CONCURRENT_USERS": str(self.bots),
        }
        os.environ.update(variables)
        await self._fill(AccessTokens([signing]))
        await self._join(sims)
        asked = await stack.enter_async_context(SqliteWatch(self.folder / "judged.db"))
        owned = await self._owned(asked, sims)
        plan = Plan(self.seed, delay_max=self.size.delay_max)
        proxy = await stack.enter_async_context(Proxy(plan, self._struck))
        for venue, port in sims.ports.items():
            door = await proxy.open(HOST, venue, port)
            variables |= addresses(venue, door.port)
        async with self._served(variables) as process:
            self.say(f"ready after {await self._ready(process):.1f} s")
            await self._note_leases(asked)
            await self._plan_faults(sims, without=SHUTTING)
            self.say(f"{self.seconds:.0f} s of faults begin")
            await self._watch(process, proxy, sims)
            await self._come_to_rest(asked)
            began = time.perf_counter()
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
            self.figures["stopped after s"] = round(time.perf_counter() - began, 2)
            self.figures["exit code"] = process.returncode
        await self._note_leases(asked)
        self.diary.note("ended")
        self.figures |= self.watched.figures()
        self.figures["bots"] = self.bots
        self.figures["log files"] = sorted(each.name for each in (self.folder / "logs").iterdir())
        self.figures["requests carried"] = proxy.carried
        self.figures["troubles of the network"] = {str(k): n for k, n in proxy.struck.items()}
        await sims.stop()
        return await self._evidence(sims, owned)

    # ------------------------------------------------------------ before it runs

    async def _fill(self, keys: AccessTokens) -> None:
        """Write the users who trade on paper; the first of them are signed in."""
        store, clock = await open_store(self.url), RealClock()
        try:
            symbols = [Symbol(name, "USDT") for name in ASSETS if name != "USDT"]
            at_venues = len(SYMBOLS) * 3 * self.size.accounts
            await make_users(store, self.bots - at_venues, symbols[:SYMBOLS_OF_PAPER], "enterprise")
            for user_id in list(await store.user_ids())[:ASKING]:
                session = session_of(user_id, clock.now())
                async with store.open(user_id) as own:
                    await own.identity.save_session(session)
                self.tokens.append(keys.sign(session, clock.now()).reveal())
        finally:
            await store.close()

    async def _join(self, sims: Sims) -> None:
        """Let the users of the venues connect, and start bots of the service's own strategies."""
        async with open_ground(None) as ground:
            door = ground.door()
            for client in sims.clients:
                user = UserId(client.user)
                await ask(door, user, "/start")
                keys = f"{client.api_key} {client.secret}"
                question = await ask(door, user, f"/connect {client.venue} {keys} testnet=false")
                confirm = TO_CONFIRM.search(question)
                if confirm is None:
                    raise Fallen(question)
                await ask(door, user, confirm[0])
                await pay_in(ground, user, client)
                for symbol in SYMBOLS:
                    words = f"/addpair {symbol} {ALLOCATION} {client.venue} {STRATEGY}"
                    await ask(door, user, words)
                await ask(door, user, "/start_trading")
            await hear(ground)

    # ------------------------------------------------------------ while it runs

    @asynccontextmanager
    async def _served(
        self, variables: Mapping[str, str]
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        with (self.folder / "logs" / f"{HOST}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tradefleet", "serve"),
                cwd=self.folder,
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()

    async def _ready(self, process: asyncio.subprocess.Process) -> float:
        began = time.perf_counter()
        async with aiohttp.ClientSession() as http:
            while time.perf_counter() - began < READY_SECONDS:
                if process.returncode is not None:
                    break
                try:
                    async with http.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return time.perf_counter() - began
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(LOOK)
        raise Fallen(f"the service did not get ready: {tail(self.folder / 'logs' / f'{HOST}.log')}")

    async def _note_leases(self, asked: SqliteWatch) -> None:
        for user, (_, epoch) in (await leases(asked)).items():
            self.diary.note("lease", user_id=user, host=HOST, epoch=epoch)

    async def _watch(self, process: asyncio.subprocess.Process, proxy: Proxy, sims: Sims) -> None:
        """Measure from outside for as long as the run is; then the faults end."""
        jobs = (self._ask_health, self._ask, self._weigh)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as http:
            try:
                async with asyncio.timeout(self.seconds), asyncio.TaskGroup() as tasks:
                    for job in jobs:
                        tasks.create_task(job(http, process))
            except TimeoutError:
                pass
        for venue in sims.ports:
            await sims.tell("DELETE", "/faults", venue=venue)
        proxy.calm()
        self.diary.note("quiet")

    async def _ask_health(
        self, http: aiohttp.ClientSession, process: asyncio.subprocess.Process
    ) -> None:
        while True:
            began = time.perf_counter()
            report = await self._get(http, "/health", {}, ok=(200, 503))
            self.watched.health_ms.append((time.perf_counter() - began) * 1000)
            self.watched.said[str(report.get("overall_status", "no answer"))] += 1
            metrics = report.get("metrics", {})
            self.watched.troubles.update(
                f"{name} {metric['status']}"
                for name, metric in metrics.items()
                if metric["status"] != "healthy"
            )
            await asyncio.sleep(HEALTH_EVERY)

    async def _ask(self, http: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> None:
        number = 0
        while True:
            token = self.tokens[number % len(self.tokens)]
            headers = {"Authorization": f"Bearer {token}"}
            await self._get(http, PATHS[number % len(PATHS)], headers, ok=(200,))
            number += 1
            await asyncio.sleep(ASKED_EVERY)

    async def _get(
        self,
        http: aiohttp.ClientSession,
        path: str,
        headers: Mapping[str, str],
        ok: Sequence[int],
    ) -> dict[str, Any]:
        self.watched.asked += 1
        try:
            async with http.get(path, headers=headers) as answer:
                if answer.status not in ok:
                    self.watched.failed[f"{path} {answer.status}"] += 1
                found: dict[str, Any] = await answer.json()
                return found
        except aiohttp.ClientError as error:
            self.watched.failed[f"{path} {type(error).__name__}"] += 1
            return {}

    async def _weigh(
        self, http: aiohttp.ClientSession, process: asyncio.subprocess.Process
    ) -> None:
        while process.returncode is None:
            self.watched.memory.append(memory_of(process.pid))
            await asyncio.sleep(MEMORY_EVERY)
        raise Fallen(f"the service ended by itself, with code {process.returncode}")

    async def _come_to_rest(self, asked: SqliteWatch) -> None:
        """Wait until no order is on its way or unknown."""
        began = since = time.perf_counter()
        while time.perf_counter() - began < SETTLE_SECONDS:
            await asyncio.sleep(LOOK)
            found = await unsettled(asked)
            left = {name: n for name, n in found.items() if n and name not in AT_REST}
            left |= {f"open {kind}": n for kind, n in await asked.rows(OPEN) if n}
            if left:
                since = time.perf_counter()
            self.figures["left unsettled"] = left
            if time.perf_counter() - since > CALM_FOR:
                break
        self.figures["settled after s"] = round(time.perf_counter() - began, 1)


def memory_of(pid: int) -> int:
    """Return what a process has in memory, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


AT_REST = frozenset({"orders", "positions", "open", "created"})
# An order that is open at a venue is at rest only if it is a stop that waits there.
OPEN = (
    "SELECT kind, count(*) FROM orders"
    " WHERE state = 'open' AND kind != 'resting_stop' GROUP BY kind ORDER BY kind"
)


def wrong(figures: Mapping[str, Any]) -> list[str]:
    """Say which of the figures is not as it should be."""
    found = []
    if abs(figures["memory grew by"]) > FLAT:
        found.append(f"memory grew by {figures['memory grew by']:.1%}")
    if figures["error rate"] >= ERRORS:
        found.append(f"{figures['error rate']:.2%} of the requests failed")
    if figures["health ms p50, p95, max"][1] >= HEALTH_P95_MS:
        found.append("/health is slow")
    if figures["exit code"]:
        found.append(f"it ended with code {figures['exit code']}")
    if figures["stopped after s"] > STOP_MOST:
        found.append(f"it took {figures['stopped after s']} s to stop")
    if not any(name.startswith("bot-") for name in figures["log files"]):
        found.append("no log file was rotated")
    if figures["balances that differ"]:
        found.append(f"{figures['balances that differ']} balances differ from the venue's")
    if figures["left unsettled"]:
        found.append(f"it did not come to rest: {figures['left unsettled']}")
    return found


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m judge.processes.steady")
    words.add_argument("--minutes", type=float, default=30.0)
    words.add_argument("--bots", type=int, default=10_000)
    words.add_argument("--accounts", type=int, default=33, help="at each venue, of four bots each")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--json", type=Path, help="where the figures go")
    words.add_argument("--keep", type=Path, help="where logs, journals and database go")
    said = words.parse_args()
    size = Size(accounts=said.accounts, keep=said.keep)
    return uvloop.run(steady(said.minutes * 60, said.bots, said.seed, size, said.json))


async def steady(seconds: float, bots: int, seed: int, size: Size, file: Path | None) -> int:
    """Run, print what came of it, and return 0 when nothing is wrong."""
    with tempfile.TemporaryDirectory(prefix="judge-") as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        (folder / "tiers.toml").write_text(TIERS)
        run = Steady(
            seconds=seconds,
            seed=seed,
            size=size,
            folder=folder,
            data=folder,
            url=f"sqlite:///{folder}/judged.db",
            say=say,
            bots=bots,
        )
        try:
            async with AsyncExitStack() as stack:
                ran = await run.through(stack)
        finally:
            if size.keep is not None:
                keep(folder, size.keep)
    verdict = judge(ran.evidence)
    say(report.told(verdict))
    for text, value in ran.figures.items():
        say(f"{text}: {value}")
    missed = wrong(ran.figures)
    for text in missed:
        say(f"WRONG: {text}")
    if file is not None:
        write(file, {**orjson.loads(report.as_json(verdict, seed=seed)), "figures": ran.figures})
    return int(bool(missed) or not verdict.is_clean)


def write(file: Path, told: Mapping[str, Any]) -> None:
    file.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
