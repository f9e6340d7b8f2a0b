"""PostgreSQL's second wall: what a role that owns nothing sees and writes, and what it cannot."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import Column, MetaData, Table, Text, insert, text
from sqlalchemy.exc import DBAPIError

from tests.makers import fill
from tests.postgres_server import APP, OWNER, SUPERUSER, address_as, execute
from tests.store_rig import (
    ALICE,
    BOB,
    account,
    booked,
    bot,
    order_of,
    register,
    take,
    write,
)
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.errors import Refused, StoreUnavailable
from tradefleet.settings import Settings
from tradefleet.stores.sql import engine, open_store, policies, schema, upgrade
from tradefleet.stores.sql.roles import APP_ROLE, look_at_wall, set_up_role
from tradefleet.stores.sql.tables import METADATA
from tradefleet.wiring.walls import warn_of_walls

ROUNDS, POOL = 10_000, 2
# Tables in which users' transactions have business although no row is a user's own.
OF_ALL = {"signals", "spent"}
OWNED = sorted({each.name for each in METADATA.sorted_tables if "user_id" in each.c} | {"users"})


def seen_by(url: str, query: str, role: str = APP, **settings: str) -> list:
    """Return the rows a query finds in a session with settings."""
    said = [f"SET tradefleet.{name} = '{value}'" for name, value in settings.items()]
    return execute(url, *said, query, role=role)


async def two_users(store):
    """Let Alice and Bob have an order each, with its fill; return their leases."""
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
        async with store.open(user_id) as own:
            await own.audit("connect", {})
    leases = await take(store)
    for user_id in (ALICE, BOB):
        owner = bot(user_id)
        order = order_of(owner, f"o {user_id}")
        done = fill(id=f"f {user_id}", order_id=order.id)
        await write(store, leases[user_id], OrderPlaced(order), booked(done, owner))
    return leases


@pytest.fixture
async def walled(postgres_url, clock, open_sql_store):
    """A store of a role that owns nothing, with rows of two users."""
    store = await open_sql_store(postgres_url, clock=clock)
    await two_users(store)
    return store


# ---- the rule, over every table


def test_every_table_is_behind_the_wall_for_what_is_read_and_what_is_written(postgres_url):
    standing = execute(
        postgres_url,
        "SELECT relname, relrowsecurity, relforcerowsecurity, polqual IS NOT NULL AS reads,"
        " polwithcheck IS NOT NULL AS writes, pg_get_expr(polqual, oid) AS rule"
        " FROM (SELECT c.oid, relname, relrowsecurity, relforcerowsecurity, polqual, polwithcheck"
        " FROM pg_class c LEFT JOIN pg_policy p ON polrelid = c.oid AND polname = 'tenant'"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace) AS found",
    )
    found = {row["relname"]: row for row in standing}
    assert found.keys() - METADATA.tables.keys() == {"alembic_version"}
    for name in METADATA.tables:
        row = found[name]
        assert row["relrowsecurity"] and row["relforcerowsecurity"], name
        assert row["reads"] and row["writes"], name
        assert ("tradefleet.user_id" in row["rule"]) is (name in OWNED), name


def test_a_new_table_of_users_is_walled_and_one_of_nobody_is_closed_to_them():
    fresh = MetaData()
    of_users = Table("fresh", fresh, Column("user_id", Text), Column("x", Text))
    of_nobody = Table("other", fresh, Column("x", Text))
    (mine,) = policies.policies(of_users)
    (closed,) = policies.policies(of_nobody)
    assert mine.count(f"user_id = {policies.TENANT}") == 2, "what is read, and what is written"
    assert "user_id" not in closed
    assert "WITH CHECK" in closed


def test_tables_in_which_everybody_has_business_are_few_and_known():
    everybody = set(policies.USED_BY_ALL) | set(policies.READ_BY_ALL)
    assert everybody == OF_ALL | {"switches"}
    assert not OF_ALL & set(OWNED)


# ---- what is seen


@pytest.mark.parametrize(
    "settings",
    [{}, {"user_id": ""}, {"scope": ""}, {"user_id": "", "scope": ""}, {"scope": "System"}],
    ids=str,
)
async def test_who_says_nothing_sees_nothing(walled, postgres_url, settings):
    query = " UNION ALL ".join(f"SELECT '{n}', count(*) FROM {n}" for n in METADATA.tables)
    for role in (APP, OWNER):
        found = dict(seen_by(postgres_url, query, role, **settings))
        assert {name for name, count in found.items() if count} <= OF_ALL, role
    everything = dict(seen_by(postgres_url, query, scope="system"))
    assert sum(count > 0 for count in everything.values()) > 8


async def test_a_user_sees_what_is_their_own_in_every_table_and_view(walled, postgres_url):
    views = [
        row[0]
        for row in execute(
            postgres_url, "SELECT viewname FROM pg_views WHERE schemaname = 'public'"
        )
    ]
    assert "user_trades" in views
    parts = []
    for name in [*OWNED, *views]:
        column = "id" if name in ("users", "user_overview") else "user_id"
        parts.append(f"SELECT DISTINCT '{name}', {column}::text FROM {name}")
    query = " UNION ALL ".join(parts)
    for role in (APP, OWNER):
        of_all = set(map(tuple, seen_by(postgres_url, query, role, scope="system")))
        of_alice = set(map(tuple, seen_by(postgres_url, query, role, user_id=ALICE)))
        assert of_alice == {(name, whose) for name, whose in of_all if whose == ALICE}, role
        of_both = {name for name, whose in of_all if whose == BOB}
        assert of_both >= {"orders", "fills", "ledger_entries", "audit_log", "bots", "user_states"}


async def test_a_users_transaction_sees_no_other_user_whatever_it_asks(walled):
    for reading in (False, True):
        async with walled.open(ALICE, reading=reading) as own:
            for name in ("orders", "bots", "accounts", "leases", "bot_memories", "users"):
                column = "id" if name == "users" else "user_id"
                query = text(f"SELECT DISTINCT {column} FROM {name}")
                assert list(await own._connection.scalars(query)) == [ALICE]
    async with walled.open(ALICE) as own:
        changed = await own._connection.execute(text("UPDATE bots SET note = 'x'"))
        assert changed.rowcount == 1
    assert sorted(await walled.user_ids()) == [ALICE, BOB]


async def test_an_owner_to_whom_all_is_shown_by_default_still_stands_before_the_wall(
    bare_postgres_url, clock, open_sql_store
):
    """So may an operator set it for their own questions; users' transactions take it back."""
    await upgrade(bare_postgres_url)
    name = bare_postgres_url.partition("?")[0].rpartition("/")[2]
    by_default = f"ALTER ROLE {OWNER} IN DATABASE {name} SET tradefleet.scope = 'system'"
    execute(bare_postgres_url, by_default, "SELECT 1")
    store = await open_sql_store(bare_postgres_url, clock=clock)
    await two_users(store)
    assert len(seen_by(bare_postgres_url, "SELECT id FROM users", OWNER)) == 2
    async with store.open(ALICE, reading=True) as own:
        assert list(await own._connection.scalars(text("SELECT id FROM users"))) == [ALICE]


