"""An old program's database for one user becomes one user's: every shape, all of it, or nothing."""

import json
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from tests.store_rig import ALICE, register, take
from tradefleet.domain.errors import Conflict, NotThere, Refused
from tradefleet.domain.ledger import Balances, place_of
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.operations.single_user.files import read_tables
from tradefleet.operations.single_user.importing import Choices, Importing, lines_of
from tradefleet.operations.single_user.shapes import read_bot, time_of
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts

BTC, ETH, SOL = map(Symbol.parse, ("BTC/USDT", "ETH/USDT", "SOL/USDT"))
D = Decimal
WHEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHOICES = Choices(strategy="apex", timeframe=Timeframe.parse("5m"), stop_percent=None)

ONE_ROW = {
    "bot_state": [
        {
            "id": 1, "symbol": "BTCUSDT", "balance": 900.5, "equity": 1010.5, "in_position": 1,
            "position_size": 0.002, "entry_price": 50000.0, "stop_loss": 48000, "take_profit": 0,
            "entry_time": "2026-03-01 12:00:00",
        }
    ],
    "trades": [
        {"id": 7, "symbol": "BTC/USDT", "side": "long", "quantity": 0.01, "entry_price": 100,
         "exit_price": 110, "pnl": 0.08, "fee": 0.02, "entry_time": 1772366400,
         "exit_time": 1772370000, "exit_reason": "target"},
    ],
}  # fmt: skip
KEYS_AND_VALUES = {
    "bot_state": [
        {"key": "symbol", "value": "BTC/USDT"},
        {"key": "balance", "value": "900.50"},
        {"key": "is_running", "value": "true"},
        {"key": "position", "value": json.dumps(
            {"qty": 0.002, "entry": 50000, "sl": 48000, "opened_at": 1772366400000}
        )},
    ],
}  # fmt: skip
JSON_COLUMN = {
    "bot_state": [
        {
            "id": 1,
            "updated_at": "2026-03-01T12:00:00Z",
            "data": json.dumps(
                {
                    "balance": 900.5,
                    "positions": {
                        "BTC/USDT": {
                            "amount": 0.002, "avg_price": 50000, "stop": 48000,
                            "open_time": "2026-03-01T12:00:00+00:00",
                        }
                    },
                }
            ),
        }
    ]
}  # fmt: skip
TABLES_BESIDE = {
    "bot_state": [{"id": 1, "balance": "900.5"}],
    "config": [{"name": "symbol", "value": "BTC/USDT"}],
    "positions": [
        {"symbol": "BTC/USDT", "side": "LONG", "quantity": "0.002", "entry_price": "50000",
         "stop_loss": "48000", "status": "OPEN", "opened_at": "2026-03-01T12:00:00Z"},
        {"symbol": "BTC/USDT", "side": "LONG", "quantity": "1", "entry_price": "1",
         "stop_loss": "1", "status": "CLOSED", "opened_at": "2026-01-01T12:00:00Z"},
    ],
}  # fmt: skip
OPEN_TRADE = {
    "bot_state": [{"symbol": "BTC/USDT", "balance": 900.5}],
    "trades": [
        {"symbol": "BTC/USDT", "side": "buy", "amount": 0.002, "entry_price": 50000,
         "stop_loss": 48000, "exit_price": None, "status": "open", "timestamp": 1772366400},
    ],
}  # fmt: skip
SHAPES = {
    "a row per pair": ONE_ROW,
    "keys and values": KEYS_AND_VALUES,
    "JSON in a column": JSON_COLUMN,
    "tables beside it": TABLES_BESIDE,
    "an open trade": OPEN_TRADE,
}


def as_sqlite(file, tables):
    with sqlite3.connect(file) as connection:
        for name, rows in tables.items():
            columns = list(dict.fromkeys(key for row in rows for key in row))
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            for row in rows:
                values = [row.get(column) for column in columns]
                marks = ", ".join("?" * len(columns))
                connection.execute(f"INSERT INTO {name} VALUES ({marks})", values)
    connection.close()
    return file


def as_json(file, tables):
    file.write_text(json.dumps(tables))
    return file


