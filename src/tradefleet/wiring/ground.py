"""What everything stands on: settings, database, vault, clock and the paper venue."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from tradefleet import __version__
from tradefleet.charting.studio import Studio
from tradefleet.clock import Clock, Ids
from tradefleet.command import AlertTest, HealthQuestion
from tradefleet.counter import Counters
from tradefleet.counters.memory import MemoryCounters
from tradefleet.counters.redis import RedisCounters
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.consent import RiskNotice
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol, TradingRules
from tradefleet.keyring import Keyring, KeysAhead
from tradefleet.operations.privacy.archives import Archives
from tradefleet.quota import Quotas
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.real_world import RandomIds, RealClock
from tradefleet.runtime.start_times import StartTimes
from tradefleet.runtime.venue_limits import VENUE_LIMITS, VenueLimits
from tradefleet.settings import Settings, hide_password, load_settings
from tradefleet.simulation.paper_book import Costs
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.vault import Vault
from tradefleet.venue import MarketData, Venue
from tradefleet.venues._synthetic_market import SyntheticMarket
from tradefleet.venues.paper import PaperVenue
from tradefleet.wiring.desk import Desk
from tradefleet.wiring.doors import build_dispatcher
from tradefleet.wiring.keys import (
    Masters,
    bind_audit,
    check_masters,
    key_rules,
    masters_of,
    open_vault,
)
from tradefleet.wiring.playing import writer_of
from tradefleet.wiring.venues import open_venues


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything stands on: the store, the vault, the clock, ids, and the venues."""

    settings: Settings
    database: str
    store: SqlStore
    masters: Masters
    vault: Vault
    clock: Clock
    ids: Ids
    paper: PaperVenue
    real: Mapping[str, Venue]
    counters: Counters
    studio: Studio
    archives: Archives
    keys_ahead: KeysAhead | None = None  # through which accounts at real venues are opened
    start: StartTimes = field(default_factory=lambda: StartTimes(clock=RealClock()))
    too_fast: Counter[str] = field(default_factory=Counter)  # how often each venue said so

    @property
    def quotas(self) -> Quotas:
        """How often anybody may ask."""
        return Quotas(
            counters=self.counters,
            tiers=self.settings.tiers(),
            limits=self.settings.request_limits(),
        )

    @property
    def is_default_database(self) -> bool:
        """Whether commands find the database without being told its address."""
        return self.database == hide_password(self.settings.database_url.get_secret_value())

    @property
    def venues(self) -> Mapping[str, Venue]:
        return {"paper": self.paper, **self.real}

    @property
    def desk(self) -> Desk:
        return Desk(self.venues, self.studio)

    @property
    def keyring(self) -> Keyring:
        """Everybody's keys; its credentials_of is what opens accounts at real venues."""
        return Keyring(self.store, self.vault)

    async def rules(self, venue: str, symbol: Symbol) -> TradingRules:
        found = self.venues.get(venue)
        if found is None:
            raise Refused(f"{venue} is not switched on in this service.")
        return await found.market.rules(symbol)

    def door(
        self, health: HealthQuestion | None = None, alert_test: AlertTest | None = None
    ) -> Dispatcher:
        """Return the door for requests; health asks what runs in this process how it is."""
        return build_dispatcher(
            self.store,
            self.clock,
            self.ids,
            rules=self.rules,
            desk=self.desk,
            vault=self.vault,
            key_rules=key_rules(self.settings),
            tiers=self.settings.tiers(),
            quotas=self.quotas,
            users_max=self.settings.max_concurrent_users,
            web_url=self.settings.web_url(),
            local_webhooks=self.settings.webhook_allow_local,
            health=health,
            alert_test=alert_test,
            operator_ids=self.settings.admin_ids(),
            my_data=self.archives.ask,
            notice=RiskNotice(),
        )


@asynccontextmanager
async def open_ground(
    db: str | None,
    tick: timedelta = timedelta(seconds=1),
    limits: Mapping[str, VenueLimits] = VENUE_LIMITS,
) -> AsyncIterator[Ground]:
    """Open the database of the settings, or another one, and the paper venue on it."""
    settings = load_settings()
    clock = RealClock()
    start = StartTimes(clock=clock)
    url = db or settings.database_url.get_secret_value()
    store = await open_store(url)
    start.ends("database")
    counters, studio = counters_of(settings, clock), Studio()
    try:
        masters = masters_of(settings)
        vault = await open_vault(masters, store)
        await check_masters(vault, masters, store)
        await bind_audit(store, vault, masters.keys)
        keys_ahead = KeysAhead(Keyring(store, vault))
        start.ends("vault")
        live = not key_rules(settings).live_ban
        hits: Counter[str] = Counter()
        async with open_venues(
            settings, clock, keys_ahead.credentials_of, live=live, limits=limits, hits=hits
        ) as real:
            yield Ground(
                settings=settings,
                database=hide_password(url),
                store=store,
                masters=masters,
                vault=vault,
                clock=clock,
                ids=RandomIds(),
                paper=paper_venue(settings, store, market_of(settings, clock, real, tick)),
                real=real,
                counters=counters,
                studio=studio,
                archives=Archives(
                    records=store.records,
                    folder=settings.data_dir / "exports",
                    clock=clock,
                    counters=counters,
                    version=__version__,
                ),
                start=start,
                keys_ahead=keys_ahead,
                too_fast=hits,
            )
    finally:
        studio.close()
        await counters.close()
        await store.close()


def counters_of(settings: Settings, clock: Clock) -> Counters:
    """Return what counts requests: Redis for all processes, or each process by itself."""
    url = settings.redis_url.get_secret_value()
    return RedisCounters(url, clock) if url else MemoryCounters(clock)


def market_of(
    settings: Settings, clock: Clock, real: Mapping[str, Venue], tick: timedelta
) -> MarketData:
    """Return where paper accounts' prices come from."""
    if settings.paper_market in real:
        return real[settings.paper_market].market
    return SyntheticMarket(clock=clock, seed=settings.paper_seed, tick=tick)


def paper_venue(settings: Settings, store: SqlStore, source: MarketData) -> PaperVenue:
    return PaperVenue(
        source=source,
        books=store.paper_books,
        commits=GroupCommit(writer_of(store.paper_books), Work()),
        costs=Costs(slippage=settings.paper_slippage),
        fee=settings.paper_fee,
    )


@asynccontextmanager
async def open_keyring(db: str | None) -> AsyncIterator[Keyring]:
    """Open what looks after the vault, whatever can be opened with its master keys."""
    settings = load_settings()
    store = await open_store(db or settings.database_url.get_secret_value())
    try:
        yield Keyring(store, await open_vault(masters_of(settings), store))
    finally:
        await store.close()


@asynccontextmanager
async def open_door(db: str | None) -> AsyncIterator[Dispatcher]:
    """Open what a single command needs; what runs is told by messages in the database."""
    async with open_ground(db) as ground:
        yield ground.door()
