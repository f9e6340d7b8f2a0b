"""What moves prices: a seeded walk with moods for every pair, and who lets it play in time."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, log

from venuesim.candles import Candle, gathered, opening
from venuesim.clock import Clock, ManualClock, Player
from venuesim.exchange import Exchange
from venuesim.instruments import Listing
from venuesim.seeded import dice
from venuesim.units import UNITS, times
from venuesim.wire import Place

STEP_MS = 250  # between two trades of a pair, in the machine's time
MANUAL_STEP_MS = 15_000  # the same when the clock is set by hand, and days may pass in one go
BEHIND_MS = 5_000  # of trades that are made up for after the machine was busy; more are left out
PAST_BARS = 1500  # of each length
PAST_LENGTHS = (1, 60, 300, 900, 3600, 14400, 86400, 604800)  # seconds; the longer, the older
FIRST_TRADE = 10_000_000  # the number before the first trade that is not of the past


@dataclass(frozen=True, slots=True)
class Mood:
    """How a market goes for a while: pull of a second in its volatility, and how wild it is."""

    name: str
    drift: float
    wild: float
    seconds: float  # how long it lasts, on average


MOODS = (
    Mood("calm", 0.0, 0.5, 3600),
    Mood("up", 0.03, 0.8, 5400),
    Mood("down", -0.03, 0.9, 4500),
    Mood("wild", 0.0, 2.2, 900),
)
HOMESICK = 1 / (3 * 86400)  # of the way back to the listing's price, each second


class Walk:
    """Where one pair's price goes; the same for the same seed, whatever the others do."""

    def __init__(self, listing: Listing, seed: int, purpose: str = "market") -> None:
        self.listing = listing
        self.away = 0.0  # log of the price against the listing's
        self.mood = MOODS[0]
        self._left = 0.0  # seconds of the mood
        self._roll = dice(seed, purpose, listing.instrument.name)

    def move(self, seconds: float) -> float:
        """Go so many seconds further; return the price against the listing's."""
        roll, lasting = self._roll, min(seconds, self._left)
        sigma = self.listing.volatility * self.mood.wild
        pull = self.mood.drift * sigma * lasting - self.away * min(1.0, HOMESICK * seconds)
        self.away += pull + sigma * seconds**0.5 * roll.gauss(0, 1)
        self._left -= seconds
        if self._left <= 0:
            self.mood = roll.choice(MOODS)
            self._left = roll.expovariate(1 / self.mood.seconds)
        return exp(self.away)

    def start_from(self, price: int) -> None:
        """Go on from another price."""
        self.away = log(price / self.listing.price)

    def price(self, ratio: float) -> int:
        """Return the price on the tick that is so many times the listing's."""
        tick = self.listing.instrument.tick
        return max(tick, round(self.listing.price * ratio / tick) * tick)

    def quantity(self, price: int) -> int:
        """Return how much a trade is about: mostly little, now and then a lot."""
        instrument = self.listing.instrument
        worth = instrument.notional_min * min(5000.0, 10 * self._roll.paretovariate(1.2))
        steps = int(worth) * UNITS // price // instrument.step
        return max(1, steps) * instrument.step


