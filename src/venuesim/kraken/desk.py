"""Kraken spot as one desk: REST calls in, answers out, and the streams' side door."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson

from venuesim.exchange import Happening, Ticked
from venuesim.kraken import streams
from venuesim.kraken.arguments import Values, read_body, read_form, word
from venuesim.kraken.errors import Error, Refused, of_books
from venuesim.kraken.feeds import Feeds
from venuesim.kraken.floor import Floor, floor
from venuesim.kraken.numbers import packed
from venuesim.kraken.routes import PRIVATE, PUBLIC, PrivateRoute, PublicRoute
from venuesim.kraken.trading import Placed
from venuesim.orders import Refusal
from venuesim.wire import Answer, Call, Desk, Place, Socket

API = "/0/"
STREAM_VERSION = "v2"
PUBLIC_HOST = "ws.kraken.com"


def route_of(path: str) -> tuple[str, PublicRoute | PrivateRoute | None]:
    """Return a call's path from /0/ on, and what answers it; a prefix names the host it was for."""
    _, found, rest = path.partition(API)
    kind, _, method = rest.partition("/")
    own = f"{API}{rest}" if found else path
    if kind == "public":
        return own, PUBLIC.get(method)
    return own, PRIVATE.get(method) if kind == "private" else None


@dataclass(slots=True)
class KrakenDesk:
    """One simulated Kraken. floor.limits.tiers says how far an account's counters reach."""

    floor: Floor
    feeds: Feeds
    name: str = "kraken"

    @property
    def place(self) -> Place:
        return self.floor.place

    def action(self, call: Call) -> str:
        _, route = route_of(call.path)
        return "other" if route is None else route.action

    def handle(self, call: Call) -> Answer:
        self.floor.ring()
        path, route = route_of(call.path)
        if route is None:
            return _refused(Error.UNKNOWN_METHOD, status=200 if API in call.path else 404)
        try:
            if isinstance(route, PublicRoute):
                return self._answer_all(call, route)
            return self._answer_key(call, path, route)
        except Refused as refused:
            return _refused(refused.error)

    def _answer_all(self, call: Call, route: PublicRoute) -> Answer:
        values = read_form(call.query or call.body.decode(errors="replace"))
        if self.place.limits:
            pair = word(values, "pair") if route.by_pair else ""
            self.floor.limits.count_public(call.ip, pair, self.floor.now_ms)
        if not route.always:
            self.floor.check_open()
        return _done(self._asked(lambda: route.handler(self.floor, values)))

    def _answer_key(self, call: Call, path: str, route: PrivateRoute) -> Answer:
        if call.method != "POST":
            raise Refused(Error.UNKNOWN_METHOD)
        values = read_body(call.body, call.headers.get("content-type", ""))
        key = self.floor.access.caller(call, path, values)
        about = Answer(account=key.account, client_id=_client_id(route, values))
        try:
            if self.place.limits and route.cost:
                self.floor.limits.count_call(
                    key.api_key, key.account, route.cost, self.floor.now_ms
                )
            if not self.floor.access.may(key, *route.rights):
                raise Refused(Error.PERMISSION_DENIED)
            self.floor.check_open()
            found = self._asked(lambda: route.handler(self.floor, key, values))
        except Refused as refused:
            return replace(about, body=_refused(refused.error).body)
        if isinstance(found, Placed):
            order = found.orders[0] if found.orders else None
            return replace(about, body=_done(found.result).body, order=order)
        return replace(about, body=_done(found).body)

    @staticmethod
    def _asked(ask: Callable[[], object]) -> object:
        """Return what a handler finds; what the books refuse is said in Kraken's words."""
        try:
            return ask()
        except Refusal as refusal:
            raise of_books(refusal) from refusal

    def connect(self, path: str, query: str, send: Callable[[str], None], ip: str) -> Socket | None:
        """Open a stream: the path ends with v2; a segment may name the host it was for."""
        segments = [part for part in path.split("/") if part]
        if not segments or segments[-1] != STREAM_VERSION:
            return None
        socket = streams.KrakenSocket(
            self.floor, self.feeds, send, public_only=PUBLIC_HOST in segments
        )
        socket.greet()
        return socket

    def without_id(self, answer: Answer) -> Answer:
        try:
            body = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return answer
        result = body.get("result") if isinstance(body, dict) else None
        if not isinstance(result, dict):
            return answer
        orders = result.get("orders")
        for row in [result, *(orders if isinstance(orders, list) else [])]:
            row.pop("txid", None)
        return replace(answer, body=packed(body))

    # ----------------------------------------------------------- what happens

    def hear(self, happening: Happening) -> None:
        entries = self.floor.ledger.hear(happening)
        if isinstance(happening, Ticked):
            self.floor.market.hear(happening)
        self.feeds.hear(happening, entries)
        if isinstance(happening, Ticked):
            self.floor.ring()


def _client_id(route: PrivateRoute, values: Values) -> str:
    return word(values, "cl_ord_id") if route.action in ("create", "cancel") else ""


def _done(result: object) -> Answer:
    return Answer(body=packed({"error": [], "result": result}))


def _refused(error: str, status: int = 200) -> Answer:
    return Answer(status=status, body=packed({"error": [str(error)]}))


def desk(place: Place) -> Desk:
    """Return Kraken spot over a place; it hears the exchange from now on."""
    made = floor(place)
    opened = KrakenDesk(made, Feeds(made))
    place.exchange.listeners.append(opened.hear)
    return opened
