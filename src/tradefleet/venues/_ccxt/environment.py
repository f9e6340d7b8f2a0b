"""One environment of a venue (live or testnet): its markets, its clock, and asking it things."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyFault, Secret
from tradefleet.domain.errors import OutcomeUnknown, Refused, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.domain.market import Symbol
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.venue import Pacer, VenueCall
from tradefleet.venues._ccxt.addresses import Addresses
from tradefleet.venues._ccxt.amounts import to_ms, understanding
from tradefleet.venues._ccxt.calls import (
    ABOUT_THE_KEY,
    Call,
    Done,
    Garbled,
    KeyFailed,
    Outcome,
    Said,
    Unserved,
    VenueSaid,
)
from tradefleet.venues._ccxt.dialect import Dialect, Errand
from tradefleet.venues._ccxt.encoding import encoded
from tradefleet.venues._ccxt.keys import cure
from tradefleet.venues._ccxt.library import load_markets
from tradefleet.venues._ccxt.listings import Listing, Listings, listings_of
from tradefleet.venues._ccxt.turnstile import Turnstile
from tradefleet.venues._ccxt.wire import Answer, Transport, Wire

logger = logging.getLogger(__name__)

READ_SECONDS = 10.0
MARKETS_SECONDS = 60.0  # the list of markets is megabytes
MARKETS_FRESH = timedelta(hours=6)
MARKETS_PAUSE = timedelta(minutes=1)  # between two looks for a symbol that was not there
CLOCK_SECONDS = 60.0  # between two measurements of the venue's time
BEFORE_CLOSE = 5.0  # seconds before a minute ends
ROUND_TRIP_MAX = 2.0  # seconds; a measurement that took longer says too little
SKEW_MAX = timedelta(milliseconds=500)  # beyond it nothing is sent
NOBODY = UserId("")
NOTHING = timedelta(0)


@dataclass(slots=True, kw_only=True, eq=False)
class Environment:
    """What all accounts of one mode share; opened by its first use.

    offset: the venue's time less ours, None until it was measured.
    """

    dialect: Dialect
    mode: Mode
    addresses: Addresses
    transport: Transport
    pacer: Pacer
    clock: Clock
    offset: timedelta | None = None
    listings: Listings | None = None
    _listed_at: datetime | None = None
    _listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turnstiles: WeakValueDictionary[Secret, Turnstile] = field(default_factory=WeakValueDictionary)

    @property
    def name(self) -> str:
        """The venue's name as the rate governor knows it: each environment has its own door."""
        live = self.mode is Mode.LIVE
        return self.dialect.name if live else f"{self.dialect.name}:{self.mode}"

    def now(self) -> datetime:
        """Return the venue's time, as far as we know it."""
        return self.clock.now() + (self.offset or timedelta(0))

    # -------------------------------------------------------------- markets

    async def book(self) -> Listings:
        """Return the markets; VenueUnavailable when they cannot be had."""
        if self.listings is None:
            await self._load(None)
        if self.listings is None:
            raise VenueUnavailable(f"{self.dialect.title}: its list of markets is not here yet")
        return self.listings

    async def tradable(self, symbol: Symbol) -> Listing:
        """Return a symbol that is traded now; Refused when there is none, even in a new list."""
        return (await self._fresh_book(symbol)).tradable(symbol)

    async def listed(self, symbol: Symbol) -> Listing:
        """Return a symbol, halted or not; Refused when there is none, even in a new list."""
        return (await self._fresh_book(symbol)).known(symbol)

    async def _fresh_book(self, symbol: Symbol) -> Listings:
        """Return the markets, loaded anew when they are old, or may not know of a symbol yet."""
        book = await self.book()
        age = self.clock.now() - (self._listed_at or self.clock.now())
        unknown = symbol not in book.by_symbol or not book.by_symbol[symbol].is_active
        if age > (MARKETS_PAUSE if unknown else MARKETS_FRESH):
            try:
                await self._load(book)
            except VenueUnavailable as error:
                logger.warning("the list of markets stays as it was: %s", error)
        return await self.book()

    async def known(self, symbol: Symbol) -> Listing:
        """Return a symbol of ours; VenueUnavailable when the venue lists it no more."""
        try:
            return (await self.book()).known(symbol)
        except Refused as refusal:
            raise VenueUnavailable(str(refusal)) from None

    async def _load(self, old: Listings | None) -> None:
        """Load the markets, unless somebody else has done so meanwhile."""
        async with self._listing:
            if self.listings is not old:
                return
            name, options = self.dialect.name, self.dialect.ccxt_options
            loop = asyncio.get_running_loop()
            markets, assets = await asyncio.to_thread(
                load_markets, name, options, self.addresses.rest, self._fetch_markets, loop
            )
            with understanding(self.dialect.title, "its markets"):
                made = listings_of(self.dialect.title, markets, assets, self.dialect.listing)
            if not made.by_symbol:
                raise VenueUnavailable(f"{self.dialect.title}: its list of markets is empty")
            self.listings = made
            self._listed_at = self.clock.now()

    async def _fetch_markets(self, url: str) -> bytes:
        call = VenueCall(
            venue=self.name,
            key="",
            user_id=NOBODY,
            priority=Priority.READ,
            costs=self.dialect.market_costs,
        )
        try:
            answer = await self.deliver(call, lambda: Wire("GET", url), MARKETS_SECONDS)
        except OutcomeUnknown as error:
            raise Unserved(str(error)) from None
        Asker(environment=self).payload(self.dialect.read(answer))
        return answer.body

    # ----------------------------------------------------------------- time

    async def measure_clock(self) -> timedelta:
        """Measure the venue's time against ours and return the difference."""
        asker = Asker(environment=self)
        started_at, started = self.clock.now(), self.clock.monotonic()

        def leaves() -> None:  # what it waited for its turn is no time under way
            nonlocal started_at, started
            started_at, started = self.clock.now(), self.clock.monotonic()

        call = self.dialect.server_time()
        payload = await asker.ask(Priority.RECONCILIATION, call, check=leaves)
        took = self.clock.monotonic() - started
        with understanding(self.dialect.title, "the time"):
            theirs = self.dialect.time_of(payload)
        offset = theirs - (started_at + timedelta(seconds=took / 2))
        if offset < NOTHING:  # it may be later there than the step that was told last
            offset = min(offset + self.dialect.timing.clock_step, NOTHING)
        if took <= ROUND_TRIP_MAX or self.offset is None:
            self.offset = offset
        return offset

    async def keep_clock(self) -> None:
        """Measure the venue's time every minute, until cancelled.

        That is done shortly before bars close, and connections are opened for what will follow:
        an order that finds none waits for three ways to the venue and back before it leaves.
        """
        while True:
            try:
                await self.measure_clock()
            except VenueUnavailable as error:
                logger.warning("the venue's time is not known: %s", error)
            await self.transport.open_ahead()
            into = (self.clock.now().timestamp() + BEFORE_CLOSE) % CLOCK_SECONDS
            await self.clock.sleep(CLOCK_SECONDS - into)

    @property
    def skew(self) -> timedelta | None:
        """How far our clock is off, when it is too far for orders."""
        off = abs(self.offset) if self.offset is not None else timedelta(0)
        return off if off > SKEW_MAX else None

    # --------------------------------------------------------------- asking

    def turnstile(self, credentials: Credentials | None) -> Turnstile | None:
        """Return where the requests of a key line up, whoever asks; None where none is counted."""
        if credentials is None or not self.dialect.counts_requests:
            return None
        return self._turnstiles.setdefault(credentials.api_key, Turnstile())

    async def deliver(
        self,
        call: VenueCall,
        make: Callable[[], Wire],
        seconds: float,
        alone: AbstractAsyncContextManager[None] | None = None,
    ) -> Answer:
        """Wait for the turn, then make the request, send it, and let the governor hear.

        alone is held from making to answering. Raise VenueUnavailable when nothing was sent,
        OutcomeUnknown when something may have been.
        """
        await self.pacer.turn(call)
        if alone is None:
            answer = await self.transport.send(make(), seconds)
        else:
            async with alone:
                answer = await self.transport.send(make(), seconds)
        self.pacer.heard(call, answer.status, answer.headers)
        return answer


