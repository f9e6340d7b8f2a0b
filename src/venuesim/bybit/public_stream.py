"""Public topics: tickers, trades, candles and the book, each written once for all who listen."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from venuesim.bybit.ask import Memory
from venuesim.bybit.depth import Level, changes
from venuesim.bybit.market import DAY, INTERVALS, MONTH, day_row, known, levels, status_rows
from venuesim.bybit.rows import PUBLIC_IDS, SEQUENCE
from venuesim.bybit.sockets import UNREADABLE, Message, Operation, Send, written
from venuesim.candles import Candle
from venuesim.exchange import Happening, Ticked
from venuesim.units import short

DEPTHS = (1, 50, 200, 1000)
TOPICS_AT_ONCE = 10
BEAT_MS = 500  # all connections beat, once is enough
AGAIN_MS = 3000  # after which a quiet best bid and ask is said again
STATUS = "system.status"


@dataclass(slots=True, eq=False)
class Feeds:
    """Who listens to which topic, and what each of them hears."""

    memory: Memory
    listeners: dict[str, dict["PublicSocket", None]] = field(default_factory=dict)
    _books: dict[str, tuple[list[Level], list[Level]]] = field(default_factory=dict)
    _said: dict[str, tuple[int, int]] = field(default_factory=dict)  # version of a book, when
    _stops: dict[str, Callable[[], None]] = field(default_factory=dict)  # listening to candles
    _beat_ms: int = 0

    # ------------------------------------------------------------ topics

    def fault(self, topic: str, category: str) -> str:
        """Say why a topic cannot be listened to; empty when it can."""
        kind, _, rest = topic.partition(".")
        if category == "status":
            return "" if topic == STATUS else f"error:handler not found,topic:{topic}"
        names = {"tickers": rest, "publicTrade": rest}
        part, _, name = rest.partition(".")
        if kind == "orderbook" and part.isdecimal() and int(part) in DEPTHS:
            names[kind] = name
        if kind == "kline" and part in (*INTERVALS, MONTH):
            names[kind] = name
        if kind not in names:
            return f"error:handler not found,topic:{topic}"
        if category != "spot" or names[kind] not in self.memory.symbols:
            return f"Invalid symbol :[{topic}]"
        return ""

    def add(self, topic: str, socket: "PublicSocket") -> None:
        if topic not in self.listeners and topic.startswith("kline."):
            self._stops[topic] = self._listen(topic)
        self.listeners.setdefault(topic, {})[socket] = None

    def remove(self, topic: str, socket: "PublicSocket") -> None:
        listening = self.listeners.get(topic, {})
        listening.pop(socket, None)
        if not listening:
            for of_topic in (self.listeners, self._books, self._said):
                of_topic.pop(topic, None)
            self._stops.pop(topic, lambda: None)()

    def _listen(self, topic: str) -> Callable[[], None]:
        """Hear of the candles of a topic; return what ends that."""
        _, word, name = topic.split(".")
        symbol = self.memory.symbols[name]

        def hear(_symbol: str, _seconds: int, candle: Candle, closed: bool) -> None:
            if word == MONTH:  # of which a day is over, not the month
                candle, closed = known(self.memory, symbol, word, 1)[-1], False
            self.tell(topic, lambda: self._kline(topic, word, candle, closed=closed))

        return self.memory.place.candles.listen(symbol, INTERVALS.get(word, DAY), hear)

    def first(self, topic: str) -> Message | None:
        """Return what a new listener hears at once."""
        kind, _, rest = topic.partition(".")
        part, _, name = rest.partition(".")
        if kind == "tickers":
            return self._ticker(topic, self.memory.symbols[rest])
        if kind == "orderbook":
            return self._snapshot(topic, self.memory.symbols[name], int(part))
        if kind == "kline":
            candles = known(self.memory, self.memory.symbols[name], part, 1)
            return self._kline(topic, part, candles[-1], closed=False) if candles else None
        if topic == STATUS and status_rows(self.memory):
            return {"topic": topic, "ts": self.memory.now_ms, "data": status_rows(self.memory)}
        return None

    def tell(self, topic: str, make: Callable[[], Message | None]) -> None:
        listening = self.listeners.get(topic)
        if not listening:
            return
        message = make()
        if message is None:
            return
        text = written(message)
        for socket in list(listening):
            socket.send(text)

    # ------------------------------------------------------- what is said

    def hear(self, happening: Happening) -> None:
        if not isinstance(happening, Ticked) or not self.listeners:
            return
        symbol, tick = happening.symbol, happening
        name = symbol.replace("/", "")
        self.tell(f"publicTrade.{name}", lambda: self._trade(name, tick))
        self.tell(f"tickers.{name}", lambda: self._ticker(f"tickers.{name}", symbol))
        version = self.memory.depths.versions[symbol]
        for depth in DEPTHS:
            topic = f"orderbook.{depth}.{name}"
            if topic in self.listeners and self._said.get(topic, (0, 0))[0] != version:
                self.tell(topic, self._book_teller(topic, symbol, depth))

    def beat(self, now_ms: int) -> None:
        """Say the best bid and ask again that nobody heard of for a while."""
        if now_ms - self._beat_ms < BEAT_MS:
            return
        self._beat_ms = now_ms
        for topic in [topic for topic in self.listeners if topic.startswith("orderbook.1.")]:
            symbol = self.memory.symbols[topic.rpartition(".")[2]]
            stalled = symbol in self.memory.place.exchange.stalled
            if now_ms - self._said.get(topic, (0, now_ms))[1] >= AGAIN_MS and not stalled:
                self.tell(topic, self._book_teller(topic, symbol, 1))

    def _trade(self, name: str, tick: Ticked) -> Message:
        trade = self.memory.trades[tick.symbol][-1]
        row = {
            "i": str(PUBLIC_IDS + tick.number),
            "T": tick.at_ms,
            "p": short(tick.price),
            "v": short(trade.quantity),
            "S": "Buy" if tick.buyer_took else "Sell",
            "seq": SEQUENCE + tick.number,
            "s": name,
            "BT": False,
            "RPI": False,
        }
        now = self.memory.now_ms
        return {"topic": f"publicTrade.{name}", "ts": now, "type": "snapshot", "data": [row]}

    def _ticker(self, topic: str, symbol: str) -> Message | None:
        row = day_row(self.memory, self.memory.place.exchange.instruments[symbol])
        if not row:
            return None
        number = SEQUENCE + self.memory.place.exchange.ticks[symbol]
        now = self.memory.now_ms
        return {"topic": topic, "ts": now, "type": "snapshot", "cs": number, "data": row}

    def _kline(self, topic: str, word: str, candle: Candle, *, closed: bool) -> Message:
        now = self.memory.now_ms
        row = {
            "start": candle.opened_ms,
            "end": ends(candle, word) - 1,
            "interval": word,
            "open": short(candle.open),
            "close": short(candle.close),
            "high": short(candle.high),
            "low": short(candle.low),
            "volume": short(candle.volume),
            "turnover": short(candle.amount),
            "confirm": closed,
            "timestamp": now,
        }
        return {"topic": topic, "data": [row], "ts": now, "type": "snapshot"}

    def _snapshot(self, topic: str, symbol: str, depth: int) -> Message | None:
        bids, asks = self.memory.depths.sides(symbol, depth)
        if not bids:
            return None
        self._books[topic] = bids, asks
        return self._book(topic, symbol, "snapshot", bids, asks)

    def _book_teller(self, topic: str, symbol: str, depth: int) -> Callable[[], Message | None]:
        before = self._books.get(topic)
        if depth == 1 or before is None:
            return lambda: self._snapshot(topic, symbol, depth)
        return lambda: self._delta(topic, symbol, depth, before)

    def _delta(
        self, topic: str, symbol: str, depth: int, before: tuple[list[Level], list[Level]]
    ) -> Message:
        bids, asks = self.memory.depths.sides(symbol, depth)
        self._books[topic] = bids, asks
        changed = changes(before[0], bids), changes(before[1], asks)
        return self._book(topic, symbol, "delta", *changed)

    def _book(
        self, topic: str, symbol: str, kind: str, bids: Sequence[Level], asks: Sequence[Level]
    ) -> Message:
        version, now = self.memory.depths.versions[symbol], self.memory.now_ms
        self._said[topic] = version, now
        data = {
            "s": symbol.replace("/", ""),
            "b": levels(bids),
            "a": levels(asks),
            "u": version,
            "seq": SEQUENCE + version,
        }
        return {"topic": topic, "ts": now, "type": kind, "data": data, "cts": now}


def ends(candle: Candle, word: str) -> int:
    """Return when a candle's interval is over."""
    if word in INTERVALS:
        return candle.opened_ms + INTERVALS[word] * 1000
    opened = datetime.fromtimestamp(candle.opened_ms // 1000, UTC)
    return int((opened + timedelta(days=31)).replace(day=1).timestamp()) * 1000


@dataclass(slots=True, eq=False)
class PublicSocket:
    """One connection to public topics of a category."""

    feeds: Feeds
    send: Send
    name: str
    category: str
    topics: defaultdict[str, bool] = field(default_factory=lambda: defaultdict(bool))

    def heard(self, text: str) -> None:
        operation = Operation.read(text)
        if operation is None:
            self.send(written({**UNREADABLE, "conn_id": self.name}))
        elif operation.op == "ping":
            self._answer(operation, "pong")
        elif operation.op == "subscribe":
            self._subscribe(operation)
        elif operation.op == "unsubscribe":
            for topic in operation.topics():
                self.topics.pop(topic, None)
                self.feeds.remove(topic, self)
            self._answer(operation, "unsubscribe")
        else:
            self._answer(operation, "error:invalid op", success=False)

    def _subscribe(self, operation: Operation) -> None:
        topics = operation.topics()
        fault = self._fault(topics)
        if fault:
            self._answer(operation, fault, success=False)
            return
        self._answer(operation, "subscribe" if self.category == "spot" else "")
        for topic in topics:
            self.topics[topic] = True
            first = self.feeds.first(topic)
            if first is not None:
                self.send(written(first))
            self.feeds.add(topic, self)

    def _fault(self, topics: Sequence[str]) -> str:
        if len(topics) > TOPICS_AT_ONCE:
            return f"args size >{TOPICS_AT_ONCE}"
        again = next((topic for topic in topics if topic in self.topics), None)
        if again is not None:
            return f"error:already subscribed,topic:{again}"
        faults = (self.feeds.fault(topic, self.category) for topic in topics)
        return next((fault for fault in faults if fault), "")

    def _answer(self, operation: Operation, text: str, *, success: bool = True) -> None:
        number = {} if operation.number is None else {"req_id": operation.number}
        answer = {"success": success, "ret_msg": text, "conn_id": self.name}
        self.send(written({**answer, **number, "op": operation.op}))

    def beat(self, now_ms: int) -> None:
        self.feeds.beat(now_ms)

    def closed(self) -> None:
        for topic in self.topics:
            self.feeds.remove(topic, self)
        self.topics.clear()
