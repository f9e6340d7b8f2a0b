"""Who is erased is gone: canaries in every personal field, then looked for in all that is left.

They come in through commands, sign-ins and an operator's hands, as in real life, and are searched
in nine encodings in the database's files, its rows, the logs, the exports and an older backup that
is brought back.
"""

import asyncio
import json
import logging
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.backup_rig import backups, require_programs
from tests.doors import BYBIT, PAPER, Still, rules_of
from tests.e2e.test_canaries import forms_of, written_down
from tests.key_rig import LIVE_ALLOWED, Exchange, vault_under
from tests.postgres_server import execute
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.effects import MemoryChanged, Notify, OrderPlaced, Topic, TradeClosed
from tradefleet.domain.errors import BrokenInvariant, LeaseLost, NotThere, Refused
from tradefleet.domain.ids import OrderId, UserId
from tradefleet.domain.ledger import Balances
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order, OrderState, Purpose
from tradefleet.domain.position import Trade
from tradefleet.domain.user import Role
from tradefleet.identity import Link, LinkUse, Password, PersonalToken, Right, Session
from tradefleet.operations.privacy.archive import write_archive
from tradefleet.operations.privacy.archives import Archives
from tradefleet.operations.privacy.erasure_list import NAME, SECRET_NAME, ErasureList
from tradefleet.operations.privacy.erasures import LATE, Erasures
from tradefleet.runtime.real_world import RandomIds
from tradefleet.store import Batch, ErasureRequest
from tradefleet.stores.sql import open_store, upgrade
from tradefleet.wiring import build_dispatcher
from tradefleet.wiring.backup import erase_again

GONE, STAYS, ADMIN = UserId("tg73219850017"), UserId("bob"), UserId("operator")
TELEGRAM_ID = 73219850017
USERNAME = "CnryUserQx81"
WORDS = {
    name: f"cnry{name}{number}Zq7wXk"
    for number, name in enumerate(
        ("universe", "support", "label", "address", "note", "kill", "reason"), 3
    )
}
HOOK = "https://cnryhook5Zq7wXk.example.org/in"
CANARIES = [GONE, str(TELEGRAM_ID), USERNAME, *WORDS.values(), "cnryhook5Zq7wXk"]


class Service:
    """A service on a database, with all that erases."""

    def __init__(self, store, folder):
        self.store, self.still, self.folder = store, Still(), folder
        self.vault, self.exchange = vault_under(), Exchange()
        self.archives = Archives(
            records=store.records,
            folder=folder / "exports",
            clock=self.still,
            counters=MemoryCounters(self.still),
            version="1",
        )
        self.list = ErasureList(files=(folder / "shelf" / NAME, folder / "data" / NAME))
        self.erasures = Erasures(
            store=store,
            records=store.records,
            clock=self.still,
            ids=RandomIds(),
            written=self.list,
            logs=folder / "logs",
            forget=self.archives.forget,
        )
        self.dispatcher = build_dispatcher(
            store,
            self.still,
            self.still,
            rules=rules_of,
            known_venues={"paper": PAPER, "bybit": BYBIT},
            desk=self.exchange,
            vault=self.vault,
            key_rules=LIVE_ALLOWED,
            operator_ids=[1],
            my_data=self.archives.ask,
            web_url="https://bots.example.org",
        )

    async def say(self, message, user=GONE, **more):
        name, *words = message.split()
        return await self.dispatcher.run(user, name.removeprefix("/"), words, **more)


async def settled(service, *, held=False):
    """Let the user who is to go have traded: orders, fills, a closed trade, a full purse."""
    store, now = service.store, service.still.now()
    leases = await store.take_leases("host", now=now, ttl=60, limit=10)
    (lease,) = [each for each in leases if each.user_id == GONE]
    async with store.open(GONE, reading=True) as own:
        bot = (await own.bots())[0]
        memory = (await own.memories())[bot.id]
    order = Order(
        id=OrderId("f" * 32),
        user_id=GONE,
        account_id=bot.account_id,
        bot_id=bot.id,
        seq=1,
        symbol=bot.symbol,
        side=Side.BUY,
        quantity=Decimal(1),
        purpose=Purpose.ENTRY,
        decided_at=now,
        reason="entry",
        state=OrderState.CREATED if held else OrderState.DONE,
        note=WORDS["note"],
    )
    trade = Trade(
        id=f"{bot.id}-1",
        user_id=GONE,
        account_id=bot.account_id,
        bot_id=bot.id,
        symbol=bot.symbol,
        opened_at=now,
        closed_at=now,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        gross_pnl=Decimal(10),
        fees=Decimal(1),
        exit_reason="target",
    )
    records = (OrderPlaced(order), TradeClosed(trade), MemoryChanged(replace(memory, seq=1)))
    batch = Batch(user_id=GONE, epoch=lease.epoch, records=records)
    assert await store.write([batch]) == [None]
    await store.release_leases("host")


