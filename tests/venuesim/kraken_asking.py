"""Asks a simulated Kraken without a network: signed calls, public calls and streams."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.venuesim.rig import START_MS
from venuesim import kraken
from venuesim.clock import ManualClock
from venuesim.exchange import Exchange
from venuesim.keys import Key
from venuesim.kraken.access import signature
from venuesim.running import place_for
from venuesim.units import units
from venuesim.wire import Answer, Call, Place, Socket

PREFIX = "/api.kraken.com"
RICH = {"USD": "100000", "BTC": "2"}


@dataclass(slots=True)
class Kraken:
    """One simulated Kraken with a clock that is set by hand."""

    place: Place
    desk: kraken.KrakenDesk
    clock: ManualClock

    @property
    def exchange(self) -> Exchange:
        return self.place.exchange

    def client(
        self,
        name: str = "alice",
        permissions: Sequence[str] = ("read", "trade"),
        ips: Sequence[str] = (),
        **balances: str,
    ) -> "Client":
        self.exchange.open_account(name)
        for asset, amount in (balances or RICH).items():
            self.exchange.deposit(name, asset, units(amount))
        return Client(self, kraken.make_key(self.place, name, permissions, ips))

    def tick(self, symbol: str, price: str, quantity: str = "0.1") -> None:
        self.exchange.tick(symbol, units(price), units(quantity))

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now_ms() + int(seconds * 1000))

    def public_answer(self, method: str, ip: str = "127.0.0.1", **values: object) -> Any:
        call = Call(
            method="GET", path=f"{PREFIX}/0/public/{method}", query=urlencode(values), ip=ip
        )
        return json.loads(self.desk.handle(call).body)

    def public(self, method: str, **values: object) -> Any:
        """Return what a public call finds."""
        answer = self.public_answer(method, **values)
        assert answer["error"] == [], answer
        return answer["result"]

    def stream(self, path: str = "/ws.kraken.com/v2") -> "Stream":
        stream = Stream()
        stream.socket = self.desk.connect(path, "", stream.take, "127.0.0.1")
        return stream


@dataclass(slots=True)
class Client:
    """An account with a key."""

    venue: Kraken
    key: Key
    nonce: int = 0

    @property
    def account(self) -> str:
        return self.key.account

    def answer(
        self,
        method: str,
        values: dict[str, Any] | None = None,
        *,
        as_json: bool = False,
        secret: str = "",
        nonce: int | str | None = None,
        ip: str = "127.0.0.1",
        http: str = "POST",
        **more: Any,
    ) -> Answer:
        if nonce is None:
            self.nonce += 1
            nonce = self.nonce
        given = {"nonce": str(nonce), **(values or {}), **more}
        body = json.dumps(given).encode() if as_json else urlencode(given).encode()
        path = f"/0/private/{method}"
        kind = "application/json" if as_json else "application/x-www-form-urlencoded"
        headers = {
            "api-key": self.key.api_key,
            "api-sign": signature(secret or self.key.secret, path, str(nonce), body),
            "content-type": kind,
        }
        return self.venue.desk.handle(
            Call(method=http, path=PREFIX + path, body=body, headers=headers, ip=ip)
        )

    def ask(self, method: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
        """Return what a call finds; it must not be refused."""
        answer = json.loads(self.answer(method, values, **more).body)
        assert answer["error"] == [], answer
        return answer["result"]

    def refusal(self, method: str, values: dict[str, Any] | None = None, **more: Any) -> str:
        """Return the error of a call; it must be refused, and nothing else."""
        answer = self.answer(method, values, **more)
        told = json.loads(answer.body)
        assert answer.status == 200
        assert set(told) == {"error"}
        (error,) = told["error"]
        return str(error)

    def order(self, **changes: Any) -> dict[str, Any]:
        """Return a limit order that waits, with some fields changed; None takes one out."""
        fields = {
            "pair": "XBTUSD",
            "type": "buy",
            "ordertype": "limit",
            "volume": "0.5",
            "price": "60000",
        } | changes
        return {name: value for name, value in fields.items() if value is not None}

    def place(self, **changes: Any) -> str:
        """Place an order; return its id."""
        (txid,) = self.ask("AddOrder", self.order(**changes))["txid"]
        return str(txid)

    def row(self, txid: str, **values: Any) -> Any:
        return self.ask("QueryOrders", txid=txid, **values)[txid]

    def stream(self) -> "Stream":
        """A private stream, with the token to ask on it."""
        stream = self.venue.stream("/ws-auth.kraken.com/v2")
        stream.token = self.ask("GetWebSocketsToken")["token"]
        return stream


@dataclass(slots=True)
class Stream:
    """A client's end of a stream, with all that came on it."""

    socket: Socket | None = None
    token: str = ""
    texts: list[str] = field(default_factory=list)

    def take(self, text: str) -> None:
        self.texts.append(text)

    def say(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> None:
        assert self.socket is not None
        self.socket.heard(json.dumps({"method": method, "params": params or {}, **more}))

    def ask(self, method: str, **params: Any) -> None:
        self.say(method, {**params, "token": self.token})

    def new(self) -> list[dict[str, Any]]:
        """Return what came since this was last asked."""
        texts, self.texts = self.texts, []
        return [json.loads(text) for text in texts]

    def rows(self, channel: str, kind: str = "update") -> list[dict[str, Any]]:
        """Return the new rows of a channel, in order."""
        messages = [m for m in self.new() if m.get("channel") == channel]
        return [row for m in messages if m["type"] == kind for row in m["data"]]


def simulated_kraken(*, limits: bool = False, **options: Any) -> Kraken:
    """A Kraken where every pair has its listing's price; options go to its Exchange."""
    clock = ManualClock(START_MS)
    place = place_for("kraken", clock=clock, **options)
    place.limits = limits
    desk = kraken.desk(place)
    assert isinstance(desk, kraken.KrakenDesk)
    return Kraken(place, desk, clock)
