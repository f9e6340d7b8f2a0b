"""A long random walk in no time, for benchmarks: hundreds of thousands of bars a second."""

from datetime import UTC, datetime
from decimal import Decimal

from tradefleet.domain.market import Bar, Timeframe
from tradefleet.domain.money import MONEY
from tradefleet.simulation.checked_bar import checked_bar
from tradefleet.simulation.noise import GOLDEN, WORD, key_of, mix

MINUTE = Timeframe(60)
START = datetime(2024, 1, 1, tzinfo=UTC)
PRICE_FIRST, PRICE_MIN = 4_000_000, 100_000  # in cents
HALF, PART = 0x8000, 0xFFFF  # a hash holds four parts of 16 bits


def generated_bars(count: int, seed: int = 1, timeframe: Timeframe = MINUTE) -> list[Bar]:
    """Return count bars without gaps, the same ones for the same seed.

    A bar moves by up to 0.1 % of the price and reaches up to 0.05 % beyond its open and close.
    """
    bars = []
    state, length, scaled = key_of(seed, "generated"), timeframe.delta, MONEY.scaleb
    opened_at, price, open_ = START, PRICE_FIRST, Decimal(PRICE_FIRST).scaleb(-2, MONEY)
    for _ in range(count):
        state = (state + GOLDEN) & WORD
        noise = mix(state)
        before = price
        price = max(before + (before * ((noise & PART) - HALF) >> 25), PRICE_MIN)
        top = max(before, price) + (before * (noise >> 16 & PART) >> 27)
        bottom = min(before, price) - (before * (noise >> 32 & PART) >> 27)
        lots = 1_000 + (noise >> 48)
        close = scaled(Decimal(price), -2)
        bars.append(
            checked_bar(
                opened_at,
                open_,
                scaled(Decimal(top), -2),
                scaled(Decimal(bottom), -2),
                close,
                scaled(Decimal(lots), -3),
                (before / 100, top / 100, bottom / 100, price / 100, lots / 1_000),
            )
        )
        opened_at += length
        open_ = close
    return bars
