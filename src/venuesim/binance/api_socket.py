"""The WebSocket API: requests as on REST by other names, and accounts' events by subscription."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from venuesim.binance.denials import Denied, illegal
from venuesim.binance.floor import Floor
from venuesim.binance.gate import Asked, Passage, in_maintenance, pass_through
from venuesim.binance.limits import order_limits, weight_limit
from venuesim.binance.parameters import LONG_MAX, Parameters
from venuesim.binance.routes import ROUTES, Route
from venuesim.binance.signatures import SIGNING, payload_of_call, signed_key
from venuesim.binance.user_events import UserEvents

SUBSCRIPTIONS_MAX = 1000  # at a time
SUBSCRIPTIONS_EVER_MAX = 65_535
SESSION_WEIGHT = 2
ID = "^[a-zA-Z0-9-_]{1,36}$"  # as the venue words it; it takes more

# A method's name here, and the request on REST it is.
METHODS: Mapping[str, tuple[str, str]] = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.historical": ("GET", "/api/v3/historicalTrades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "uiKlines": ("GET", "/api/v3/uiKlines"),
    "avgPrice": ("GET", "/api/v3/avgPrice"),
    "ticker": ("GET", "/api/v3/ticker"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.tradingDay": ("GET", "/api/v3/ticker/tradingDay"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.status": ("GET", "/api/v3/order"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "orderList.place": ("POST", "/api/v3/order/oco"),
    "orderList.place.oco": ("POST", "/api/v3/orderList/oco"),
    "orderList.status": ("GET", "/api/v3/orderList"),
    "orderList.cancel": ("DELETE", "/api/v3/orderList"),
    "openOrderLists.status": ("GET", "/api/v3/openOrderList"),
    "allOrderLists": ("GET", "/api/v3/allOrderList"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "myPreventedMatches": ("GET", "/api/v3/myPreventedMatches"),
    "myAllocations": ("GET", "/api/v3/myAllocations"),
    "myFilters": ("GET", "/api/v3/myFilters"),
    "account.status": ("GET", "/api/v3/account"),
    "account.commission": ("GET", "/api/v3/account/commission"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
    "userDataStream.start": ("POST", "/api/v3/userDataStream"),
    "userDataStream.ping": ("PUT", "/api/v3/userDataStream"),
    "userDataStream.stop": ("DELETE", "/api/v3/userDataStream"),
}


@dataclass(slots=True)
class Subscription:
    """An account whose events go to a connection, and the key that asked for them."""

    account: str
    api_key: str


@dataclass(slots=True, eq=False)
class ApiSocket:
    """One connection to the WebSocket API."""

    floor: Floor
    events: UserEvents
    send: Callable[[str], None]
    ip: str
    shows_limits: bool = True
    account: str = ""  # whose key signed last
    connected_ms: int = 0
    _subscriptions: dict[int, Subscription] = field(default_factory=dict)
    _subscribed: int = 0

    def __post_init__(self) -> None:
        self.connected_ms = self.floor.now_ms

    # ------------------------------------------------------------- requests

    def heard(self, text: str) -> None:
        number: object = None
        shows, passage = self.shows_limits, Passage()
        counted = False
        try:
            asked = _read(text)
            number = _number(asked)
            params = _params(asked)
            shows = params.get("returnRateLimits", str(shows).lower()) == "true"
            method = str(asked.get("method", "")).removeprefix("v3/")
            result, status = self._answer(method, params, passage)
            answer: dict[str, object] = {"id": number, "status": status, "result": result}
            route = ROUTES.get(METHODS.get(method, ("", "")))
            counted = route is not None and bool(route.orders)
        except Denied as denied:
            answer = {"id": number, "status": denied.status, "error": self._error(denied)}
        if shows:
            answer["rateLimits"] = self._limits(passage if counted else Passage())
        self.send(orjson.dumps(answer).decode())

    def _answer(self, method: str, params: dict[str, str], passage: Passage) -> tuple[object, int]:
        own = OWN_METHODS.get(method)
        if own is not None:
            self._charge()
            return own(self, params), 200
        place = METHODS.get(method)
        if place is None:
            self._charge()
            raise Denied(-1020, "This operation is not supported.")
        route = ROUTES[place]
        asked = Asked(
            route=route,
            sent=_as_on_rest(route, params),
            payload=payload_of_call(params),
            api_key=params.get("apiKey", ""),
            ip=self.ip,
        )
        reply = pass_through(self.floor, asked, passage)
        if passage.key is not None:
            self.account = passage.key.account
        return reply.body, reply.status

    def _charge(self) -> None:
        if self.floor.place.limits:
            self.floor.weights.charge(self.ip, SESSION_WEIGHT, self.floor.now_ms)
        if in_maintenance(self.floor):
            raise Denied(1, "System is under maintenance.", 503)

    def _error(self, denied: Denied) -> dict[str, object]:
        error = denied.body
        if denied.retry_after_ms is not None:
            now = self.floor.now_ms
            error["data"] = {"serverTime": now, "retryAfter": now + denied.retry_after_ms}
        return error

    def _limits(self, passage: Passage) -> list[dict[str, object]]:
        now = self.floor.now_ms
        limits: list[dict[str, object]] = []
        if passage.key is not None:
            limits += order_limits(self.floor.counts.of(passage.key.account, now))
        return [*limits, weight_limit(self.floor.weights.used(self.ip, now).weight)]

    # -------------------------------------------------------------- session

    def logon(self, params: dict[str, str]) -> object:
        """Refuse as the venue does: every key here is an HMAC key."""
        self._signed(params)
        raise Denied(-4056, "HMAC_SHA256 API key is not supported.")

    def _signed(self, params: dict[str, str]) -> Subscription:
        if "apiKey" not in params:
            raise Denied(
                -1102,
                "Mandatory parameter 'apiKey' was not sent, was empty/null, or malformed.",
            )
        key = signed_key(
            self.floor,
            params["apiKey"],
            Parameters(params),
            payload_of_call(params),
            self.ip,
            "read",
            self.floor.now_ms,
        )
        self.account = key.account
        return Subscription(key.account, key.api_key)

    def status(self, params: dict[str, str]) -> object:
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.shows_limits,
            "serverTime": self.floor.now_ms,
            "userDataStream": bool(self._subscriptions),
        }

    def subscriptions(self, params: dict[str, str]) -> object:
        return [{"subscriptionId": number} for number in self._subscriptions]

    def subscribe_by_session(self, params: dict[str, str]) -> object:
        raise Denied(-1002, "You are not authorized to execute this request.", 401)

    def subscribe(self, params: dict[str, str]) -> object:
        wanted = self._signed(params)
        if any(known.account == wanted.account for known in self._subscriptions.values()):
            raise Denied(-2035, "User Data Stream subscription already active.")
        too_many = len(self._subscriptions) >= SUBSCRIPTIONS_MAX
        if too_many or self._subscribed >= SUBSCRIPTIONS_EVER_MAX:
            raise Denied(-2042, "Maximum subscription ID reached for this connection.")
        number, self._subscribed = self._subscribed, self._subscribed + 1
        self._subscriptions[number] = wanted
        self.events.listen(wanted.account, (self, number), lambda raw: self._say(number, raw))
        return {"subscriptionId": number}

    def unsubscribe(self, params: dict[str, str]) -> object:
        number = Parameters(params).long("subscriptionId")
        chosen = list(self._subscriptions) if number is None else [number]
        if any(one not in self._subscriptions for one in chosen):
            raise Denied(-2036, "User Data Stream subscription not active.")
        for one in chosen:
            self._end(one)
        return {}

    def _end(self, number: int) -> None:
        self._say(
            number,
            orjson.dumps({"e": "eventStreamTerminated", "E": self.floor.now_ms}).decode(),
        )
        self.events.leave(self._subscriptions.pop(number).account, (self, number))

    def _say(self, number: int, raw: str) -> None:
        self.send(f'{{"subscriptionId":{number},"event":{raw}}}')

    # ------------------------------------------------------------------ time

    def beat(self, now_ms: int) -> None:
        """End the subscriptions of keys that were taken away."""
        for number, known in list(self._subscriptions.items()):
            if self.floor.place.keys.find(known.api_key) is None:
                self._end(number)

    def closed(self) -> None:
        for number, known in self._subscriptions.items():
            self.events.leave(known.account, (self, number))
        self._subscriptions.clear()


OWN_METHODS: Mapping[str, Callable[[ApiSocket, dict[str, str]], object]] = {
    "session.logon": ApiSocket.logon,
    "session.status": ApiSocket.status,
    "session.logout": ApiSocket.status,
    "session.subscriptions": ApiSocket.subscriptions,
    "userDataStream.subscribe": ApiSocket.subscribe_by_session,
    "userDataStream.subscribe.signature": ApiSocket.subscribe,
    "userDataStream.unsubscribe": ApiSocket.unsubscribe,
}


def _read(text: str) -> dict[str, object]:
    """Return a request; numbers stay as they were written, for they were signed so."""
    try:
        plain = orjson.loads(text)  # is stricter
        asked = json.loads(text, parse_float=str)
    except ValueError:
        raise Denied(-1135, "Invalid JSON Request") from None
    if not isinstance(asked, dict):
        raise Denied(-1135, "Invalid JSON Request")
    return asked | {"id": plain.get("id")}


def _number(asked: Mapping[str, object]) -> object:
    """Return the id of a request, which its answer bears too."""
    number = asked.get("id")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if number is None or isinstance(number, str) or (whole and abs(int(str(number))) <= LONG_MAX):
        return number
    raise illegal("id", ID)


def _params(asked: Mapping[str, object]) -> dict[str, str]:
    params = asked.get("params") or {}
    if not isinstance(params, dict):
        raise Denied(-1135, "JSON sent for parameter 'params' is not valid")
    return {str(name): _plain(value) for name, value in params.items()}


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _as_on_rest(route: Route, params: dict[str, str]) -> dict[str, str]:
    """Leave out what on REST stands elsewhere, and what may be sent and is not needed."""
    left_out = {"apiKey", "returnRateLimits"}
    if not route.right or not route.signs:
        left_out.update(SIGNING)
    return {name: value for name, value in params.items() if name not in left_out}