# ---- what is written


async def test_nothing_can_be_written_for_another_user(walled):
    theirs = {
        "user_limits": {"user_id": BOB, "limits": {}},
        "outbox": {"user_id": BOB, "topic": "x", "text": "x", "priority": 1, "tries": 0},
        "users": {"id": "carol", "username": "carol", "tier": "free", "role": "user"},
        "switches": {"scope": "platform", "scope_id": "*", "halt": "stop", "reason": ""},
    }
    now = account(BOB).created_at
    for name, row in theirs.items():
        table = METADATA.tables[name]
        times = {each: now for each in ("at", "created_at", "changed_at") if each in table.c}
        more = {"settings": {}, "language": "en"} if name == "users" else {}
        given = {**row, **times, **{k: v for k, v in more.items() if k in table.c}}
        with pytest.raises((DBAPIError, StoreUnavailable), match=r"row-level security|may not"):
            async with walled.open(ALICE) as own:
                await own._connection.execute(insert(table).values(given))
    for change in ("UPDATE bots SET user_id = :other", "UPDATE leases SET user_id = :other"):
        with pytest.raises((DBAPIError, StoreUnavailable), match=r"row-level security|may not"):
            async with walled.open(ALICE) as own:
                await own._connection.execute(text(change), {"other": BOB})


