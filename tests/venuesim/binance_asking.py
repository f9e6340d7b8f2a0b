"""Asks a simulated Binance as a client would, without a network: signed calls and open streams."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from tests.venuesim.rig import START_MS
from venuesim.binance import desk, make_key
from venuesim.binance.desk import BinanceDesk
from venuesim.clock import ManualClock
from venuesim.keys import Key
from venuesim.running import place_for
from venuesim.units import units
from venuesim.wire import Answer, Call, Place, Socket

PAIR = "BTCUSDT"
HOST = "/ws/stream.binance.com:9443"


def signature(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), sha256).hexdigest()


@dataclass(slots=True)
class Listening:
    """An open stream and what came on it."""

    socket: Socket
    messages: list[Any]

    def say(self, method: str, *params: Any, number: Any = 1) -> Any:
        """Send a request to the streams; return the first answer to it."""
        before = len(self.messages)
        self.socket.heard(json.dumps({"method": method, "params": list(params), "id": number}))
        return self.messages[before]

    def ask(self, method: str, **params: Any) -> Any:
        """Send a request to the WebSocket API; return its answer, which may come after events."""
        before = len(self.messages)
        self.socket.heard(json.dumps({"id": "7", "method": method, "params": params}))
        return next(message for message in self.messages[before:] if "id" in message)

    def events(self, kind: str = "") -> list[Any]:
        """Return the events so far, out of whatever they are wrapped in."""
        plain = [message.get("event", message.get("data", message)) for message in self.messages]
        return [event for event in plain if "e" in event and kind in ("", event["e"])]

    def take(self) -> list[Any]:
        taken = self.messages.copy()
        self.messages.clear()
        return taken


@dataclass(slots=True)
class Venue:
    """A Binance whose clock stands still, with one client, alice."""

    clock: ManualClock
    place: Place
    desk: BinanceDesk
    key: Key
    ip: str = "127.0.0.1"
    last: Answer = field(default_factory=Answer)

    # ------------------------------------------------------------ the market

    def tick(self, price: str, symbol: str = "BTC/USDT", quantity: str = "0.1") -> None:
        self.place.exchange.tick(symbol, units(price), units(quantity))

    def later(self, milliseconds: int) -> None:
        self.clock.set(self.clock.now_ms() + milliseconds)

    def has(self, asset: str, account: str = "alice") -> tuple[int, int]:
        book = self.place.exchange.accounts[account]
        return book.free[asset], book.locked[asset]

    # ----------------------------------------------------------------- calls

    def send(self, call: Call) -> Any:
        self.last = self.desk.handle(call)
        return json.loads(self.last.body)

    def ask(self, path: str, **words: Any) -> Any:
        """Ask what needs no key."""
        return self.send(
            Call(method="GET", path=f"/api/v3/{path}", query=urlencode(words), ip=self.ip)
        )

    def signed(
        self, method: str, path: str, key: Key | None = None, at: int = 0, **words: Any
    ) -> Call:
        """Return a signed call; at: milliseconds its clock is ahead."""
        key = key or self.key
        words["timestamp"] = self.clock.now_ms() + at
        raw = urlencode(words)
        raw += f"&signature={signature(key.secret, raw)}"
        in_body = method in ("POST", "PUT")
        return Call(
            method=method,
            path=path if path.startswith("/") else f"/api/v3/{path}",
            query="" if in_body else raw,
            body=raw.encode() if in_body else b"",
            headers={"x-mbx-apikey": key.api_key},
            ip=self.ip,
        )

    def get(self, path: str, key: Key | None = None, **words: Any) -> Any:
        return self.send(self.signed("GET", path, key, **words))

    def post(self, path: str, key: Key | None = None, **words: Any) -> Any:
        return self.send(self.signed("POST", path, key, **words))

    def delete(self, path: str, key: Key | None = None, **words: Any) -> Any:
        return self.send(self.signed("DELETE", path, key, **words))

    def order(self, kind: str = "LIMIT", side: str = "BUY", **words: Any) -> Any:
        """Place an order for a hundredth of a bitcoin; a word that is None is left out."""
        usual: Mapping[str, Any] = {"quantity": "0.01"}
        if kind == "LIMIT":
            usual = {"quantity": "0.01", "price": "60000", "timeInForce": "GTC"}
        words = {"symbol": PAIR, "side": side, "type": kind, **usual, **words}
        return self.post(
            "order", **{name: word for name, word in words.items() if word is not None}
        )

    def oco(self, side: str = "SELL", **words: Any) -> Any:
        """Place a stop at 60000 and a limit at 70000, the other way round for a buy."""
        sells = side == "SELL"
        usual = {
            "aboveType": "LIMIT_MAKER" if sells else "STOP_LOSS",
            "abovePrice" if sells else "aboveStopPrice": "70000",
            "belowType": "STOP_LOSS" if sells else "LIMIT_MAKER",
            "belowStopPrice" if sells else "belowPrice": "60000",
        }
        words = {"symbol": PAIR, "side": side, "quantity": "0.01", **usual, **words}
        return self.post(
            "orderList/oco", **{name: word for name, word in words.items() if word is not None}
        )

    # --------------------------------------------------------------- streams

    def open(self, path: str, query: str = "") -> Listening:
        messages: list[Any] = []
        socket = self.desk.connect(
            path, query, lambda text: messages.append(json.loads(text)), self.ip
        )
        assert socket is not None
        return Listening(socket, messages)

    def open_api(self, query: str = "") -> Listening:
        return self.open("/ws-api/v3", query)

    def params(self, key: Key | None = None, **words: Any) -> dict[str, Any]:
        """Return the parameters of a signed request to the WebSocket API."""
        key = key or self.key
        params = {**words, "apiKey": key.api_key, "timestamp": self.clock.now_ms()}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return {**params, "signature": signature(key.secret, payload)}

    def subscribed(self) -> Listening:
        """Return a connection that hears alice's events."""
        stream = self.open_api()
        answer = stream.ask("userDataStream.subscribe.signature", **self.params())
        assert answer["status"] == 200
        stream.messages.clear()
        return stream


def venue(permissions: tuple[str, ...] = ("read", "trade"), **options: Any) -> Venue:
    clock = ManualClock(START_MS)
    place = place_for("binance", clock=clock, **options)
    spoken = desk(place)
    assert isinstance(spoken, BinanceDesk)
    place.exchange.open_account("alice")
    for asset, amount in (("USDT", "10000"), ("BTC", "1")):
        place.exchange.deposit("alice", asset, units(amount))
    return Venue(clock, place, spoken, make_key(place, "alice", permissions, ()))


def refused(told: Any) -> tuple[int, str]:
    return told["code"], told["msg"]
