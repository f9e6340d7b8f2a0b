"""One L2 run: venues, proxy and hosts put together, chaos, settling, and what it left behind."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import uvloop
from cryptography.fernet import Fernet

from judge.databases import SEES_ALL, from_sqlite, read_postgres
from judge.evidence import Contract, Database, Evidence, Happened, Owned, Posting
from judge.journals import balances as balances_at
from judge.journals import load, read_journal
from judge.processes.canaries import Canary, files_of, leaks
from judge.processes.chaos import Chaos, Diary
from judge.processes.fleet import Fallen, Fleet, addresses
from judge.processes.founding import UNITS, Client
from judge.processes.host import Part
from judge.processes.postgres import DATABASE, another, postgres
from judge.processes.proxy import DELAY_MAX, Door, Plan, Proxy, Struck
from judge.processes.watching import (
    ACCOUNTS,
    BOTS,
    Asked,
    PostgresWatch,
    SqliteWatch,
    unsettled,
)

VENUES = ("binance", "bybit", "kraken")
OUTSIDE = frozenset({"market", "fees", "external"})  # places of the ledger that are not in accounts
COST_MAX = 300 * UNITS  # an entry costs 200: room for slippage, and far from two
LEASE_TTL = 5  # seconds, the shortest the service allows; 30 as it comes
STOP_SECONDS = 40.0
LOOK = 0.25
CALM_FOR = 3.0  # seconds without any change until a run counts as settled
# What a bot that was set aside leaves: a position, and the stop that guards it at the venue.
GUARDED, GUARDED_FOR = frozenset({"open", "positions"}), 20.0
TIERS = """[free]
entries_per_day = 1000000
open_positions = 1000
api_calls_per_minute = 1000000
bots = 1000
"""

# What the venues themselves do, beside the proxy: action → kind → probability.
AT_VENUES: Mapping[str, Mapping[str, float]] = {
    "create": {"html": 0.006, "status": 0.015, "json truncated": 0.008, "id missing": 0.006,
               "lookup lag": 0.002, "maintenance": 0.0005},
    "cancel": {"html": 0.005, "status": 0.010, "json truncated": 0.005},
    "order": {"html": 0.002, "status": 0.004, "json truncated": 0.004},
    "orders": {"html": 0.002, "status": 0.004, "json truncated": 0.004},
    "trades": {"html": 0.002, "status": 0.004, "json truncated": 0.004},
    "message": {"message dropped": 0.010, "message duplicated": 0.010, "messages swapped": 0.010,
                "stream cut": 0.0003},
}  # fmt: skip
ASIDE = re.compile(r"is set aside: (.*)")
HEX = re.compile(r"[0-9a-f]{32}")
STATES = frozenset({"lookup lag", "maintenance"})

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a run is.

    keep: where its logs and journals are put in the end. grace_s and sweep_s: shorter than the
    service's own, for a test; then venues show at once what they have.
    """

    accounts: int = 12  # at each venue, each of a user of its own
    symbols: int = 4
    period: int = 4  # beats of a quarter of a second between two signals of a bot
    grace_s: float = 0.0
    sweep_s: float = 0.0
    delay_max: float = DELAY_MAX
    settle_max: float = 120.0
    keep: Path | None = None


@dataclass(slots=True, kw_only=True)
class Ran:
    """What a run left: the evidence, and figures that are not in it."""

    evidence: Evidence
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Sims:
    """The process of simulated venues, and what it said when it was ready."""

    process: asyncio.subprocess.Process
    ports: dict[str, int] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    admin: str = ""

    async def tell(self, method: str, path: str, **fields: object) -> Any:
        """Tell the admin port something, and return its answer."""
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{self.admin}{path}", json=fields) as answer,
        ):
            found = await answer.json()
            if answer.status != 200:
                raise Fallen(f"the venues do not do it: {found}")
            return found

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), 10)


@asynccontextmanager
async def venues(folder: Path, seed: int, accounts: int) -> AsyncIterator[Sims]:
    """Run the simulated venues; their journals lie in the folder."""
    words = ("--folder", str(folder), "--seed", str(seed), "--accounts", str(accounts))
    with (folder / "venues.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "judge.processes.venues",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        async with asyncio.timeout(30):
            ready = await _ready(process)
        yield ready
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> Sims:
    found = Sims(process=process)
    assert process.stdout is not None
    while line := await process.stdout.readline():
        said: dict[str, Any] = orjson.loads(line)
        match said.pop("ready"):
            case "venue":
                found.ports[said["venue"]] = int(said["url"].rpartition(":")[2])
            case "client":
                money = {asset: int(amount) for asset, amount in said.pop("balances").items()}
                found.clients.append(Client(**said, balances=money))
            case "admin":
                found.admin = said["url"]
            case "all":
                return found
            case _:
                pass  # told to others
    raise Fallen("the simulated venues stopped before they were ready")


# ------------------------------------------------------------------------ one run


async def judged(
    seconds: float, seed: int, database: str, size: Size | None = None, say: Say = silent
) -> Ran:
    """Let hosts trade among faults for so many seconds; return what is left. Fallen: they cannot.

    database: sqlite or postgres.
    """
    size = size or Size()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="judge-")))
        (folder / "logs").mkdir()
        (folder / "tiers.toml").write_text(TIERS)
        url, data = f"sqlite:///{folder}/judged.db", folder
        if database == "postgres":
            server, data = stack.enter_context(postgres())
            url = await made_database(server)
        if size.keep is not None:
            stack.callback(keep, folder, size.keep)
        run = Run(seconds=seconds, seed=seed, size=size, folder=folder, data=data, url=url, say=say)
        return await run.through(stack)


