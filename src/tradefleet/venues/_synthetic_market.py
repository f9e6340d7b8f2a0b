"""The public side of a market that never was: prices every second and bars at their close.

It needs no network and no keys, and after a restart it goes on where time has come to.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from heapq import merge
from operator import itemgetter

from tradefleet.clock import Clock
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Quote, Stream, Symbol, TradingRules
from tradefleet.domain.money import MONEY, ONE
from tradefleet.simulation.assets import ASSETS, DOLLARS, asset_of, digits_of
from tradefleet.simulation.synthetic import EPOCH, bars, price_at
from tradefleet.venue import BarSeen, MarketEvent, PriceSeen

QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "CHF", "AUD", "NZD", "CAD", "JPY", "BTC", "ETH")
NOTIONAL_MIN = 5  # dollars
HISTORY_MAX = 20_000  # bars in one answer
DRAWN_SECONDS = 36_000  # market time that is drawn before others may have their turn
PRICES_CAUGHT_UP_MAX = 5  # ticks per symbol; what came before them is only in the bars
BARS_CAUGHT_UP_MAX = 500  # bars per stream
SLEEP_MIN = 0.001  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticMarket:
    """A venue's public side over the synthetic market of a seed; a price comes every tick."""

    clock: Clock
    seed: int = 1
    tick: timedelta = timedelta(seconds=1)
    fee: Decimal = Decimal("0.001")

    async def rules(self, symbol: Symbol) -> TradingRules:
        check_traded(symbol)
        price_digits, quantity_digits = digits_of(symbol)
        return TradingRules(
            price_tick=MONEY.scaleb(ONE, -price_digits),
            quantity_step=MONEY.scaleb(ONE, -quantity_digits),
            notional_min=Decimal(f"{NOTIONAL_MIN / asset_of(symbol.quote).worth:.1g}"),
            fee=self.fee,
        )

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        check_traded(stream.symbol)
        length = stream.timeframe.delta
        end = min(-((EPOCH - before) // length), (self.clock.now() - EPOCH) // length)
        piece = max(1, DRAWN_SECONDS // stream.timeframe.seconds)
        found: list[Bar] = []
        for first in range(max(0, end - min(count, HISTORY_MAX)), end, piece):
            found += self._bars(stream, first, min(piece, end - first))
            await self.clock.sleep(0)
        return found

    async def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        """Yield prices, then the bars that closed with them, in the order of time.

        After a pause of the machine the latest few prices and every bar that closed are made
        up for, within limits. A clock set back repeats no bar.
        """
        for stream in streams:
            check_traded(stream.symbol)
            self._bars(stream, 0, 1)  # refuses a timeframe that cannot be drawn
        bars_until = prices_until = self._ticks_until(self.clock.now())
        while True:
            now = self.clock.now()
            await self.clock.sleep(max(self._until_next_tick(now), SLEEP_MIN))
            reached = self._ticks_until(self.clock.now())
            due = merge(
                self._prices(streams, prices_until, reached),
                *(self._closed(stream, bars_until, reached) for stream in streams),
                key=itemgetter(0),
            )
            for _, event in due:
                yield event
            prices_until, bars_until = reached, max(reached, bars_until)

    def _ticks_until(self, now: datetime) -> datetime:
        """Return the last tick that was not after now."""
        return now - (now - EPOCH) % self.tick

    def _until_next_tick(self, now: datetime) -> float:
        return (self.tick - (now - EPOCH) % self.tick).total_seconds()

    def _prices(
        self, streams: Sequence[Stream], after: datetime, until: datetime
    ) -> Iterator[tuple[datetime, MarketEvent]]:
        """Yield the latest prices of all symbols at the ticks after `after` up to `until`."""
        symbols = dict.fromkeys(stream.symbol for stream in streams)
        missed = min((until - after) // self.tick, PRICES_CAUGHT_UP_MAX)
        for at in (until - back * self.tick for back in reversed(range(missed))):
            for symbol in symbols:
                yield at, PriceSeen(symbol, Quote(price_at(self.seed, symbol, at), at))

    def _closed(
        self, stream: Stream, after: datetime, until: datetime
    ) -> Iterator[tuple[datetime, MarketEvent]]:
        """Yield the latest bars of the stream that closed after `after` up to `until`."""
        length = stream.timeframe.delta
        end = (until - EPOCH) // length
        first = max((after - EPOCH) // length, end - BARS_CAUGHT_UP_MAX)
        for bar in self._bars(stream, first, max(0, end - first)):
            yield bar.opened_at + length, BarSeen(stream, bar)

    def _bars(self, stream: Stream, first: int, count: int) -> list[Bar]:
        """Return the stream's bars number first, first + 1, … since 1970."""
        start = EPOCH + first * stream.timeframe.delta
        return bars(self.seed, stream.symbol, stream.timeframe, start, count)


def check_traded(symbol: Symbol) -> None:
    """Raise Refused, naming what comes near, unless the market trades the symbol."""
    if symbol.settle:
        raise Refused(
            f"The synthetic market trades spot only; write {symbol.base}/{symbol.quote} "
            f"instead of {symbol}."
        )
    base, quote = symbol.base, symbol.quote
    if base in ASSETS and quote in QUOTES and not {base, quote} <= DOLLARS:
        return
    quotes = [quote] if quote in QUOTES else get_close_matches(quote, QUOTES, 1) or QUOTES[:1]
    near = [base] if base in ASSETS else get_close_matches(base, ASSETS, 3, cutoff=0.5)
    pairs = [f"{name}/{quotes[0]}" for name in near if not {name, quotes[0]} <= DOLLARS]
    hint = f"did you mean {' or '.join(pairs)}?" if pairs else "try BTC/USDT, ETH/USDT or ETH/BTC."
    raise Refused(f"The synthetic market does not trade {symbol}; {hint}")