async def test_a_user_cannot_lift_what_the_operator_stopped(walled, postgres_url):
    execute(
        postgres_url,
        "INSERT INTO switches (scope, scope_id, halt, reason, changed_at)"
        " VALUES ('platform', '*', 'stop', 'x', now())",
        "SELECT 1",
    )
    async with walled.open(ALICE) as own:
        seen = await own._connection.scalar(text("SELECT count(*) FROM switches"))
        for change in ("UPDATE switches SET halt = 'run'", "DELETE FROM switches"):
            assert (await own._connection.execute(text(change))).rowcount == 0
    assert seen == 1


FROZEN = {"fills": "quantity = 0", "ledger_entries": "amount = 0", "audit_log": "action = ''"}


@pytest.mark.parametrize("table", FROZEN)
def test_the_services_role_has_no_right_to_change_what_is_only_added_to(postgres_url, table):
    changes = [f"UPDATE {table} SET {FROZEN[table]}", f"DELETE FROM {table}", f"TRUNCATE {table}"]
    for change in changes:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            execute(postgres_url, change, role=APP)
    # An erasure may, and nobody else: a trigger asks whether there is one.
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        execute(postgres_url, f"UPDATE {table} SET user_id = 'x'", role=APP)


async def test_no_user_can_say_that_there_is_an_erasure(walled):
    with pytest.raises(StoreUnavailable, match="row-level security"):
        async with walled.open(ALICE) as own:
            change = text("INSERT INTO erasing (was, becomes) VALUES ('a', 'b')")
            await own._connection.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "DROP POLICY tenant ON orders",
        "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE fills DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = ''",
        "DROP TABLE orders",
        "CREATE TABLE mine (x int)",
        "SET ROLE tradefleet",
        "SET session_replication_role = replica",
    ],
)
def test_the_services_role_cannot_take_the_wall_down(postgres_url, change):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(postgres_url, change, role=APP)


# ---- connections that are used again


async def test_no_row_of_another_is_seen_in_10_000_transactions_on_two_connections(
    walled, postgres_url, clock, monkeypatch
):
    monkeypatch.setattr(engine, "POSTGRES_CONNECTIONS", POOL)
    foreign, nothing, done = [], 0, 0
    store = await open_store(postgres_url, clock=clock)
    store.engine.pool._pre_ping = False  # asked each time whether it is there, half of the time

    async def ask(number: int) -> None:
        nonlocal nothing, done
        whose = (ALICE, BOB)[number % 2]
        if number % 10 == 0:  # whoever forgets to say who asks
            async with store._snapshot() as connection:
                nothing += await connection.scalar(ALL_ORDERS)
        elif number % 10 == 5:
            async with store.reading() as connection:
                assert await connection.scalar(ALL_ORDERS) == 2
        else:
            async with store.open(whose, reading=number % 4 != 1) as own:
                found = await own._connection.scalars(WHOSE_ORDERS)
                foreign.extend(each for each in found if each != whose)
        done += 1

    lanes = 4

    async def lane(first: int) -> None:
        for number in range(first, ROUNDS, lanes):
            await ask(number)

    async with asyncio.TaskGroup() as tasks:
        for first in range(lanes):
            tasks.create_task(lane(first))
    assert store.engine.pool.checkedin() <= POOL
    await store.close()
    assert (done, foreign, nothing) == (ROUNDS, [], 0)


ALL_ORDERS = text("SELECT count(*) FROM orders")
WHOSE_ORDERS = text("SELECT user_id FROM orders")


# ---- roles


