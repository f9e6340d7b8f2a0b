"""What the addresses of earlier services answer with, key by key; money has eight decimals."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


def like(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": example})


class TradingStatus(BaseModel):
    """Whether the caller can trade now."""

    model_config = like(
        {
            "trading_enabled": True,
            "environment": "production",
            "has_credentials": True,
            "can_trade": True,
            "user": "alice",
            "timestamp": "2025-12-21T12:00:00Z",
        }
    )

    trading_enabled: bool
    environment: str
    has_credentials: bool
    can_trade: bool
    user: str
    timestamp: str


class AssetFunds(BaseModel):
    model_config = ConfigDict(extra="forbid")

    asset: str
    free: str
    locked: str


class FundsTold(BaseModel):
    """What of an asset is free for orders by hand."""

    model_config = like(
        {
            "success": True,
            "environment": "production",
            "data": {"asset": "USDC", "free": "30.00000000", "locked": "0.00000000"},
        }
    )

    success: Literal[True]
    environment: str
    data: AssetFunds


class TradeDone(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: int
    symbol: str
    side: str
    quantity: str
    price: str
    total_cost: str
    fee: str
    binance_order_id: str
    timestamp: str


class TradeTold(BaseModel):
    """An order that was executed; its message celebrates a user's first one."""

    model_config = like(
        {
            "success": True,
            "message": "🎉 Historic first production trade executed!",
            "environment": "production",
            "trade": {
                "id": 1,
                "symbol": "BTCUSDC",
                "side": "BUY",
                "quantity": "0.00030000",
                "price": "98500.00000000",
                "total_cost": "29.55000000",
                "fee": "0.02955000",
                "binance_order_id": "12345678",
                "timestamp": "2025-12-21T12:00:00Z",
            },
        }
    )

    success: Literal[True]
    message: str
    environment: str
    trade: TradeDone


class TradeOnItsWay(BaseModel):
    """An order that the exchange has not answered yet; request is what to ask for it by."""

    model_config = like(
        {
            "success": True,
            "message": "Your order is on its way; GET /api/v1/trade/ordered tells what becomes "
            "of it.",
            "environment": "production",
            "request": "0123456789abcdef0123456789abcdef",
        }
    )

    success: Literal[True]
    message: str
    environment: str
    request: str


class PastTrade(BaseModel):
    """One buy and what was sold of it; exit_price, pnl and the like while it is open: zero."""

    model_config = ConfigDict(extra="forbid")

    id: int
    symbol: str
    side: str
    quantity: str
    entry_price: str
    exit_price: str
    pnl: str
    pnl_percentage: str
    gross_pnl: str
    fees: str
    is_winner: bool
    is_closed: bool
    duration_hours: float


class HistorySummary(BaseModel):
    model_config = ConfigDict(extra="forbid")

    total_trades: int
    closed_trades: int
    open_trades: int
    total_pnl: str
    gross_pnl: str
    fees: str
    winners: int
    losers: int
    win_rate: str


class History(BaseModel):
    """Trades, the newest first, and what all of them came to; pnl is net of fees."""

    model_config = like(
        {
            "trades": [
                {
                    "id": 1,
                    "symbol": "BTCUSDC",
                    "side": "BUY",
                    "quantity": "0.00030000",
                    "entry_price": "98500.00000000",
                    "exit_price": "99000.00000000",
                    "pnl": "0.09075000",
                    "pnl_percentage": "0.31",
                    "gross_pnl": "0.15000000",
                    "fees": "0.05925000",
                    "is_winner": True,
                    "is_closed": True,
                    "duration_hours": 4.5,
                }
            ],
            "summary": {
                "total_trades": 1,
                "closed_trades": 1,
                "open_trades": 0,
                "total_pnl": "0.09075000",
                "gross_pnl": "0.15000000",
                "fees": "0.05925000",
                "winners": 1,
                "losers": 0,
                "win_rate": "100.0%",
            },
        }
    )

    trades: list[PastTrade]
    summary: HistorySummary


class PeriodResult(BaseModel):
    model_config = ConfigDict(extra="forbid")

    period: str
    pnl: str
    cumulative_pnl: str
    trades: int
    winners: int
    losers: int
    win_rate: str
    volume: str
    gross_pnl: str
    fees: str