KINDS = {"sqlite": as_sqlite, "json": as_json}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tables", SHAPES.values(), ids=SHAPES)
def test_every_shape_tells_the_same(tmp_path, tables, kind):
    old = read_bot(read_tables(KINDS[kind](tmp_path / "old", tables)))
    assert old.cash == {BTC: D("900.5")}
    position = old.positions[BTC]
    assert (position.quantity, position.entry_price, position.stop) == (D("0.002"), 50000, 48000)
    assert (position.opened_at, position.target) == (WHEN, None)


def test_a_file_of_rows_alone_is_bot_state(tmp_path):
    rows = ONE_ROW["bot_state"]
    for said in (rows, rows[0]):
        old = read_bot(read_tables(as_json(tmp_path / "old", said)))
        assert old.cash == {BTC: D("900.5")}


def test_round_trips_are_kept_with_what_they_earned():
    (trade,) = read_bot(ONE_ROW).trades
    assert (trade.gross_pnl, trade.fees, trade.reason) == (D("0.1"), D("0.02"), "target")
    assert (trade.opened_at, (trade.closed_at - trade.opened_at).seconds) == (WHEN, 3600)


def test_single_buys_and_sells_become_round_trips():
    row = {"symbol": "ETH/USDT", "fee": "0.5"}
    said = [("buy", 2, 100, 1), ("buy", 2, 110, 2), ("sell", 1, 120, 3), ("sell", 3, 130, 4)]
    trades = [
        {**row, "side": side, "quantity": quantity, "price": price, "timestamp": 1772366400 + at}
        for side, quantity, price, at in said
    ]
    old = read_bot({"bot_state": [{"symbol": "ETHUSDT", "balance": 10}], "trades": trades[::-1]})
    (trade,) = old.trades
    assert (trade.quantity, trade.entry_price, trade.gross_pnl) == (4, 105, 120 + 390 - 420)
    assert trade.fees == 2
    assert old.positions == {}


def test_a_balance_of_all_pairs_together_is_parted_and_that_is_said():
    old = read_bot({"bot_state": [{"balance": "100", "symbols": ["BTC/USDT", "ETH/USDT"]}]})
    assert old.cash == {BTC: 50, ETH: 50}
    assert "shared one balance of 100" in old.notes[0]


def test_pairs_with_balances_of_their_own_keep_them():
    state = {"pairs": {"BTC/USDT": 1000, "ETH/USDT": {"balance": 500.25}}}
    assert read_bot({"bot_state": [state]}).cash == {BTC: 1000, ETH: D("500.25")}


def test_a_balance_that_is_not_said_follows_from_the_first_one():
    state = {"symbol": "BTC/USDT", "initial_balance": 1000}
    old = read_bot(
        {**ONE_ROW, "bot_state": [{**ONE_ROW["bot_state"][0], "balance": None, **state}]}
    )
    assert old.cash == {BTC: D("900.08")}
    assert "make 900.08" in old.notes[0]


@pytest.mark.parametrize("said", ["2026-03-01T12:00:00Z", "2026-03-01 12:00:00", 1772366400.0,
                                  "1772366400000", "2026-03-01T13:00:00+01:00"])  # fmt: skip
def test_times_are_read_as_people_write_them(said):
    assert time_of(said) == WHEN