def keep(folder: Path, where: Path) -> None:
    """Copy what a run wrote, to be looked at."""
    where.mkdir(parents=True, exist_ok=True)
    for path in [
        *folder.glob("logs/*.log"),
        *folder.glob("*.log"),
        *folder.glob("journal-*"),
        *folder.glob("*.db*"),
    ]:
        shutil.copy(path, where)


async def made_database(server: str) -> str:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    return another(server, DATABASE)


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """The stages of a run, in order."""

    seconds: float
    seed: int
    size: Size
    folder: Path
    data: Path
    url: str
    say: Say
    diary: Diary = field(default_factory=Diary)
    accounts: dict[str, str] = field(default_factory=dict)  # by API key: the account's id
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    async def through(self, stack: AsyncExitStack) -> Ran:
        sims = await stack.enter_async_context(venues(self.folder, self.seed, self.size.accounts))
        fleet = await stack.enter_async_context(Fleet(self.folder / "logs"))
        variables = self._variables(sims)
        await self._found(fleet, sims, variables)
        asked: SqliteWatch | PostgresWatch = (
            SqliteWatch(self.folder / "judged.db") if self.is_sqlite else PostgresWatch(self.url)
        )
        await stack.enter_async_context(asked)
        owned = await self._owned(asked, sims)
        plan = Plan(self.seed, delay_max=self.size.delay_max)
        proxy = await stack.enter_async_context(Proxy(plan, self._struck))
        part = Part(users_max=1000, grace_s=self.size.grace_s, sweep_s=self.size.sweep_s)
        chaos = Chaos(
            fleet=fleet, proxy=proxy, asked=asked, diary=self.diary, ports=sims.ports,
            variables=variables, part=part, seed=self.seed,
        )  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(chaos.keep_looking())
            await chaos.looked()
            await self._chaos(chaos, sims)
            await self._settle(chaos)
            looking.cancel()
        self._count(chaos)
        self.figures["cpu s"] = {
            "hosts": round(sum(each.cpu for each in fleet.processes.values()), 1),
            "venues": round(cpu_of(sims.process.pid), 1),
            "proxy": round(sum(os.times()[:2]), 1),
        }
        self.figures["load of the machine"] = [round(each, 1) for each in os.getloadavg()]
        await sims.stop()
        return await self._evidence(sims, owned)

    def _variables(self, sims: Sims) -> dict[str, str]:
        """Return the settings of every host; where venues are is told to each."""
        found = {
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder),
            "ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "LEASE_TTL": str(LEASE_TTL),
            "LOG_LEVEL": "INFO",
            "LOG_FILE": "",
            "MAX_CONCURRENT_USERS": "1000",
            "MOCK_TRADING": "false",
            "TIERS_FILE": str(self.folder / "tiers.toml"),
            "TRADING_ENABLED": "true",
            "VENUES": ",".join(VENUES),
        }
        for venue, port in sims.ports.items():
            found |= addresses(venue, port)
        return found

    async def _found(self, fleet: Fleet, sims: Sims, variables: Mapping[str, str]) -> None:
        """Let users connect accounts and add bots, before anything goes wrong."""
        process = await fleet.fork(
            "founding",
            {
                "do": "found",
                "variables": variables,
                "clients": [asdict(each) for each in sims.clients],
                "symbols": self.size.symbols,
                "period": self.size.period,
            },
        )
        async with asyncio.timeout(120):
            await process.ended.wait()
        if process.code != 0:
            raise Fallen(f"nobody could be founded: {process.log.read_text()[-2000:]}")

    async def _owned(self, asked: Asked, sims: Sims) -> list[Owned]:
        """Return whose accounts there are, and what each bot may hold."""
        bots = await asked.rows(BOTS)
        by_user = {client.user: client for client in sims.clients}
        owned = []
        for account_id, user_id, venue in await asked.rows(ACCOUNTS):
            if venue not in VENUES:
                continue
            client = by_user[user_id]
            self.accounts[client.api_key] = account_id
            contracts = [
                Contract(bot_id=bot, symbol=symbol, cost_max=COST_MAX)
                for bot, _, account, symbol, _ in bots
                if account == account_id
            ]
            owned.append(
                Owned(
                    account_id=account_id, user_id=user_id, venue=venue,
                    venue_account=client.name, contracts=contracts,
                )
            )  # fmt: skip
            for kind, secret in (("key", client.api_key), ("secret", client.secret)):
                self.diary.note("canary", secret=secret, of=f"{kind} of {client.name}")
        return owned

    def _struck(self, door: Door, struck: Struck, action: str, key: str) -> None:
        self.diary.note(
            "fault",
            fault=str(struck.kind),
            account_id=self.accounts.get(key, ""),
            action=action,
            host=door.host,
            venue=door.venue,
        )

    # ----------------------------------------------------------------- stages

    async def _plan_faults(self, sims: Sims, without: frozenset[str] = frozenset()) -> None:
        """Tell the venues what they are to do wrong from now on; without: not of these kinds."""
        rates: dict[str, dict[str, float]] = {
            action: {kind: rate for kind, rate in kinds.items() if kind not in without}
            for action, kinds in AT_VENUES.items()
        }
        if self.size.grace_s:  # shorter than what would come to light late
            rates = {
                action: {kind: rate for kind, rate in kinds.items() if kind not in STATES}
                for action, kinds in rates.items()
            }
        for venue in VENUES:
            await sims.tell("POST", "/faults/plan", venue=venue, seed=self.seed, rates=rates)

    async def _chaos(self, chaos: Chaos, sims: Sims) -> None:
        await self._plan_faults(sims)
        self.say(f"{self.seconds:.0f} s of faults begin")
        if self.is_sqlite:
            await chaos.one_by_one(self.seconds)
        else:
            await chaos.several(self.seconds)
        for venue in VENUES:
            await sims.tell("DELETE", "/faults", venue=venue)
        chaos.proxy.calm()
        self.diary.note("quiet")
        self.figures["orders when faults ended"] = (await unsettled(chaos.asked))["orders"]

    async def _settle(self, chaos: Chaos) -> None:
        """Let one last host leave all positions and come to rest, then stop it properly."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await chaos.end(chaos.awake, STOP_SECONDS)
        last = await chaos.start(replace(chaos.part, users_max=1000, closing=True))
        self.say(f"settling, hosts stopped after {clock() - began:.1f} s")
        before, same_since = dict[str, int](), clock()
        sweep = self.size.sweep_s or 10.0  # until then every account has been swept once
        while clock() - began < self.size.settle_max:
            await asyncio.sleep(LOOK)
            found = dict(await unsettled(chaos.asked))
            if found != before:
                before, same_since = found, clock()
            if not last.lives:
                raise Fallen(f"the last host ended with code {last.code}: {tail(last.log)}")
            left = {name for name, count in found.items() if count} - {"orders"}
            calm = CALM_FOR if not left else GUARDED_FOR if left <= GUARDED else float("inf")
            if clock() - same_since > calm and clock() - last.began > sweep + CALM_FOR:
                break
        self.figures["settled after s"] = round(clock() - began, 1)
        self.figures["left unsettled"] = {k: v for k, v in before.items() if v and k != "orders"}
        await chaos.end([last], STOP_SECONDS)
        await chaos.look()
        self.diary.note("ended")

    def _count(self, chaos: Chaos) -> None:
        proxy = chaos.proxy
        self.figures |= {
            "kills": chaos.kills,
            "zombies": chaos.zombies,
            "hosts": sum(bool(each.doors) for each in chaos.fleet.processes.values()),
            "hosts that failed": {each.name: tail(each.log) for each in chaos.failed},
            "requests carried": proxy.carried,
            "troubles of the network": dict(Counter({str(k): n for k, n in proxy.struck.items()})),
            **chaos.counts,
        }

    # ---------------------------------------------------------------- evidence

    async def _evidence(self, sims: Sims, owned: Sequence[Owned]) -> Ran:
        journals = {venue: load(self.folder / f"journal-{venue}") for venue in VENUES}
        database = (
            from_sqlite(self.folder / "judged.db")
            if self.is_sqlite
            else await read_postgres(self.url)
        )
        self._tell_venues_faults(journals, owned)
        self._look_into_logs()
        await self._search(sims)
        self._compare(journals, owned, database)
        self.diary.happened.sort(key=lambda each: each.at_ms)
        self.figures["orders"] = len(database.orders)
        self.figures["fills"] = len(database.fills)
        self.figures["states"] = dict(Counter(order.state for order in database.orders))
        return Ran(
            evidence=Evidence(
                owned=owned, journals=journals, diary=self.diary.happened, database=database
            ),
            figures=self.figures,
        )

    def _tell_venues_faults(
        self, journals: Mapping[str, Sequence[Mapping[str, Any]]], owned: Sequence[Owned]
    ) -> None:
        """Write what the venues themselves did wrong into the diary, beside the network's."""
        ids = {each.venue_account: each.account_id for each in owned}
        counted: Counter[str] = Counter()
        for venue, lines in journals.items():
            for line in lines:
                fault = str(line.get("fault") or "")
                if not fault:
                    continue
                kind = fault.partition(",")[0]
                kind = next((k for k in ("status", "html") if kind.startswith(k)), kind)
                counted[kind] += 1
                self.diary.happened.append(
                    Happened(
                        at_ms=line["at_ms"],
                        kind="fault",
                        fields={
                            "fault": kind,
                            "account_id": ids.get(str(line.get("account")), ""),
                            "action": line.get("action", ""),
                            "venue": venue,
                        },
                    )
                )
        self.figures["troubles of the venues"] = dict(counted)

    def _look_into_logs(self) -> None:
        """Count what hosts say went wrong in them: faults of ours, kept in one bot each."""
        faults: Counter[str] = Counter()
        for log in (self.folder / "logs").glob("host-*.log"):
            for found in ASIDE.findall(log.read_text(errors="replace")):
                faults[HEX.sub("…", found)[:200]] += 1
        self.figures["bots set aside"] = dict(faults)
        for text, count in faults.items():
            self.diary.note("note", text=f"set aside {count} times: {text}")

    async def _search(self, sims: Sims) -> None:
        """Look for every key in the logs and in the database, as bytes and as text."""
        canaries = [
            Canary(of=f"{kind} of {client.name}", secret=secret)
            for client in sims.clients
            for kind, secret in (("key", client.api_key), ("secret", client.secret))
        ]
        written = [*files_of(self.folder / "logs", (".log",))]
        if self.is_sqlite:
            written += files_of(self.folder, (".db", ".db-wal", ".db-shm"))
        else:
            written += await dumped(self.url)
        self.figures["bytes searched for keys"] = sum(len(data) for _, data in written)
        for leak in leaks(canaries, written):
            self.diary.note("leak", where=f"{leak.where} at byte {leak.at}", of=leak.of)

    def _compare(
        self,
        journals: Mapping[str, Sequence[Mapping[str, object]]],
        owned: Sequence[Owned],
        database: Database,
    ) -> None:
        """Compare every account's balances at its venue with the ledger, to the last unit."""
        ours = totals(database.postings)
        theirs: dict[str, Mapping[str, int]] = {}
        for venue, lines in journals.items():
            theirs |= balances_at(read_journal(venue, lines))
        different, compared = 0, 0
        for each in owned:
            here, there = ours.get(each.account_id, {}), theirs.get(each.venue_account, {})
            for asset in sorted({*here, *there}):
                compared += 1
                units = here.get(asset, 0) - there.get(asset, 0)
                if units:
                    different += 1
                    text = f"{each.account_id}: the books have {units} units of {asset} too many"
                    self.diary.note("note", text=text)
        self.figures["balances compared"] = compared
        self.figures["balances that differ"] = different


