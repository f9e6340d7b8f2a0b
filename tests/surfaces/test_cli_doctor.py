"""`tradefleet doctor` over real databases and servers: it sees, and changes nothing."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from aiohttp import web
from typer.testing import CliRunner

from tests.backup_rig import filled
from tests.key_rig import keyed, pair
from tests.makers import START
from tests.postgres_server import execute
from tests.store_rig import ALICE, register
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.engine.key_guard import KeyRules
from tradefleet.keyring import keep_key
from tradefleet.operations.audit.keys import chain_keys
from tradefleet.operations.doctor.finding import Check, Level, ok, problem, warning
from tradefleet.settings import NAMES, read_encryption_keys
from tradefleet.stores.sql import upgrade
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.doctor import findings_of
from tradefleet.surfaces.cli.parts import Parts
from tradefleet.vault import Vault
from tradefleet.wiring.doctor import open_doctor

MASTER, OTHER_MASTER = "0123456789abcdefghijklmnopqrstuv", "vutsrqponmlkjihgfedcba9876543210"
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'"
TOKEN = "123456:ABCdefGHIjklMNOpqrSTUvwxYZ0123456789"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


class Doctor:
    """Looks, and remembers what was told."""

    def __init__(self, folder) -> None:
        self.env_file = folder / ".env"
        self.env_file.touch(mode=0o600)

    def say(self, **variables: str) -> None:
        self.env_file.write_text("".join(f"{name}={said}\n" for name, said in variables.items()))

    async def look(self, url: str) -> dict[str, list]:
        found: dict[str, list] = {}
        async with open_doctor(url, self.env_file) as checks:
            async for finding in findings_of(checks):
                assert TOKEN[10:] not in repr(finding)
                found.setdefault(finding.check, []).append(finding)
        return found


@pytest.fixture
def doctor(tmp_path) -> Doctor:
    found = Doctor(tmp_path)
    found.say(HTTP_PORT="1")
    return found


def levels(found) -> dict[str, str]:
    return {
        check: max((each.level for each in findings), key=list(Level).index).value
        for check, findings in found.items()
    }


async def test_a_sound_database_is_well_and_stays_as_it_is(doctor, sqlite_url, tmp_path):
    store, _ = await filled(sqlite_url)
    await store.close()
    before = sha256((tmp_path / "trading_service.db").read_bytes()).hexdigest()
    there = sorted(path.name for path in tmp_path.iterdir())
    found = levels(await doctor.look(sqlite_url))
    assert sha256((tmp_path / "trading_service.db").read_bytes()).hexdigest() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    not_well = {check: level for check, level in found.items() if level != "ok"}
    assert not_well.keys() - {"leases", "outbox", "disk"} == {"backup", "service"}
    assert "problem" not in {not_well["backup"], not_well["service"]}
    assert {"integrity", "keys", "alerts", "webhooks"} <= found.keys()


async def test_beside_a_writer_it_waits_for_nobody(doctor, sqlite_url, open_sql_store):
    store = await open_sql_store(sqlite_url)
    async with store.open(ALICE) as writing:
        await writing.user()
        found = levels(await doctor.look(sqlite_url))
    assert found["database"] == found["integrity"] == "ok"


async def test_without_a_database_the_rest_is_looked_at(doctor, tmp_path):
    found = await doctor.look(f"sqlite:///{tmp_path}/nowhere.db")
    assert levels(found)["database"] == "problem"
    assert "start the service once" in found["database"][0].text
    assert "folders" in found
    assert "leases" not in found
    assert not (tmp_path / "nowhere.db").exists()


async def test_a_damaged_file_is_seen(doctor, sqlite_url, tmp_path):
    file = tmp_path / "trading_service.db"
    data = bytearray(file.read_bytes())
    page = 4096
    for at in range(20 * page, min(len(data), 60 * page), page):
        data[at + 8 : at + 200] = b"\xa5" * 192
    file.write_bytes(data)
    found = await doctor.look(sqlite_url)
    told = found.get("integrity", []) + found["database"]
    assert any(each.level is Level.PROBLEM for each in told)


async def test_keys_that_nothing_opens_are_told(doctor, sqlite_url, open_sql_store):
    store = await open_sql_store(sqlite_url)
    await register(store, ALICE)
    masters = read_encryption_keys(f"{OTHER_MASTER},{MASTER}")
    vault = Vault(masters[:1], await store.secret("key_fingerprints"))
    async with store.open(ALICE) as own:
        await keep_key(own, vault, keyed(ALICE), pair(), rules=KeyRules(), now=START)
    (found,) = (await doctor.look(sqlite_url))["keys"]
    assert (found.level, "no master key" in found.text) == (Level.PROBLEM, True)
    doctor.say(HTTP_PORT="1", ENCRYPTION_KEY=MASTER)
    (found,) = (await doctor.look(sqlite_url))["keys"]
    assert (found.level, f"{ALICE}'s first" in found.text) == (Level.PROBLEM, True)
    doctor.say(HTTP_PORT="1", ENCRYPTION_KEY=f"{MASTER},{OTHER_MASTER}")
    (found,) = (await doctor.look(sqlite_url))["keys"]
    assert (found.level, "older master key" in found.text) == (Level.WARNING, True)
    doctor.say(HTTP_PORT="1", ENCRYPTION_KEY=OTHER_MASTER)
    (found,) = (await doctor.look(sqlite_url))["keys"]
    assert found == ok("keys", "1 users' keys and 1 accounts' open")


async def test_postgres_is_looked_at_from_the_inside(doctor, postgres_url):
    found = await doctor.look(postgres_url)
    seen = levels(found)
    assert (seen["clock"], seen["row-level security"]) == ("ok", "ok")
    # That of the tests is told to be quick, and nothing else is wrong with it.
    told = [each.text for each in found["server"]]
    assert told == ["fsync is off", "full_page_writes is off"]
    assert "pg_dump" in seen
    assert "integrity" not in seen or seen["integrity"] == "ok"


async def test_an_owner_whom_no_wall_binds_is_told(doctor, bare_postgres_url):
    await upgrade(bare_postgres_url)
    execute(bare_postgres_url, "ALTER TABLE users NO FORCE ROW LEVEL SECURITY", "SELECT 1")
    found = (await doctor.look(bare_postgres_url))["row-level security"]
    assert "users" in " ".join(each.text for each in found)


async def test_a_changed_line_of_the_audit_log_is_told(doctor, sqlite_url, open_sql_store):
    doctor.say(HTTP_PORT="1", ENCRYPTION_KEY=MASTER)
    store = await open_sql_store(sqlite_url)
    masters = read_encryption_keys(MASTER)
    vault = Vault(masters, await store.secret("key_fingerprints"))
    store.audits.keys = await chain_keys(store, vault, masters)
    await store.audits.note("service_started", {"process": "one"})
    await store.audits.note("service_stopped", {"process": "one"})
    (found,) = (await doctor.look(sqlite_url))["audit"]
    assert found == ok("audit", "1 chains, 2 lines")
    with closing(sqlite3.connect(sqlite_url)) as connection:
        for (name,) in connection.execute(TRIGGERS).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit_log SET action = 'nothing' WHERE number = 1")
        connection.commit()
    assert levels(await doctor.look(sqlite_url))["audit"] == "problem"


# ---- what is spoken to


class World:
    """A server of this machine that stands in for the service, Telegram and a venue."""

    def __init__(self) -> None:
        self.health = {"overall_status": "healthy", "metrics": {"disk": {"status": "healthy"}}}
        self.ready, self.telegram, self.ahead = 200, 200, timedelta(0)
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        match request.path:
            case "/readyz":
                return web.json_response({}, status=self.ready)
            case "/health":
                return web.json_response(self.health)
            case "/api/v3/time":
                now = datetime.now(UTC) + self.ahead
                return web.json_response({"serverTime": int(now.timestamp() * 1000)})
            case "/v5/market/time":
                now = datetime.now(UTC) + self.ahead
                return web.json_response({"result": {"timeNano": str(int(now.timestamp() * 1e9))}})
            case "/0/public/Time":
                now = datetime.now(UTC) + self.ahead
                return web.json_response({"result": {"unixtime": int(now.timestamp())}})
        told = {"ok": self.telegram == 200, "result": {"username": "a_bot"}}
        return web.json_response(told, status=self.telegram)


@pytest.fixture
async def world(doctor):
    served = World()
    app = web.Application()
    app.router.add_get("/{any:.*}", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    at = f"http://127.0.0.1:{port}"
    doctor.say(
        HTTP_PORT=str(port),
        TELEGRAM_API_URL=at,
        TELEGRAM_BOT_TOKEN=TOKEN,
        BINANCE_URL=at,
        BYBIT_URL=at,
        KRAKEN_URL=at,
        PAPER_MARKET="binance",
    )
    yield served
    await runner.cleanup()


async def test_what_answers_well_is_well(doctor, world, sqlite_url):
    found = await doctor.look(sqlite_url)
    assert found["telegram"][0].text == "the bot is @a_bot"
    assert {"service", "telegram", "clock"} <= levels(found).keys()
    assert {levels(found)[each] for each in ("service", "telegram", "clock")} == {"ok"}
    assert f"/bot{TOKEN}/getMe" in world.paths


async def test_what_does_not_is_told(doctor, world, sqlite_url):
    world.health = {
        "overall_status": "unhealthy",
        "metrics": {"disk": {"status": "unhealthy", "value": 99}},
    }
    world.ready, world.telegram, world.ahead = 503, 401, timedelta(seconds=2)
    found = await doctor.look(sqlite_url)
    assert "unhealthy at" in found["service"][0].text
    assert "disk 99" in found["service"][0].text
    assert levels(found)["service"] == levels(found)["telegram"] == "problem"
    assert levels(found)["clock"] == "problem"
    assert found["clock"][0].text.startswith("binance is ")
    assert found["clock"][0].text.endswith(" ms ahead")
    world.health = {"overall_status": "degraded", "metrics": {}}
    assert (await doctor.look(sqlite_url))["service"][0].level is Level.WARNING


@pytest.mark.parametrize("venue", ["bybit", "kraken"])
async def test_every_venue_tells_its_time_in_its_own_way(doctor, world, sqlite_url, venue):
    said = doctor.env_file.read_text().replace("PAPER_MARKET=binance", f"PAPER_MARKET={venue}")
    doctor.env_file.write_text(said)
    assert levels(await doctor.look(sqlite_url))["clock"] == "ok"
    world.ahead = timedelta(seconds=-3)
    assert levels(await doctor.look(sqlite_url))["clock"] == "problem"


async def test_redis_that_is_away_is_told(doctor, sqlite_url):
    doctor.say(HTTP_PORT="1", REDIS_URL="redis://127.0.0.1:1/0")
    assert levels(await doctor.look(sqlite_url))["redis"] == "warning"


async def test_settings_that_cannot_be_read_stop_no_other_look(doctor, sqlite_url):
    doctor.say(HTTP_PORT="eighty", TELEGRM_MODE="x")
    found = await doctor.look(sqlite_url)
    assert [each.level.value for each in found["configuration"]] == ["problem", "warning"]
    assert levels(found)["database"] == "ok"


# ---- the command


async def fails() -> list:
    raise RuntimeError("hunter2")


async def refuses() -> list:
    raise StoreUnavailable("the database is away")


def run(*words: str, checks: list[Check]):
    @asynccontextmanager
    async def opened(db, env_file):
        yield checks

    parts = Parts(**{each.name: None for each in fields(Parts)} | {"doctor": opened})
    return CliRunner().invoke(build_app(parts), ["doctor", *words])


def check(*findings) -> Check:
    async def look():
        return findings

    return Check("x", look)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([ok("x", "fine")], 0),
        ([ok("x", "fine"), warning("y", "hm", "wait")], 1),
        ([problem("x", "bad", "mend"), warning("y", "hm", "wait")], 2),
    ],
)
def test_the_exit_code_says_how_bad_it_is(findings, code):
    result = run(checks=[check(*findings)])
    assert result.exit_code == code
    for finding in findings:
        assert finding.text in result.output
        assert finding.cure in result.output


def test_a_look_that_fails_hides_no_other_and_tells_no_secret():
    result = run(checks=[Check("a", fails), Check("b", refuses), check(ok("c", "fine"))])
    assert result.exit_code == 2
    assert "RuntimeError" in result.output
    assert "hunter2" not in result.output
    assert "the database is away" in result.output
    assert "fine" in result.output


def test_programs_are_told_as_json():
    result = run("--json", checks=[check(warning("y", "hm", "wait"))])
    assert json.loads(result.output) == {
        "status": "warning",
        "findings": [{"check": "y", "level": "warning", "text": "hm", "cure": "wait"}],
    }


def test_a_look_that_takes_too_long_is_given_up(monkeypatch):
    async def waits() -> list:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("tradefleet.surfaces.cli.doctor.PATIENCE", 0.01)
    result = run(checks=[Check("a", waits)])
    assert (result.exit_code, "no answer within" in result.output) == (2, True)
