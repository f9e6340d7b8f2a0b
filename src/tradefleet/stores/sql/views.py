"""The views people query: made anew by every upgrade, since they hold nothing themselves.

Change one only together with a new migration (an empty one will do), so that databases that
exist are upgraded. In SQLite a view shows money as a rounded number, because the exact text
in its tables neither sums nor compares as one.
"""

from string import Template

from sqlalchemy import Connection

# What the two databases say differently.
WORDS = {
    "sqlite": {
        "today": "strftime('%Y-%m-%dT00:00:00.000000Z', 'now')",
        "day_of_closing": "substr(closed_at, 1, 10)",
    },
    "postgresql": {
        "today": "(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')",
        "day_of_closing": "((closed_at AT TIME ZONE 'UTC')::date)",
    },
}


def money(dialect: str, expression: str) -> str:
    """Return the expression as a number with at most 8 decimals."""
    return (
        f"round({expression}, 8)" if dialect == "sqlite" else f"round(({expression})::numeric, 8)"
    )


def setting(dialect: str, name: str) -> str:
    """Return the expression for one of a user's own limits."""
    return (
        f"json_extract(l.limits, '$.{name}')" if dialect == "sqlite" else f"l.limits ->> '{name}'"
    )


def definitions(dialect: str) -> dict[str, str]:
    """Return each view's query, those that others need first."""
    words = WORDS[dialect]
    words = {
        **words,
        **{
            name: money(dialect, Template(expression).substitute(words))
            for name, expression in AMOUNTS.items()
        },
        **{name: setting(dialect, name) for name in LIMITS},
    }
    return {name: Template(query).substitute(words) for name, query in VIEWS.items()}


