"""A connection to the streams: raw or combined, market data and accounts by listen key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from venuesim.binance.channels import Channel, Hub
from venuesim.binance.floor import Floor
from venuesim.binance.listening import live_key
from venuesim.binance.user_events import UserEvents

STREAMS_MAX = 1024
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Wrong(Exception):
    """A message the streams cannot take."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True, eq=False)
class StreamSocket:
    """One connection; names it does not know it takes too, and says nothing on them."""

    floor: Floor
    hub: Hub
    events: UserEvents
    send: Callable[[str], None]
    first: Sequence[str]
    combined: bool
    account: str = ""  # whose events were asked for last
    _streams: dict[str, Channel | None] = field(default_factory=dict)
    _accounts: dict[str, str] = field(default_factory=dict)  # by listen key

    def __post_init__(self) -> None:
        for name in self.first[:STREAMS_MAX]:
            self._subscribe(name)

    # ------------------------------------------------------------- messages

    def heard(self, text: str) -> None:
        number: object = None
        try:
            try:
                asked = orjson.loads(text)
            except orjson.JSONDecodeError:
                raise Wrong(3, "Invalid JSON: expected value at line 1 column 1") from None
            if not isinstance(asked, dict):
                raise Wrong(2, "Invalid request: request must be an object")
            number = asked.get("id")
            if isinstance(number, bool | float | dict | list):
                number = None
                raise Wrong(2, "Invalid request: request ID must be an unsigned integer")
            answer = {"result": self._answer(asked), "id": number}
        except Wrong as wrong:
            answer = {"code": wrong.code, "msg": wrong.text}
            answer |= {} if number is None else {"id": number}
        self.send(orjson.dumps(answer).decode())

    def _answer(self, asked: dict[str, object]) -> object:
        method, params = asked.get("method"), asked.get("params", [])
        if method is None:
            raise Wrong(2, f"Invalid request: missing field `method` at line 1 column {len(asked)}")
        if method not in METHODS:
            known = ", ".join(f"`{one}`" for one in METHODS)
            raise Wrong(
                2,
                f"Invalid request: unknown variant `{method}`, expected one of {known} "
                "at line 1 column 28",
            )
        if not isinstance(params, list):
            raise Wrong(2, "Invalid request: params must be a list")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self._streams)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(params)
        if not all(isinstance(name, str) for name in params):
            raise Wrong(2, "Invalid request: stream name must be a string")
        if method == "SUBSCRIBE":
            if len(self._streams.keys() | set(params)) > STREAMS_MAX:
                raise Wrong(2, "Invalid request: too many streams")
            for name in params:
                self._subscribe(name)
        else:
            for name in params:
                self._unsubscribe(name)
        return None

    def _property(self, params: list[object]) -> object:
        if not params or not isinstance(params[0], str):
            raise Wrong(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise Wrong(0, "Unknown property")
        if len(params) == 1:
            return self.combined
        if not isinstance(params[1], bool):
            raise Wrong(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None

    # -------------------------------------------------------------- streams

    def _subscribe(self, name: str) -> None:
        if name in self._streams:
            return
        key = live_key(self.floor, name)
        if key is not None:
            self._streams[name], self._accounts[name] = None, key.account
            self.account = key.account
            self.events.listen(key.account, (self, name), lambda raw: self._say(name, raw))
            return
        self._streams[name] = self.hub.join(name, self, self._say)

    def _unsubscribe(self, name: str) -> None:
        channel = self._streams.pop(name, None)
        if channel is not None:
            channel.leave(self)
        if name in self._accounts:
            self.events.leave(self._accounts.pop(name), (self, name))

    def _say(self, name: str, raw: str) -> None:
        self.send(f'{{"stream":"{name}","data":{raw}}}' if self.combined else raw)

    # ------------------------------------------------------------------ time

    def beat(self, now_ms: int) -> None:
        self.hub.beat(now_ms)
        for name in list(self._accounts):
            if live_key(self.floor, name) is None:
                event = {"e": "listenKeyExpired", "E": now_ms, "listenKey": name}
                self._say(name, orjson.dumps(event).decode())
                self._unsubscribe(name)
        for channel in list(self._streams.values()):
            if channel is not None:
                channel.beat(self, now_ms)

    def closed(self) -> None:
        for name in list(self._streams):
            self._unsubscribe(name)
