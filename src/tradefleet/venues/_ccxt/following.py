"""What one reader of a market follows: its connections, what they tell, which bars it has."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.domain.market import Quote, Stream, Symbol
from tradefleet.venue import BarSeen, PriceSeen
from tradefleet.venues._ccxt.bars import BarTracker
from tradefleet.venues._ccxt.dialect import BarTold, Followed, Told, Traded
from tradefleet.venues._ccxt.inbox import Inbox
from tradefleet.venues._ccxt.lines import Line

STILL = timedelta(seconds=1)  # without a trade until the standing bar's close counts as a price


@dataclass(slots=True, eq=False)
class Following:
    """Sorts what the lines tell into the reader's inbox."""

    followed: dict[Stream, Followed]
    trackers: dict[Stream, BarTracker]
    inbox: Inbox = field(default_factory=Inbox)
    lines: list[Line] = field(default_factory=list)
    why: str = "no answer yet"
    _priced_at: dict[Symbol, datetime] = field(default_factory=dict)
    _symbols: dict[str, Symbol] = field(default_factory=dict)
    _streams: dict[tuple[str, str], Stream] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stream, each in self.followed.items():
            self._symbols[each.listing.stream_id] = stream.symbol
            self._streams[each.listing.stream_id, each.word] = stream

    @property
    def is_dark(self) -> bool:
        return not any(line.is_up for line in self.lines)

    @property
    def was_never_lit(self) -> bool:
        """Whether every line has tried to connect, and nothing was ever heard."""
        return not self._priced_at and all(line.failures for line in self.lines)

    def overdue(self, now: datetime) -> list[Stream]:
        return [stream for stream, each in self.trackers.items() if each.ask_from() <= now]

    def up(self) -> None:
        """A line is back: whatever closed meanwhile is asked for at once."""
        for tracker in self.trackers.values():
            tracker.began_anew()
        self.inbox.wake()

    def down(self, why: str) -> None:
        self.why = why
        self.inbox.wake()

    def hear(self, tellings: Iterable[Told]) -> None:
        for told in tellings:
            match told:
                case Traded(stream_id, price, at):
                    symbol = self._symbols.get(stream_id)
                    if symbol is not None:
                        self._price(symbol, price, at)
                case BarTold(stream_id, word):
                    stream = self._streams.get((stream_id, word))
                    if stream is not None:
                        self._bar(stream, told)

    def _price(self, symbol: Symbol, price: Decimal, at: datetime) -> None:
        self._priced_at[symbol] = at
        self.inbox.price(PriceSeen(symbol, Quote(price, at)))

    def _bar(self, stream: Stream, told: BarTold) -> None:
        """Take how a bar stands; in a still market its close is the price, and still is."""
        priced_at = self._priced_at.get(stream.symbol)
        if priced_at is None or told.at - priced_at > STILL:
            self._price(stream.symbol, told.bar.close, told.at)
        for bar in self.trackers[stream].told(told.bar, told.is_closed):
            self.inbox.bar(BarSeen(stream, bar))