class OverallResult(BaseModel):
    model_config = ConfigDict(extra="forbid")

    total_pnl: str
    total_trades: int
    winners: int
    losers: int
    win_rate: str
    gross_pnl: str
    fees: str


class ProfitTold(BaseModel):
    """What closed trades came to by period, net of fees, and in all."""

    model_config = like(
        {
            "period_type": "monthly",
            "periods": [
                {
                    "period": "2025-12",
                    "pnl": "1.25000000",
                    "cumulative_pnl": "1.25000000",
                    "trades": 10,
                    "winners": 6,
                    "losers": 4,
                    "win_rate": "60.0%",
                    "volume": "500.00000000",
                    "gross_pnl": "1.75000000",
                    "fees": "0.50000000",
                }
            ],
            "overall": {
                "total_pnl": "1.25000000",
                "total_trades": 10,
                "winners": 6,
                "losers": 4,
                "win_rate": "60.0%",
                "gross_pnl": "1.75000000",
                "fees": "0.50000000",
            },
        }
    )

    period_type: str
    periods: list[PeriodResult]
    overall: OverallResult


class Started(BaseModel):
    """started: the pairs that trade from now on."""

    model_config = like({"success": True, "started": ["BTC/USDT"]})

    success: Literal[True]
    started: list[str]


class Stopped(BaseModel):
    """stopped: the pairs that enter no more; open positions stay protected."""

    model_config = like({"success": True, "stopped": ["BTC/USDT"]})

    success: Literal[True]
    stopped: list[str]


class UserStats(BaseModel):
    model_config = ConfigDict(extra="forbid")

    total_users: int
    active_users: int
    new_users_24h: int
    subscription_distribution: dict[str, int]


class TradingStats(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accounts: int
    bots: int
    active_bots: int
    open_positions: int
    orders_24h: int
    trades_24h: int


class Stats(BaseModel):
    """Figures of the whole service; monitoring_stats are those of /health, too."""

    model_config = like(
        {
            "timestamp": "2026-01-31T12:00:00Z",
            "user_stats": {
                "total_users": 234,
                "active_users": 120,
                "new_users_24h": 3,
                "subscription_distribution": {"free": 200, "premium": 34},
            },
            "trading_stats": {
                "accounts": 240,
                "bots": 600,
                "active_bots": 512,
                "open_positions": 77,
                "orders_24h": 941,
                "trades_24h": 430,
            },
            "monitoring_stats": {
                "memory_mb": 212.4,
                "cpu_usage": 45.2,
                "memory_usage": 2.6,
                "database_ms": 0.4,
            },
        }
    )

    timestamp: str
    user_stats: UserStats
    trading_stats: TradingStats
    monitoring_stats: dict[str, float | int | None]


class AlertTold(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: str
    metric: str
    value: float | int | None
    message: str
    timestamp: str


class Alerts(BaseModel):
    """What is not as it should be now."""

    model_config = like(
        {
            "alerts": [
                {
                    "level": "warning",
                    "metric": "database_ms",
                    "value": 140.0,
                    "message": "database_ms is degraded: 140.0",
                    "timestamp": "2026-01-31T12:00:00Z",
                }
            ],
            "active_alerts": 1,
            "critical_alerts": 0,
        }
    )

    alerts: list[AlertTold]
    active_alerts: int
    critical_alerts: int


class UsersOverview(BaseModel):
    """How many users there are, and what they have."""

    model_config = like(
        {
            "total_users": 234,
            "active_users": 120,
            "new_users_24h": 3,
            "subscription_distribution": {"free": 200, "premium": 34},
            "connected_accounts": 240,
            "bots": 600,
            "active_bots": 512,
            "open_positions": 77,
        }
    )

    total_users: int
    active_users: int
    new_users_24h: int
    subscription_distribution: dict[str, int]
    connected_accounts: int
    bots: int
    active_bots: int
    open_positions: int


class MaintenanceTold(BaseModel):
    """Whether new entries are refused for everybody now; exits go on."""

    model_config = like(
        {
            "success": True,
            "maintenance_mode": True,
            "reason": "Back at noon.",
            "timestamp": "2026-01-31T12:00:00Z",
        }
    )

    success: Literal[True]
    maintenance_mode: bool
    reason: str
    timestamp: str