async def live_a_life(service):
    """Put a canary into every field a person fills, through what a person uses."""
    store, say, now = service.store, service.say, service.still.now()
    await say("/start", ADMIN, username="operator", telegram_id=1)
    async with store.open(ADMIN) as own:
        await own.save_user(replace(await own.user(), role=Role.ADMIN))
    await say("/start", STAYS)
    await say("/start", username=USERNAME, telegram_id=TELEGRAM_ID)
    key, secret = "cnrykey9Zq7wXk" * 2, "cnrysecret9Zq7wXk" * 2
    await say(f"/connect bybit {key} {secret}")
    await say("/connect paper")
    await say(f"/adduniverse ETH/USDT,SOL/USDT 100 paper name={WORDS['universe'].lower()[:20]}")
    await say("/addpair BTC/USDT 1000 paper")
    await say(f"/support Call me, {WORDS['support']}!")
    await say(f"/addwebhook {HOOK} fill")
    await say(f"/token create {WORDS['label'][:16]} read")
    await say(f"/emergency stop {WORDS['kill']}", key="0197a1b2")
    async with store.open(GONE) as own:
        await own.identity.save_password(Password(hash="$argon2id$x", changed_at=now))
        session = Session(
            id="s1",
            user_id=GONE,
            how="password",
            address=WORDS["address"],
            created_at=now,
            seen_at=now,
            expires_at=now.replace(year=2027),
        )
        await own.identity.save_session(session)
        await own.identity.save_renewal("s1", "r" * 64, now)
        link = Link(hash="l" * 64, user_id=GONE, use=LinkUse.SIGN_IN, expires_at=now)
        await own.identity.save_link(link)
        token = PersonalToken(
            id="t9",
            user_id=GONE,
            name=WORDS["label"],
            hash="t" * 64,
            rights=(Right.READ,),
            created_at=now,
            expires_at=now,
        )
        await own.identity.save_token(token)
        await own.live.listen()
        await own.notify(Notify(GONE, Topic.SYSTEM, f"Hello {USERNAME}", now))
        await own.set_switch(
            Switch(
                scope=Scope.USER,
                scope_id=GONE,
                halt=Halt.STOP,
                reason=WORDS["reason"],
                changed_at=now,
            )
        )
    await say(f"/ban {GONE} {WORDS['reason']}", ADMIN)
    await say(f"/unban {GONE} reason=Settled.", ADMIN)
    await say(f"/tier {GONE} premium reason=Paid.", ADMIN)


async def sums_of(store, user_id):
    books = Balances()
    async with store.open(user_id, reading=True) as own:
        for entry in await own.entries():
            books.book(entry)
    return books.account_totals()


def hits(everything: bytes) -> list[str]:
    found = []
    for canary in CANARIES:
        for form in forms_of(canary) if len(canary) > 12 else {canary.encode()}:
            at = everything.find(form)
            if at >= 0:
                found.append(f"{form!r} in {everything[max(0, at - 120) : at + 40]!r}")
    return found


def as_bytes(parts) -> bytes:
    return b"\0".join(part if isinstance(part, bytes) else repr(part).encode() for part in parts)


@pytest.fixture
async def service(sql_store, tmp_path):
    return await lived(sql_store, tmp_path)


async def lived(store, tmp_path) -> Service:
    """Return a service in which somebody has lived."""
    made = Service(store, tmp_path)
    logs = tmp_path / "logs"
    logs.mkdir()
    line = json.dumps({"event": "said", "user": GONE, "name": USERNAME, "id": TELEGRAM_ID})
    (logs / "bot.log").write_text(f"{line}\n")
    (logs / "error-2026-01-01.log").write_text(f"took user {GONE}: 3 bots\n")
    await store.secret(SECRET_NAME)  # as every service has from its first start on
    await live_a_life(made)
    return made


