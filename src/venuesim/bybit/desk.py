"""Bybit v5 spot over the books: every request and stream comes in here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import orjson

from venuesim.bybit.ask import Ask, Memory, Said
from venuesim.bybit.attached import Attached
from venuesim.bybit.depth import Depths
from venuesim.bybit.errors import Refused
from venuesim.bybit.ledger import Recorder
from venuesim.bybit.limits import Limits, Spent
from venuesim.bybit.private_stream import Notices, PrivateSocket
from venuesim.bybit.public_stream import Feeds, PublicSocket
from venuesim.bybit.routes import ANY, PUBLIC, ROUTES, Route, action_of, path_of
from venuesim.bybit.signature import Unsigned, key_of, open_for_keys
from venuesim.bybit.sockets import connection_id
from venuesim.bybit.trade_stream import TradeSocket
from venuesim.exchange import Happening
from venuesim.keys import Key
from venuesim.orders import Order
from venuesim.wire import Answer, Call, Place, Socket

BANNED = b"access too frequent"
PUBLIC_STREAMS = {
    "/v5/public/spot": "spot",
    "/v5/public/linear": "linear",
    "/v5/public/inverse": "inverse",
    "/v5/public/option": "option",
    "/v5/public/misc/status": "status",
}


@dataclass(slots=True)
class BybitDesk:
    """The protocol; the books, keys and clock are the place's.

    place.maintenance: no_trading refuses orders and serves cancels and look-ups; any other word
    refuses every private request.
    """

    place: Place
    name: str = "bybit"
    memory: Memory = field(init=False)
    limits: Limits = field(init=False)
    feeds: Feeds = field(init=False)
    notices: Notices = field(init=False)
    _recorder: Recorder = field(init=False)
    _attached: Attached = field(init=False)
    _connections: int = 0

    def __post_init__(self) -> None:
        exchange = self.place.exchange
        self.memory = Memory(place=self.place, depths=Depths(exchange))
        self.limits = Limits(self.place.clock)
        self.feeds, self.notices = Feeds(self.memory), Notices(self.memory)
        self._recorder, self._attached = Recorder(self.memory), Attached(exchange)
        exchange.recorders.append(self._record)
        exchange.listeners.append(self._hear)

    def _record(self, happening: Happening) -> None:
        self.memory.depths.hear(happening)
        self._recorder.hear(happening)

    def _hear(self, happening: Happening) -> None:
        self.feeds.hear(happening)
        self.notices.hear(happening)
        self._attached.hear(happening)

    def restart(self) -> None:
        """Forget what order/realtime knew of closed orders, as a restart of the venue does."""
        self.memory.forgotten_ms = self.memory.now_ms

    def action(self, call: Call) -> str:
        return action_of(call.method, call.path, call.query)

    # ---------------------------------------------------------------- HTTP

    def handle(self, call: Call) -> Answer:
        if self.place.limits and not self.limits.admits(call.ip):
            return Answer(status=403, body=BANNED, content_type="text/plain")
        path = path_of(call.path)
        route = ROUTES.get((call.method, path))
        if route is None:
            return Answer(status=404, body=b"", content_type="text/plain")
        if route.needs == PUBLIC:
            return self._public(route, call)
        return self._private(route, path, call)

    def _public(self, route: Route, call: Call) -> Answer:
        try:
            said = route.serve(Ask(memory=self.memory, words=words_of(call)))
        except Refused as refusal:
            return self._no(refusal)
        return self._yes(said)

    def _private(self, route: Route, path: str, call: Call) -> Answer:
        key: Key | None = None
        spent: Spent | None = None
        link = ""
        try:
            key = key_of(self.place, call)
            if route.needs != ANY and route.needs not in key.permissions:
                raise Refused(10005)
            if self.place.limits:
                spent = self.limits.spend(key.account, path, route.each_second)
                if not spent.admitted:
                    raise Refused(10006)
            open_for_keys(self.place)
            words = words_of(call)
            link = str(words.get("orderLinkId") or "")
            said = route.serve(Ask(memory=self.memory, words=words, key=key))
        except Unsigned:
            return Answer(status=401, body=b"", content_type="text/plain")
        except Refused as refusal:
            answer = self._no(refusal)
        else:
            answer = self._yes(said)
        return replace(
            answer,
            headers=spent.headers() if spent is not None else {},
            account=key.account if key is not None else "",
            client_id=answer.client_id or link,
        )

    def _yes(self, said: Said) -> Answer:
        order = said.order if isinstance(said.order, Order) else None
        body = self._envelope(0, said.text, said.result)
        return Answer(body=body, client_id=said.client_id, order=order)

    def _no(self, refusal: Refused) -> Answer:
        return Answer(body=self._envelope(refusal.code, refusal.text, {}))

    def _envelope(self, code: int, text: str, result: object) -> bytes:
        return orjson.dumps(
            {
                "retCode": code,
                "retMsg": text,
                "result": result,
                "retExtInfo": {},
                "time": self.memory.now_ms,
            }
        )

    def without_id(self, answer: Answer) -> Answer:
        envelope = orjson.loads(answer.body)
        return replace(answer, body=orjson.dumps({**envelope, "result": {}}))

    # -------------------------------------------------------------- streams

    def connect(self, path: str, query: str, send: Callable[[str], None], ip: str) -> Socket | None:
        path = path_of(path).rstrip("/")
        self._connections += 1
        name = connection_id(self.place.keys.seed, self._connections)
        if path in PUBLIC_STREAMS:
            return PublicSocket(self.feeds, send, name, PUBLIC_STREAMS[path])
        if path == "/v5/private":
            return PrivateSocket(self.notices, send, name, ip)
        if path == "/v5/trade":
            return TradeSocket(self.memory, self.limits, send, name, ip)
        return None


def words_of(call: Call) -> Mapping[str, object]:
    """Return what a request asks by name: of its query, or of its body."""
    if call.method == "GET":
        return dict(parse_qsl(call.query, keep_blank_values=True))
    try:
        words = orjson.loads(call.body or b"{}")
    except orjson.JSONDecodeError:
        raise Refused(10001) from None
    if not isinstance(words, dict):
        raise Refused(10001)
    return words
