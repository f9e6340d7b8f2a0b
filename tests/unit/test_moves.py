"""A database moved into another: all of it, to the last unit, or nothing; and never two in use."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests.backup_rig import filled, group_of
from tests.postgres_server import APP, address_as, execute
from tests.store_rig import ALICE, BOB, LONG, bot, register, take
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import Refused, StoreUnavailable
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.sql import SchemaState, check, open_store, upgrade
from tradefleet.stores.sql.address import read_address
from tradefleet.stores.sql.copies.sums import SUMMING
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.moves import move, moving, reopen
from tradefleet.stores.sql.moves.sight import number, plain_json
from tradefleet.stores.sql.tables import METADATA

LATER = datetime(2030, 1, 1, tzinfo=UTC)  # when nobody's lease holds any more
said: list[str] = []


async def moved(source: str, target: str):
    return await move(source, target, said.append, ReplayClock(LATER))


async def seen(url: str):
    engine = make_engine(read_address(url))
    try:
        return await moving.seen(engine)
    finally:
        await engine.dispose()


@pytest.fixture
def other_url(sql_url, request):
    """The address of an empty database of the other kind, with nothing in it yet."""
    if sql_url.startswith("postgresql"):
        return str(request.getfixturevalue("tmp_path") / "moved.db")
    return str(request.getfixturevalue("bare_postgres_url"))


@pytest.fixture
def source_url(sql_url, request):
    """The address of a database that may be locked and marked: of its owner."""
    if not sql_url.startswith("postgresql"):
        return sql_url
    own = request.getfixturevalue("bare_postgres_url")
    asyncio.run(upgrade(own))
    return own


async def busy(url: str):
    """Put two users, orders, fills, entries, an audit log and messages into a database."""
    store, leases = await filled(url)
    for number_of in range(3):
        async with store.open(ALICE) as own:
            await own.audit("connect", {"n": number_of, "text": "ü \\ \" '"})
    await store.close()
    return leases


# ---- the whole


async def test_everything_moves_to_the_other_kind_and_back(source_url, other_url, tmp_path):
    await busy(source_url)
    before = await seen(source_url)
    done = await moved(source_url, other_url)
    assert await seen(other_url) == before
    assert (done.counts, done.counts["orders"]) == (before.counts, 40)
    assert (done.sums, done.chains) == (len(before.sums), len(before.ends))
    assert set(before.counts) == set(METADATA.tables)
    back = str(tmp_path / "back.db")
    await moved(other_url, back)
    assert await seen(back) == before


async def test_who_was_moved_goes_on_where_they_were(source_url, other_url):
    await busy(source_url)
    await moved(source_url, other_url)
    store = await open_store(other_url)
    leases = await take(store, now=LATER)
    assert not any(await store.write(group_of(leases[ALICE], 40)))
    await register(store, "carol", bot("carol"))
    async with store.open(ALICE) as own:
        await own.audit("goes on", {})
        assert len(await own.orders(limit=100)) >= 40
    for _ in range(2):  # columns that count up do so from their last number on
        assert await store.notify_everybody(Topic.SYSTEM, "moved", LATER) >= 2
    await store.close()


async def test_the_services_role_may_use_what_its_owner_moved(sqlite_url, bare_postgres_url):
    await busy(sqlite_url)
    await moved(sqlite_url, bare_postgres_url)
    store = await open_store(address_as(APP, bare_postgres_url), create=False)
    assert sorted(await store.user_ids()) == [ALICE, BOB]
    await store.close()
    with pytest.raises(Exception, match="append-only"):
        execute(bare_postgres_url, "DELETE FROM fills")


# ---- never two in use


async def test_the_old_one_is_not_used_any_more_unless_somebody_says_so(source_url, other_url):
    await busy(source_url)
    await moved(source_url, other_url)
    assert (await check(source_url)).state is SchemaState.MOVED
    for opening in (open_store(source_url), open_store(source_url, create=False)):
        with pytest.raises(StoreUnavailable, match=r"was moved into another database: name that"):
            await opening
    with pytest.raises(StoreUnavailable, match="was moved"):
        await upgrade(source_url)
    with pytest.raises(StoreUnavailable, match="was moved"):
        await moved(source_url, other_url)
    assert "can be used again" in await reopen(source_url)
    assert (await check(source_url)).state is SchemaState.CURRENT
    with pytest.raises(Refused, match="was not moved"):
        await reopen(source_url)


async def test_a_move_waits_for_no_service_that_runs(source_url, other_url):
    store, _ = await filled(source_url)
    with pytest.raises(Refused, match=r"is in use: host runs there until .* Stop the service"):
        await move(
            source_url, other_url, said.append, ReplayClock(datetime(2026, 1, 1, tzinfo=UTC))
        )
    assert (await check(other_url)).state is SchemaState.MISSING
    assert await store.user_ids()
    await store.close()


async def test_nothing_is_moved_over_something_or_onto_itself(source_url, other_url, tmp_path):
    await busy(source_url)
    with pytest.raises(Refused, match="is the same database"):
        await moved(source_url, source_url)
    with pytest.raises(Refused, match="nothing to move"):
        await moved(str(tmp_path / "none.db"), other_url)
    store = await open_store(other_url)
    await register(store, "carol")
    await store.close()
    with pytest.raises(Refused, match=r"is not empty \(users has 1 rows\)"):
        await moved(source_url, other_url)
    assert (await check(source_url)).state is SchemaState.CURRENT


async def test_a_source_that_is_behind_is_sent_to_be_upgraded(sqlite_url, other_url):
    execute_sqlite(sqlite_url, "UPDATE alembic_version SET version_num = '0010'")
    with pytest.raises(Refused, match="not up to date: run `tradefleet db upgrade`"):
        await moved(sqlite_url, other_url)


def execute_sqlite(file: str, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


async def test_a_writer_is_kept_out_until_the_move_is_done(source_url, other_url, monkeypatch):
    await busy(source_url)
    store = await open_store(source_url, patience=0.2)
    refused = []
    copy = moving.Ends._copy

    async def with_a_writer(*given):
        if given[1].name == "orders":
            try:
                await register(store, "carol")
            except StoreUnavailable as error:
                refused.append(str(error))
        await copy(*given)

    monkeypatch.setattr(moving.Ends, "_copy", with_a_writer)
    before = await seen(source_url)
    await moved(source_url, other_url)
    await store.close()
    assert "locked by another process" in refused[0]
    assert await seen(other_url) == before


# ---- broken off

KILLED_AT = ["copying", "comparing", "source marked"]
SCRIPT = """
import asyncio, os, sys
from datetime import UTC, datetime
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.stores.sql.moves import move, moving
source, target, place = sys.argv[1:]
def killed(*given): os.kill(os.getpid(), 9)
if place == "copying":
    copy = moving.Ends._copy
    async def broken(self, table, *given):
        await copy(self, table, *given)
        if table.name == "fills": killed()
    moving.Ends._copy = broken
