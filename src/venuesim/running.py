"""One simulated venue, put together and running: books, desk, journal, faults and address."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from ssl import SSLContext
from typing import Any, Protocol, cast

from venuesim.candles import Candles
from venuesim.clock import Clock, RealClock
from venuesim.exchange import Exchange
from venuesim.faults import Fault, FaultPlan
from venuesim.instruments import LISTINGS, Listing
from venuesim.journal import Journal
from venuesim.keys import Key, KeyRing
from venuesim.units import units
from venuesim.web import Server
from venuesim.wire import Desk, Place

VENUES = ("binance", "bybit", "kraken")
# How the books of each venue differ; whoever puts a venue together may say otherwise.
RULES: Mapping[str, Mapping[str, Any]] = {
    "binance": {
        "unique_ids": "live",
        "fee_from": "received",
        "fok_expires": True,
        "open_orders_max": 1000,
    },
    "bybit": {"unique_ids": "ever", "fee_from": "received", "open_orders_max": 500},
    "kraken": {"unique_ids": "live", "fee_from": "quote", "open_orders_max": 5000},
}


class Protocols(Protocol):
    """What the folder of a venue offers: its wire protocol and its kind of keys."""

    def desk(self, place: Place) -> Desk: ...
    def make_key(
        self, place: Place, account: str, permissions: Iterable[str], ips: Sequence[str]
    ) -> Key: ...


def protocols(venue: str) -> Protocols:
    """Return a venue's folder; ValueError when there is none of that name."""
    if venue not in VENUES:
        raise ValueError(f"there is no venue {venue!r}; there are {', '.join(VENUES)}")
    return cast(Protocols, import_module(f"venuesim.{venue}"))


def listings_of(venue: str) -> Sequence[Listing]:
    """Return what a venue trades by its own steps and fees; the usual pairs if it says nothing."""
    found = (
        getattr(import_module(f"venuesim.{venue}"), "LISTINGS", None) if venue in VENUES else None
    )
    return LISTINGS if found is None else cast(Sequence[Listing], found)


def place_for(
    venue: str,
    *,
    clock: Clock | None = None,
    instruments: Iterable[Listing] | None = None,
    seed: int = 1,
    prices: bool = True,
    **options: Any,
) -> Place:
    """Return empty books by a venue's rules; prices: every pair has its listing's price at once.

    instruments: instead of what the venue trades by itself.
    options: fields of Exchange that differ from the venue's rules.
    """
    clock = clock or RealClock()
    listings = list(listings_of(venue) if instruments is None else instruments)
    exchange = Exchange(
        clock=clock,
        instruments={listing.instrument.name: listing.instrument for listing in listings},
        **{**RULES.get(venue, {}), **options},
    )
    candles = Candles(stalled=exchange.stalled, began_ms=clock.now_ms())
    exchange.recorders.append(candles.hear)
    if prices:
        exchange.prices = {listing.instrument.name: listing.price for listing in listings}
    return Place(clock=clock, exchange=exchange, candles=candles, keys=KeyRing(seed=seed))


@dataclass(slots=True, kw_only=True)
class Running:
    """A venue that can be reached at url, and what a test or the admin port does to it."""

    venue: str
    place: Place
    desk: Desk
    server: Server
    faults: FaultPlan
    journal: Journal
    make_key: Callable[[Place, str, Iterable[str], Sequence[str]], Key]

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def ws_url(self) -> str:
        return self.server.ws_url

    @property
    def exchange(self) -> Exchange:
        return self.place.exchange

    def client(
        self,
        name: str,
        balances: Mapping[str, str] | None = None,
        permissions: Iterable[str] = ("read", "trade"),
        ips: Sequence[str] = (),
    ) -> Key:
        """Open an account, unless it is there, pay in, and return a new key of it."""
        self.exchange.open_account(name)
        for asset, amount in ({"USDT": "1000"} if balances is None else balances).items():
            self.exchange.deposit(name, asset, units(amount))
        return self.make_key(self.place, name, set(permissions), tuple(ips))

    def tick(self, symbol: str, price: str, quantity: str = "0.1") -> None:
        """Let others trade so much at a price."""
        self.exchange.tick(symbol, units(price), units(quantity))


@asynccontextmanager
async def running(
    venue: str,
    place: Place,
    *,
    port: int = 0,
    journal: Path | Journal | None = None,
    faults: FaultPlan | None = None,
    compress: bool = False,
    protocol: Protocols | None = None,
    tls: SSLContext | None = None,
) -> AsyncIterator[Running]:
    """Serve a venue while the block runs. protocol: instead of the venue's own folder."""
    spoken = protocol or protocols(venue)
    desk = spoken.desk(place)
    book = journal if isinstance(journal, Journal) else Journal(journal, place.clock)
    book.follow(place.exchange)
    plan = faults or FaultPlan(seed=place.keys.seed)

    def struck(fault: Fault, action: str, account: str) -> None:
        if fault.kind.is_of_messages:  # those of calls stand in the lines of their calls
            book.write("fault", venue=venue, fault=str(fault), action=action, account=account)

    plan.told.append(struck)
    server = Server(faults=plan, journal=book, compress=compress, tls=tls)
    await server.start(desk, port)
    try:
        yield Running(
            venue=venue,
            place=place,
            desk=desk,
            server=server,
            faults=plan,
            journal=book,
            make_key=spoken.make_key,
        )
    finally:
        await server.stop()
        plan.told.remove(struck)
        book.close()
