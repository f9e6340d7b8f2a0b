"""The door for user requests, with every command, strategy and venue there is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from tradefleet import commands, strategies, venues
from tradefleet.clock import Clock, Ids
from tradefleet.command import AlertTest, Catalog, HealthQuestion, MyDataQuestion, VenueDesk
from tradefleet.dispatcher import Dispatcher, NoDesk
from tradefleet.domain.consent import RiskNotice
from tradefleet.domain.limits import TIERS, Tier
from tradefleet.domain.market import Symbol, TradingRules
from tradefleet.engine.key_guard import KeyRules
from tradefleet.plugins import find_plugins
from tradefleet.quota import Quotas
from tradefleet.store import Store
from tradefleet.vault import Vault
from tradefleet.venue import VenueSpec


def build_dispatcher(
    store: Store,
    clock: Clock,
    ids: Ids,
    *,
    rules: Callable[[str, Symbol], Awaitable[TradingRules]],
    known_venues: Mapping[str, VenueSpec] | None = None,
    tiers: Mapping[str, Tier] = TIERS,
    desk: VenueDesk | None = None,
    vault: Vault | None = None,
    key_rules: KeyRules | None = None,
    quotas: Quotas | None = None,
    users_max: int = 1_000_000,
    web_url: str = "",
    local_webhooks: bool = False,
    health: HealthQuestion | None = None,
    alert_test: AlertTest | None = None,
    operator_ids: Sequence[int] = (),
    my_data: MyDataQuestion | None = None,
    notice: RiskNotice | None = None,
) -> Dispatcher:
    """Build the door every surface uses; a test passes its own parts."""
    catalog = Catalog(
        strategies=find_plugins(strategies, "STRATEGY"),
        venues=find_plugins(venues, "VENUE") if known_venues is None else known_venues,
        commands=find_plugins(commands, "COMMAND"),
        rules=rules,
        tiers=tiers,
        key_rules=key_rules or KeyRules(),
        web_url=web_url,
        local_webhooks=local_webhooks,
        health=health,
        alert_test=alert_test,
        my_data=my_data,
        notice=notice,
    )
    return Dispatcher(
        catalog=catalog,
        store=store,
        clock=clock,
        ids=ids,
        desk=desk or NoDesk(),
        vault=vault,
        quotas=quotas,
        users_max=users_max,
        operator_ids=operator_ids,
    )
