"""What a strategy is. One per file in strategies/, named STRATEGY."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tradefleet.domain.market import Bar
from tradefleet.domain.signal import Entry as Entry
from tradefleet.domain.signal import Signal as Signal
from tradefleet.domain.signal import TradePlan as TradePlan


class Strategy(Protocol):
    """Decides from closed bars alone, so that it can be rebuilt by replaying them."""

    @property
    def plan(self) -> TradePlan: ...

    @property
    def bars_needed(self) -> int:
        """Return how many earlier bars a live stream is warmed with."""

    def on_bar(self, bar: Bar) -> Signal | None:
        """Take the next closed bar; return a signal when there is one."""

    def why_not(self) -> str:
        """Return the first condition the last bar failed for an entry, with its figures."""

    def trail_distance(self) -> Decimal | None:
        """Return how far below the highest high a trailing stop stands after the last bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySpec:
    """How to list and build a strategy.

    parameters: every number by name with its default and meaning. build raises Refused,
    naming the parameter and what it allows. bars_needed: how many earlier bars a live
    stream is warmed with under the default parameters.
    """

    name: str
    summary: str
    parameters: Mapping[str, tuple[str, str]]
    build: Callable[[Mapping[str, str]], Strategy]
    bars_needed: int
