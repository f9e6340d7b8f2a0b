"""Private topics: orders, executions and the wallet of the account whose key signed in."""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256

from venuesim.bybit.account import uid
from venuesim.bybit.ask import Memory
from venuesim.bybit.errors import Refused
from venuesim.bybit.rows import Row, execution_stream_row, fast_row, stream_row
from venuesim.bybit.signature import key_of_stream
from venuesim.bybit.sockets import UNREADABLE, Message, Operation, Send, written
from venuesim.bybit.wallet import wallet_row
from venuesim.exchange import BalanceChanged, Happening, OrderChanged
from venuesim.keys import Key

SPOT_TOPICS = ("order", "execution", "execution.fast")  # each alone or with .spot
SILENT = ("position", "greeks", "dcp.spot", "dcp.future", "dcp.option")
CATEGORIES = ("spot", "linear", "inverse", "option")


def known(topic: str) -> bool:
    if topic in (*SPOT_TOPICS, *SILENT, "wallet"):
        return True
    head, _, category = topic.rpartition(".")
    return category in CATEGORIES and head in (*SPOT_TOPICS, "position")


@dataclass(slots=True, eq=False)
class Notices:
    """The connections of each account; what changes is written once a topic."""

    memory: Memory
    sockets: defaultdict[str, dict["PrivateSocket", None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _number: int = 1_253_000_000

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            if self.sockets.get(happening.order.account):
                self._order(happening)
        elif isinstance(happening, BalanceChanged) and self.sockets.get(happening.account):
            self._wallet(happening)

    def _order(self, changed: OrderChanged) -> None:
        order, trade = changed.order, changed.trade
        if trade is not None:
            row = execution_stream_row(order, trade)
            self._tell(order.account, "execution", row)
            self._tell(order.account, "execution.fast", fast_row(order, trade))
        self._tell(order.account, "order", stream_row(order))

    def _wallet(self, changed: BalanceChanged) -> None:
        # A trade moves two assets before the first is told: once is enough for both.
        if changed.cause == "trade" and changed.change < 0:
            return
        exchange = self.memory.place.exchange
        row = wallet_row(exchange, exchange.accounts[changed.account])
        self._tell(changed.account, "wallet", row)

    def _tell(self, account: str, topic: str, row: Row) -> None:
        self._number += 1
        for name in (topic, f"{topic}.spot"):
            listening = [one for one in self.sockets[account] if name in one.topics]
            if listening:
                text = written(self._message(account, name, row))
                for socket in listening:
                    socket.tell(text)

    def _message(self, account: str, topic: str, row: Row) -> Message:
        message: Message = {"topic": topic, "creationTime": self.memory.now_ms, "data": [row]}
        if topic.startswith("execution.fast"):
            return message
        number = f"{uid(account)}-20000-{self._number}"
        if topic == "wallet":
            drawn = sha256(number.encode()).hexdigest()
            parts = (drawn[:9], drawn[9:13], drawn[13:17], drawn[17:21], drawn[21:33])
            number = f"{uid(account)}{'-'.join(parts)}"
        return {"id": number, **message}


@dataclass(slots=True, eq=False)
class PrivateSocket:
    """One private connection: it says nothing before its key signed in."""

    notices: Notices
    send: Send
    name: str
    ip: str
    key: Key | None = None
    topics: dict[str, None] = field(default_factory=dict)

    @property
    def account(self) -> str:
        return self.key.account if self.key is not None else ""

    def tell(self, text: str) -> None:
        """Send, as long as the key is good."""
        if self.key is not None and not self.key.revoked:
            self.send(text)

    def heard(self, text: str) -> None:
        operation = Operation.read(text)
        if operation is None:
            self.send(written({**UNREADABLE, "conn_id": self.name}))
        elif operation.op == "ping":
            self._pong(operation)
        elif operation.op == "auth":
            self._sign_in(operation)
        elif operation.op not in ("subscribe", "unsubscribe"):
            self._answer(operation, "error:invalid op", success=False)
        elif self.key is None or self.key.revoked:
            self._answer(operation, "Request not authorized", success=False)
        elif operation.op == "subscribe":
            self._subscribe(operation)
        else:
            for topic in operation.topics():
                self.topics.pop(topic, None)
            self._answer(operation, "")

    def _sign_in(self, operation: Operation) -> None:
        self.closed()
        try:
            self.key = key_of_stream(self.notices.memory.place, operation.args, self.ip)
        except Refused as refusal:
            self._answer(operation, refusal.text, success=False)
            return
        self.notices.sockets[self.key.account][self] = None
        self._answer(operation, "")

    def _subscribe(self, operation: Operation) -> None:
        for topic in operation.topics():
            if not known(topic):
                self._answer(operation, f"error:handler not found,topic:{topic}", success=False)
                return
            if topic in self.topics:
                self._answer(operation, f"error:already subscribed,topic:{topic}", success=False)
                return
        self.topics.update(dict.fromkeys(operation.topics()))
        self._answer(operation, "")

    def _pong(self, operation: Operation) -> None:
        number = {} if operation.number is None else {"req_id": operation.number}
        now = str(self.notices.memory.now_ms)
        self.send(written({**number, "op": "pong", "args": [now], "conn_id": self.name}))

    def _answer(self, operation: Operation, text: str, *, success: bool = True) -> None:
        number = {} if operation.number is None else {"req_id": operation.number}
        answer = {"success": success, "ret_msg": text, "op": operation.op, "conn_id": self.name}
        self.send(written({**number, **answer}))

    def beat(self, now_ms: int) -> None:
        """The venue sends nothing on its own; the client pings."""

    def closed(self) -> None:
        if self.key is not None:
            listening = self.notices.sockets.get(self.key.account, {})
            listening.pop(self, None)
            if not listening:
                self.notices.sockets.pop(self.key.account, None)
