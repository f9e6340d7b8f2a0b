"""The simulated Binance: REST calls, and who gets which kind of stream."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, unquote

import orjson

from venuesim.binance.api_socket import ApiSocket
from venuesim.binance.channels import Hub
from venuesim.binance.denials import Denied
from venuesim.binance.floor import floor_of
from venuesim.binance.gate import Asked, Passage, pass_through
from venuesim.binance.limits import ORDER_LIMITS
from venuesim.binance.parameters import CLIENT_ID, PATTERNS, split
from venuesim.binance.routes import ROUTES, Route, place_of
from venuesim.binance.signatures import payload_of
from venuesim.binance.stream_socket import StreamSocket
from venuesim.binance.user_events import UserEvents
from venuesim.exchange import Happening
from venuesim.wire import Answer, Call, Place, Socket

API_CONNECTION_WEIGHT = 2
NOT_FOUND = Answer(
    status=404,
    body=b"<html><head><title>404 Not Found</title></head><body></body></html>",
    content_type="text/html",
)


def _own_name(route: Route, sent: Mapping[str, str]) -> str:
    """Return how a client called an order that was refused, if that can be a name at all."""
    name = sent.get("newClientOrderId", "") if route.orders else ""
    return name if PATTERNS[CLIENT_ID].match(name) else ""


class BinanceDesk:
    """Binance spot over a place's books."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.floor = floor_of(place)
        self.hub = Hub(self.floor)
        self.events = UserEvents(self.floor)
        place.exchange.recorders.append(self.floor.tape.hear)
        place.exchange.listeners.append(self._hear)
        self.floor.list_listeners.append(self.events.hear_list)

    @property
    def name(self) -> str:
        return "binance"

    @property
    def place(self) -> Place:
        return self._place

    def _hear(self, happening: Happening) -> None:
        """Pass on what happened, in the order in which it is told."""
        self.floor.hear(happening)
        self.events.hear(happening)
        self.floor.follow_lists(happening)
        self.hub.hear(happening)

    # ---------------------------------------------------------------- calls

    def action(self, call: Call) -> str:
        route = ROUTES.get((call.method, place_of(call.path)))
        return route.about if route else "other"

    def handle(self, call: Call) -> Answer:
        path = place_of(call.path)
        route = ROUTES.get((call.method, path))
        if route is None:
            return NOT_FOUND
        passage, sent = Passage(), dict[str, str]()
        try:
            body = call.body.decode("utf-8", "replace")
            sent = split(call.query, body)
            asked = Asked(
                route=route,
                sent=sent,
                payload=payload_of(call.query, body),
                api_key=call.headers.get("x-mbx-apikey", ""),
                ip=call.ip,
                sapi=path.startswith("/sapi"),
            )
            reply = pass_through(self.floor, asked, passage)
        except Denied as denied:
            answer = Answer(
                status=denied.status,
                body=orjson.dumps(denied.body),
                headers=self._headers(call.ip, path, denied),
                client_id=_own_name(route, sent),
            )
        else:
            answer = Answer(
                status=reply.status,
                body=orjson.dumps(reply.body),
                headers=self._headers(call.ip, path) | self._counted(route, passage),
                client_id=reply.client_id,
                order=reply.order,
            )
        return replace(answer, account=passage.key.account) if passage.key else answer

    def _headers(self, ip: str, path: str, denied: Denied | None = None) -> dict[str, str]:
        address = self.floor.weights.used(ip, self.floor.now_ms)
        headers = (
            {"X-SAPI-USED-IP-WEIGHT-1M": str(address.sapi_weight)}
            if path.startswith("/sapi")
            else {
                "X-MBX-USED-WEIGHT": str(address.weight),
                "X-MBX-USED-WEIGHT-1M": str(address.weight),
            }
        )
        if denied is not None and denied.retry_after_ms is not None:
            headers["Retry-After"] = str(max(1, -(-denied.retry_after_ms // 1000)))
        return headers

    def _counted(self, route: Route, passage: Passage) -> dict[str, str]:
        """Return the headers that tell how many unfilled orders an account has placed."""
        if not route.orders or passage.key is None:
            return {}
        counts = self.floor.counts.of(passage.key.account, self.floor.now_ms)
        return {
            f"X-MBX-ORDER-COUNT-{letters}": str(count)
            for (*_, letters), count in zip(ORDER_LIMITS, counts, strict=True)
        }

    def without_id(self, answer: Answer) -> Answer:
        """Return a reply to a create without what its orders are called by the venue."""
        told = orjson.loads(answer.body)
        if isinstance(told, dict):
            told.pop("orderId", None)
            told.pop("orderListId", None)
            for part in ("orders", "orderReports"):
                for one in told.get(part, []):
                    one.pop("orderId", None)
        return replace(answer, body=orjson.dumps(told))

    # -------------------------------------------------------------- streams

    def connect(self, path: str, query: str, send: Callable[[str], None], ip: str) -> Socket | None:
        """Open a stream; a host that some client wrote into the path is passed over."""
        parts = [unquote(part) for part in path.split("/") if part]
        options = dict(parse_qsl(query, keep_blank_values=True))
        if "ws-api" in parts:
            if self._place.limits:
                try:
                    self.floor.weights.charge(ip, API_CONNECTION_WEIGHT, self.floor.now_ms)
                except Denied:
                    return None
            shows = options.get("returnRateLimits", "true").lower() != "false"
            return ApiSocket(self.floor, self.events, send, ip, shows_limits=shows)
        kinds = [number for number, part in enumerate(parts) if part in ("ws", "stream")]
        if not kinds:
            return None
        names = parts[kinds[-1] + 1 :]
        combined = parts[kinds[-1]] == "stream"
        if "streams" in options:
            names += options["streams"].split("/")
        open_socket = partial(StreamSocket, self.floor, self.hub, self.events, send)
        return open_socket([name for name in names if name], combined=combined)
