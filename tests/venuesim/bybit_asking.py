"""Asks a simulated Bybit as a client would, without a network: signed calls and open streams."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.venuesim.rig import START_MS
from venuesim.bybit import desk, make_key
from venuesim.bybit.desk import BybitDesk
from venuesim.bybit.signature import signed
from venuesim.clock import ManualClock
from venuesim.keys import Key
from venuesim.running import place_for
from venuesim.units import units
from venuesim.wire import Answer, Call, Place, Socket


@dataclass(slots=True)
class Listening:
    """An open stream and what came on it."""

    socket: Socket
    messages: list[dict[str, Any]]

    def say(self, **words: Any) -> dict[str, Any]:
        """Send an operation; return the first answer to it."""
        before = len(self.messages)
        self.socket.heard(json.dumps(words))
        return self.messages[before]

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message.get("topic") == topic]


@dataclass(slots=True)
class Venue:
    """A Bybit whose clock stands still, with one client, alice."""

    clock: ManualClock
    place: Place
    desk: BybitDesk
    key: Key
    ip: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=dict)  # instead of the right ones

    def tick(self, price: str, symbol: str = "BTC/USDT", quantity: str = "0.1") -> None:
        self.place.exchange.tick(symbol, units(price), units(quantity))

    def later(self, milliseconds: int) -> None:
        self.clock.set(self.clock.now_ms() + milliseconds)

    def call(self, method: str, path: str, key: Key | None = None, **words: Any) -> Answer:
        """Ask with a signature; give key's secret away to nobody."""
        key = key or self.key
        query = "&".join(f"{name}={quote(str(value))}" for name, value in words.items())
        body = json.dumps(words) if method == "POST" else ""
        now = str(self.clock.now_ms())
        headers = {
            "x-bapi-api-key": key.api_key,
            "x-bapi-timestamp": now,
            "x-bapi-recv-window": "5000",
        } | self.headers
        origin = "".join(
            [headers["x-bapi-timestamp"], headers["x-bapi-api-key"], headers["x-bapi-recv-window"]]
        )
        text = origin + (query if method == "GET" else body)
        headers = {"x-bapi-sign": signed(key.secret, text)} | headers
        return self.desk.handle(
            Call(
                method=method,
                path=path,
                query=query if method == "GET" else "",
                body=body.encode(),
                headers=headers,
                ip=self.ip,
            )
        )

    def get(self, path: str, key: Key | None = None, **words: Any) -> dict[str, Any]:
        return told(self.call("GET", f"/v5/{path}", key, **words))

    def post(self, path: str, key: Key | None = None, **words: Any) -> dict[str, Any]:
        return told(self.call("POST", f"/v5/{path}", key, **words))

    def public(self, path: str, **words: Any) -> dict[str, Any]:
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return told(self.desk.handle(Call(method="GET", path=f"/v5/{path}", query=query)))

    def order(self, **words: Any) -> dict[str, Any]:
        """Place an order: a limit buy of 0.01 BTC at 64000 but for what is said."""
        asked = {
            "category": "spot",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.01",
            "price": "64000",
        } | words
        return self.post("order/create", **{k: v for k, v in asked.items() if v is not None})

    def placed(self, **words: Any) -> str:
        """Place an order that is accepted; return its id."""
        answer = self.order(**words)
        assert answer["retCode"] == 0, answer
        return str(answer["result"]["orderId"])

    def shown(self, order_id: str) -> dict[str, Any]:
        """Return an order as order/realtime shows it."""
        found = self.get("order/realtime", category="spot", orderId=order_id)["result"]["list"]
        assert len(found) == 1
        return dict(found[0])

    def cancel(self, order_id: str, **words: Any) -> dict[str, Any]:
        asked = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
        return self.post("order/cancel", **asked, **words)

    def stream(self, path: str) -> Listening:
        messages: list[dict[str, Any]] = []
        socket = self.desk.connect(
            path, "", lambda text: messages.append(json.loads(text)), self.ip
        )
        assert socket is not None
        return Listening(socket, messages)

    def signed_in(self, *topics: str, path: str = "/v5/private") -> Listening:
        listening = self.stream(path)
        assert listening.say(op="auth", args=self.auth())["op"] == "auth"
        if topics:
            assert listening.say(op="subscribe", args=list(topics))["success"] is True
        return listening

    def auth(self, key: Key | None = None) -> list[Any]:
        key = key or self.key
        expires = self.clock.now_ms() + 1000
        return [key.api_key, expires, signed(key.secret, f"GET/realtime{expires}")]

    def balance(self, coin: str) -> tuple[str, str]:
        """Return what alice has of a coin and how much of it is locked."""
        answer = self.get("account/wallet-balance", accountType="UNIFIED", coin=coin)
        row = answer["result"]["list"][0]["coin"][0]
        return row["walletBalance"], row["locked"]


def told(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    return dict(json.loads(answer.body))


def venue(balances: Mapping[str, str] | None = None, **options: Any) -> Venue:
    clock = ManualClock(START_MS)
    place = place_for("bybit", clock=clock, spread=0, **options)
    place.limits = False
    at = desk(place)
    assert isinstance(at, BybitDesk)
    place.exchange.open_account("alice")
    for asset, amount in (balances or {"USDT": "10000", "BTC": "1"}).items():
        place.exchange.deposit("alice", asset, units(amount))
    return Venue(clock, place, at, make_key(place, "alice", {"read", "trade"}, ("127.0.0.1",)))
