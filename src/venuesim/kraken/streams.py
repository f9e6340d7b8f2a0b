"""One WebSocket connection in version 2 of Kraken's protocol: subscriptions, pings and requests."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import orjson

from venuesim.keys import Key
from venuesim.kraken import requests, showing
from venuesim.kraken.arguments import whole, word, yes
from venuesim.kraken.errors import Error, Refused, of_books
from venuesim.kraken.feeds import DEPTHS, EVENTS, Feeds, Topic
from venuesim.kraken.floor import Floor
from venuesim.kraken.numbers import moment, written
from venuesim.kraken.public import INTERVALS, bars_of
from venuesim.orders import Refusal

FIRST_TRADES = 50
FIRST_BARS = 100
WARNINGS = {
    "ohlc": ["timestamp is deprecated, use interval_begin"],
    "instrument": ["tick_size is deprecated, use price_increment"],
}
RIGHTS = {"executions": "query-open-trades", "balances": "query-funds"}
PUBLIC_ONLY = "Private data and trading are unavailable on this endpoint. Try ws-auth.kraken.com"

Values: TypeAlias = Mapping[str, object]


class KrakenSocket:
    """A client's connection. public_only: it came to the address without private data."""

    def __init__(
        self, floor: Floor, feeds: Feeds, send: Callable[[str], None], *, public_only: bool
    ) -> None:
        self.floor = floor
        self.feeds = feeds
        self.public_only = public_only
        self._send = send
        self._topics: dict[Topic, None] = {}
        self._instruments = False
        self._private: dict[str, Key] = {}  # by channel
        self._sequences: dict[str, int] = {}
        self._tokens: set[str] = set()
        self._status = ""
        self._idle = True
        feeds.connections += 1
        self.connection = 13_834_774_380_200_000_000 + feeds.connections

    def greet(self) -> None:
        self._tell_status()

    def _tell_status(self) -> None:
        self._status = self.floor.status
        self.say(written(showing.status(self._status, self.connection)))

    def say(self, text: str) -> None:
        self._idle = False
        self._send(text)

    def tell(self, channel: str, kind: str, rows: list[showing.Row]) -> None:
        key = self._private.get(channel)
        if key is None or not self.floor.access.is_valid(key):
            return
        self._sequences[channel] = self._sequences.get(channel, 0) + 1
        message = {
            "channel": channel,
            "type": kind,
            "data": rows,
            "sequence": self._sequences[channel],
        }
        self.say(written(message))

    # ----------------------------------------------------------- what is heard

    def heard(self, text: str) -> None:
        self.floor.ring()
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._refuse("", {}, "Malformed request")
            return
        method = word(message, "method")
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        try:
            self._do(method, message, params)
        except Refused as refused:
            self._refuse(method, message, refused.error)
        except Refusal as refusal:
            self._refuse(method, message, of_books(refusal).error)

    def _do(self, method: str, message: Values, params: Values) -> None:
        if method == "ping":
            self._answer("pong", message)
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(method, message, params)
        elif method in requests.METHODS:
            self._request(method, message, params)
        else:
            raise Refused("Unsupported method" if method else "Malformed request")

    def _answer(self, method: str, message: Values, **fields: object) -> None:
        now = moment(self.floor.place.clock.now_ns())
        answer: dict[str, object] = {"method": method}
        if message.get("req_id") is not None:
            answer["req_id"] = message["req_id"]
        self.say(written(answer | fields | {"time_in": now, "time_out": now}))

    def _refuse(self, method: str, message: Values, error: str, **fields: object) -> None:
        self._answer(method, message, error=error, success=False, **fields)

    def _request(self, method: str, message: Values, params: Values) -> None:
        key, place = self._key(params), self.floor.place
        whole = place.maintenance
        # As with a call: the mode of one account is that of the venue while it is served.
        place.maintenance = place.maintenance_of.get(key.account) or whole
        try:
            self.floor.check_open()
            for result in requests.METHODS[method](self.floor, key, params):
                if isinstance(result, Refused):
                    self._refuse(method, message, result.error)
                else:
                    self._answer(method, message, result=result, success=True)
        finally:
            place.maintenance = whole

    def _key(self, params: Values) -> Key:
        if self.public_only:
            raise Refused(PUBLIC_ONLY)
        token = word(params, "token")
        key = self.floor.access.key_of(token, opened=token in self._tokens)
        self._tokens.add(token)
        return key

    # ----------------------------------------------------------- subscriptions

    def _subscription(self, method: str, message: Values, params: Values) -> None:
        channel = word(params, "channel")
        if channel in RIGHTS:
            self._private_channel(method, message, params, channel)
        elif channel == "instrument":
            self._instrument_channel(method, message, params)
        elif channel in ("ticker", "trade", "book", "ohlc"):
            symbols = params.get("symbol")
            if not isinstance(symbols, list) or not symbols:
                raise Refused("Symbol(s) not found")
            for symbol in symbols:
                try:
                    self._pair_channel(method, message, params, channel, str(symbol))
                except Refused as refused:
                    self._refuse(method, message, refused.error, symbol=symbol)
        else:
            raise Refused(f"Unsupported channel: {channel}" if channel else "Malformed request")

    def _pair_channel(
        self, method: str, message: Values, params: Values, channel: str, symbol: str
    ) -> None:
        if symbol not in self.floor.exchange.instruments:
            raise Refused(f"Currency pair not supported {symbol}")
        topic, shown = _topic(channel, symbol, params)
        joining = method == "subscribe"
        if joining and topic in self._topics:
            raise Refused("Already subscribed")
        if not joining and topic not in self._topics:
            raise Refused("Subscription Not Found")
        snapshot = yes(params, "snapshot", channel != "trade")
        result = {"channel": channel, **shown, "symbol": symbol}
        if joining:
            result["snapshot"] = snapshot
        if joining and channel in WARNINGS:
            result["warnings"] = WARNINGS[channel]
        self._answer(method, message, result=result, success=True)
        if not joining:
            del self._topics[topic]
            self.feeds.leave(topic, self)
            return
        self._topics[topic] = None
        if snapshot:
            rows = self._first(topic)
            self.say(written(self.feeds.message(channel, "snapshot", rows)))
        self.feeds.join(topic, self)

    def _first(self, topic: Topic) -> list[showing.Row]:
        channel, symbol, detail = topic
        if channel == "ticker":
            return self.feeds.ticker(symbol)
        if channel == "book":
            return self.feeds.whole_book(topic)
        if channel == "trade":
            ticks = list(self.floor.market.ticks[symbol])
            return [showing.trade(tick) for tick in ticks[-FIRST_TRADES:]]
        minutes = int(detail)
        pair = self.floor.names.by_symbol(symbol)
        bars = bars_of(self.floor, symbol, minutes, FIRST_BARS)
        return [showing.bar(pair, minutes, candle) for candle in bars]

    def _instrument_channel(self, method: str, message: Values, params: Values) -> None:
        joining = method == "subscribe"
        if joining == self._instruments:
            raise Refused("Already subscribed" if joining else "Subscription Not Found")
        self._instruments = joining
        result: dict[str, object] = {"channel": "instrument"}
        snapshot = joining and yes(params, "snapshot", True)
        if joining:
            result |= {"snapshot": snapshot, "warnings": WARNINGS["instrument"]}
        self._answer(method, message, result=result, success=True)
        if snapshot:
            self._tell_instruments("snapshot")

    def _tell_instruments(self, kind: str) -> None:
        rows = showing.instruments(self.floor)
        self.say(written(self.feeds.message("instrument", kind, rows)))

    def _private_channel(self, method: str, message: Values, params: Values, channel: str) -> None:
        key = self._key(params)
        if not self.floor.access.may(key, RIGHTS[channel]):
            raise Refused(Error.NO_PERMISSION)
        joining = method == "subscribe"
        if joining and channel in self._private:
            raise Refused("Already subscribed")
        if not joining and channel not in self._private:
            raise Refused("Subscription Not Found")
        result: dict[str, object] = {"channel": channel}
        if not joining:
            self._leave_private(channel)
            self._answer(method, message, result=result, success=True)
            return
        firsts = self._firsts(channel, key, params, result)
        self._answer(method, message, result=result, success=True)
        self._private[channel] = key
        for rows in firsts:
            self.tell(channel, "snapshot", rows())
        self.feeds.join_private(channel, key.account, self)

    def _firsts(
        self, channel: str, key: Key, params: Values, result: dict[str, object]
    ) -> list[Callable[[], list[showing.Row]]]:
        """Return what goes before the updates; say in the result what was asked."""
        if channel == "balances":
            result["snapshot"] = yes(params, "snapshot", True)
            return [partial(showing.holdings, self.floor, key.account)] * bool(result["snapshot"])
        orders, trades = yes(params, "snap_orders", True), yes(params, "snap_trades", False)
        result["maxratecount"] = int(self.floor.limits.tier(key.account).orders)
        result["snap_orders"], result["snap_trades"] = orders, trades
        return [
            *[partial(self.feeds.first_orders, key.account)] * orders,
            *[partial(self.feeds.first_fills, key.account)] * trades,
        ]

    def _leave_private(self, channel: str) -> None:
        key = self._private.pop(channel)
        self._sequences.pop(channel, None)
        self.feeds.leave_private(channel, key.account, self)

    # ---------------------------------------------------------------- the beat

    def beat(self, now_ms: int) -> None:
        self.floor.ring()
        if self._status != self.floor.status:
            self._tell_status()
            if self._instruments:
                self._tell_instruments("update")
        if self._idle and (self._topics or self._private or self._instruments):
            self._send('{"channel":"heartbeat"}')
        self._idle = True

    def closed(self) -> None:
        for topic in self._topics:
            self.feeds.leave(topic, self)
        self._topics.clear()
        for channel in list(self._private):
            self._leave_private(channel)


def _topic(channel: str, symbol: str, params: Values) -> tuple[Topic, dict[str, object]]:
    """Return what a subscription is to, and what its acknowledgement says of that."""
    if channel == "ticker":
        event = word(params, "event_trigger", "trades")
        if event not in EVENTS:
            raise Refused("Invalid event_trigger")
        return (channel, symbol, event), {"event_trigger": event}
    if channel == "book":
        depth = whole(params, "depth", DEPTHS[0])
        if depth not in DEPTHS:
            raise Refused("Subscription depth not supported")
        return (channel, symbol, depth), {"depth": depth}
    if channel == "ohlc":
        minutes = whole(params, "interval", 1)
        if minutes not in INTERVALS:
            raise Refused("Subscription ohlc interval not supported")
        return (channel, symbol, minutes), {"interval": minutes}
    return (channel, symbol, ""), {}