@dataclass(slots=True)
class Synthetic:
    """A walk for every listing; its past is made up when somebody asks for it."""

    place: Place
    listings: Sequence[Listing]
    seed: int
    step_ms: int = STEP_MS
    began_ms: int = field(init=False)
    _next_ms: int = field(init=False)
    _walks: dict[str, Walk] = field(init=False)
    _last: dict[str, int] = field(default_factory=dict)
    _pasts: dict[str, "MadeUp"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        exchange, now_ms = self.place.exchange, self.place.clock.now_ms()
        self.began_ms = self.place.candles.began_ms = now_ms
        self._next_ms = now_ms + self.step_ms
        self._walks = {each.instrument.name: Walk(each, self.seed) for each in self.listings}
        for symbol, walk in self._walks.items():
            exchange.prices[symbol] = walk.price(1.0)
            exchange.ticks[symbol] = FIRST_TRADE
        self.place.candles.past = self.past

    def next_ms(self) -> int | None:
        return self._next_ms

    def play(self) -> None:
        at_ms, exchange = self._next_ms, self.place.exchange
        self._next_ms += self.step_ms
        for symbol, walk in self._walks.items():
            if exchange.prices[symbol] != self._last.get(symbol):
                walk.start_from(exchange.prices[symbol])  # somebody moved it
            price = self._last[symbol] = walk.price(walk.move(self.step_ms / 1000))
            exchange.tick(symbol, price, walk.quantity(price), at_ms)

    def skip_to(self, now_ms: int) -> None:
        """Leave out what was due before; the walk goes on from where it is."""
        self._next_ms = max(self._next_ms, now_ms)

    def past(self, symbol: str, interval: int) -> Sequence[Candle]:
        """Return made-up candles of before the beginning, the one then open included."""
        if symbol not in self._walks:
            return ()
        if symbol not in self._pasts:
            self._pasts[symbol] = MadeUp(self._walks[symbol].listing, self.seed, self.began_ms)
        return self._pasts[symbol].candles(interval)


class MadeUp:
    """One pair's candles before a time, walked backwards from the price it then had.

    The last bars are of a second, older ones of a minute, and so on: PAST_BARS of each length, so
    that every interval has a past long enough to warm up on.
    """

    def __init__(self, listing: Listing, seed: int, until_ms: int) -> None:
        self.listing = listing
        self.until_ms = until_ms
        self.walk = Walk(listing, seed, "past")
        self._bars: list[list[Candle]] = []  # of each length, oldest first
        self._trade = FIRST_TRADE

    def candles(self, interval: int) -> Sequence[Candle]:
        lengths = [length for length in PAST_LENGTHS if interval % length == 0]
        while len(self._bars) < len(lengths):
            self._bars.append(self._stretch(PAST_LENGTHS[len(self._bars)]))
        fitting = reversed(
            self._bars[: len(lengths)]
        )  # each length is a multiple of the one before
        return gathered((bar for bars in fitting for bar in bars), interval)

    def _stretch(self, length: int) -> list[Candle]:
        """Return bars of a length that end where the ones made before begin."""
        newer = self._bars[-1][0].opened_ms if self._bars else self.until_ms
        end_ms = newer
        # Of a longer bar that the shorter ones begin within only the part before them is made.
        begin_ms = opening(end_ms - 1, length) - (PAST_BARS - 1) * length * 1000
        close = self.walk.price(exp(self.walk.away))
        bars: list[Candle] = []
        while end_ms > begin_ms:
            opened_ms = opening(end_ms - 1, length)
            bar = self._bar(opened_ms, (end_ms - opened_ms) / 1000, close)
            close, end_ms = bar.open, opened_ms
            bars.append(bar)
        bars.reverse()
        return bars

    def _bar(self, opened_ms: int, seconds: float, close: int) -> Candle:
        prices = [close, *(self.walk.price(self.walk.move(seconds / 4)) for _ in range(4))]
        high, low, opened = max(prices), min(prices), prices[-1]
        sizes = min(2000, max(1, int(seconds * 4)))
        typical = self.walk.quantity(close)
        volume = typical * sizes
        amount = times(volume, (high + low + close) // 3)
        last, self._trade = self._trade, self._trade - sizes
        return Candle(
            opened_ms=opened_ms,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
            amount=amount,
            taker_volume=volume // 2,
            taker_amount=amount // 2,
            trades=sizes,
            first_trade=self._trade + 1,
            last_trade=last,
        )


class Playing:
    """Lets players play when their time comes: by the machine's clock, or by one set by hand."""

    def __init__(self, clock: Clock, players: Iterable[Player]) -> None:
        self.clock = clock
        self.players = list(players)
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def start(self) -> None:
        if isinstance(self.clock, ManualClock):
            self.clock.players.extend(self.players)
            return
        for number in range(len(self.players)):
            self._later(number)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if isinstance(self.clock, ManualClock):
            for player in self.players:
                self.clock.players.remove(player)

    def _later(self, number: int) -> None:
        due = self.players[number].next_ms()
        if due is not None:
            seconds = max(0.0, (due - self.clock.now_ms()) / 1000)
            loop = asyncio.get_running_loop()
            self._timers[number] = loop.call_later(seconds, self._play, number)

    def _play(self, number: int) -> None:
        player, now_ms = self.players[number], self.clock.now_ms()
        if isinstance(player, Synthetic) and (player.next_ms() or 0) < now_ms - BEHIND_MS:
            player.skip_to(now_ms)
        while (due := player.next_ms()) is not None and due <= now_ms:
            player.play()
        self._later(number)


def stand_still(exchange: Exchange, listings: Iterable[Listing]) -> None:
    """Give every pair that has no price yet its listing's, and leave it there."""
    for listing in listings:
        exchange.prices.setdefault(listing.instrument.name, listing.price)
