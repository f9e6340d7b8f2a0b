"""Who owns the database, and not the key, cannot change the audit log unnoticed."""

import json
import random
import re
import sqlite3
import sys
from datetime import datetime, timedelta
from subprocess import PIPE, Popen

import pytest
from aiohttp import web
from alembic import command
from sqlalchemy import text
from typer.testing import CliRunner

from tests.key_rig import MASTERS, vault_under
from tests.postgres_server import execute
from tests.store_rig import register
from tests.unit.test_audit import plain_chain
from tradefleet.domain.audit import ChainKeys
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.operations.audit.checkpoints import Checkpoints, hold_to
from tradefleet.operations.audit.keys import begin, chain_keys, keep_keys
from tradefleet.operations.audit.sinks import FileSink, SinkFault, UrlSink
from tradefleet.operations.audit.verifying import AuditReport, Verifier
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.schema import alembic_config
from tradefleet.vault import audit_key
from tradefleet.wiring.audit import verified

KEYS = ChainKeys("k1", {"none": b"", "k1": b"1" * 32})
USERS = [UserId(f"user{number}") for number in range(6)]
LINES = 8  # of each


class Database:
    """A log in a database, and somebody who may write whatever they like into it."""

    def __init__(self, store, url):
        self.store, self.url = store, url
        self.is_postgres = url.startswith("postgresql")

    async def fill(self):
        self.store.audits.keys = KEYS
        await self.store.audits.note("audit_begins", {})
        for user_id in USERS:
            await register(self.store, user_id)
            for number in range(LINES):
                async with self.store.open(user_id) as own:
                    await own.audit("set", {"number": number})
        await self.store.audits.note("broadcast", {"text": "We are back."})

    def tamper(self, *statements):
        """Change rows as the owner of the database, past all triggers."""
        if self.is_postgres:
            execute(self.url, "SET session_replication_role = replica", *statements, "SELECT 1")
            return
        connection = sqlite3.connect(self.url)
        with connection:
            kept = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                " AND tbl_name = 'audit_log'"
            ).fetchall()
            for name, _ in kept:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            for _, trigger in kept:
                connection.execute(trigger)
        connection.close()

    async def report(self, file=None) -> AuditReport:
        verifier = Verifier(self.store.audits, KEYS)
        if file is not None:
            audits = self.store.audits
            verifier.expected = await hold_to(file, audits, KEYS, verifier.report, None)
        return await verifier.verify()

    async def found(self, file=None):
        faults = (await self.report(file)).faults
        return sorted(
            (fault.user_id, fault.wrong.value, fault.number, fault.last) for fault in faults
        )


@pytest.fixture
async def database(sql_store, sql_url):
    database = Database(sql_store, sql_url)
    await database.fill()
    return database


async def test_a_log_as_it_was_written_is_right(database):
    report = await database.report()
    assert (report.is_well, report.chains, report.lines) == (True, 7, 6 * LINES + 2)
    assert report.told() == ["7 chains, 50 lines", "✅ All lines are as they were written."]


