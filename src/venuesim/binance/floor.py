"""What all parts of the simulated Binance share, and what a request brings and takes."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from venuesim.binance.denials import Denied
from venuesim.binance.limits import OrderCounts, Weights
from venuesim.binance.parameters import Parameters
from venuesim.binance.tape import Tape
from venuesim.binance.words import symbol_of
from venuesim.exchange import Account, BalanceChanged, Happening, OrderChanged
from venuesim.instruments import Instrument
from venuesim.keys import Key
from venuesim.orders import Order, Trade
from venuesim.wire import Place

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAYMENTS_KEPT = 1000  # deposits and withdrawals of an account


def word(drawn: bytes, length: int) -> str:
    """Return letters and digits for random bytes."""
    return "".join(LETTERS[byte % len(LETTERS)] for byte in drawn[:length])


@dataclass(slots=True, kw_only=True)
class OrderList:
    """An OCO: two orders of which one ends the other."""

    id: int
    client_id: str
    account: str
    symbol: str  # as the venue writes it
    placed_ms: int
    orders: list[Order] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """A deposit, or a withdrawal below zero."""

    asset: str
    amount: int
    at_ms: int
    number: int


@dataclass(slots=True)
class ListenKey:
    """A name under which an account's events can be heard without signing."""

    key: str
    account: str
    api_key: str
    expires_ms: int


@dataclass(slots=True, kw_only=True)
class Floor:
    """The venue's state beside the books."""

    place: Place
    tape: Tape
    symbols: dict[str, Instrument]
    weights: Weights = field(default_factory=Weights)
    counts: OrderCounts = field(default_factory=OrderCounts)
    lists: dict[int, OrderList] = field(default_factory=dict)
    lists_of: defaultdict[str, list[OrderList]] = field(  # by account, oldest first
        default_factory=lambda: defaultdict(list)
    )
    listen_keys: dict[str, ListenKey] = field(default_factory=dict)
    payments: defaultdict[str, deque[Payment]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=PAYMENTS_KEPT))
    )
    list_listeners: list[Callable[[OrderList], None]] = field(default_factory=list)
    cancel_ids: dict[int, str] = field(default_factory=dict)  # of cancels under way, by order
    executions: int = 0
    _words: int = 0
    _payments: int = 0

    @property
    def now_ms(self) -> int:
        return self.place.clock.now_ms()

    def instrument(self, symbol: str) -> Instrument:
        instrument = self.symbols.get(symbol)
        if instrument is None:
            raise Denied(-1121, "Invalid symbol.")
        return instrument

    def drawn_word(self, length: int = 22) -> str:
        """Return an id the venue makes up; a run with the same seed makes the same ones."""
        self._words += 1
        seed = f"{self.place.keys.seed}|binance|{self._words}"
        return word(sha256(seed.encode()).digest() + sha256(f"{seed}|".encode()).digest(), length)

    def hear(self, happening: Happening) -> None:
        """Keep what the books forget: fills that lower counts, payments, and when lists end."""
        if isinstance(happening, OrderChanged):
            order, trade = happening.order, happening.trade
            if trade is not None and len(order.trades) == 1:
                self.counts.filled(order.account, self.now_ms, maker=trade.maker)
            if happening.what == "triggered":
                order.request.tags["working"] = str(order.updated_ms)
            if happening.what == "new" and order.oco:
                self._join_list(order)
        elif isinstance(happening, BalanceChanged) and happening.cause in ("deposit", "withdrawal"):
            self._payments += 1
            self.payments[happening.account].append(
                Payment(happening.asset, happening.change, self.now_ms, self._payments)
            )

    # --------------------------------------------------------------- lists

    def _join_list(self, order: Order) -> None:
        order.request.tags["list"] = str(order.oco)
        if order.oco not in self.lists:
            made = self.lists[order.oco] = OrderList(
                id=order.oco,
                client_id="",
                account=order.account,
                symbol=symbol_of(order.instrument),
                placed_ms=order.created_ms,
            )
            self.lists_of[order.account].append(made)
        self.lists[order.oco].orders.append(order)

    def tell_list(self, orders: OrderList) -> None:
        for listener in self.list_listeners:
            listener(orders)

    def follow_lists(self, happening: Happening) -> None:
        """Say that a list is done once one leg ended the other, or both are gone."""
        if not isinstance(happening, OrderChanged):
            return
        orders = self.lists.get(int(happening.order.request.tags.get("list", "-1")))
        if orders is None or orders.done or happening.order.is_live:
            return
        live = sum(order.is_live for order in orders.orders)
        if not live or happening.what == "expired":
            orders.done = True
            self.tell_list(orders)

    # ------------------------------------------------- what look-ups see

    @property
    def visible_until_ms(self) -> int:
        """Return up to when look-ups know what happened."""
        return self.now_ms - self.place.lag_ms

    def sees_order(self, order: Order) -> bool:
        return not self.place.lag_ms or order.created_ms <= self.visible_until_ms

    def sees_trade(self, trade: Trade) -> bool:
        return not self.place.lag_ms or trade.at_ms <= self.visible_until_ms


def floor_of(place: Place) -> Floor:
    exchange = place.exchange
    return Floor(
        place=place,
        tape=Tape(exchange=exchange, candles=place.candles),
        symbols={symbol_of(instrument): instrument for instrument in exchange.instruments.values()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that came through signature and limits."""

    floor: Floor
    sent: Parameters
    ip: str
    now_ms: int
    key: Key | None = None

    @property
    def account(self) -> Account:
        """Return whose key signed; only for routes that ask for one."""
        assert self.key is not None
        return self.floor.place.exchange.accounts[self.key.account]

    @property
    def signed_by(self) -> Key:
        assert self.key is not None
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request takes with it: something JSON can write, and the order it made."""

    body: object
    status: int = 200
    order: Order | None = None
    client_id: str = ""


Handler = Callable[[Ask], Reply]