@dataclass(slots=True, kw_only=True, eq=False)
class Asker:
    """Asks an environment, signed for one account or for nobody.

    key: the account as the rate governor knows it. Where requests are counted they go one by
    one: a greater number that overtakes a smaller one makes the smaller one invalid.
    """

    environment: Environment
    key: str = ""
    user_id: UserId = NOBODY
    credentials: Credentials | None = None
    begins_ahead: int = 0  # as the account is known to need it
    _turnstile: Turnstile | None = field(init=False)

    def __post_init__(self) -> None:
        self._turnstile = self.environment.turnstile(self.credentials)
        if self._turnstile is not None:
            self._turnstile.ahead = max(self._turnstile.ahead, self.begins_ahead)

    @property
    def numbers_ahead(self) -> int:
        return 0 if self._turnstile is None else self._turnstile.ahead

    def errand(self, priority: Priority, book: Listings) -> Errand:
        apis = frozenset(name for name, url in self.environment.addresses.rest.items() if url)
        return Errand(partial(self.ask, priority), book, self.environment.now(), apis)

    async def ask(
        self, priority: Priority, call: Call, *, check: Callable[[], None] | None = None
    ) -> Any:
        """Ask a question and return the payload; VenueUnavailable when there is no clean answer.

        A question that was refused for its number is asked once more; an order never is.
        """
        try:
            outcome = await self.send(priority, call, check=check)
            turnstile = self._turnstile
            if turnstile is not None and refuses_number(outcome) and not turnstile.is_hopeless:
                outcome = await self.send(priority, call, check=check)
        except OutcomeUnknown as error:
            raise Unserved(str(error)) from None
        return self.payload(outcome)

    def payload(self, outcome: Outcome) -> Any:
        title = self.environment.dialect.title
        match outcome:
            case Done(payload):
                return payload
            case Garbled(what):
                raise Unserved(f"{title}: {what}", outcome.fault)
            case Said(fault=fault) if fault in ABOUT_THE_KEY and self.credentials is not None:
                raise KeyFailed(title, outcome, fault, cure(title, fault, outcome))
            case Said():
                raise VenueSaid(title, outcome)

    async def send(
        self,
        priority: Priority,
        call: Call,
        *,
        stamp: int | None = None,
        check: Callable[[], None] | None = None,
        seconds: float = READ_SECONDS,
        patience: float | None = None,
    ) -> Outcome:
        """Send a request when it is its turn and return what became of it.

        stamp: the time to sign with, else the venue's own now. check may raise when the turn
        has come too late, and patience is how long it may take to come.
        """
        paced = VenueCall(
            venue=self.environment.name,
            key=self.key,
            user_id=self.user_id,
            priority=priority,
            costs=call.costs,
            patience=patience,
        )

        turnstile = self._turnstile if call.signed else None
        number = 0

        def make() -> Wire:
            nonlocal number
            if check is not None:
                check()
            wire = self.wire(call, stamp)
            number = turnstile.last if turnstile is not None else 0
            return wire

        alone = turnstile.passing(priority) if turnstile is not None else None
        answer = await self.environment.deliver(paced, make, seconds, alone)
        outcome = self.environment.dialect.read(answer)
        if turnstile is not None and refuses_number(outcome):
            turnstile.refused(number)
        if isinstance(outcome, Said) and outcome.hold is not None:
            hold = outcome.hold
            self.environment.pacer.too_fast(paced, hold.seconds, banned=hold.banned)
        return outcome

    def wire(self, call: Call, stamp: int | None = None) -> Wire:
        """Return a call as it goes out now."""
        environment = self.environment
        url = environment.addresses.rest.get(call.api, "")
        if not url:
            raise VenueUnavailable(f"{environment.name} has no {call.api} interface")
        if not call.signed or self.credentials is None:
            query = encoded(call.params)
            return Wire(call.method, f"{url}{call.path}" + (f"?{query}" if query else ""))
        try:
            return environment.dialect.sign(call, url, self.credentials, stamp or self.stamp())
        except ValueError as error:  # ours, or of decoding: never with the secret in it
            what = f"{environment.dialect.title}: this secret cannot sign ({error})"
            raise Unserved(what, KeyFault.SIGNATURE) from None

    def stamp(self) -> int:
        """Return what to sign the next request with: the venue's time in milliseconds.

        Where requests are counted it is the next number, by our own clock: what we know of the
        venue's time changes.
        """
        if self._turnstile is not None:
            return self._turnstile.number(self.environment.clock.now())
        return to_ms(self.environment.now())


def refuses_number(outcome: Outcome) -> bool:
    """Say whether a venue that counts requests has seen a greater number: nothing was done."""
    return isinstance(outcome, Said) and outcome.refused and outcome.fault is KeyFault.CLOCK