TEXTS = ("actor", "role", "surface", "request_id", "action", "detail", "digest", "key_id")
CHANGES = [
    *[f"{name} = {name} || 'x'" for name in (*TEXTS, "prev_hash", "hash")],
    "at = '2026-02-02T00:00:00.000000Z'",
    "detail = ' ' || detail",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_any_column_is_found(database, change):
    database.tamper(f"UPDATE audit_log SET {change} WHERE user_id = 'user2' AND number = 5")
    assert ("user2", "changed", 5, 5) in await database.found()


async def test_what_was_removed_moved_added_or_taken_elsewhere_is_named(database):
    where = "WHERE user_id = '{}' AND number = {}"
    columns = (
        "at, actor, role, surface, request_id, action, detail, digest, key_id, prev_hash, hash"
    )
    database.tamper(
        "DELETE FROM audit_log " + where.format("user0", 3),
        "UPDATE audit_log SET number = 99 " + where.format("user1", 2),
        "UPDATE audit_log SET number = 2 " + where.format("user1", 6),
        "UPDATE audit_log SET number = 6 " + where.format("user1", 99),
        "UPDATE audit_log SET user_id = 'user3', number = 9 " + where.format("user2", 4),
        f"INSERT INTO audit_log SELECT 'user4', 9, {columns} FROM audit_log "
        + where.format("user4", 8),
        "UPDATE audit_log SET action = 'nothing' WHERE user_id = '' AND number = 2",
    )
    assert await database.found() == [
        ("", "changed", 2, 2),
        ("user0", "removed", 3, 3),
        ("user1", "moved", 2, 2),
        ("user1", "moved", 6, 6),
        ("user2", "removed", 4, 4),
        ("user3", "moved", 9, 9),
        ("user4", "changed", 9, 9),
    ]
    told = (await database.report()).told()
    assert "❌ the chain of user3, line 9: was written as line 4 of user2" in told
    assert "❌ the chain of user0, line 3: not there any more" in told


async def test_a_chain_taken_away_whole_or_cut_is_found_by_the_checkpoints(
    database, clock, tmp_path
):
    file = tmp_path / "outside" / "checkpoints.jsonl"
    checkpoints = over(database.store, clock, FileSink(file))
    await checkpoints.turn()
    assert (await database.report(file)).records == 1
    assert await database.found(file) == []
    database.tamper(
        "DELETE FROM audit_log WHERE user_id = 'user0'",
        f"DELETE FROM audit_log WHERE user_id = 'user1' AND number > {LINES - 2}",
    )
    assert await database.found() == [], "the log alone cannot know"
    assert await database.found(file) == [
        ("user0", "cut", LINES, LINES),
        ("user1", "cut", LINES, LINES),
    ]
    async with database.store.open(USERS[1]) as own:  # the chain grows over the cut
        for _ in range(4):
            await own.audit("after", {})
    clock.move_to(clock.now() + timedelta(minutes=1))
    await checkpoints.turn()
    assert ("user1", "replaced", LINES, LINES) in await database.found(file)


async def test_a_log_that_is_not_there_at_all_is_a_fault(database):
    database.tamper("DELETE FROM audit_log WHERE user_id = ''")
    assert ("", "weak", 1, 1) in await database.found()


async def test_many_random_edits_at_once_are_found_in_their_places(database):
    chance = random.Random(7)
    places = chance.sample([(user, number) for user in USERS for number in range(1, 8)], 20)
    statements = [
        f"UPDATE audit_log SET {chance.choice(CHANGES)} WHERE user_id = '{user}' AND number = {n}"
        for user, n in places
    ]
    database.tamper(*statements)
    found = {(user, number) for user, _, number, _ in await database.found()}
    assert set(places) <= found


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_log SET action = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_log SET hash = 'x' WHERE number = 1",
    ],
)
async def test_the_services_own_role_cannot_change_a_line(database, change):
    if database.is_postgres:
        with pytest.raises(Exception, match=r"append-only|permission denied"):
            execute(database.url, change, role="tradefleet_app")
        return
    if "TRUNCATE" in change:
        return
    connection = sqlite3.connect(database.url)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(change)
    connection.close()


# ---- checkpoints


def over(store, clock, *sinks, owner="host", keys=KEYS):
    return Checkpoints(store=store, keys=keys, clock=clock, sinks=sinks, owner=owner)


