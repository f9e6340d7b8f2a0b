"""The doctor's looks, over the settings: at this machine, the database, and what is spoken to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tradefleet.alert import AlertSpec
from tradefleet.clock import Clock
from tradefleet.counters.redis import RedisCounters
from tradefleet.domain.errors import Refused, StoreError
from tradefleet.domain.user import Mode
from tradefleet.keyring import Keyring
from tradefleet.operations.doctor import configuration, copies, kept, machine
from tradefleet.operations.doctor.finding import (
    Check,
    Finding,
    by_rule,
    judged,
    ok,
    problem,
    warning,
)
from tradefleet.operations.key_rotation import inspect
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import (
    Environment,
    Inspection,
    Settings,
    hide_password,
    inspect_settings,
)
from tradefleet.stores import sql
from tradefleet.stores.sql import examining
from tradefleet.stores.sql.roles import look_at_wall
from tradefleet.vault import Vault
from tradefleet.wiring.audit import verified
from tradefleet.wiring.backup import backups_of, known_masters
from tradefleet.wiring.processes import is_dead

LOOK_SECONDS = 60.0  # at a database's file
ANSWER_SECONDS = 5.0
OFFSET_WARNING, OFFSET_PROBLEM = 0.25, 0.5  # seconds between two clocks
PLATFORM = "*"
FAULTS_TOLD = 5
FINGERPRINTS = "key_fingerprints"
SYNCHRONISE = "let a time service set this machine's clock (chrony, systemd-timesyncd)"
# Where each venue tells its time, and how it is read there: the value's path, what a second is.
TIMES: dict[str, tuple[str, str, tuple[str, ...], float, float]] = {
    "binance": ("https://api.binance.com", "/api/v3/time", ("serverTime",), 1e3, 0.0),
    "bybit": ("https://api.bybit.com", "/v5/market/time", ("result", "timeNano"), 1e9, 0.0),
    "kraken": ("https://api.kraken.com", "/0/public/Time", ("result", "unixtime"), 1.0, 0.5),
}


@asynccontextmanager
async def open_doctor(db: str | None, env_file: Path) -> AsyncIterator[Sequence[Check]]:
    """Give the looks in their order; each opens what it needs."""
    inspection = inspect_settings(env_file)
    url = db or inspection.settings.database_url.get_secret_value()
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS), auto_decompress=True
    ) as http:
        patient = Patient(inspection, env_file, url, http)
        try:
            yield patient.checks()
        finally:
            if patient.store is not None:
                await patient.store.close()


@dataclass(slots=True)
class Patient:
    """What is looked at; store: None until the database turned out to be usable."""

    inspection: Inspection
    env_file: Path
    url: str
    http: aiohttp.ClientSession
    clock: Clock = field(default_factory=RealClock)
    store: sql.SqlStore | None = None

    @property
    def settings(self) -> Settings:
        return self.inspection.settings

    @property
    def rules(self) -> Mapping[str, AlertSpec]:
        """The rules of alerts; thresholds that cannot be read are told by `configuration`."""
        try:
            return self.settings.alert_rules()
        except Refused:
            return self.settings.model_copy(update={"alert_thresholds": ""}).alert_rules()

    def checks(self) -> list[Check]:
        return [
            Check("configuration", self.configuration),
            Check("folders", self.folders),
            Check("permissions", self.permissions),
            Check("open files", self.open_files),
            Check("database", self.database),
            Check("integrity", self.integrity),
            Check("server", self.server),
            Check("row-level security", self.wall),
            Check("keys", self.keys),
            Check("audit", self.audit),
            Check("leases", self.rows),
            Check("outbox", self.backlog),
            Check("alerts", self.alerts),
            Check("backup", self.backup),
            Check("service", self.running),
            Check("redis", self.redis),
            Check("telegram", self.telegram),
            Check("venues", self.venues),
        ]

    # ---- this machine

    async def configuration(self) -> list[Finding]:
        return configuration.look(self.inspection)

    async def folders(self) -> list[Finding]:
        settings = self.settings
        places = {"DATA_DIR": settings.data_dir}
        if self.makes_backups:
            places["BACKUP_DIR"] = settings.backup_dir
        if settings.log_file:
            places["LOG_DIR"] = (settings.log_dir / settings.log_file).parent
        found = list(machine.disks(places))
        if self.is_production and self.is_sqlite and self.makes_backups:
            place = settings.backup_dir
            found += machine.same_disk("DATA_DIR", settings.data_dir, "BACKUP_DIR", place)
        return found

    async def permissions(self) -> list[Finding]:
        files = configuration.secret_files(self.settings, self.env_file)
        return list(machine.permissions(files, is_production=self.is_production))

    async def open_files(self) -> list[Finding]:
        return [machine.open_files()]

    @property
    def is_production(self) -> bool:
        return self.settings.environment is Environment.PRODUCTION

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite") or "://" not in self.url

    @property
    def makes_backups(self) -> bool:
        return bool(self.settings.backup_keep_daily or self.settings.backup_keep_weekly)

    # ---- the database

    async def database(self) -> list[Finding]:
        place = hide_password(self.url)
        try:
            self.store = await examining.open_to_look(self.url, self.clock)
            seconds = await self.store.ping()
        except StoreError as error:
            return [problem("database", str(error), "nothing that needs it was looked at")]
        text = f"{place}, up to date, answers in {seconds * 1000:.1f} ms"
        cure = "see what else uses its disk or its network"
        return [by_rule(self.rules["database"], seconds * 1000, "database", text, cure)]

    async def integrity(self) -> list[Finding]:
        if self.store is None:
            return []
        damage = await examining.sqlite_damage(self.url, LOOK_SECONDS)
        if damage is None:
            text = f"not looked through: it took longer than {LOOK_SECONDS:.0f} s"
            return [warning("integrity", text, "`tradefleet drill` looks through all of it")]
        cure = "stop the service, keep the file, and restore the last backup: tradefleet restore"
        return [problem("integrity", each, cure) for each in damage] or [
            ok("integrity", "nothing is damaged")
        ]

    async def server(self) -> list[Finding]:
        if self.store is None:
            return []
        server = await examining.server_of(self.url, self.clock)
        if server is None:
            return []
        found = [problem("server", text, cure) for text, cure in server.faults]
        found += [ok("server", f"PostgreSQL {server.version}")] * (not found)
        found.append(offset_of("the database", server.offset))
        if self.makes_backups:
            fault = server.pg_dump
            found.append(problem("pg_dump", fault, "") if fault else ok("pg_dump", "new enough"))
        return found

    async def wall(self) -> list[Finding]:
        wall = await look_at_wall(self.url) if self.store is not None else None
        if wall is None:
            return []
        told = [warning("row-level security", text, "") for text in wall.problems()]
        return told or [ok("row-level security", f"binds {wall.role}, before every table")]

    async def keys(self) -> list[Finding]:
        if self.store is None:
            return []
        sealed = await self.store.wrapped_keys(limit=1)
        masters = known_masters(self.settings)
        if not sealed:
            return [ok("keys", "nothing is sealed yet")]
        cure = "bring back the ENCRYPTION_KEY it was sealed under, from where you keep its copy"
        if not masters or not await examining.has_secret(self.store, FINGERPRINTS):
            return [problem("keys", "there are users' keys, and no master key opens them", cure)]
        keyring = Keyring(self.store, Vault(masters, await self.store.secret(FINGERPRINTS)))
        shut = [id async for id, wrapped in keyring.users() if not keyring.vault.opens(id, wrapped)]
        if shut:
            return [
                problem("keys", f"{len(shut)} users' keys do not open, {shut[0]}'s first", cure)
            ]
        found = await inspect(keyring)
        text = f"{found.users} users' keys and {found.accounts} accounts' open"
        again = "let its user connect the account again, or restore the row from a backup"
        told = [problem("keys", fault, again) for fault in found.faults]
        if found.outdated:
            rotate = "tradefleet vault rotate; then take the old key out of ENCRYPTION_KEY"
            text = f"{found.outdated} are under an older master key"
            told.append(warning("keys", text, rotate))
        return told or [ok("keys", text)]

    async def audit(self) -> list[Finding]:
        masters = known_masters(self.settings)
        if self.store is None or not masters:
            return []
        if not await examining.has_secret(self.store, FINGERPRINTS):
            return [ok("audit", "not begun yet")]
        vault = Vault(masters, await self.store.secret(FINGERPRINTS))
        file = self.settings.audit_checkpoint_file
        checkpoints = file if await asyncio.to_thread(file.is_file) else None
        report = await verified(self.store, vault, masters, None, checkpoints)
        cure = "tradefleet audit verify tells all; docs/how-to/audit.md what it means"
        told = [problem("audit", str(fault), cure) for fault in report.faults[:FAULTS_TOLD]]
        return told or [ok("audit", report.told()[0])]

    async def rows(self) -> list[Finding]:
        if self.store is None:
            return []
        facts, now = await examining.facts_of(self.store), self.clock.now()
        switch = await self.store.platform_switch(PLATFORM)
        is_halted = switch is not None and switch.halt.value != "run"
        dead = [held.owner for held in facts.held if is_dead(held.owner)]
        here = socket.gethostname()
        return [
            *kept.leases(facts.held, dead, now, machine=here, is_sqlite=self.is_sqlite),
            *kept.orders(facts.unsure, now),
            *kept.set_aside(facts.set_aside),
            *kept.halted(switch.reason if switch and is_halted else None),
        ]

    async def backlog(self) -> list[Finding]:
        if self.store is None:
            return []
        now = self.clock.now()
        return list(kept.backlog(await self.store.figures.backlog(now), now, self.rules["queue"]))

    async def alerts(self) -> list[Finding]:
        if self.store is None:
            return []
        found = await self.store.health.alerts(kept.ALERTS_LOOKED_AT, only_open=True)
        return list(kept.alerts(found))

    async def backup(self) -> list[Finding]:
        shelf = backups_of(self.settings, self.url).shelf
        now = self.clock.now()
        return list(
            copies.look(
                shelf.newest(),
                shelf.history(),
                now,
                self.rules["backup_age"],
                scheduled=self.makes_backups,
                is_needed=self.is_production,
            )
        )

    # ---- what is spoken to

    async def running(self) -> list[Finding]:
        address = self.settings.near_url()
        try:
            ready, _ = await self.asked(f"{address}/readyz")
            _, health = await self.asked(f"{address}/health")
        except Unanswered as error:
            text = f"nothing answers at {address} ({error})"
            return [warning("service", text, "start it: tradefleet serve; or see its log")]
        status = health.get("overall_status", "unknown") if isinstance(health, dict) else "unknown"
        metrics = health.get("metrics", {}) if isinstance(health, dict) else {}
        bad = [
            f"{name} {each.get('value')}"
            for name, each in metrics.items()
            if isinstance(each, dict) and each.get("status") != "healthy"
        ]
        text = f"{status} at {address}" + (f": {', '.join(bad)}" if bad else "")
        found = [
            judged(
                "service",
                text,
                "docs/runbooks/ says what to do for each",
                warns=status != "healthy",
                fails=status not in ("healthy", "degraded"),
            )
        ]
        if ready != 200:
            text = "it is not ready: it still starts, or cannot take what it owns"
            found.append(warning("service", text, "wait a minute, then see its log"))
        return found

    async def redis(self) -> list[Finding]:
        url = self.settings.redis_url.get_secret_value()
        if not url:
            return []
        counters = RedisCounters(url, self.clock)
        try:
            if await counters.is_reached():
                return [ok("redis", "it answers")]
        finally:
            await counters.close()
        cure = "see that it runs and that REDIS_URL is right; until then each process counts alone"
        return [warning("redis", "it does not answer", cure)]

    async def telegram(self) -> list[Finding]:
        token = self.settings.telegram_bot_token
        if token is None:
            return []
        server = self.settings.telegram_api_url.rstrip("/")
        try:
            status, said = await self.asked(f"{server}/bot{token.get_secret_value()}/getMe")
        except Unanswered as error:
            cure = "see that this machine reaches TELEGRAM_API_URL"
            return [problem("telegram", f"{server} does not answer ({error})", cure)]
        if status == 200 and isinstance(said, dict) and said.get("ok"):
            return [ok("telegram", f"the bot is @{said['result'].get('username')}")]
        cure = "write the token that @BotFather tells into TELEGRAM_BOT_TOKEN"
        return [problem("telegram", f"{server} refuses the token (HTTP {status})", cure)]

    async def venues(self) -> list[Finding]:
        """Ask the venues that matter for their time: where keys are, and whose prices are used."""
        wanted = {self.settings.paper_market} & TIMES.keys()
        if self.store is not None:
            for mode in (Mode.LIVE, Mode.TESTNET):
                accounts = await self.store.active_accounts(mode)
                wanted |= {account.venue for account in accounts} & TIMES.keys()
        return [await self.venue(name) for name in sorted(wanted)]

    async def venue(self, name: str) -> Finding:
        default, path, keys, second, grain = TIMES[name]
        address = getattr(self.settings, f"{name}_url") or default
        before = self.clock.now()
        try:
            _, said = await self.asked(f"{address.rstrip('/')}{path}")
            after = self.clock.now()
            for key in keys:
                said = said[key]
            there = float(said) / second + grain
        except (Unanswered, KeyError, TypeError, ValueError) as error:
            why = str(error) if isinstance(error, Unanswered) else "it tells no time"
            cure = f"see that this machine reaches {address}, and what {name} says of itself"
            return problem("venues", f"{name} does not answer at {address} ({why})", cure)
        middle = (before.timestamp() + after.timestamp()) / 2
        away = there - middle
        return offset_of(name, max(0.0, abs(away) - grain) * (1 if away > 0 else -1))

    async def asked(self, url: str) -> tuple[int, Any]:
        """Ask for something by HTTP; Unanswered tells why there is none, and never the address."""
        try:
            async with self.http.get(url, allow_redirects=False) as answer:
                return answer.status, await answer.json(content_type=None)
        except TimeoutError:
            raise Unanswered("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unanswered(type(error).__name__) from None


class Unanswered(Refused):
    """What was asked for by HTTP did not come."""


def offset_of(whose: str, seconds: float) -> Finding:
    """Judge by how much two clocks differ; more than half a second stops entries."""
    return judged(
        "clock",
        f"{whose} is {abs(seconds) * 1000:.0f} ms {'ahead' if seconds > 0 else 'behind'}",
        SYNCHRONISE,
        warns=abs(seconds) > OFFSET_WARNING,
        fails=abs(seconds) > OFFSET_PROBLEM,
    )