async def test_a_role_is_made_and_granted_and_keeps_its_rights_after_an_upgrade(
    bare_postgres_url, clock, open_sql_store, monkeypatch
):
    with pytest.raises(Refused, match=r"no tables in .* yet: run `tradefleet db upgrade` first"):
        await set_up_role(bare_postgres_url, "desk_app", None)
    await upgrade(bare_postgres_url)
    lines = await set_up_role(bare_postgres_url, "desk_app", "a'b:c")
    assert lines[0] == "Made the role desk_app, with the password given."
    assert "audit_log, fills, ledger_entries" in lines[-1]
    assert (await set_up_role(bare_postgres_url, "desk_app", None))[0].startswith("Granted")
    await two_users(await open_sql_store(address_as("desk_app", bare_postgres_url), clock=clock))
    execute(bare_postgres_url, "GRANT UPDATE ON audit_log TO desk_app", "SELECT 1")
    monkeypatch.setattr(schema, "newest", lambda: "0999")
    await upgrade(bare_postgres_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(bare_postgres_url, "UPDATE audit_log SET action = 'x'", role="desk_app")
    assert len(seen_by(bare_postgres_url, "SELECT id FROM users", "desk_app", scope="system")) == 2
    execute(bare_postgres_url, "DROP OWNED BY desk_app", "DROP ROLE desk_app", "SELECT 1")


async def test_what_cannot_be_a_services_role_is_refused_with_the_cure(
    bare_postgres_url, postgres_url, sqlite_url
):
    await upgrade(bare_postgres_url)
    for url, role, why in (
        (sqlite_url, "x", "SQLite has no roles"),
        (bare_postgres_url, "A-1", "small letters"),
        (bare_postgres_url, OWNER, "name the owner's"),
        (bare_postgres_url, SUPERUSER, "no wall binds it"),
        (postgres_url, "desk_other", "may not make roles. Let a superuser say CREATE ROLE"),
    ):
        with pytest.raises(Refused, match=why):
            await set_up_role(url, role, None)


async def test_how_the_wall_stands_is_said_for_each_kind_of_role(postgres_url, sqlite_url):
    assert await look_at_wall(sqlite_url) is None
    own = await look_at_wall(postgres_url)
    assert (own.role, own.owns, own.problems()) == (APP_ROLE, False, [])
    owner = await look_at_wall(address_as(OWNER, postgres_url))
    assert "owns the tables" in owner.problems()[0]
    root = await look_at_wall(address_as(SUPERUSER, postgres_url))
    assert "is a superuser" in root.problems()[0]
    assert "`tradefleet db roles`" in root.problems()[0]


async def test_a_table_without_the_wall_is_named(bare_postgres_url):
    await upgrade(bare_postgres_url)
    execute(
        bare_postgres_url,
        "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON bots",
        "SELECT 1",
    )
    found = await look_at_wall(bare_postgres_url)
    assert found.open_tables == ("bots", "orders")
    assert found.problems()[-1].startswith("No row-level security before bots, orders")


async def test_an_upgrade_is_the_owners_and_the_service_says_so(bare_postgres_url):
    await upgrade(bare_postgres_url)
    execute(bare_postgres_url, "UPDATE alembic_version SET version_num = '0010'", "SELECT 1")
    with pytest.raises(
        StoreUnavailable, match=r"tradefleet_app does not own it: .*db upgrade --db`"
    ):
        await open_store(address_as(APP, bare_postgres_url))


async def test_production_warns_at_its_start_of_a_role_that_the_wall_does_not_bind(
    postgres_url, caplog
):
    live = Settings.model_validate({"environment": "production"})
    for role, words in ((SUPERUSER, "is a superuser"), (OWNER, "owns the tables"), (APP, "")):
        caplog.clear()
        await warn_of_walls(live, address_as(role, postgres_url))
        assert [words in record.message for record in caplog.records] == [True] * bool(words)
    await warn_of_walls(Settings.model_validate({}), address_as(SUPERUSER, postgres_url))
    assert caplog.records == []