async def records(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_only_what_moved_is_written_down(store, clock, tmp_path):
    store.audits.keys = KEYS
    file = tmp_path / "c.jsonl"
    checkpoints = over(store, clock, FileSink(file))
    await checkpoints.turn()
    assert not file.exists(), "there is nothing yet"
    for user_id in USERS[:2]:
        await register(store, user_id)
        async with store.open(user_id) as own:
            await own.audit("a", {})
    for _ in range(3):
        await checkpoints.turn()
        clock.move_to(clock.now() + timedelta(minutes=1))
    async with store.open(USERS[1]) as own:
        await own.audit("b", {})
    await checkpoints.turn()
    told = [[head[:2] for head in each["heads"]] for each in await records(file)]
    assert told == [[["user0", 1], ["user1", 1]], [["user1", 2]]]
    # Another process goes on where the file ends, and repeats no more than it must.
    clock.move_to(clock.now() + timedelta(hours=1))
    async with store.open(USERS[0]) as own:
        await own.audit("c", {})
    await over(store, clock, FileSink(file), owner="other").turn()
    last = (await records(file))[-1]
    assert (last["n"], last["prev"]) == (3, (await records(file))[1]["mac"])
    report = AuditReport()
    assert await hold_to(file, store.audits, KEYS, report, None) == {}
    assert (report.records, report.is_well) == (3, True)


async def test_one_process_writes_them_for_all(store, clock, tmp_path):
    store.audits.keys = KEYS
    await store.audits.note("a", {})
    files = [tmp_path / "one", tmp_path / "other"]
    for name, file in zip(("one", "other"), files, strict=True):
        await over(store, clock, FileSink(file), owner=name).turn()
    assert [file.exists() for file in files] == [True, False]


async def test_a_file_that_was_changed_is_noticed(store, clock, tmp_path):
    store.audits.keys = KEYS
    file = tmp_path / "c.jsonl"
    checkpoints = over(store, clock, FileSink(file))
    for number in range(4):
        await store.audits.note("a", {"number": number})
        await checkpoints.turn()
        clock.move_to(clock.now() + timedelta(minutes=1))
    whole = file.read_text().splitlines()

    async def told(*lines):
        file.write_text("\n".join(lines) + "\n")
        report = AuditReport()
        await hold_to(file, store.audits, KEYS, report, None)
        return [fault.number for fault in report.faults], len(report.notes)

    assert await told(*whole) == ([], 0)
    assert await told(whole[0], *whole[2:]) == ([2], 0), "one is missing"
    assert await told(whole[0], whole[1].replace('"n":2', '"n":3'), *whole[2:]) == ([2, 3], 0)
    assert await told(whole[0], whole[1][:40], *whole[1:]) == ([], 1), "a crash broke one off"
    assert await told("[]", "{}", "null", *whole) == ([], 3)


async def test_a_line_that_a_crash_left_unended_stays_by_itself(store, clock, tmp_path):
    store.audits.keys = KEYS
    file = tmp_path / "c.jsonl"
    file.write_text('{"v":1,"n":7,"he')
    await store.audits.note("a", {})
    await over(store, clock, FileSink(file)).turn()
    first, second = file.read_text().splitlines()
    assert (first, json.loads(second)["n"]) == ('{"v":1,"n":7,"he', 1)


class Broken:
    """A sink that takes nothing until it is mended."""

    def __init__(self):
        self.lines, self.is_broken = [], True

    async def last(self):
        return None

    async def take(self, line):
        if self.is_broken:
            raise SinkFault("the disk is full")
        self.lines.append(line)


async def test_a_broken_sink_is_told_and_holds_up_no_other(store, clock, tmp_path, caplog):
    store.audits.keys = KEYS
    file, sink = tmp_path / "c.jsonl", Broken()
    checkpoints = over(store, clock, sink, FileSink(file))
    for number in range(3):
        await store.audits.note("a", {"number": number})
        await checkpoints.turn()
        clock.move_to(clock.now() + timedelta(minutes=1))
    assert len(await records(file)) == 3
    assert (checkpoints.fault, checkpoints.lag) == ("the disk is full", 180.0)
    assert "no checkpoint of the audit log since 2026-01-01 00:00:00" in caplog.text
    sink.is_broken = False
    await checkpoints.turn()
    assert (checkpoints.fault, checkpoints.lag) == ("", 0.0)
    assert [json.loads(line)["heads"][0][1] for line in sink.lines] == [3]


async def test_what_went_to_an_address_is_held_to_over_restarts(store, clock, tmp_path):
    """Each process begins anew there, for none can ask what was taken last."""
    store.audits.keys = KEYS
    sink = Broken()
    sink.is_broken = False
    for number, owner in enumerate(("one", "one", "other", "one")):
        await store.audits.note("a", {"number": number})
        await over(store, clock, sink, owner=owner).turn()
        clock.move_to(clock.now() + timedelta(minutes=10))
    file = tmp_path / "posted.jsonl"
    file.write_text("\n".join([*sink.lines, sink.lines[-1]]) + "\n")
    report = AuditReport()
    assert await hold_to(file, store.audits, KEYS, report, None) == {}
    assert (report.records, len(report.notes), report.is_well) == (5, 4, True)


async def test_a_file_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkFault, match=r"Not a directory|File exists"):
        await FileSink(tmp_path / "file" / "c.jsonl").take("{}")


async def test_a_database_that_is_away_stops_no_round(clock, tmp_path):
    store = MemoryStore(clock)

    async def away(*_, **__):
        raise StoreUnavailable("the database is away")

    store.duties.take = away
    checkpoints = over(store, clock, FileSink(tmp_path / "c"))
    await checkpoints.turn()
    assert checkpoints.fault == "the database is away"


class Patient:
    """A clock of which nobody waits."""

    def __init__(self, clock):
        self.clock, self.slept = clock, []

    def now(self):
        return self.clock.now()

    async def sleep(self, seconds):
        self.slept.append(seconds)


