"""An order book around the market: the spread is the books' own, what stands in it is made up."""

from collections import defaultdict
from dataclasses import dataclass, field

from venuesim.exchange import Exchange, Happening, Ticked
from venuesim.instruments import Instrument
from venuesim.orders import Refusal
from venuesim.units import UNITS

DEEPEST = 1000
WORTH = 10_000  # about how much of the quote asset stands on a level, at most

Level = tuple[int, int]  # price, size
Sides = tuple[list[Level], list[Level]]  # bids and asks, the best first


@dataclass(slots=True)
class Depths:
    """Counts how often each pair's book changed, and says what stands in it now."""

    exchange: Exchange
    versions: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1000))
    _best: dict[str, tuple[int, int]] = field(default_factory=dict)

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            symbol = happening.symbol
            best = self.exchange.bid(symbol), self.exchange.ask(symbol)
            if self._best.get(symbol) != best:
                self._best[symbol] = best
                self.versions[symbol] += 1

    def sides(self, symbol: str, levels: int) -> Sides:
        """Return so many levels of each side; none while there is no price."""
        instrument = self.exchange.instruments[symbol]
        try:
            bid, ask = self.exchange.bid(symbol), self.exchange.ask(symbol)
        except Refusal:
            return [], []
        return ladder(instrument, bid, -1, levels), ladder(instrument, ask, 1, levels)


def ladder(instrument: Instrument, best: int, sign: int, levels: int) -> list[Level]:
    prices = (best + sign * number * instrument.tick for number in range(min(levels, DEEPEST)))
    return [(price, size(instrument, price)) for price in prices if price > 0]


def size(instrument: Instrument, price: int) -> int:
    """Return what stands at a price; the same whenever one asks."""
    tenths = (price // instrument.tick * 2654435761 >> 7) % 10 + 1
    steps = WORTH * UNITS * UNITS * tenths // (10 * price * instrument.step)
    return max(1, steps) * instrument.step


def changes(before: list[Level], after: list[Level]) -> list[Level]:
    """Return the levels that came or changed, and with size zero those that are gone."""
    old, new = dict(before), dict(after)
    gone = [(price, 0) for price in old if price not in new]
    return [level for level in after if old.get(level[0]) != level[1]] + gone
