"""What a venue trades and what it publishes about it."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Self

from tradefleet.domain.errors import BrokenInvariant, Refused, ensure
from tradefleet.domain.money import MONEY, ONE, UNIT, ZERO, round_down


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


# Quotes a pair may end with when it is written without a separator. Not TUSD and BUSD: far more
# people mean DOT/USD and SHIB/USD by DOTUSD and SHIBUSD.
CRYPTO_QUOTES = ("FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH", "BNB")
FOREX = frozenset(
    ["USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "XAU", "XAG", "SEK", "NOK"]
)
CODE = re.compile(r"[A-Z0-9]{2,15}")


@dataclass(frozen=True, slots=True)
class Symbol:
    """What is bought (base), what it is paid with (quote), in ccxt's notation.

    Foreign exchange as MT5 writes it has no slash: EURUSD. A perpetual swap names the
    coin it settles in: BTC/USDT:USDT.
    """

    base: str
    quote: str
    settle: str = ""
    slash: bool = True

    @classmethod
    def parse(cls, text: str) -> "Symbol":
        """Read BTC/USDT, btcusdt, BTC-USDT, BTC/USDT:USDT, EURUSD or XAUUSD.m."""
        return _parse_symbol(text.strip().upper())

    def __str__(self) -> str:
        pair = f"{self.base}/{self.quote}" if self.slash else f"{self.base}{self.quote}"
        return f"{pair}:{self.settle}" if self.settle else pair


@lru_cache(maxsize=4096)
def _parse_symbol(text: str) -> Symbol:
    pair, _, settle = text.partition(":")
    for separator in ("/", "-", "_"):
        base, found, quote = pair.partition(separator)
        if found:
            return _checked(text, Symbol(base, quote, settle))
    bare = pair.partition(".")[0]  # brokers append account types: XAUUSD.m
    if len(bare) == 6 and {bare[:3], bare[3:]} <= FOREX:
        return _checked(text, Symbol(bare[:3], bare[3:], slash=False))
    for quote in CRYPTO_QUOTES:
        if bare.endswith(quote) and len(bare) > len(quote) + 1:
            return _checked(text, Symbol(bare.removesuffix(quote), quote, settle))
    raise Refused(f"{text!r} is not a pair; write it like BTC/USDT.")


def _checked(text: str, symbol: Symbol) -> Symbol:
    parts = (symbol.base, symbol.quote, symbol.settle or symbol.quote)
    if not all(CODE.fullmatch(part) for part in parts) or symbol.base == symbol.quote:
        raise Refused(f"{text!r} is not a pair; write it like BTC/USDT.")
    return symbol


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a bar."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 15s, 1m, 5m, 4h, 1d; Refused for anything else."""
        match = re.fullmatch(r"(\d{1,4})([smhdw])", text.strip())
        if match is None or int(match[1]) == 0:
            raise Refused(f"{text!r} is not a timeframe; write it like 1m, 5m, 1h or 1d.")
        return cls(int(match[1]) * UNITS[match[2]])

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        unit, size = next((u, s) for u, s in reversed(UNITS.items()) if self.seconds % s == 0)
        return f"{self.seconds // size}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingRules:
    """The smallest steps and sizes a venue accepts for one symbol, and its fee.

    fee is the taker's share of the notional, in quote; notional_min is in quote, quantity_min in
    base: an order must be worth the one and as large as the other.
    """

    price_tick: Decimal = UNIT
    quantity_step: Decimal = UNIT
    notional_min: Decimal = ZERO
    quantity_min: Decimal = ZERO
    fee: Decimal = Decimal("0.001")

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Return quantity rounded down to the venue's step."""
        return round_down(quantity, self.quantity_step)

    def is_on_step(self, quantity: Decimal) -> bool:
        """Say whether quantity is one or more whole steps of the venue."""
        return quantity > 0 and not MONEY.remainder(quantity, self.quantity_step)

    def allows(self, quantity: Decimal, price: Decimal) -> bool:
        """Say whether an order of quantity at price is large enough to be sent."""
        if quantity <= 0 or quantity < self.quantity_min:
            return False
        return MONEY.multiply(quantity, price) >= self.notional_min


def bar_fault(
    open_: Decimal, high: Decimal, low: Decimal, close: Decimal, volume: Decimal
) -> str | None:
    """Return what is impossible about a bar's numbers, or None."""
    if not all(value.is_finite() for value in (open_, high, low, close, volume)):
        return "a value is not a finite number"
    if low <= 0:
        return "a price is zero" if ZERO in (open_, high, close) else "a price is not above zero"
    if high < low:
        return f"high {high} is below low {low}"
    if not (low <= open_ <= high and low <= close <= high):
        return f"open or close is outside low {low} … high {high}"
    if volume < 0:
        return f"volume {volume} is negative"
    return None


@dataclass(frozen=True, slots=True)
class Bar:
    """The trading of one symbol over one closed interval; `numbers` are the same as floats.

    numbers = (open, high, low, close, volume) for indicators; money uses the decimals.
    """

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    numbers: tuple[float, float, float, float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ensure(self.opened_at.tzinfo is not None, "a bar needs an aware time")
        fault = bar_fault(self.open, self.high, self.low, self.close, self.volume)
        if fault is not None:
            raise BrokenInvariant(f"bar of {self.opened_at:%Y-%m-%dT%H:%M:%SZ}: {fault}")
        numbers = (self.open, self.high, self.low, self.close, self.volume)
        object.__setattr__(self, "numbers", tuple(map(float, numbers)))


@dataclass(frozen=True, slots=True)
class Stream:
    """What a feed delivers: the bars of one symbol, in one timeframe, from one venue."""

    venue: str
    symbol: Symbol
    timeframe: Timeframe

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True)
class Quote:
    """A price at a moment: the last trade, or the place a bar's path has reached."""

    price: Decimal
    at: datetime


def slipped(price: Decimal, side: Side, slippage: Decimal) -> Decimal:
    """Return price moved against us by slippage, a share of the price."""
    if not slippage:
        return price
    share = MONEY.add(ONE, slippage) if side is Side.BUY else MONEY.subtract(ONE, slippage)
    return MONEY.multiply(price, share)