FAULTS = {
    "no table": (
        {"wallet": [{"x": 1}]},
        r"no table bot_state with a row .*; the tables are: w",
    ),
    "no pair": (
        {"bot_state": [{"balance": 1}]},
        r"row 1: no column says the pair .*--symbol",
    ),
    "no balance": ({"bot_state": [{"symbol": "BTC/USDT"}]}, "row 1: no column says the balance"),
    "no number": (
        {"bot_state": [{"symbol": "BTC/USDT", "balance": "lots"}]},
        "Table bot_state, row 1, column balance: 'lots' is no number",
    ),
    "not a pair": (
        {"bot_state": [{"symbol": "?", "balance": 1}]},
        "Table bot_state, row 1, column symbol: ",
    ),
    "below zero": (
        {"bot_state": [{"symbol": "BTC/USDT", "balance": -1}]},
        "column balance: a balance of -1.* is below zero",
    ),
    "a short": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "positions": [{"quantity": 1, "side": "short", "entry_price": 1}],
        },
        "Table positions, row 1, column side: a short position has no place here",
    ),
    "no entry": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "positions": [{"quantity": 1, "side": "long"}],
        },
        "Table positions, row 1: no column says the price of the entry",
    ),
    "no time": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "trades": [{"quantity": 1, "entry_price": 1, "exit_price": 1, "entry_time": "soon"}],
        },
        "Table trades, row 1, column entry_time: 'soon' is no time",
    ),
    "no side": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "trades": [{"quantity": 1, "price": 1, "timestamp": 1}],
        },
        "Table trades, row 1, column side: '' is neither buy nor sell",
    ),
    "money beyond measure": (
        {"bot_state": [{"symbol": "BTC/USDT", "balance": 1e300}]},
        "column balance: 1e[+]300 is no number, or too large for one",
    ),
    "sold too much": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "trades": [{"side": "sell", "quantity": 1, "price": 1, "timestamp": 1}],
        },
        "row 1, column quantity: more was sold than was bought",
    ),
    "two positions": (
        {
            "bot_state": [{"symbol": "BTC/USDT", "balance": 1}],
            "positions": [{"size": 1, "entry_price": 1, "opened_at": 1}] * 2,
        },
        "a second position of the pair",
    ),
}


@pytest.mark.parametrize(("tables", "why"), FAULTS.values(), ids=FAULTS)
def test_what_makes_no_sense_is_named_by_table_and_column(tables, why):
    with pytest.raises(Refused, match=why):
        read_bot(tables)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0 and no more", b"3"])
def test_a_file_that_is_neither_kind_is_refused(tmp_path, content):
    file = tmp_path / "old"
    file.write_bytes(content)
    with pytest.raises(Refused, match="is neither a SQLite database nor JSON"):
        read_tables(file)
    with pytest.raises(Refused, match="There is no file"):
        read_tables(tmp_path / "none")


# ---- what becomes of it

WHOLE = {
    **ONE_ROW,
    "trades": [
        *ONE_ROW["trades"],
        {"symbol": "SOL/USDT", "quantity": 2, "entry_price": 10, "exit_price": 9, "timestamp": 1},
    ],
}


def importing(store, clock, **choices):
    given = Choices(**{**{n: getattr(CHOICES, n) for n in CHOICES.__slots__}, **choices})
    return Importing(store=store, clock=clock, choices=given)


async def test_everything_of_it_is_the_users_and_books_and_position_tell_the_same(store, clock):
    await register(store, ALICE)
    old = read_bot(WHOLE)
    planned = await importing(store, clock).plan(ALICE, old)
    assert await store.load_user(ALICE) == (before := await store.load_user(ALICE))
    made = await importing(store, clock).apply(ALICE, old)
    assert [each.bot for each in made] == [each.bot for each in planned]
    load = await store.load_user(ALICE)
    assert not before.bots
    async with store.open(ALICE, reading=True) as own:
        (bot,) = await own.bots()
        memory = (await own.memories())[bot.id]
        trades = await own.trades()
        books = Balances()
        for entry in await own.entries():
            books.book(entry)
    assert (bot.symbol, bot.allocation, bot.status.value) == (BTC, D("1000.5"), "stopped")
    assert books.of(place_of(bot.id), "USDT") == memory.cash == D("900.5")
    assert books.of(place_of(bot.id), "BTC") == memory.position.quantity == D("0.002")
    assert not any(books.everything().values())
    assert (memory.position.stop, memory.position.opened_at) == (48000, WHEN)
    assert memory.equity == bot.allocation
    assert {str(trade.symbol) for trade in trades} == {"BTC/USDT", "SOL/USDT"}
    assert sum(trade.pnl for trade in trades) == D("0.08") - 2
    assert [each.id for each in load.bots] == [bot.id]
    assert bot.id in {user_bot.id for user_bot in load.bots}
    assert [lease.user_id for lease in (await take(store, now=clock.now())).values()] == [ALICE]


