"""A venue's adapter straight on a simulated venue's desk: no sockets, no waiting, one process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import makers
from tests.venues.rig import DEADLINE, account, credentials_of, order_id
from tradefleet.domain.credentials import Credentials
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import Decimal
from tradefleet.domain.order import Order, OrderKind, Purpose
from tradefleet.domain.user import Account, Mode
from tradefleet.venue import VenueCall
from tradefleet.venues import binance, bybit, kraken
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.addresses import VenueOptions, placed
from tradefleet.venues._ccxt.amounts import from_ms
from tradefleet.venues._ccxt.bells import Bells
from tradefleet.venues._ccxt.crew import Crew
from tradefleet.venues._ccxt.dialect import Dialect
from tradefleet.venues._ccxt.environment import Asker, Environment
from tradefleet.venues._ccxt.market import CcxtMarket
from tradefleet.venues._ccxt.valuation import Valuation
from tradefleet.venues._ccxt.venue import CcxtVenue
from tradefleet.venues._ccxt.venue import Side as Environs
from tradefleet.venues._ccxt.wire import Answer, Transport, Wire
from venuesim.clock import ManualClock
from venuesim.exchange import Exchange
from venuesim.keys import Key
from venuesim.running import place_for, protocols
from venuesim.units import units
from venuesim.wire import Call, Desk, Place

START_MS = 1_795_262_400_000  # 2026-11-21T12:00:00Z
VENUES = ("binance", "bybit", "kraken")
OPTIONS = VenueOptions(url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9")


@dataclass(slots=True)
class DeskClock:
    """Our clock, always right by the venue's, which stands still until it is set."""

    of_venue: ManualClock

    def now(self) -> datetime:
        return from_ms(self.of_venue.now_ms())

    def monotonic(self) -> float:
        return self.of_venue.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class OpenPacer:
    """Lets everything go at once."""

    async def turn(self, call: VenueCall) -> None:
        pass

    def heard(self, call: VenueCall, status: int, headers: Mapping[str, str]) -> None:
        pass

    def too_fast(self, call: VenueCall, seconds: float, *, banned: bool = False) -> None:
        pass


def whole(answer: Answer) -> Answer:
    return answer


@dataclass(slots=True, eq=False)
class DeskTransport(Transport):
    """Hands requests to a desk; spoil is what becomes of the place-th answer from now on."""

    desk: Desk | None = None
    spoil: Callable[[Answer], Answer] = whole
    place: int = 0
    told: list[Answer] = field(default_factory=list)

    async def send(self, wire: Wire, seconds: float) -> Answer:
        assert self.desk is not None
        parts = urlsplit(wire.url)
        said = self.desk.handle(
            Call(
                method=wire.method,
                path=unquote(parts.path),
                query=parts.query,
                body=wire.body or b"",
                headers={name.lower(): value for name, value in wire.headers.items()},
            )
        )
        answer = Answer(
            said.status, {name.lower(): value for name, value in said.headers.items()}, said.body
        )
        if len(self.told) == self.place:
            answer = self.spoil(answer)
        self.told.append(answer)
        return answer

    def begin(self, spoil: Callable[[Answer], Answer] = whole, place: int = 0) -> None:
        self.spoil, self.place = spoil, place
        self.told.clear()

    async def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class Ground:
    """One venue with our adapter on its desk."""

    name: str
    place: Place
    desk: Desk
    transport: DeskTransport
    environment: Environment
    venue: CcxtVenue
    links: int = 0
    orders: int = 0

    @property
    def exchange(self) -> Exchange:
        return self.place.exchange

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.place.clock, ManualClock)
        return self.place.clock

    def later(self, seconds: float = 1) -> None:
        self.clock.set(self.clock.now_ms() + int(seconds * 1000))

    def key(self, name: str, funds: Mapping[str, str]) -> Key:
        self.exchange.open_account(name)
        for asset, amount in funds.items():
            self.exchange.deposit(name, asset, units(amount))
        return protocols(self.name).make_key(self.place, name, {"read", "trade"}, ())

    def link(self, name: str, **funds: str) -> CcxtLink:
        asker = Asker(
            environment=self.environment,
            key=name,
            user_id=account(name).user_id,
            credentials=credentials_of(self.key(name, funds)),
        )
        return CcxtLink(asker=asker, valuation=self.venue.sides[Mode.LIVE].valuation)

    def order(self, symbol: Symbol, side: Side, quantity: Decimal, **changes: Any) -> Order:
        """Return a new order that was written down as about to be sent, just now."""
        self.orders += 1
        now = self.environment.clock.now()
        made = makers.order(
            quantity,
            order_id(self.orders),
            symbol=symbol,
            side=side,
            purpose=Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
            decided_at=now,
            **changes,
        )
        return replace(made, sent_at=now, deadline=now + DEADLINE)

    def resting(self, symbol: Symbol, quantity: Decimal, price: Decimal) -> Order:
        return self.order(symbol, Side.SELL, quantity, kind=OrderKind.RESTING_STOP, price=price)


def dialect_of(name: str, clock: DeskClock) -> Dialect:
    makes: dict[str, Callable[[], Dialect]] = {
        "binance": binance.Binance,
        "bybit": bybit.Bybit,
        "kraken": lambda: kraken.Kraken(clock),
    }
    return makes[name]()


async def nobody(_: Account) -> Credentials:
    raise AssertionError("no key is opened here")


def no_news(_: OrderId) -> None:
    pass


def ground(name: str, **options: Any) -> Ground:
    """Return a venue whose markets are not loaded yet; limits of its rate are off."""
    place = place_for(name, clock=ManualClock(START_MS), spread=0, **options)
    place.limits = False
    assert isinstance(place.clock, ManualClock)
    clock = DeskClock(place.clock)
    dialect, desk = dialect_of(name, clock), protocols(name).desk(place)
    transport = DeskTransport(dialect.title, desk=desk)
    environment = Environment(
        dialect=dialect,
        mode=Mode.LIVE,
        addresses=placed(dialect.addresses(Mode.LIVE), OPTIONS),
        transport=transport,
        pacer=OpenPacer(),
        clock=clock,
        offset=timedelta(0),
    )
    crew = Crew()
    venue = CcxtVenue(
        dialect=dialect,
        clock=clock,
        pacer=OpenPacer(),
        credentials=nobody,
        options=OPTIONS,
        transport=transport,
        crew=crew,
    )
    venue.sides[Mode.LIVE] = Environs(
        environment,
        CcxtMarket(environment, crew),
        Bells(environment, crew),
        Valuation(environment),
        keeps_clock=True,
    )
    return Ground(
        name=name, place=place, desk=desk, transport=transport, environment=environment, venue=venue
    )