def totals(postings: Iterable[Posting]) -> dict[str, dict[str, int]]:
    """Return what the ledger says each account holds: account → asset → units."""
    sums: dict[str, dict[str, Decimal]] = {}
    for posting in postings:
        if posting.place not in OUTSIDE:
            of_account = sums.setdefault(posting.account_id, {})
            of_account[posting.asset] = of_account.get(posting.asset, Decimal(0)) + posting.amount
    return {
        account: {asset: int(amount * UNITS) for asset, amount in assets.items()}
        for account, assets in sums.items()
    }


async def dumped(url: str) -> list[tuple[str, bytes]]:
    """Return every row of a PostgreSQL database as text, by table."""
    connection = await asyncpg.connect(url, server_settings=SEES_ALL)
    try:
        names = [
            row["tablename"]
            for row in await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
            )
        ]
        return [
            (
                f"table {name}",
                "\n".join(
                    row[0] for row in await connection.fetch(f'SELECT t::text FROM "{name}" t')
                ).encode(),
            )
            for name in names
        ]
    finally:
        await connection.close()


def cpu_of(pid: int) -> float:
    """Return how many seconds of CPU a process has used, where the system tells."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tail(log: Path, size: int = 1500) -> str:
    return log.read_text(errors="replace")[-size:] if log.exists() else ""


def run_whole(
    seconds: float, seed: int, database: str, size: Size | None = None, say: Say = silent
) -> Ran:
    """Run, and return the figures that are no evidence, too."""
    return uvloop.run(judged(seconds, seed, database, size, say))