async def test_a_second_time_there_is_nothing_to_make(store, clock):
    await register(store, ALICE)
    old = read_bot(WHOLE)
    await importing(store, clock).apply(ALICE, old)
    before = await store.load_user(ALICE)
    again = await importing(store, clock).apply(ALICE, old)
    assert again == []
    assert "nothing to make" in lines_of(again, old, ALICE, applied=True)[0]
    assert await store.load_user(ALICE) == before


async def test_nothing_is_half_imported(store, clock, monkeypatch):
    await register(store, ALICE)
    old = read_bot({**WHOLE, "bot_state": [*WHOLE["bot_state"], {"pair": "ETHUSDT", "cash": 5}]})
    kind = type(importing(store, clock))
    making = kind._deposits

    def breaks(self, bot, asset, amount):
        entries = making(self, bot, asset, amount)
        if bot.symbol == ETH:
            entries.append(
                entries[0].__class__(**{**vars_of(entries[0]), "id": "x", "account_id": "other"})
            )
        return entries

    monkeypatch.setattr(kind, "_deposits", breaks)
    with pytest.raises(Exception):  # noqa: B017 - whatever stops it
        await importing(store, clock).apply(ALICE, old)
    async with store.open(ALICE, reading=True) as own:
        assert (await own.bots(), await own.trades(), await own.entries()) == ([], [], [])


def vars_of(value):
    return {name: getattr(value, name) for name in value.__slots__}


async def test_a_position_without_a_stop_needs_one(store, clock):
    await register(store, ALICE)
    state = {**ONE_ROW["bot_state"][0], "stop_loss": None}
    old = read_bot({"bot_state": [state]})
    with pytest.raises(Refused, match=r"The position in BTC/USDT has no stop.*--stop-percent 5"):
        await importing(store, clock).plan(ALICE, old)
    (made,) = await importing(store, clock, stop_percent=D(5)).plan(ALICE, old)
    assert made.memory.position.stop == 47500


async def test_it_is_nobodys_or_somebodys_that_runs(store, clock):
    with pytest.raises(NotThere, match="There is no user alice_id: run `tradefleet users add"):
        await importing(store, clock).plan(ALICE, read_bot(WHOLE))
    await register(store, ALICE)
    await importing(store, clock).apply(ALICE, read_bot(WHOLE))
    await take(store, now=clock.now())
    more = read_bot({"bot_state": [{"symbol": "ETH/USDT", "balance": 5}]})
    with pytest.raises(Conflict, match="stop the service first"):
        await importing(store, clock).apply(ALICE, more)


# ---- as it is typed


def test_it_is_shown_first_and_written_when_that_is_said(tmp_path, sqlite_url):
    file = as_sqlite(tmp_path / "bot.db", WHOLE)
    app, runner = build_app(build_parts()), CliRunner()
    command = ["import-single-user", str(file), "--user", "alice", "--db", sqlite_url]
    told = runner.invoke(app, command)
    assert (told.exit_code, "There is no user alice" in told.output) == (1, True)
    assert runner.invoke(app, ["users", "add", "alice", "--db", sqlite_url]).exit_code == 0
    told = runner.invoke(app, command)
    assert told.output.splitlines() == [
        "Would make for alice, on paper, stopped until you start them:",
        "  BTC/USDT: 900.50000000 USDT, 1 trades, apex 5m",
        "    holds 0.00200000 BTC bought at 50000.00000000, stop 48000.00000000",
        "  SOL/USDT: 1 trades, of a pair that is not there any more",
        "Nothing was written. Say --apply to make it.",
    ]
    assert runner.invoke(app, [*command, "--apply"]).output.startswith("Made for alice")
    assert "nothing to make" in runner.invoke(app, [*command, "--apply"]).output
    told = runner.invoke(app, ["audit", "verify", "--db", sqlite_url])
    assert (told.exit_code, "All lines are as they were written" in told.output) == (0, True)
    told = runner.invoke(app, [*command, "--strategy", "none"])
    assert "There is no strategy 'none'; choose one of:" in told.output
