"""A venue that is called directly: its books, its checks, what it shows and since when.

It stands on venuesim's integer books and writes venuesim's journal, so it shares no code with
the engine. What it answers is a value; what becomes of that on the way is the network's matter.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from judge.world.chance import Chance
from judge.world.clocks import WorldClock
from judge.world.rules import Rules
from venuesim.exchange import Account, Exchange, Happening, OrderChanged
from venuesim.instruments import Instrument, pair
from venuesim.journal import Journal, masked
from venuesim.orders import Kind, NewOrder, Order, Reason, Refusal, Side, Trade
from venuesim.units import UNITS, units

INSTRUMENTS: Mapping[str, tuple[Instrument, int]] = {
    each.name: (each, units(price))
    for each, price in (
        (pair("BTC/USDT", "0.01", "0.00001", "0.00001"), "65000"),
        (pair("ETH/USDT", "0.01", "0.0001", "0.0001"), "3200"),
        (pair("SOL/USDT", "0.01", "0.001", "0.001"), "150"),
        (pair("BNB/USDT", "0.01", "0.001", "0.001"), "600"),
    )
}
THIRD = "BNB"
CALLS_IN_10_S = 400  # of one key; a venue answers 429 to more, and bans whoever goes on
BAN_MS = 120_000
NONCES_KEPT = 500
PARTS = (1, 1, 1, 2, 4)
WOULD_BE_SEEN_LATER = frozenset({Reason.INSUFFICIENT_BALANCE})  # of a venue that says yes first


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it leaves its sender: key signs it, body is what it asks for."""

    action: str  # create, cancel, order, fills, open, orders, trades, balance
    key: str
    body: Mapping[str, Any]
    number: int = 0  # the nonce, where requests bear one
    request: int = 0  # the same for every copy of one request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the venue says: payload when code is "".

    proves: the code proves that nothing was done and nothing will be.
    """

    status: int = 200
    code: str = ""
    proves: bool = False
    payload: Any = None
    order: int = 0
    client_id: str = ""

    @property
    def is_good(self) -> bool:
        return not self.code


@dataclass(slots=True)
class Client:
    """What the venue keeps of one key besides its money."""

    account: str
    numbers: deque[int] = field(default_factory=deque)
    known: set[int] = field(default_factory=set)  # the same numbers, to be found
    highest: int = 0
    calls_ms: deque[int] = field(default_factory=deque)
    strikes: int = 0
    banned_ms: int = 0
    lag_ms: int = 0  # what is new shows so much later
    lags_until_ms: int = 0
    forgot_ms: int = 0  # what was over until then is not found by name…
    forgot_until_ms: int = 0  # …until its history has caught up
    maintenance_until_ms: int = 0
    maintenance: str = ""
    done: dict[int, Answer] = field(default_factory=dict)  # by request, where copies are known


class Books(Exchange):
    """Books of a venue that may know no unique names at all."""

    def _check_id(self, book: Account, request: NewOrder) -> None:
        if self.unique_ids != "none":
            super()._check_id(book, request)


class DirectVenue:
    """One venue. bells hear of every change of an order, as a private stream would tell it."""

    def __init__(self, rules: Rules, clock: WorldClock, chance: Chance) -> None:
        self.rules, self.clock, self.chance = rules, clock, chance
        self.books = Books(
            clock=clock,
            instruments={name: instrument for name, (instrument, _) in INSTRUMENTS.items()},
            unique_ids=rules.unique_ids,
        )
        self.journal = Journal(clock=clock)
        self.journal.follow(self.books)
        self.books.listeners.append(self._hear)
        self.clients: dict[str, Client] = {}  # by key
        self.bells: list[Callable[[str, str], None]] = []  # account, client id
        self.seen_from_ms: dict[int, int] = {}  # order → since when it shows
        self.trade_from_ms: dict[int, int] = {}
        self.expires_next: dict[str, str] = {}  # account → how its next market order ends early
        self.parts_next: dict[str, int] = {}  # account → in how many parts its next order trades
        self.races_next: set[str] = set()  # accounts whose next cancel comes just too late
        self._shows = chance.of("shows")
        for name, (_, price) in INSTRUMENTS.items():
            self.books.tick(name, price)

    # ------------------------------------------------------------ accounts

    def open_account(self, name: str, *, fee_from: str) -> str:
        """Open an account and return its key."""
        account = self.books.open_account(name)
        account.fee_from, account.fee_asset = fee_from, THIRD if fee_from == "third" else ""
        key = f"key-of-{name}"
        self.clients[key] = Client(name)
        return key

    def client_of(self, account: str) -> Client:
        return self.clients[f"key-of-{account}"]

    # ---------------------------------------------------------------- calls

    def handle(self, call: Call, fault: str = "") -> Answer:
        """Do what is asked, now, and write down that it was asked and what was said."""
        answer = self._answer(call)
        client = self.clients.get(call.key)
        now_us = self.clock.now_us()
        self.journal.write(
            "call",
            venue=self.rules.name,
            arrived_ms=self.clock.now_ms(),
            arrived_us=self.clock.now_ms() * 1000 + now_us % 1000,
            ip="",
            method="POST",
            path=f"/{call.action}",
            action=call.action,
            key=masked(call.key),
            account=client.account if client is not None else "",
            client_id=call.body.get("client_id", ""),
            status=answer.status,
            order=answer.order,
            fault=fault,
            code=answer.code,
        )
        return answer

    def _answer(self, call: Call) -> Answer:
        client = self.clients.get(call.key)
        if client is None:
            return Answer(401, "invalid key", proves=True)
        if self.rules.dedupes_requests and call.request in client.done:
            return client.done[call.request]
        refusal = self._over_limit(client) or self._bad_number(client, call)
        if refusal is not None:
            return refusal
        now = self.clock.now_ms()
        if now < client.maintenance_until_ms:
            if client.maintenance == "down":
                return Answer(503, "unavailable")
            if call.action == "create":
                return Answer(200, f"market in {client.maintenance}", proves=True)
        try:
            answer = HANDLERS[call.action](self, client, call.body)
        except Refusal as refused:
            answer = self._refused(refused)
        if self.rules.dedupes_requests:
            client.done[call.request] = answer
            if len(client.done) > NONCES_KEPT:
                del client.done[next(iter(client.done))]
        return answer

    @staticmethod
    def _refused(refused: Refusal) -> Answer:
        """Say no. A name that is taken proves nothing: the order is probably the caller's."""
        proves = refused.reason is not Reason.DUPLICATE_CLIENT_ID
        return Answer(400, refused.reason.value, proves=proves)

    def _over_limit(self, client: Client) -> Answer | None:
        now = self.clock.now_ms()
        if now < client.banned_ms:
            return Answer(418, "banned", proves=True)
        calls = client.calls_ms
        calls.append(now)
        while calls[0] <= now - 10_000:
            calls.popleft()
        if len(calls) <= CALLS_IN_10_S:
            return None
        client.strikes += 1
        if client.strikes > 20:
            client.banned_ms = now + BAN_MS
        return Answer(429, "too many requests", proves=True)

    def _bad_number(self, client: Client, call: Call) -> Answer | None:
        """Refuse a number that was used, or is too far below the greatest of this key."""
        window = self.rules.nonce_window_ms
        if window is None:
            return None
        number = call.number
        if number in client.known or number < client.highest - window * 1000:
            return Answer(200, "invalid nonce", proves=True)
        client.highest = max(client.highest, number)
        client.numbers.append(number)
        client.known.add(number)
        if len(client.numbers) > NONCES_KEPT:
            client.known.discard(client.numbers.popleft())
        return None

    # --------------------------------------------------------------- orders

    def _create(self, client: Client, body: Mapping[str, Any]) -> Answer:
        late = self._too_late(body)
        if late is not None:
            return late
        request = NewOrder(
            symbol=body["symbol"],
            side=Side(body["side"]),
            kind=Kind.STOP_MARKET if body.get("stop_price") else Kind.MARKET,
            quantity=body["quantity"],
            stop_price=body.get("stop_price", 0),
            client_id=body["client_id"],
        )
        self.books.fill_parts = self.parts_next.pop(client.account, 0) or self._shows.choice(PARTS)
        try:
            order = self._place(client.account, request)
        except Refusal as refused:
            if not self.rules.says_yes_first or refused.reason not in WOULD_BE_SEEN_LATER:
                raise
            order = self.books.stillborn(client.account, request, refused.reason)
        return Answer(payload=str(order.id), order=order.id, client_id=order.client_id)

    def _place(self, account: str, request: NewOrder) -> Order:
        """Accept an order; one that meets the account's own may end before all of it traded."""
        ends = self.expires_next.get(account)
        if ends is None or request.kind is not Kind.MARKET:
            return self.books.place(account, request)
        del self.expires_next[account]
        quantity = request.quantity // 2 if ends == "half" else 0
        self.books.depth[request.symbol] = quantity
        try:
            return self.books.place(account, request)
        finally:
            del self.books.depth[request.symbol]

    def _too_late(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse an order by the time that was signed with it."""
        now, rules = self.clock.now_ms(), self.rules
        if rules.fence == "deadline" and now > body["deadline_ms"]:
            return Answer(200, "deadline elapsed")
        if rules.fence == "window":
            sent = body["sent_ms"]
            if sent < now - rules.window_ms or sent >= now + rules.ahead_ms:
                return Answer(400, "outside the window", proves=True)
        return None

    def _cancel(self, client: Client, body: Mapping[str, Any]) -> Answer:
        order = self._found(client, body)
        if order is None:
            return Answer(400, "unknown order", proves=True)
        if client.account in self.races_next and order.is_live and order.request.stop_price:
            self.races_next.discard(client.account)
            self.books.tick(order.symbol, order.request.stop_price, UNITS)
        self.books.cancel(client.account, order)
        return Answer(order=order.id, client_id=order.client_id)

    # -------------------------------------------------------------- reading

    def _found(self, client: Client, body: Mapping[str, Any]) -> Order | None:
        number = body.get("order")
        if number:
            return self.books.find(client.account, order_id=int(number))
        return self.books.find(client.account, client_id=body["client_id"])

    def shows(self, order: Order) -> bool:
        return self.clock.now_ms() >= self.seen_from_ms.get(order.id, 0)

    def _order(self, client: Client, body: Mapping[str, Any]) -> Answer:
        order = self._found(client, body)
        if order is None or not self.shows(order):
            return Answer()
        forgotten = not order.is_live and order.updated_ms < client.forgot_ms
        if forgotten and self.clock.now_ms() < client.forgot_until_ms:
            return Answer()
        return Answer(payload=self._told(order), order=order.id)

    def _fills(self, client: Client, body: Mapping[str, Any]) -> Answer:
        order = self.books.find(client.account, order_id=int(body["order"]))
        if order is None:
            return Answer(payload=[])
        return Answer(payload=[self._trade(t) for t in order.trades if self._is_out(t)])

    def _open(self, client: Client, body: Mapping[str, Any]) -> Answer:
        live = self.books.accounts[client.account].live.values()
        wanted = body["symbols"]
        return Answer(payload=[self._told(o) for o in live if o.symbol in wanted and self.shows(o)])

    def _orders(self, client: Client, body: Mapping[str, Any]) -> Answer:
        since, wanted = body["since_ms"], body["symbols"]
        found: list[Any] = []
        for order in reversed(self.books.accounts[client.account].orders.values()):
            if order.created_ms < since:
                break
            if order.symbol in wanted and self.shows(order):
                found.append(self._told(order))
        return Answer(payload=found[::-1])

    def _trades(self, client: Client, body: Mapping[str, Any]) -> Answer:
        since, wanted = body["since_ms"], body["symbols"]
        found: list[Any] = []
        for trade in reversed(self.books.accounts[client.account].trades):
            if trade.at_ms < since:
                break
            if trade.symbol in wanted and self._is_out(trade):
                found.append(self._trade(trade))
        return Answer(payload=found[::-1])

    def _balance(self, client: Client, body: Mapping[str, Any]) -> Answer:
        book = self.books.accounts[client.account]
        assets = sorted({*book.free, *book.locked})
        totals = {asset: book.free[asset] + book.locked[asset] for asset in assets}
        return Answer(payload={asset: amount for asset, amount in totals.items() if amount})

    def _is_out(self, trade: Trade) -> bool:
        return self.clock.now_ms() >= self.trade_from_ms.get(trade.id, 0)

    @staticmethod
    def _told(order: Order) -> Mapping[str, Any]:
        return {
            "order": str(order.id),
            "client_id": order.client_id,
            "symbol": order.symbol,
            "side": order.side.value,
            "quantity": order.quantity,
            "filled": order.filled,
            "open": order.is_live,
            "at_ms": order.created_ms,
        }

    def _trade(self, trade: Trade) -> Mapping[str, Any]:
        book = self.books.accounts[trade.account]
        order = book.orders.get(trade.order_id)
        return {
            "trade": str(trade.id),
            "order": str(trade.order_id),
            "client_id": order.client_id if order is not None else "",
            "symbol": trade.symbol,
            "side": trade.side.value,
            "quantity": trade.quantity,
            "price": trade.price,
            "cost": trade.cost,
            "fee": trade.fee,
            "fee_asset": trade.fee_asset,
            "at_ms": trade.at_ms,
            "fee_price": self.books.prices.get(f"{trade.fee_asset}/USDT", UNITS),
        }

    # -------------------------------------------------------------- telling

    def _hear(self, happening: Happening) -> None:
        """Note since when what is new shows, and ring."""
        if not isinstance(happening, OrderChanged):
            return
        order, trade = happening.order, happening.trade
        client = self.clients.get(f"key-of-{order.account}")
        if client is None:
            return
        now = self.clock.now_ms()
        lags = client.lag_ms if now < client.lags_until_ms else 0
        if happening.what == "new" and lags:
            self.seen_from_ms[order.id] = now + lags
        if trade is not None:
            self.trade_from_ms[trade.id] = now + (
                self._shows.randrange(lags + 1) if lags else self._shows.choice((0, 0, 0, 300))
            )
        for ring in self.bells:
            ring(order.account, order.client_id)

    def closing_line(self) -> None:
        self.journal.write("closed")

    def lines(self) -> Sequence[Mapping[str, object]]:
        return list(self.journal.entries())


HANDLERS: Mapping[str, Callable[[DirectVenue, Client, Mapping[str, Any]], Answer]] = {
    "create": DirectVenue._create,
    "cancel": DirectVenue._cancel,
    "order": DirectVenue._order,
    "fills": DirectVenue._fills,
    "open": DirectVenue._open,
    "orders": DirectVenue._orders,
    "trades": DirectVenue._trades,
    "balance": DirectVenue._balance,
}
