"""A request as handlers see it, their answer, and what the desk remembers between requests."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from venuesim.bybit.depth import Depths
from venuesim.bybit.errors import MISSING, TOO_LONG, TOO_OLD, Refused
from venuesim.exchange import Account
from venuesim.instruments import Instrument
from venuesim.keys import Key
from venuesim.wire import Place

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
TWO_YEARS_MS = 2 * 365 * DAY_MS
TRADES_KEPT = 60  # of a pair's public trades, as many as can be asked for
LOG_KEPT = 5000  # lines of an account's transaction log


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """What the market traded."""

    number: int
    price: int
    quantity: int
    buyer_took: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One change of a wallet; a trade makes two, of base and of quote."""

    number: int
    kind: str  # TRADE, TRANSFER_IN, TRANSFER_OUT
    asset: str
    flow: int
    fee: int
    balance: int
    at_ms: int
    trade_id: int = 0
    order_id: int = 0


@dataclass(slots=True, kw_only=True)
class Memory:
    """What the desk keeps beside the books."""

    place: Place
    depths: Depths
    trades: defaultdict[str, deque[PublicTrade]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=TRADES_KEPT))
    )
    log: defaultdict[str, deque[LogLine]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=LOG_KEPT))
    )
    forgotten_ms: int = -1  # order/realtime shows no order that ended until then
    _symbols: dict[str, str] = field(default_factory=dict)

    @property
    def symbols(self) -> dict[str, str]:
        """Return the books' names of the pairs by the venue's: BTCUSDT, BTC/USDT."""
        instruments = self.place.exchange.instruments
        if len(self._symbols) != len(instruments):
            self._symbols = {f"{one.base}{one.quote}": one.name for one in instruments.values()}
        return self._symbols

    @property
    def now_ms(self) -> int:
        return self.place.clock.now_ms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: what was asked for by name, and with which key."""

    memory: Memory
    words: Mapping[str, object]
    key: Key | None = None

    @property
    def account(self) -> Account:
        if self.key is None:
            raise Refused(10003)
        return self.memory.place.exchange.accounts[self.key.account]

    def text(self, name: str, default: str = "") -> str:
        value = self.words.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else str(value)

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise Refused(10001, text=MISSING)
        return value

    def whole(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit():
            raise Refused(10001, text=f"params error: {name} invalid")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return how many are asked for, cut to what the venue gives at most."""
        return max(1, min(self.whole("limit", default), most))

    def window(self, span_ms: int = WEEK_MS) -> tuple[int, int]:
        """Return startTime and endTime, the missing one a span away from the other."""
        now = self.memory.now_ms
        start, end = self.whole("startTime", 0), self.whole("endTime", 0)
        if start and end and end - start > WEEK_MS:
            raise Refused(10001, text=TOO_LONG)
        if start and start < now - TWO_YEARS_MS:
            raise Refused(10001, text=TOO_OLD)
        if start:
            return start, end or start + span_ms
        return (end or now) - span_ms, end or now

    def instrument(self, code: int = 10001, text: str = "Not supported symbols") -> Instrument:
        """Return the pair that is asked about."""
        name = self.memory.symbols.get(self.needed("symbol"))
        if name is None:
            raise Refused(code) if code != 10001 else Refused(10001, text=text)
        return self.memory.place.exchange.instruments[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a handler answers: the result, and for journal and faults what it was about."""

    result: object = field(default_factory=dict)
    text: str = "OK"
    order: object = None
    client_id: str = ""


Handler = Callable[[Ask], Said]
