"""Kraken's fee schedule. Only its first step is ever charged: volume earns no discount here."""

from itertools import pairwise

from venuesim.instruments import Instrument
from venuesim.kraken.numbers import percent

# Dollars traded in 30 days, taker and maker fee in millionths.
STEPS = (
    (0, 4000, 2500),
    (10_000, 3500, 2000),
    (50_000, 2400, 1400),
    (100_000, 2200, 1200),
    (250_000, 2000, 1000),
    (500_000, 1800, 800),
    (1_000_000, 1600, 600),
    (2_500_000, 1400, 400),
    (5_000_000, 1200, 200),
    (10_000_000, 1000, 0),
    (100_000_000, 800, 0),
    (500_000_000, 500, 0),
)


def schedule(instrument: Instrument, *, maker: bool) -> list[list[float]]:
    """Return volume and percent; the first step is what this pair costs."""
    first = instrument.maker_fee if maker else instrument.taker_fee
    later = [(step[0], min(first, step[2] if maker else step[1])) for step in STEPS[1:]]
    return [[volume, percent(fee)] for volume, fee in [(0, first), *later]]


def fee_row(instrument: Instrument, *, maker: bool) -> dict[str, str | None]:
    """Return the fee of today and of the next step that is cheaper."""
    steps = schedule(instrument, maker=maker)
    following = next((after for before, after in pairwise(steps) if after[1] < before[1]), None)
    return {
        "fee": f"{steps[0][1]:.4f}",
        "minfee": f"{steps[-1][1]:.4f}",
        "maxfee": f"{steps[0][1]:.4f}",
        "nextfee": f"{following[1]:.4f}" if following else None,
        "nextvolume": f"{following[0]:.4f}" if following else None,
        "tiervolume": f"{steps[0][0]:.4f}",
    }
