"""The venues this service speaks to: the paper venue, and those with adapters of their own."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Symbol
from tradefleet.domain.user import Account, Mode
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.venue_limits import VENUE_LIMITS, VenueLimits
from tradefleet.settings import Settings
from tradefleet.venue import MarketData, Venue
from tradefleet.venues._ccxt.addresses import VenueOptions

PROBE = Symbol("BTC", "USDT")  # asked for only to see that a market answers


@asynccontextmanager
async def open_venues(
    settings: Settings,
    clock: Clock,
    credentials: Callable[[Account], Awaitable[Credentials]],
    *,
    live: bool,
    limits: Mapping[str, VenueLimits] = VENUE_LIMITS,
    hits: Counter[str] | None = None,
) -> AsyncIterator[Mapping[str, Venue]]:
    """Open every real venue that is switched on; nothing is asked of it before it is needed.

    live: whether accounts with real money may trade, so that bots follow the real market. hits:
    where to count how often a venue says that we are too fast.
    """
    opened: dict[str, Venue] = {}
    counted = Counter() if hits is None else hits
    async with Governor(clock=clock, limits=limits, hits=counted) as governor:
        try:
            for name in settings.venue_names():
                adapter = import_module(f"tradefleet.venues.{name}")
                follows_live = live or settings.paper_market == name or not has_testnet(adapter)
                opened[name] = await adapter.open_venue(
                    clock=clock,
                    pacer=governor,
                    credentials=credentials,
                    options=VenueOptions(
                        url=getattr(settings, f"{name}_url"),
                        ws_url=getattr(settings, f"{name}_ws_url"),
                        mode=Mode.LIVE if follows_live else Mode.TESTNET,
                    ),
                )
            yield opened
        finally:
            for venue in opened.values():
                await venue.close()


def has_testnet(adapter: object) -> bool:
    return Mode.TESTNET in adapter.VENUE.modes  # type: ignore[attr-defined]


async def ensure_reached(name: str, market: MarketData) -> None:
    """Refuse to start on a market that was asked for and does not answer."""
    try:
        await market.rules(PROBE)
    except Refused:
        return  # it answered: it does not list that pair
    except VenueUnavailable as error:
        raise Refused(
            f"PAPER_MARKET is {name}, and {name} cannot be reached: {error}. Check the network and "
            f"{name.upper()}_URL, or set PAPER_MARKET=synthetic."
        ) from None
