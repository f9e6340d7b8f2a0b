"""A real venue, opened: its environments, their market, and the accounts linked to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.ids import OrderId
from tradefleet.domain.user import Account, Mode
from tradefleet.engine.pace import Priority
from tradefleet.venue import MarketData, Pacer
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.addresses import VenueOptions, placed
from tradefleet.venues._ccxt.amounts import understanding
from tradefleet.venues._ccxt.bells import Bells
from tradefleet.venues._ccxt.calls import KeyFailed, Unserved, VenueSaid
from tradefleet.venues._ccxt.crew import Crew
from tradefleet.venues._ccxt.dialect import Dialect
from tradefleet.venues._ccxt.environment import SKEW_MAX, Asker, Environment
from tradefleet.venues._ccxt.keys import cure, is_usable
from tradefleet.venues._ccxt.listings import Listings
from tradefleet.venues._ccxt.market import CcxtMarket
from tradefleet.venues._ccxt.valuation import Valuation
from tradefleet.venues._ccxt.wire import Transport

Unseal = Callable[[Account], Awaitable[Credentials]]
MARK = 16  # hex digits of a key's hash: they tell keys apart, and nothing of them
CHECKING = "check"  # begins the account's name at the governor while its key is only looked at


@dataclass(slots=True, eq=False)
class Side:
    """What belongs to one environment."""

    environment: Environment
    market: CcxtMarket
    bells: Bells
    valuation: Valuation
    keeps_clock: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class CcxtVenue:
    """One venue for all accounts of the process: one session, one market list per environment."""

    dialect: Dialect
    clock: Clock
    pacer: Pacer
    credentials: Unseal
    options: VenueOptions
    transport: Transport
    crew: Crew
    sides: dict[Mode, Side] = field(default_factory=dict)

    @property
    def market(self) -> MarketData:
        return self.side(self.options.mode).market

    def side(self, mode: Mode) -> Side:
        """Return what belongs to a mode, made at its first use; it asks nothing yet."""
        known = self.sides.get(mode)
        if known is not None:
            return known
        environment = Environment(
            dialect=self.dialect,
            mode=mode,
            addresses=placed(self.dialect.addresses(mode), self.options),
            transport=self.transport,
            pacer=self.pacer,
            clock=self.clock,
        )
        made = Side(
            environment,
            CcxtMarket(environment, self.crew),
            Bells(environment, self.crew),
            Valuation(environment),
        )
        self.sides[mode] = made
        return made

    async def link(self, account: Account, news: Callable[[OrderId], None]) -> CcxtLink:
        """Open an account; the venue is not asked anything yet, so that this works at any time."""
        credentials = await self.credentials(account)
        side = self.side(account.mode)
        self._keep_clock(side)
        asker = Asker(
            environment=side.environment,
            key=account.id,
            user_id=account.user_id,
            credentials=credentials,
            begins_ahead=account.key.numbers_ahead if account.key is not None else 0,
        )
        link = CcxtLink(asker=asker, valuation=side.valuation)
        link.leave = side.bells.add(account.id, asker, news, lambda: link.open_ids)
        return link

    def _keep_clock(self, side: Side) -> None:
        if not side.keeps_clock:
            side.keeps_clock = True
            self.crew.start(side.environment.keep_clock(), f"{side.environment.name} clock")

    async def check_key(self, credentials: Credentials, mode: Mode) -> KeyReport:
        title = self.dialect.title
        if not is_usable(credentials):
            raise KeyRefused(KeyFault.INVALID, cure(title, KeyFault.INVALID))
        try:
            return await self._report(credentials, mode)
        except KeyFailed as failed:
            other = Mode.TESTNET if mode is Mode.LIVE else Mode.LIVE
            if failed.fault is KeyFault.INVALID and await self._knows(credentials, other):
                fault = KeyFault.WRONG_MODE
                raise KeyRefused(fault, cure(title, fault)) from None
            raise KeyRefused(failed.fault, str(failed)) from None
        except VenueSaid as answered:
            fault = answered.said.fault or KeyFault.NETWORK
            raise KeyRefused(fault, cure(title, fault, answered.said)) from None
        except Unserved as unserved:
            text = f"{cure(title, unserved.fault)} ({unserved})"
            raise KeyRefused(unserved.fault, text) from None
        except VenueUnavailable as closed:  # the rate governor's word
            text = f"{cure(title, KeyFault.RATE_LIMIT)} ({closed})"
            raise KeyRefused(KeyFault.RATE_LIMIT, text) from None

    async def _report(self, credentials: Credentials, mode: Mode) -> KeyReport:
        environment = self.side(mode).environment
        offset = await environment.measure_clock()
        if abs(offset) > SKEW_MAX:
            raise KeyRefused(KeyFault.CLOCK, cure(self.dialect.title, KeyFault.CLOCK))
        asker = Asker(environment=environment, key=name_of(credentials), credentials=credentials)
        errand = asker.errand(Priority.READ, await environment.book())
        with understanding(self.dialect.title, "the key"):
            report = await self.dialect.rights(errand, mode)
        return replace(report, clock_offset=offset)

    async def _knows(self, credentials: Credentials, mode: Mode) -> bool:
        """Say whether the other environment accepts a key; where both are one place, no."""
        if self.options.url or mode not in self.dialect.modes:
            return False
        environment = self.side(mode).environment
        asker = Asker(environment=environment, key=name_of(credentials), credentials=credentials)
        errand = asker.errand(Priority.READ, Listings(self.dialect.title, {}, {}))
        try:
            with understanding(self.dialect.title, "the key"):
                await self.dialect.rights(errand, mode)
        except VenueUnavailable:
            return False
        return True

    async def close(self) -> None:
        await self.crew.close()
        await self.transport.close()


def name_of(credentials: Credentials) -> str:
    """Return what a key is called at the rate governor while nobody's account stands for it.

    Each has budgets of its own at the venue: the checks of many keys must not wait for each other.
    """
    mark = sha256(credentials.api_key.reveal().encode()).hexdigest()
    return f"{CHECKING} {mark[:MARK]}"


async def open_venue(
    dialect: Dialect, *, clock: Clock, pacer: Pacer, credentials: Unseal, options: VenueOptions
) -> CcxtVenue:
    """Open a venue; Refused when its options make no sense. Nothing is asked of it yet."""
    for mode in dialect.modes:
        placed(dialect.addresses(mode), options)
    return CcxtVenue(
        dialect=dialect,
        clock=clock,
        pacer=pacer,
        credentials=credentials,
        options=options,
        transport=Transport(dialect.title),
        crew=await Crew.open(),
    )
