"""A venue whose protocol is so small that only the network around it is under test."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from venuesim.exchange import Happening, OrderChanged, Ticked
from venuesim.keys import Key
from venuesim.orders import Kind, NewOrder, Refusal, Side
from venuesim.units import text, units
from venuesim.wire import Answer, Call, Place, Socket


def reply(status: int = 200, **fields: object) -> Answer:
    return Answer(status=status, body=json.dumps(fields).encode(), headers={"x-seen": "1"})


@dataclass(slots=True, eq=False)
class TinySocket:
    """Repeats what it hears, and tells of every tick."""

    send: Callable[[str], None]
    desk: "TinyDesk"
    beats: int = 0
    account: str = ""

    def heard(self, text: str) -> None:
        if text.startswith("flood "):
            for _ in range(int(text.split()[1])):
                self.send('{"e":"flood","text":"' + "x" * 1000 + '"}')
        elif text.startswith("login "):
            self.account = text.split()[1]
        self.send(json.dumps({"e": "echo", "text": text}))

    def beat(self, now_ms: int) -> None:
        self.beats += 1

    def closed(self) -> None:
        self.desk.sockets.remove(self)


@dataclass(slots=True)
class TinyDesk:
    """POST /order buys, GET /order looks up, everything else is told back as it came."""

    place: Place
    name: str = "tiny"
    handled: list[Call] = field(default_factory=list)
    sockets: list[TinySocket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place.exchange.listeners.append(self._hear)

    def _hear(self, happening: Happening) -> None:
        for socket in self.sockets:
            if isinstance(happening, Ticked):
                socket.send(json.dumps({"e": "trade", "p": text(happening.price)}))
            elif isinstance(happening, OrderChanged) and happening.order.account == socket.account:
                socket.send(json.dumps({"e": "order", "x": happening.what}))

    def action(self, call: Call) -> str:
        if call.path != "/order":
            return "other"
        return "create" if call.method == "POST" else "order"

    def handle(self, call: Call) -> Answer:
        self.handled.append(call)
        if self.place.maintenance:
            return reply(503, error=self.place.maintenance)
        key = self.place.keys.find(call.headers.get("api-key", ""))
        if self.action(call) == "other":
            return reply(
                path=call.path, query=call.query, body=call.body.decode(), ip=call.ip,
                headers=dict(call.headers),
            )  # fmt: skip
        if key is None:
            return reply(401, error="key")
        return self._create(call, key) if call.method == "POST" else self._look_up(call, key)

    def _create(self, call: Call, key: Key) -> Answer:
        name = call.body.decode()
        try:
            order = self.place.exchange.place(
                key.account,
                NewOrder(
                    symbol="BTC/USDT", side=Side.BUY, kind=Kind.LIMIT, quantity=units("0.001"),
                    price=units("60000"), client_id=name,
                ),
            )  # fmt: skip
        except Refusal as refusal:
            return replace(reply(400, error=str(refusal)), account=key.account, client_id=name)
        answer = reply(id=order.id, client_id=name)
        return replace(answer, account=key.account, client_id=name, order=order)

    def _look_up(self, call: Call, key: Key) -> Answer:
        order = self.place.exchange.find(key.account, client_id=call.query)
        if order is None:
            return replace(reply(404, error="no such order"), account=key.account)
        return replace(reply(id=order.id, status=order.status), account=key.account)

    def connect(self, path: str, query: str, send: Callable[[str], None], ip: str) -> Socket | None:
        if path != "/ws":
            return None
        send(json.dumps({"e": "hello", "query": query}))
        socket = TinySocket(send, self)
        self.sockets.append(socket)
        return socket

    def without_id(self, answer: Answer) -> Answer:
        told = json.loads(answer.body) | {"id": None}
        return replace(answer, body=json.dumps(told).encode())


class Tiny:
    """The folder of the tiny venue."""

    @staticmethod
    def desk(place: Place) -> TinyDesk:
        return TinyDesk(place)

    @staticmethod
    def make_key(place: Place, account: str, permissions: Iterable[str], ips: Sequence[str]) -> Key:
        return place.keys.add(
            Key(
                api_key=place.keys.drawn("key", 8).hex(),
                secret=place.keys.drawn("secret", 8).hex(),
                account=account,
                permissions=set(permissions),
                ips=tuple(ips),
            )
        )