async def test_an_address_gets_what_a_file_gets_and_is_tried_again(store, clock):
    store.audits.keys = KEYS
    taken, answers = [], [500, 302, 200, 204]

    async def take(request):
        taken.append(await request.json())
        return web.Response(status=answers.pop(0), headers={"Location": "http://127.0.0.1:1/"})

    app = web.Application()
    app.router.add_post("/take", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        patient = Patient(clock)
        checkpoints = over(
            store, clock, UrlSink(f"http://127.0.0.1:{port}/take?key=hidden", patient)
        )
        await store.audits.note("a", {})
        await checkpoints.turn()
        assert (checkpoints.fault, patient.slept, len(taken)) == ("", [2.0, 4.0], 3)
        assert taken[0] == taken[2]
        answers[:] = [500] * 3
        await store.audits.note("b", {})
        clock.move_to(clock.now() + timedelta(minutes=1))
        await checkpoints.turn()
        assert checkpoints.fault == "AUDIT_CHECKPOINT_URL: it answered 500"
    finally:
        await runner.cleanup()
    with pytest.raises(SinkFault, match="nothing can be connected to there"):
        await UrlSink(f"http://127.0.0.1:{port}/take?key=hidden", Patient(clock)).take("{}")


# ---- keys


async def test_lines_stay_verifiable_over_rotations_of_the_master_key(store):
    for first in range(3):  # 0, then 1 with 0 behind it, then 2 with 1 behind it
        masters = [MASTERS[first], *MASTERS[max(first - 1, 0) : first]]
        vault = vault_under(*range(first, max(first - 2, -1), -1))
        await keep_keys(store, vault, masters)
        store.audits.keys = await chain_keys(store, vault, masters)
        await store.audits.note("rotated", {"to": first})
    alone = vault_under(2)
    keys = await chain_keys(store, alone, MASTERS[2:])
    assert set(keys.keys) == {"none", *(audit_key(master)[0] for master in MASTERS)}
    assert (await verified(store, alone, MASTERS[2:], None, None)).is_well
    wrong = await verified(store, vault_under(0), MASTERS[:1], None, None)
    assert not wrong.is_well, "a key that was taken away before opens nothing"


async def test_what_stood_there_before_there_were_keys_is_put_under_one_once(store):
    for user_id in USERS[:3]:
        await register(store, user_id)
        async with store.open(user_id) as own:
            await own.audit("old", {})
    store.audits.keys = KEYS
    done = await begin(store)
    assert done is not None
    assert (done.chains, done.lines) == (3, 3)
    assert await begin(store) is None
    assert (await Verifier(store.audits, KEYS).verify()).is_well


def test_a_key_of_the_log_tells_nothing_of_its_master():
    ids = {audit_key(master)[0] for master in MASTERS}
    assert len(ids) == len(MASTERS)
    for master in MASTERS:
        id, key = audit_key(master)
        assert (len(id), len(key)) == (16, 32)
        assert master.reveal() not in f"{id}{key!r}{ChainKeys(id, {id: key})!r}"


# ---- as it is typed


@pytest.fixture
def program(tmp_path, monkeypatch):
    from tradefleet.surfaces.cli.app import build_app
    from tradefleet.wiring.parts import build_parts

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    app = build_app(build_parts())
    return lambda *words: CliRunner().invoke(app, list(words))


def test_verify_says_what_is_wrong_and_ends_with_one(program, tmp_path):
    assert "There is no ENCRYPTION_KEY" in program("audit", "verify").output
    for name in ("alice", "bob"):
        assert program("users", "add", name).exit_code == 0
    well = program("audit", "verify", "--json")
    assert (well.exit_code, json.loads(well.output)["lines"]) == (0, 3)
    assert json.loads(program("audit", "verify", "--json", "--user", "bob").output)["chains"] == 2
    assert json.loads(program("audit", "verify", "--json", "--user", "*").output)["chains"] == 1
    assert "There is no user carol" in program("audit", "verify", "--user", "carol").output
    assert "is not there" in program("audit", "verify", "--checkpoint", "nothing").output
    connection = sqlite3.connect(tmp_path / "data" / "trading_service.db")
    with connection:
        connection.execute("DROP TRIGGER audit_log_no_delete")
        connection.execute("DELETE FROM audit_log WHERE user_id = ''")
    connection.close()
    bad = program("audit", "verify")
    assert bad.exit_code == 1
    assert "❌ the service's own chain, line 1: there is none" in bad.output


def test_a_backup_and_its_restore_stand_in_the_services_own_log(program, monkeypatch):
    assert program("users", "add", "alice", "--admin").exit_code == 0
    assert program("backup").exit_code == 0
    assert program("restore", "latest", "--no-compare").exit_code == 0
    assert program("audit", "verify").exit_code == 0
    told = program("chat", "--user", "alice", "/audit_user *").output
    assert re.search(r"operator \(cli\) +restored why=", told)
    assert "backup reason" not in told, "that line is younger than the backup"
    assert program("vault", "rotate").exit_code == 0
    told = program("chat", "--user", "alice", "/audit_user *").output
    assert "master_key_rotated" in told


# ---- from an older database


def to_revision(connection, revision):
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


OLD_COLUMNS = "id, user_id, at, actor, action, detail, prev_hash, hash"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_lines_of_an_older_database_are_carried_over_and_anchored(
    kind, request, tmp_path, clock, open_sql_store
):
    url = (
        str(tmp_path / "x.db") if kind == "sqlite" else request.getfixturevalue("bare_postgres_url")
    )
    engine = make_engine(read_address(url))
    async with engine.begin() as connection:
        await connection.run_sync(to_revision, "0013")
        id = 0
        for user_id in ("alice", "bob"):
            for line in plain_chain(user_id, 3):
                id += 1
                at = line.at if kind == "sqlite" else datetime.fromisoformat(line.at)
                values = {"id": id, "u": user_id, "at": at, "d": line.detail}
                values |= {"p": line.previous, "h": line.hash}
                json_of = ":d" if kind == "sqlite" else "CAST(:d AS json)"
                await connection.execute(
                    text(
                        f"INSERT INTO audit_log ({OLD_COLUMNS})"
                        f" VALUES (:id, :u, :at, :u, 'set', {json_of}, :p, :h)"
                    ),
                    values,
                )
    await engine.dispose()
    store = await open_sql_store(url, clock=clock)
    store.audits.keys = KEYS
    assert (await Verifier(store.audits, KEYS).verify()).count["weak"] == 3
    assert await begin(store) is not None
    report = await Verifier(store.audits, KEYS).verify()
    assert (report.faults, report.lines) == ([], 9)
    Database(store, url).tamper("UPDATE audit_log SET action = 'x' WHERE number = 2")
    found = {(f.user_id, f.number) for f in (await Verifier(store.audits, KEYS).verify()).faults}
    assert {("alice", 2), ("bob", 2)} <= found


# ---- a process that is killed

WRITING = """
import asyncio, sys
from tradefleet.domain.audit import ChainKeys
from tradefleet.domain.ids import UserId
from tradefleet.stores.sql import open_store

async def write():
    store = await open_store(sys.argv[1], create=False)
    store.audits.keys = ChainKeys("k1", {"k1": b"1" * 32})
    async def act(user_id):
        while True:
            async with store.open(UserId(user_id)) as own:
                await own.audit("act", {})
            await store.audits.note("noted", {})
            print("written", flush=True)
    await asyncio.gather(act("alice"), act("bob"))

asyncio.run(write())
"""


def write_until_killed(url):
    with Popen([sys.executable, "-c", WRITING, url], stdout=PIPE, text=True) as process:
        for _ in range(10):
            assert process.stdout.readline() == "written\n"
        process.kill()


async def test_a_process_that_is_killed_leaves_whole_chains(sqlite_url, open_sql_store):
    store = await open_sql_store(sqlite_url)
    store.audits.keys = KEYS
    for name in ("alice", "bob"):
        await register(store, UserId(name))
    write_until_killed(sqlite_url)
    async with store.open(UserId("alice")) as own:
        await own.audit("after", {})
    report = await Verifier(store.audits, KEYS).verify()
    assert (report.faults, report.chains) == ([], 3)
    assert report.lines >= 20


# ---- erased users


async def test_after_an_erasure_all_that_is_left_is_still_proven(database, clock, tmp_path):
    file, store = tmp_path / "c.jsonl", database.store
    await over(store, clock, FileSink(file)).turn()
    pseudonym = UserId("erased-0123456789abcdef")
    await store.audits.note("erased", {"user": pseudonym})
    given = {"at": clock.now(), "by_whom": "operator", "reason": ""}
    await store.records.erase(USERS[2], pseudonym, **given)
    report = await database.report(file)
    assert (report.faults, report.erased, report.records) == ([], LINES, 1)
    assert f"({LINES} of erased users: their place, time and action only)" in report.told()[0]
    database.tamper(
        f"UPDATE audit_log SET action = 'x' WHERE user_id = '{pseudonym}' AND number = 3",
        """UPDATE audit_log SET detail = '{"erased": "erased-nobody"}' WHERE user_id = 'user3'""",
    )
    found = await database.found()
    assert (pseudonym, "changed", 3, 3) in found
    assert [each[2] for each in found if each[0] == "user3" and each[1] == "changed"] == [
        *range(1, LINES + 1)
    ], "nobody says that such a one was erased"
