"""Who listens to what on Kraken's streams, and what they are told when something happens."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

from venuesim.candles import Candle
from venuesim.exchange import Happening, OrderChanged, Ticked
from venuesim.kraken import showing
from venuesim.kraken.floor import Floor
from venuesim.kraken.ledger import Entry
from venuesim.kraken.market import Book
from venuesim.kraken.numbers import moment, written
from venuesim.kraken.public import DAY, FROM_DAYS, bars_of
from venuesim.orders import Status

# A channel of one pair with what else makes it one of its own: event, interval or depth.
Topic: TypeAlias = tuple[str, str, int | str]
EVENTS = ("trades", "bbo")
DEPTHS = (10, 25, 100, 500, 1000)
FIRST_FILLS = 50  # in the first message of executions


class Listener(Protocol):
    """An open stream."""

    def say(self, text: str) -> None:
        """Send a message as it is."""

    def tell(self, channel: str, kind: str, rows: list[showing.Row]) -> None:
        """Send rows of a private channel under its next sequence number."""


@dataclass(slots=True)
class Feeds:
    """All subscriptions. What many hear is written once."""

    floor: Floor
    topics: dict[Topic, dict[Listener, None]] = field(default_factory=dict)
    private: defaultdict[tuple[str, str], dict[Listener, None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    books: dict[Topic, Book] = field(default_factory=dict)
    bars: dict[Topic, Callable[[], None]] = field(default_factory=dict)  # ends the listening
    connections: int = 0

    def join(self, topic: Topic, listener: Listener) -> None:
        if topic not in self.topics:
            self.topics[topic] = {}
            if topic[0] == "ohlc":
                self._hear_candles(topic)
        self.topics[topic][listener] = None

    def leave(self, topic: Topic, listener: Listener) -> None:
        listeners = self.topics.get(topic)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self.topics[topic]
                self.books.pop(topic, None)
                self.bars.pop(topic, lambda: None)()

    def _hear_candles(self, topic: Topic) -> None:
        _, symbol, minutes = topic
        seconds = (DAY if minutes in FROM_DAYS else int(minutes)) * 60

        def hear(symbol: str, interval: int, candle: Candle, closed: bool) -> None:
            if not closed:
                self._publish(topic, lambda: self._bar(topic, candle))

        self.bars[topic] = self.floor.place.candles.listen(symbol, seconds, hear)

    def _bar(self, topic: Topic, candle: Candle) -> list[showing.Row]:
        _, symbol, minutes = topic
        if minutes in FROM_DAYS:
            candle = bars_of(self.floor, symbol, int(minutes), 1)[-1]
        return [showing.bar(self.floor.names.by_symbol(symbol), int(minutes), candle)]

    def join_private(self, channel: str, account: str, listener: Listener) -> None:
        self.private[channel, account][listener] = None

    def leave_private(self, channel: str, account: str, listener: Listener) -> None:
        self.private[channel, account].pop(listener, None)
        if not self.private[channel, account]:
            del self.private[channel, account]

    # ----------------------------------------------------------------- hearing

    def hear(self, happening: Happening, entries: list[Entry]) -> None:
        if isinstance(happening, Ticked):
            self._ticked(happening)
        elif isinstance(happening, OrderChanged):
            self._changed(happening)
        for entry in entries:
            self._moved(entry)

    def _ticked(self, tick: Ticked) -> None:
        symbol = tick.symbol
        if tick.quantity:
            self._publish(("trade", symbol, ""), lambda: [showing.trade(tick)])
        for event in EVENTS:
            self._publish(("ticker", symbol, event), partial(self.ticker, symbol))
        for depth in DEPTHS:
            topic = ("book", symbol, depth)
            if topic in self.topics:
                self._publish(topic, partial(self._book_changes, topic))

    def ticker(self, symbol: str) -> list[showing.Row]:
        row = showing.ticker(self.floor, self.floor.names.by_symbol(symbol))
        return [row] if row is not None else []

    def whole_book(self, topic: Topic) -> list[showing.Row]:
        """Return the book as those who already listen know it, or as it now is."""
        _, symbol, depth = topic
        known = self.books.get(topic)
        if known is None:
            known = self.books[topic] = self.floor.market.book(symbol, int(depth))
        row = showing.book(self.floor, self.floor.names.by_symbol(symbol), known)
        return [row] if row is not None else []

    def _book_changes(self, topic: Topic) -> list[showing.Row]:
        _, symbol, depth = topic
        before, now = self.books.get(topic), self.floor.market.book(symbol, int(depth))
        self.books[topic] = now
        pair = self.floor.names.by_symbol(symbol)
        row = showing.book(self.floor, pair, now, before or Book((), ()))
        return [row] if row is not None else []

    def _publish(self, topic: Topic, rows: Callable[[], list[showing.Row]]) -> None:
        listeners = self.topics.get(topic)
        if not listeners:
            return
        found = rows()
        if found:
            text = written(self.message(topic[0], "update", found))
            for listener in list(listeners):
                listener.say(text)

    def message(self, channel: str, kind: str, data: object) -> showing.Row:
        """Return a message of a public channel."""
        message: showing.Row = {"channel": channel, "type": kind}
        if channel == "ohlc":
            message["timestamp"] = moment(self.floor.place.clock.now_ns(), 9)
        return message | {"data": data}

    # ----------------------------------------------------------------- private

    def _changed(self, happening: OrderChanged) -> None:
        order = happening.order
        listeners = self.private.get(("executions", order.account))
        if listeners:
            for row in self._events(happening):
                for listener in list(listeners):
                    listener.tell("executions", "update", [row])

    def _events(self, happening: OrderChanged) -> Iterable[showing.Row]:
        """Yield what executions tell of a change, in Kraken's order."""
        floor, order = self.floor, happening.order
        if happening.what == "new":
            yield showing.whole_order(floor, order, "pending_new")
            if order.status is not Status.WAITING:
                yield showing.brief_order(floor, order, "new")
        elif happening.what == "triggered":
            yield showing.whole_order(floor, order, "new")
        elif happening.what == "amended":
            yield showing.whole_order(floor, order, "amended") | {"amended": True}
        elif happening.trade is not None:
            yield showing.execution(floor, order, happening.trade)
            if order.status is Status.FILLED:
                yield showing.brief_order(floor, order, "filled")
        else:
            ended = "expired" if order.status is Status.EXPIRED else "canceled"
            yield showing.brief_order(floor, order, ended)

    def _moved(self, entry: Entry) -> None:
        for listener in list(self.private.get(("balances", entry.account), ())):
            listener.tell("balances", "update", [showing.movement(entry)])

    def first_orders(self, account: str) -> list[showing.Row]:
        live = self.floor.exchange.open_account(account).live.values()
        return [
            showing.whole_order(
                self.floor, order, "pending_new" if order.status is Status.WAITING else "new"
            )
            for order in live
        ]

    def first_fills(self, account: str) -> list[showing.Row]:
        """Return the latest trades, oldest first."""
        book = self.floor.exchange.open_account(account)
        return [
            showing.execution(self.floor, book.orders[trade.order_id], trade)
            for trade in book.trades[-FIRST_FILLS:]
            if trade.order_id in book.orders  # the oldest are forgotten
        ]