async def test_nothing_of_a_user_is_left_after_they_were_erased(
    service, sql_url, tmp_path, caplog, monkeypatch
):
    store, still = service.store, service.still
    caplog.set_level(logging.INFO)
    await settled(service)
    before, others = await sums_of(store, GONE), await sums_of(store, STAYS)
    assert before
    await service.archives.ask(GONE)
    assert hits(as_bytes(written_down(sql_url, tmp_path)))
    still.time = still.time.replace(hour=1)

    await service.say("/deleteme")
    caplog.clear()
    assert await service.erasures.turn() == 1

    (done,) = await store.records.erased()
    pseudonym = done.pseudonym
    assert done.by_whom == "user"
    assert await sums_of(store, pseudonym) == before
    assert await sums_of(store, STAYS) == others
    async with store.open(pseudonym, reading=True) as own:
        assert len(await own.orders()) == len(await own.trades()) == 1
        assert (await own.user()).banned_at is not None
    with pytest.raises(NotThere):
        await service.erasures.erase(GONE, by_whom="operator", reason="")
    assert list((tmp_path / "exports").iterdir()) == []
    logs = b"".join(file.read_bytes() for file in (tmp_path / "logs").iterdir())
    assert logs.count(b"\n") == 2
    assert hits(logs) == []
    assert hits(caplog.text.encode()) == []
    with (tmp_path / "logs" / "bot.log").open("a") as log:
        log.write(f"lost the lease of user {GONE}; dropping them\n")
    await service.erasures.blank_again()
    still.time += timedelta(seconds=LATE)
    await service.erasures.blank_again()
    assert hits((tmp_path / "logs" / "bot.log").read_bytes()) == []
    listed = (tmp_path / "shelf" / NAME).read_bytes()
    assert pseudonym.encode() in listed
    assert hits(listed) == []
    await store.close()
    assert hits(as_bytes(written_down(sql_url, tmp_path))) == []


async def test_a_backup_from_before_brings_nobody_back(
    request, sql_url, tmp_path, clock, open_sql_store
):
    require_programs(sql_url)
    if sql_url.startswith("postgresql"):  # as the owner, who alone may make a database beside
        sql_url = request.getfixturevalue("bare_postgres_url")
        await upgrade(sql_url)
    store = await open_sql_store(sql_url, clock=clock)
    service = await lived(store, tmp_path)
    await settled(service)
    copies = backups(sql_url, tmp_path)
    made = await copies.make()
    service.still.time = service.still.time.replace(hour=1)
    await service.erasures.erase(GONE, by_whom="operator", reason="asked by letter")
    (done,) = await store.records.erased()
    with copies.shelf.workshop() as workshop:
        async with copies.opened(made.file, workshop) as found:
            brought = await open_store(found.address)
            assert await erase_again(brought, service.list) == 1
            assert [each.pseudonym for each in await brought.records.erased()] == [done.pseudonym]
            assert await erase_again(brought, service.list) == 0
            users = [user for user, _ in await brought.records.users()]
            assert sorted(users) == [STAYS, ADMIN]
            await brought.close()
            if sql_url.startswith("postgresql"):
                left = written_down(found.address.replace("+asyncpg", ""), tmp_path)
            else:
                left = [file.read_bytes() for file in workshop.iterdir()]
            assert hits(as_bytes(left)) == []


async def test_who_came_back_under_the_same_name_is_not_erased_by_an_old_list(service):
    store = service.store
    await service.erasures.erase(GONE, by_whom="operator", reason="")
    service.still.time = service.still.time.replace(day=2)
    await service.say("/start", username=USERNAME, telegram_id=TELEGRAM_ID)
    assert await service.erasures.again() == 0
    async with store.open(GONE, reading=True) as own:
        assert (await own.user()).username == USERNAME


async def test_nobody_is_erased_while_an_order_is_on_its_way(service):
    await settled(service, held=True)
    with pytest.raises(Refused, match="1 working order"):
        await service.say("/deleteme")
    with pytest.raises(Refused, match="1 order on their way"):
        await service.erasures.erase(GONE, by_whom="operator", reason="")
    assert service.list.read() == []
    async with service.store.open(GONE, reading=True) as own:
        assert await own.user() is not None
        assert await own.accounts()


async def test_a_host_that_still_holds_an_erased_user_writes_nothing_more(service):
    store = service.store
    await settled(service)
    now = service.still.now()
    (lease,) = [
        each
        for each in await store.take_leases("late host", now=now, ttl=600, limit=10)
        if each.user_id == GONE
    ]
    async with store.open(GONE, reading=True) as own:
        (memory, *_) = (await own.memories()).values()
    await service.erasures.erase(GONE, by_whom="operator", reason="")
    late = Batch(user_id=GONE, epoch=lease.epoch, records=(MemoryChanged(memory),))
    (error,) = await store.write([late])
    assert isinstance(error, LeaseLost)
    assert await store.renew_leases("late host", now=now, ttl=600) == []


async def test_an_erasure_that_fails_half_way_leaves_all_as_it_was(service, monkeypatch):
    from tradefleet.stores.sql.privacy import erasing

    async def crash(*given):
        raise RuntimeError("in the midst of it")

    monkeypatch.setattr(erasing, "note", crash)
    before = await sums_of(service.store, GONE)
    with pytest.raises(RuntimeError):
        await service.erasures.erase(GONE, by_whom="operator", reason="")
    assert service.list.read() == []
    assert await sums_of(service.store, GONE) == before
    async with service.store.open(GONE, reading=True) as own:
        assert (await own.user()).username == USERNAME
        assert await own.wrapped_key() is not None


