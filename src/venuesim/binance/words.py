"""Binance's words for what the books know by other names."""

from venuesim.instruments import Instrument
from venuesim.orders import Kind, Lifetime, Side, Status
from venuesim.units import UNITS

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
SIDE_WORDS = {side: word for word, side in SIDES.items()}
KINDS = {
    "LIMIT": Kind.LIMIT,
    "MARKET": Kind.MARKET,
    "STOP_LOSS": Kind.STOP_MARKET,
    "STOP_LOSS_LIMIT": Kind.STOP_LIMIT,
    "TAKE_PROFIT": Kind.PROFIT_MARKET,
    "TAKE_PROFIT_LIMIT": Kind.PROFIT_LIMIT,
    "LIMIT_MAKER": Kind.LIMIT,  # and post-only
}
LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC, "FOK": Lifetime.FOK}
STATUSES = {
    Status.WAITING: "NEW",
    Status.OPEN: "NEW",
    Status.PARTIAL: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
}
RESPONSES = ("ACK", "RESULT", "FULL")
STP_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
# Milliseconds of each kline; a month's is only how far apart its opens are at most.
INTERVALS = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_678_400_000,
}
DAY_MS = 86_400_000


def symbol_of(instrument: Instrument) -> str:
    return instrument.base + instrument.quote


def price_max(instrument: Instrument) -> int:
    return min(instrument.tick * 10**8, 10**10 * UNITS)
