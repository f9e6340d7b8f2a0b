"""Order entry over a WebSocket: order.create, order.amend and order.cancel, as over HTTP."""

from dataclasses import dataclass, field

from venuesim.bybit import trading
from venuesim.bybit.ask import Ask, Handler, Memory
from venuesim.bybit.errors import TEXTS, Refused
from venuesim.bybit.limits import Limits, Spent
from venuesim.bybit.signature import WINDOW_MS, check_time, key_of_stream, open_for_keys
from venuesim.bybit.sockets import Message, Operation, Send, connection_id, written
from venuesim.keys import Key

OPERATIONS: dict[str, tuple[Handler, str, int]] = {
    "order.create": (trading.create, "/v5/order/create", 20),
    "order.amend": (trading.amend, "/v5/order/amend", 10),
    "order.cancel": (trading.cancel, "/v5/order/cancel", 20),
}
NUMBERS_KEPT = 10_000  # reqIds a connection may use


@dataclass(slots=True, eq=False)
class TradeSocket:
    """One connection for orders."""

    memory: Memory
    limits: Limits
    send: Send
    name: str
    ip: str
    key: Key | None = None
    numbers: set[str] = field(default_factory=set)

    @property
    def account(self) -> str:
        return self.key.account if self.key is not None else ""

    def heard(self, text: str) -> None:
        operation = Operation.read(text, "reqId")
        if operation is None:
            self._say(Operation("", [], {}, None), 10001, "Request parameter error.")
        elif operation.op == "ping":
            now = str(self.memory.now_ms)
            pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now]}
            self.send(written({**pong, "connId": self.name}))
        elif operation.op == "auth":
            self._sign_in(operation)
        else:
            self._serve(operation)

    def _sign_in(self, operation: Operation) -> None:
        if self.key is not None:
            self._say(operation, 20001, TEXTS[20001])
            return
        try:
            self.key = key_of_stream(self.memory.place, operation.args, self.ip)
        except Refused as refusal:
            self._say(operation, refusal.code, refusal.text)
            return
        self._say(operation, 0, "OK")

    def _serve(self, operation: Operation) -> None:
        spent: list[Spent] = []
        try:
            result = self._result(operation, spent)
        except Refused as refusal:
            self._say(operation, refusal.code, refusal.text, self._about({}, spent))
            return
        self._say(operation, 0, "OK", self._about(result, spent))

    def _result(self, operation: Operation, spent: list[Spent]) -> object:
        if self.key is None or self.key.revoked:
            raise Refused(10003)
        if operation.op not in OPERATIONS:
            raise Refused(10404)
        if operation.number is not None:
            if operation.number in self.numbers or len(self.numbers) >= NUMBERS_KEPT:
                raise Refused(20006)
            self.numbers.add(operation.number)
        self._check_time(operation)
        if "trade" not in self.key.permissions:
            raise Refused(10005)
        serve, path, often = OPERATIONS[operation.op]
        if self.memory.place.limits:
            spent.append(self.limits.spend(self.key.account, path, often))
            if not spent[0].admitted:
                raise Refused(10006)
        words = operation.args[0] if operation.args else None
        if not isinstance(words, dict):
            raise Refused(10001)
        ask = Ask(memory=self.memory, words=words, key=self.key)
        place, mode = self.memory.place, self.memory.place.maintenance
        place.maintenance = mode or place.maintenance_of.get(self.account, "")
        try:
            open_for_keys(place)
            return serve(ask).result
        finally:
            place.maintenance = mode

    def _check_time(self, operation: Operation) -> None:
        header = operation.whole.get("header")
        words = header if isinstance(header, dict) else {}
        window = str(words.get("X-BAPI-RECV-WINDOW", WINDOW_MS))
        check_time(self.memory.place, str(words.get("X-BAPI-TIMESTAMP", "")), window)

    def _about(self, result: object, spent: list[Spent]) -> Message:
        now = self.memory.now_ms
        headers = spent[0].headers() if spent else {}
        trace = connection_id(now, len(self.numbers))
        header = {**headers, "Traceid": trace, "Timenow": str(now)}
        return {"data": result, "retExtInfo": {}, "header": header}

    def _say(self, operation: Operation, code: int, text: str, more: Message | None = None) -> None:
        number = {} if operation.number is None else {"reqId": operation.number}
        answer = {**number, "retCode": code, "retMsg": text, "op": operation.op}
        self.send(written({**answer, **(more or {}), "connId": self.name}))

    def beat(self, now_ms: int) -> None:
        """The venue sends nothing on its own; the client pings."""

    def closed(self) -> None:
        """There is nothing to let go of."""
