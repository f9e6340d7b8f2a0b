"""What people see who query the database: the seeds' queries as written, and right rows."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH
from tests.postgres_server import execute
from tests.store_rig import ALICE, BOB, account, bot, full_memory, register, take, write
from tradefleet.domain.bot import BotMemory, BotStatus
from tradefleet.domain.effects import GuardChanged, MemoryChanged, TradeClosed
from tradefleet.domain.ids import UniverseId, UserId
from tradefleet.domain.limits import GuardMemory, RiskLimits
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec

OVERVIEW = "SELECT * FROM user_overview;"
ACTIVE_TRADING = """
SELECT
    u.username,
    uc.exchange,
    uc.symbol,
    us.equity,
    us.daily_pnl,
    uc.is_trading
FROM users u
JOIN user_configs uc ON u.id = uc.user_id
JOIN user_states us ON u.id = us.user_id
WHERE uc.is_trading = true;
"""
PERFORMANCE = """
SELECT
    u.username,
    COUNT(t.id) as total_trades,
    SUM(t.pnl) as total_pnl,
    AVG(t.pnl) as avg_pnl
FROM users u
JOIN trades t ON u.id = t.user_id
GROUP BY u.username
ORDER BY total_pnl DESC;
"""
NOW = datetime.now(UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
LONG_AGO = datetime(2026, 1, 2, 23, 59, 59, tzinfo=UTC)

FIRST = bot(ALICE, 1, allocation=Decimal(1000))
SECOND = bot(ALICE, 2, symbol=ETH, allocation=Decimal(500), status=BotStatus.STOPPED)
GONE = bot(ALICE, 3, symbol=replace(BTC, base="SOL"), allocation=Decimal(300))


def trade(id, owner, pnl, at, fees="0.5"):
    return TradeClosed(
        Trade(
            id=id,
            user_id=owner.user_id,
            account_id=owner.account_id,
            bot_id=owner.id,
            symbol=owner.symbol,
            opened_at=at - timedelta(hours=1),
            closed_at=at,
            quantity=Decimal(2),
            entry_price=Decimal(100),
            exit_price=Decimal(110),
            gross_pnl=Decimal(pnl) + Decimal(fees),
            fees=Decimal(fees),
            exit_reason="target",
        )
    )


def memory(owner, cash, **changes):
    return MemoryChanged(
        BotMemory(bot_id=owner.id, user_id=owner.user_id, cash=Decimal(cash), **changes)
    )


@pytest.fixture
async def query(sql_url, sql_store):
    """Two users, the first with three pairs, one of them removed; what runs a query."""
    await register(sql_store, ALICE, FIRST, SECOND, GONE, username="first_user", telegram_id=7)
    await register(sql_store, BOB, bot(BOB), username="second_user")
    leases = await take(sql_store)
    held = replace(
        full_memory(FIRST).position,
        original=Decimal(3),
        sold_quantity=Decimal(1),
        bought=Decimal(300),
        sell_fees=Decimal(0),
    )
    await write(
        sql_store,
        leases[ALICE],
        trade("t1", FIRST, "10.25", NOW),
        trade("t2", FIRST, "-4", TODAY),
        trade("t3", SECOND, "7", LONG_AGO),
        trade("t4", SECOND, "-1.5", LONG_AGO),
        trade("t5", GONE, "50", TODAY - timedelta(microseconds=1)),
        memory(FIRST, "750", position=held, last_price=Decimal("150.5")),
        memory(SECOND, "480"),
        GuardChanged(GuardMemory(user_id=ALICE, paused_reason="drawdown")),
    )
    await write(sql_store, leases[BOB], trade("t1", bot(BOB), "1", NOW))
    async with sql_store.open(ALICE) as own:
        await own.remove_bot(GONE.id)
        await own.save_limits(RiskLimits(open_positions_max=7, daily_loss_quote=Decimal(150)))

    def run(sql):
        """Run a query as people do; return rows as dicts, numbers with two decimals."""
        if sql_url.startswith("postgresql"):
            rows = execute(sql_url, sql)
        else:
            connection = sqlite3.connect(sql_url)
            connection.row_factory = sqlite3.Row
            rows = connection.execute(sql).fetchall()
            connection.close()
        return [{name: readable(row[name]) for name in row.keys()} for row in rows]  # noqa: SIM118

    return run


def readable(value):
    if isinstance(value, float | Decimal) and not isinstance(value, bool):
        return round(float(value), 2)
    return value


def test_the_overview_has_one_row_per_user(query):
    first, second = sorted(query(OVERVIEW), key=lambda row: row["username"])
    assert (first["username"], first["telegram_id"], first["tier"]) == ("first_user", 7, "free")
    assert (first["pairs"], first["pairs_trading"], first["accounts"]) == (2, 1, 1)
    assert (first["total_trades"], first["winning_trades"]) == (5, 3)
    assert first["balance"] == 1500
    assert (second["username"], second["pairs"], second["total_trades"]) == ("second_user", 1, 1)


def test_active_trading_has_one_row_per_pair_with_its_users_state(query):
    rows = sorted(query(ACTIVE_TRADING), key=lambda row: row["username"])
    assert rows == [
        {
            "username": "first_user",
            "exchange": "paper",
            "symbol": "BTC/USDT",
            "equity": 750 + 2 * 150.5 + 480,
            "daily_pnl": 6.25,
            "is_trading": True,
        },
        {
            "username": "second_user",
            "exchange": "paper",
            "symbol": "BTC/USDT",
            "equity": 1000,
            "daily_pnl": 1,
            "is_trading": True,
        },
    ]


def test_performance_by_user_is_not_multiplied_by_their_pairs(query):
    assert query(PERFORMANCE) == [
        {"username": "first_user", "total_trades": 5, "total_pnl": 61.75, "avg_pnl": 12.35},
        {"username": "second_user", "total_trades": 1, "total_pnl": 1, "avg_pnl": 1},
    ]


def test_a_users_state_is_one_row(query):
    (state,) = query(f"SELECT * FROM user_states WHERE user_id = '{ALICE}'")
    assert (state["pairs"], state["pairs_trading"], state["is_trading"]) == (2, 1, True)
    assert (state["balance"], state["equity"]) == (1500, 1531)
    assert state["total_pnl"] == 31 + 50  # and what the pair that is gone had made
    assert (state["open_positions"], state["paused_reason"]) == (1, "drawdown")


async def test_what_the_pairs_of_a_universe_share_counts_once(query, sql_store):
    carol = UserId("carol_id")
    universe = UniverseSpec(
        id=UniverseId("U"),
        user_id=carol,
        account_id=account(carol).id,
        name="main",
        asset="USDT",
        allocation=Decimal(400),
        carried=Decimal(-20),
    )
    members = [
        bot(carol, 1, allocation=Decimal(0), universe_id=universe.id),
        bot(carol, 2, allocation=Decimal(0), universe_id=universe.id, symbol=ETH),
    ]
    await register(sql_store, carol)
    async with sql_store.open(carol) as own:
        await own.save_universe(universe)
        for member in members:
            await own.add_bot(member)
    leases = await take(sql_store)
    await write(sql_store, leases[carol], memory(members[0], "15"), memory(members[1], "-5"))
    (state,) = query(f"SELECT * FROM user_states WHERE user_id = '{carol}'")
    assert (state["balance"], state["equity"], state["total_pnl"]) == (380, 390, 10)


async def test_a_user_without_anything_has_a_state_too(query, sql_store):
    await register(sql_store, "nobody")
    (state,) = query("SELECT * FROM user_states WHERE user_id = 'nobody'")
    numbers = ("pairs", "balance", "equity", "total_pnl", "daily_pnl", "open_positions")
    assert [state[name] for name in numbers] == [0] * 6
    assert not state["is_trading"]


def test_a_users_configs_are_their_pairs(query):
    rows = query(f"SELECT * FROM user_configs WHERE user_id = '{ALICE}' ORDER BY symbol")
    assert [(row["symbol"], row["balance"], row["is_trading"]) for row in rows] == [
        ("BTC/USDT", 1000, True),
        ("ETH/USDT", 500, False),
    ]
    assert [(row["mode"], bool(row["testnet"])) for row in rows] == [("paper", False)] * 2


def test_a_users_trades_have_names_and_percentages(query):
    (row,) = query("SELECT * FROM user_trades WHERE id = 't1' AND username = 'first_user'")
    assert (row["exchange"], row["symbol"], row["side"]) == ("paper", "BTC/USDT", "long")
    assert (row["gross_pnl"], row["fees"], row["pnl"]) == (10.75, 0.5, 10.25)
    assert row["pnl_percentage"] == pytest.approx(5.12, abs=0.01)
    assert query("SELECT count(*) AS n FROM user_trades WHERE pnl < 0") == [{"n": 2}]


def test_performance_has_one_row_per_day(query):
    rows = query(f"SELECT * FROM user_performance WHERE user_id = '{ALICE}' ORDER BY day")
    assert [(str(row["day"]), row["trades"], row["wins"], row["losses"]) for row in rows] == [
        ("2026-01-02", 2, 1, 1),
        (str(TODAY.date() - timedelta(days=1)), 1, 1, 0),
        (str(TODAY.date()), 2, 1, 1),
    ]
    first = rows[0]
    assert (first["pnl"], first["gross_pnl"], first["fees"]) == (5.5, 6.5, 1)
    assert (first["best_trade"], first["worst_trade"], first["win_rate"]) == (7, -1.5, 50)


def test_settings_show_what_the_user_chose(query):
    first, second = query("SELECT * FROM user_settings ORDER BY username")
    assert (first["username"], first["tier"]) == ("first_user", "free")
    assert (str(first["open_positions_max"]), str(first["daily_loss_quote"])) == ("7", "150")
    assert first["drawdown_share_max"] is second["open_positions_max"] is None
