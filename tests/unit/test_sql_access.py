"""Queries find their indices, values stand in columns as they are, the audit log is a chain."""

import sqlite3
from decimal import Decimal

import pytest

from tests.postgres_server import execute
from tests.store_rig import ALICE, LONG, bot, order_of, register
from tradefleet.stores.sql.codec import from_plain, to_plain
from tradefleet.stores.sql.journal import sheets
from tradefleet.stores.sql.journal.sqlite_statements import chunks, statement_of
from tradefleet.stores.sql.tables.traded import FINAL
from tradefleet.stores.sql.types import money_text

# ---- indices

QUERIES = {
    "a user's final orders": (
        f"SELECT * FROM orders WHERE user_id = ? AND state IN ({FINAL})"
        " ORDER BY decided_at DESC, id DESC LIMIT 100",
        "ix_orders_final",
    ),
    "a user's working orders": (
        f"SELECT * FROM orders WHERE user_id = ? AND state NOT IN ({FINAL})",
        "ix_orders_working",
    ),
    "who has working orders": (
        f"SELECT user_id FROM orders WHERE state NOT IN ({FINAL})",
        "ix_orders_working",
    ),
    "due notices": (
        "SELECT * FROM outbox WHERE sent_at IS NULL AND due_at IS NOT NULL AND due_at <= ?"
        " ORDER BY priority, at, id LIMIT 10",
        "ix_outbox_waiting",
    ),
    "an account's open paper orders": (
        "SELECT * FROM paper_orders WHERE account_id = ? AND open",
        "ix_paper_orders_open",
    ),
    "a user's trades": (
        "SELECT * FROM trades WHERE user_id = ? ORDER BY closed_at DESC, id DESC LIMIT 10",
        "ix_trades_user_id_closed_at",
    ),
}


@pytest.mark.parametrize(("query", "index"), QUERIES.values(), ids=QUERIES)
def test_a_query_uses_its_index(sqlite_url, query, index):
    connection = sqlite3.connect(sqlite_url)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", "x" * query.count("?")).fetchall()
    connection.close()
    assert index in str(plan)


@pytest.mark.parametrize("size", [1, 64, 1024])
def test_changed_orders_are_found_by_their_key(sqlite_url, size):
    connection = sqlite3.connect(sqlite_url)
    statement = statement_of(sheets.CHANGED, size)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", [""] * statement.count("?"))
    assert "SEARCH t USING INDEX sqlite_autoindex_orders_1 (id=?)" in str(plan.fetchall())
    connection.close()


@pytest.mark.parametrize("sheet", [sheets.PLACED, sheets.NOTICES, sheets.FLAT])
def test_rows_of_any_number_are_split_into_few_statements(sheet):
    for count in [*range(1, 200), 300, 1023, 1024, 1025, 2000, 5000]:
        rows = [[number] for number in range(count)]
        parts = list(chunks(sheet, rows))
        given = [row for _, chunk in parts for row in chunk]
        assert given[:count] == rows
        assert all(row == rows[-1] for row in given[count:])
        assert len(parts) <= 12
        for statement, chunk in parts:
            assert statement.count("?") == len(chunk) * len(sheet.names) <= 32766
    assert len(given) == 5000 or sheet is not sheets.NOTICES  # a notice is never doubled


# ---- values in columns


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1E-8", "0.00000001"),
        ("1E+3", "1000"),
        ("-0.10", "-0.10"),
        (str(LONG), "123456789012345.12345678"),
        ("0E-8", "0.00000000"),
    ],
)
def test_money_in_sqlite_is_plain_text(value, shown):
    assert money_text(Decimal(value)) == shown


def test_json_columns_hold_what_was_put_in():
    order = order_of(bot(ALICE), price=LONG)
    assert from_plain(type(order), to_plain(order)) == order


async def test_money_and_times_are_exact_in_the_table(sql_store, sql_url):
    await register(sql_store, ALICE, bot(ALICE, allocation=LONG))
    query = "SELECT allocation, created_at FROM bots"
    if sql_url.startswith("postgresql"):
        ((allocation, at),) = execute(sql_url, query)
        assert (allocation, at.isoformat()) == (LONG, "2026-01-01T00:00:00+00:00")
    else:
        connection = sqlite3.connect(sql_url)
        row = connection.execute(query).fetchone()
        connection.close()
        assert row == ("123456789012345.12345678", "2026-01-01T00:00:00.000000Z")
