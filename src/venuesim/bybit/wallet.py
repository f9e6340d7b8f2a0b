"""What an account has, coin by coin, and what it is worth in dollars."""

from collections.abc import Iterable

from venuesim.bybit.rows import Row
from venuesim.exchange import Account, Exchange
from venuesim.units import UNITS, short, times

DOLLARS = ("USDT", "USDC", "USD")
ZEROS = (
    "accountIMRate",
    "accountIMRateByMp",
    "accountMMRate",
    "accountMMRateByMp",
    "totalPerpUPL",
    "totalInitialMargin",
    "totalInitialMarginByMp",
    "totalMaintenanceMargin",
    "totalMaintenanceMarginByMp",
    "accountLTV",
)
COIN_ZEROS = (
    "borrowAmount",
    "accruedInterest",
    "totalOrderIM",
    "totalPositionIM",
    "totalPositionMM",
    "unrealisedPnl",
    "cumRealisedPnl",
    "bonus",
    "spotHedgingQty",
    "spotBorrow",
)


def dollars(exchange: Exchange, asset: str) -> int:
    """Return an asset's price in dollars, zero when no pair tells it."""
    if asset in DOLLARS:
        return UNITS
    return next((exchange.prices.get(f"{asset}/{quote}", 0) for quote in DOLLARS), 0)


def owned(account: Account, asset: str) -> int:
    return account.free.get(asset, 0) + account.locked.get(asset, 0)


def held(account: Account) -> list[str]:
    """Return the assets an account has something of."""
    assets = {**account.free, **account.locked}
    return sorted(asset for asset in assets if owned(account, asset))


def coin_row(exchange: Exchange, account: Account, asset: str) -> Row:
    total = owned(account, asset)
    return {
        "coin": asset,
        "equity": short(total),
        "usdValue": short(times(total, dollars(exchange, asset))),
        "walletBalance": short(total),
        "locked": short(account.locked.get(asset, 0)),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "collateralSwitch": True,
        "marginCollateral": True,
        "colRes": "0",
        **dict.fromkeys(COIN_ZEROS, "0"),
    }


def wallet_row(exchange: Exchange, account: Account, assets: Iterable[str] | None = None) -> Row:
    """Return the unified account as look-up and stream say it: all it has, or some assets."""
    everything = held(account)
    worth = [
        (asset, times(owned(account, asset), dollars(exchange, asset))) for asset in everything
    ]
    total = sum(amount for _, amount in worth)
    locked = sum(times(account.locked.get(a, 0), dollars(exchange, a)) for a in everything)
    coins = everything if assets is None else assets
    return {
        "accountType": "UNIFIED",
        "totalEquity": short(total),
        "totalWalletBalance": short(total),
        "totalMarginBalance": short(total),
        "totalAvailableBalance": short(total - locked),
        **dict.fromkeys(ZEROS, "0"),
        "coin": [coin_row(exchange, account, asset) for asset in coins],
    }
