"""Bars to test indicators and strategies with: recorded ones, and generated ones that are nasty."""

import csv
import gzip
import os
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tests.makers import MINUTE, START
from tradefleet.domain.market import Bar

ROOT = Path(__file__).parents[1]
RECORDED = (
    "ETH_BTC-5m", "ETC_BTC-5m", "XLM_BTC-5m", "TRX_BTC-5m", "XRP_ETH-1m", "XRP_ETH-5m",
)  # fmt: skip


@cache
def recorded(name: str) -> tuple[Bar, ...]:
    """Return recorded bars, or skip the test: they are not part of the project."""
    folder = Path(os.environ.get("TRADEFLEET_DATA") or ROOT.parent / "shared" / "data")
    path = folder / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"NOT CHECKED on recorded bars: no {path.name}; set TRADEFLEET_DATA")
    with gzip.open(path, "rt") as file:
        return tuple(
            Bar(
                datetime.fromisoformat(row["opened_at"]),
                *(Decimal(row[k]) for k in ("open", "high", "low", "close", "volume")),
            )
            for row in csv.DictReader(file)
        )


@cache
def generated(seed: int, count: int, price: str = "0.05") -> tuple[Bar, ...]:
    """Return a walk in ticks with trends, flat and dead stretches, jumps, and huge volumes."""
    random = Random(seed)
    tick = Decimal(price) / 5000
    last, bars = 5000, []
    mood, left = "walk", 0
    for minute in range(count):
        if left == 0:
            mood = random.choice(["walk", "walk", "rise", "fall", "flat", "dead", "jump", "huge"])
            left = 1 if mood == "jump" else random.randint(1, 40)
        left -= 1
        drift = {"rise": 4, "fall": -4, "jump": random.choice([-900, 900])}.get(mood, 0)
        wild = 0 if mood in ("flat", "dead") else 12
        open_ = max(last + random.randint(-wild // 4, wild // 4), 50)
        close = max(open_ + drift + random.randint(-wild, wild), 50)
        high = max(open_, close) + random.randint(0, wild)
        low = max(min(open_, close) - random.randint(0, wild), 1)
        volume = {"dead": 0, "huge": 10**15}.get(mood, random.randint(0, 5000))
        prices = (tick * ticks for ticks in (open_, high, low, close))
        bars.append(Bar(START + minute * MINUTE, *prices, Decimal(volume) / 1000))
        last = close
    return tuple(bars)