LIMITS = (
    "position_quote_max",
    "position_share_max",
    "open_positions_max",
    "daily_loss_quote",
    "daily_loss_share",
    "losses_in_row_max",
    "drawdown_share_max",
)
PAID = "t.entry_price * t.quantity"
AMOUNTS = {
    "allocation": "b.allocation",
    "balance": "coalesce(sum(b.allocation), 0) + coalesce(max(s.shared), 0)",
    "equity": "coalesce(sum(m.cash + coalesce(p.quantity * coalesce("
    "m.last_price, p.bought / nullif(p.original, 0)), 0)), 0) + coalesce(max(s.shared), 0)",
    "shared": "sum(allocation + carried)",
    "total_pnl": "coalesce(n.equity, 0) - coalesce(n.balance, 0) + coalesce(r.gone_pnl, 0)",
    "daily_pnl": "coalesce(r.daily_pnl, 0)",
    "gone_pnl": "sum(CASE WHEN b.removed_at IS NULL THEN 0 ELSE t.pnl END)",
    "pnl_today": "sum(CASE WHEN t.closed_at >= ${today} THEN t.pnl ELSE 0 END)",
    "t_quantity": "t.quantity + 0",
    "t_entry_price": "t.entry_price + 0",
    "t_exit_price": "t.exit_price + 0",
    "t_gross_pnl": "t.gross_pnl + 0",
    "t_fees": "t.fees + 0",
    "t_pnl": "t.pnl + 0",
    "t_percentage": f"t.pnl * 100.0 / nullif({PAID}, 0)",
    "day_gross_pnl": "sum(gross_pnl)",
    "day_fees": "sum(fees)",
    "day_pnl": "sum(pnl)",
    "day_best": "max(pnl + 0)",
    "day_worst": "min(pnl + 0)",
    "day_rate": "sum(CASE WHEN pnl + 0 > 0 THEN 1 ELSE 0 END) * 100.0 / count(*)",
}
VIEWS = {
    # One row per trading pair, which is a bot.
    "user_configs": """
        SELECT b.id, b.user_id, b.account_id, b.venue AS exchange, b.symbol,
            a.mode, a.mode = 'testnet' AS testnet, b.timeframe, b.strategy,
            ${allocation} AS balance, b.status, b.status = 'running' AS is_trading, b.note,
            b.created_at
        FROM bots b JOIN accounts a ON a.id = b.account_id
        WHERE b.removed_at IS NULL
    """,
    # One row per user: all their pairs together.
    "user_states": """
        WITH s AS (
            SELECT user_id, ${shared} AS shared FROM universes
            WHERE removed_at IS NULL GROUP BY user_id
        ), n AS (
            SELECT b.user_id, count(*) AS pairs,
                sum(CASE WHEN b.status = 'running' THEN 1 ELSE 0 END) AS pairs_trading,
                count(p.bot_id) AS open_positions,
                ${balance} AS balance, ${equity} AS equity
            FROM bots b
            JOIN bot_memories m ON m.user_id = b.user_id AND m.bot_id = b.id
            LEFT JOIN positions p ON p.user_id = b.user_id AND p.bot_id = b.id
            LEFT JOIN s ON s.user_id = b.user_id
            WHERE b.removed_at IS NULL
            GROUP BY b.user_id
        ), r AS (
            SELECT t.user_id, ${pnl_today} AS daily_pnl, ${gone_pnl} AS gone_pnl
            FROM trades t JOIN bots b ON b.id = t.bot_id
            GROUP BY t.user_id
        )
        SELECT u.id AS user_id,
            coalesce(n.pairs, 0) AS pairs,
            coalesce(n.pairs_trading, 0) AS pairs_trading,
            coalesce(n.pairs_trading, 0) > 0 AS is_trading,
            coalesce(n.balance, 0) AS balance,
            coalesce(n.equity, 0) AS equity,
            ${total_pnl} AS total_pnl,
            ${daily_pnl} AS daily_pnl,
            coalesce(n.open_positions, 0) AS open_positions,
            g.circuit_open_until, coalesce(g.paused_reason, '') AS paused_reason
        FROM users u
        LEFT JOIN n ON n.user_id = u.id
        LEFT JOIN r ON r.user_id = u.id
        LEFT JOIN guard_memories g ON g.user_id = u.id
    """,
    # One row per closed trade.
    "user_trades": """
        SELECT t.id, t.user_id, u.username, t.account_id, t.bot_id, b.venue AS exchange, t.symbol,
            t.side, t.opened_at, t.closed_at, ${t_quantity} AS quantity,
            ${t_entry_price} AS entry_price, ${t_exit_price} AS exit_price,
            ${t_gross_pnl} AS gross_pnl, ${t_fees} AS fees, ${t_pnl} AS pnl,
            ${t_percentage} AS pnl_percentage, t.exit_reason
        FROM trades t
        JOIN users u ON u.id = t.user_id
        JOIN bots b ON b.id = t.bot_id
    """,
    # One row per user and day (UTC) on which trades were closed.
    "user_performance": """
        SELECT user_id, ${day_of_closing} AS day, count(*) AS trades,
            sum(CASE WHEN pnl + 0 > 0 THEN 1 ELSE 0 END) AS wins,
            sum(CASE WHEN pnl + 0 > 0 THEN 0 ELSE 1 END) AS losses,
            ${day_rate} AS win_rate, ${day_gross_pnl} AS gross_pnl, ${day_fees} AS fees,
            ${day_pnl} AS pnl, ${day_best} AS best_trade, ${day_worst} AS worst_trade
        FROM trades
        GROUP BY user_id, ${day_of_closing}
    """,
    # One row per user: what they chose; null where the default holds.
    "user_settings": """
        SELECT u.id AS user_id, u.username, u.tier, u.settings,
            ${position_quote_max} AS position_quote_max,
            ${position_share_max} AS position_share_max,
            ${open_positions_max} AS open_positions_max,
            ${daily_loss_quote} AS daily_loss_quote,
            ${daily_loss_share} AS daily_loss_share,
            ${losses_in_row_max} AS losses_in_row_max,
            ${drawdown_share_max} AS drawdown_share_max
        FROM users u LEFT JOIN user_limits l ON l.user_id = u.id
    """,
    # One row per user: everything at a glance.
    "user_overview": """
        WITH c AS (
            SELECT user_id, count(*) AS trades,
                sum(CASE WHEN pnl + 0 > 0 THEN 1 ELSE 0 END) AS wins
            FROM trades GROUP BY user_id
        )
        SELECT u.id, u.username, u.telegram_id, u.tier, u.role, u.created_at,
            (SELECT count(*) FROM accounts a WHERE a.user_id = u.id) AS accounts,
            s.pairs, s.pairs_trading, s.is_trading, s.balance, s.equity, s.total_pnl,
            s.daily_pnl, s.open_positions,
            coalesce(c.trades, 0) AS total_trades, coalesce(c.wins, 0) AS winning_trades
        FROM users u
        JOIN user_states s ON s.user_id = u.id
        LEFT JOIN c ON c.user_id = u.id
    """,
}


INVOKER_SINCE = (15,)  # PostgreSQL


def create_all(connection: Connection) -> None:
    """Make the views; on PostgreSQL who asks one sees in it what they see in its tables.

    Where a view cannot be told so, it shows what its owner sees.
    """
    dialect = connection.dialect
    asker = dialect.name == "postgresql" and (dialect.server_version_info or ()) >= INVOKER_SINCE
    options = " WITH (security_invoker = true)" if asker else ""
    for name, query in definitions(dialect.name).items():
        connection.exec_driver_sql(f"CREATE VIEW {name}{options} AS {query}")


def drop_all(connection: Connection) -> None:
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