async def test_what_is_append_only_stays_so_for_everybody_else(service, sql_url):
    await settled(service)
    await service.erasures.erase(GONE, by_whom="operator", reason="")
    await service.store.close()
    tampering = (
        "UPDATE ledger_entries SET user_id = 'x'",
        "UPDATE ledger_entries SET amount = '1'",
        'UPDATE audit_log SET detail = \'{"erased": "erased-1"}\'',
        "DELETE FROM audit_log",
    )
    for statement in tampering:
        with pytest.raises(Exception, match=r"append-only|permission denied"):
            await asyncio.to_thread(changed, sql_url, statement)


def changed(url: str, *statements: str) -> None:
    if url.startswith("postgresql"):
        execute(
            url,
            "BEGIN; SET LOCAL tradefleet.scope = 'system'; " + "; ".join(statements),
            "SELECT 1",
        )
        return
    with closing(sqlite3.connect(url)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_an_archive_has_every_row_of_its_user_and_no_secret(service, sql_url, tmp_path):
    await settled(service)
    file = tmp_path / "mine.zip"
    made = await write_archive(
        service.store.records, GONE, file, at=service.still.now(), version="1"
    )
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        content = {name: archive.read(name) for name in archive.namelist()}
    for each in manifest["files"]:
        lines = content[each["file"]].count(b"\n")
        assert lines - (each["file"] == "trades.csv") == each["rows"]
    for name, number in made.rows.items():
        assert number == await counted(service.store, name), name
    assert made.rows["ledger_entries"] > 0
    assert made.rows["audit_log"] > 5
    everything = b"".join(content.values())
    assert USERNAME.encode() in everything
    assert WORDS["address"].encode() in everything
    for secret in ("cnrykey9Zq7wXk", "cnrysecret9Zq7wXk", "$argon2id", "r" * 64, "t" * 64):
        for form in forms_of(secret) if len(secret) > 12 else {secret.encode()}:
            assert form not in everything, secret
    assert b"held sealed, fingerprint " in content["tables/credentials.jsonl"]
    assert set(manifest["not_exported"]).isdisjoint(made.rows)
    assert str(STAYS).encode() + b'"' not in everything


async def counted(store, table: str) -> int:
    whose = "id" if table == "users" else "user_id"
    where = f"{whose} = '{GONE}'"
    if table.startswith("paper_"):
        where = f"account_id IN (SELECT id FROM accounts WHERE user_id = '{GONE}')"
    async with store.reading() as connection:
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {where}")
        return int(found.scalar())


async def test_an_archive_is_read_in_parts_however_much_there_is(service, monkeypatch, tmp_path):
    from tradefleet.stores.sql.privacy import exporting

    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 2)
    most = 0
    async with service.store.records.exporting(GONE) as tables:
        async for table in tables:
            async for part in table.rows:
                most = max(most, len(part))
    assert most == 2


async def test_one_erasure_that_fails_stops_no_other_and_is_tried_again(service, monkeypatch):
    store = service.store
    for user in (GONE, STAYS):
        async with store.open(user) as own:
            await own.ask_erasure(ErasureRequest(asked_at=service.still.now(), reason=""))
    check = type(store.records).check_erasable
    broken = {GONE}

    async def checked(self, user_id):
        if user_id in broken:
            raise BrokenInvariant("something nobody thought of")
        await check(self, user_id)

    monkeypatch.setattr(type(store.records), "check_erasable", checked)
    assert await service.erasures.turn() == 1
    assert [user for user, _ in await store.records.requests()] == [GONE]
    broken.clear()
    assert await service.erasures.turn() == 1
    assert [user for user, _ in await store.records.users()] == [ADMIN]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entries SET user_id = 'p', amount = '9'",
        "UPDATE ledger_entries SET user_id = 'p'",  # whose account is not to become another
        "UPDATE ledger_entries SET user_id = 'p', account_id = 'q', entry_id = 'x'",
        "UPDATE ledger_entries SET user_id = 'other', account_id = 'q'",
        "UPDATE audit_log SET user_id = 'p'",
        "UPDATE audit_log SET user_id = 'p', action = 'x', detail = '{\"erased\": \"p\"}'",
        "DELETE FROM ledger_entries",
    ],
)
async def test_even_while_somebody_is_erased_nothing_else_of_a_row_changes(
    service, sql_url, change
):
    await service.store.close()
    table = change.split()[2 if change.startswith("DELETE") else 1]
    account = f"{GONE}:paper"
    allowed = f"INSERT INTO erasing VALUES ('{GONE}', 'p'), ('{account}', 'q')"
    where = f"WHERE user_id = '{GONE}'"
    where += f" AND account_id = '{account}'" if table == "ledger_entries" else ""
    with pytest.raises(Exception, match=r"append-only|permission denied"):
        await asyncio.to_thread(changed, sql_url, allowed, f"{change} {where}")