elif place == "comparing":
    moving.seen = killed
else:
    stamp = moving.stamp
    async def broken(connection, revision):
        if not revision.startswith("moved"): killed()
        await stamp(connection, revision)
    moving.stamp = broken
asyncio.run(move(source, target, print, ReplayClock(datetime(2030, 1, 1, tzinfo=UTC))))
"""


@pytest.mark.parametrize("place", KILLED_AT)
async def test_a_move_that_was_killed_is_said_again_and_ends_as_if_nothing_was(
    sqlite_url, bare_postgres_url, tmp_path, place
):
    await busy(sqlite_url)
    before = await seen(sqlite_url)
    then = str(tmp_path / "then.db")
    for source, target in ((sqlite_url, bare_postgres_url), (bare_postgres_url, then)):
        command = [sys.executable, "-c", SCRIPT, source, target, place]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
        assert done.returncode == -9, done.stderr.decode()
        assert (await check(target)).state is SchemaState.UNFINISHED
        with pytest.raises(StoreUnavailable, match="move that did not come to its end"):
            await open_store(target)
        marked = SchemaState.MOVED if place == "source marked" else SchemaState.CURRENT
        assert (await check(source)).state is marked
        await moved(source, target)
        assert await seen(target) == before
        assert (await check(target)).state is SchemaState.CURRENT


async def test_a_target_that_changed_what_it_was_sent_is_never_used(
    sqlite_url, bare_postgres_url, monkeypatch
):
    await busy(sqlite_url)
    finding = moving.seen

    async def after_a_change(engine):
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL tradefleet.scope = 'system'"))
            change = "UPDATE ledger_entries SET amount = amount + 0.00000001 WHERE line = 0"
            await connection.execute(text(change))
        return await finding(engine)

    monkeypatch.setattr(moving, "seen", after_a_change)
    with pytest.raises(StoreUnavailable, match=r"What arrived is not what was sent: .*ledger"):
        await moved(sqlite_url, bare_postgres_url)
    assert (await check(sqlite_url)).state is SchemaState.CURRENT
    assert (await check(bare_postgres_url)).state is SchemaState.UNFINISHED


async def test_what_postgres_cannot_keep_is_named_before_anything_is_moved(
    sqlite_url, bare_postgres_url
):
    await busy(sqlite_url)
    execute_sqlite(sqlite_url, "UPDATE bots SET note = 'a' || char(0) || 'b' WHERE number = 1")
    with pytest.raises(Refused, match=r"bots\.note holds a NUL character.*bot1 of "):
        await moved(sqlite_url, bare_postgres_url)
    assert (await check(sqlite_url)).state is SchemaState.CURRENT


# ---- values

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=18) | st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(-(10**60), 10**60),
    st.integers(0, 40),
)
DAY = timedelta(days=1)
EARLIEST = datetime.min.replace(tzinfo=UTC) + DAY
LATEST = datetime.max.replace(tzinfo=UTC) - DAY
TIMES = st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | FLOATS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXT, each, max_size=3),
    max_leaves=8,
)
ROWS = st.tuples(AMOUNTS, TIMES, VALUES, TEXT, FLOATS)
EXTREMES = [
    (LONG, LATEST, {"a": 1e300}, "ü", 5e-324),
    (Decimal("-1E-30"), EARLIEST, {"b": ["", "\\u0041"]}, "", -0.0),
    (Decimal("1E+30"), LATER, {"": [1.0, 10**19, None]}, "'", 0.1),
    (Decimal("0E-8"), LATER, {"c": -0.0}, "\\", 1.7976931348623157e308),
]


def many_rows() -> list:
    """Return some hundred rows of values of every kind."""
    rows = [*EXTREMES]

    @settings(max_examples=300, deadline=None, database=None)
    @given(ROWS)
    def collect(row):
        rows.append(row)

    collect()
    return rows


async def test_values_arrive_to_the_last_unit(sqlite_url, bare_postgres_url, tmp_path):
    await put(sqlite_url, many_rows())
    before = await seen(sqlite_url)
    assert before.counts["system_metrics"] > 200
    back = str(tmp_path / "back.db")
    await moved(sqlite_url, bare_postgres_url)
    assert await seen(bare_postgres_url) == before
    await moved(bare_postgres_url, back)
    assert await seen(back) == before


async def put(url: str, rows) -> None:
    engine = make_engine(read_address(url))
    metrics, events = METADATA.tables["system_metrics"], METADATA.tables["paper_fills"]
    async with engine.begin() as connection:
        for place, (amount, at, value, words, real) in enumerate(rows):
            at = at.replace(tzinfo=UTC)
            row = {"at": at, "name": words, "value": real, "labels": {"v": value}}
            await connection.execute(metrics.insert(), row)
            amounts = dict.fromkeys(("quantity", "price", "cost", "fee", "fee_quote"), amount)
            names = dict.fromkeys(("order_id", "symbol", "side", "fee_asset"), words)
            key = {"account_id": words, "id": str(place), "filled_at": at}
            await connection.execute(events.insert(), {**amounts, **names, **key})
    await engine.dispose()


@given(AMOUNTS, st.integers(0, 5))
def test_a_number_is_the_same_whatever_zeros_it_ends_in_and_no_other(amount, zeros):
    longer = Decimal(f"{amount:f}" + ("" if "." in f"{amount:f}" else ".") + "0" * zeros)
    assert number(longer) == number(amount)
    _, _, exponent = amount.as_tuple()
    nudge = Decimal((0, (1,), int(exponent) - 1))
    assert number(SUMMING.add(amount, nudge)) != number(amount)


def test_json_is_the_same_in_any_order_and_any_writing_of_numbers_and_no_other():
    assert plain_json('{"a": 1.0, "b": [1e2]}') == plain_json('{"b":[100],"a":1}')
    assert plain_json('{"a": "1"}') != plain_json('{"a": 1}')
    assert plain_json("[0.1]") != plain_json("[0.10000000000000001]")
    assert plain_json(json.dumps({"number": "1"})) != plain_json("1")


def test_every_table_is_moved_because_nobody_lists_them():
    source = Path(moving.__file__).read_text()
    listed = [name for name in METADATA.tables if f'"{name}"' in source]
    assert listed == []


async def test_a_move_holds_no_more_than_a_batch_of_rows(sqlite_url, other_url, monkeypatch):
    monkeypatch.setattr(moving, "BATCH", 7)
    await busy(sqlite_url)
    most = 0
    add = moving.Sight.add

    def watched(self, reader, rows):
        nonlocal most
        most = max(most, len(rows))
        add(self, reader, rows)

    monkeypatch.setattr(moving.Sight, "add", watched)
    await moved(sqlite_url, other_url)
    assert most == 7
