"""What public streams have told and nobody has taken yet; prices that pile up are thinned."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from tradefleet.domain.market import Symbol
from tradefleet.venue import BarSeen, MarketEvent, PriceSeen

PRICES_MAX = 16  # of one symbol that wait; beyond it only lowest, highest and last are kept
BARS_MAX = 20_000  # that wait; the oldest go first, and whoever reads repairs the gap


@dataclass(slots=True, eq=False)
class Inbox:
    """Filled by streams, emptied by one reader."""

    bars: deque[BarSeen] = field(default_factory=lambda: deque(maxlen=BARS_MAX))
    prices: dict[Symbol, list[PriceSeen]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def price(self, seen: PriceSeen) -> None:
        waiting = self.prices.setdefault(seen.symbol, [])
        waiting.append(seen)
        if len(waiting) > PRICES_MAX:
            waiting[:] = thinned(waiting)
        self._news.set()

    def bar(self, seen: BarSeen) -> None:
        self.bars.append(seen)
        self._news.set()

    def wake(self) -> None:
        """Let the reader look around, news or none."""
        self._news.set()

    async def waited(self) -> None:
        """Return once there is news, or somebody wants the reader to look around."""
        await self._news.wait()

    def take(self) -> list[MarketEvent]:
        """Return all that waits, prices before bars, and forget it."""
        self._news.clear()
        taken: list[MarketEvent] = [each for waiting in self.prices.values() for each in waiting]
        taken += self.bars
        self.prices.clear()
        self.bars.clear()
        return taken


def thinned(prices: Sequence[PriceSeen]) -> list[PriceSeen]:
    """Return the lowest, the highest and the last price in the order they came.

    Whatever level the price crossed meanwhile, one of them shows it.
    """
    by_price = attrgetter("quote.price")
    kept = {id(each) for each in (min(prices, key=by_price), max(prices, key=by_price))}
    return [each for each in prices[:-1] if id(each) in kept] + [prices[-1]]
