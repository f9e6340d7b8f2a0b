"""/stats: how much there is of everything, for the operator."""

from dataclasses import asdict, dataclass
from datetime import timedelta

from tradefleet.command import CommandSpec, Context, Question, Reply, Route, Step, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.store import Census

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stats:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStats:
    """new_users, orders and trades: of the last 24 hours."""

    users: int
    active_users: int
    new_users: int
    by_tier: dict[str, int]
    accounts: int
    pairs: int
    running_pairs: int
    open_positions: int
    orders: int
    trades: int


async def ask(request: Stats, context: Context) -> Question | None:
    store, since = context.everybody, context.clock.now() - DAY

    async def put(desk: VenueDesk) -> Census | None:
        return None if store is None else await store.census(since)

    return put


async def stats(request: Stats, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, Census):
        raise Refused("The whole service is not within reach here.")
    data = FleetStats(
        users=found.users,
        active_users=found.active,
        new_users=found.registered,
        by_tier=dict(sorted(found.by_tier.items())),
        accounts=found.accounts,
        pairs=found.bots,
        running_pairs=found.running,
        open_positions=found.positions,
        orders=found.orders,
        trades=found.trades,
    )
    tiers = ", ".join(f"{number} {tier}" for tier, number in data.by_tier.items())
    shown = {**asdict(data), "by_tier": tiers or "-"}
    return Reply(
        text="🛰 The service; new ones, orders and trades of the last 24 hours",
        columns=("What", "Number"),
        rows=tuple((name.replace("_", " ").capitalize(), str(n)) for name, n in shown.items()),
        data=data,
        steps=(Step("👥 Users", "/users"), Step("🚨 Alerts", "/alerts")),
    )


COMMAND = CommandSpec(
    name="stats",
    summary="How much there is of everything",
    usage="/stats",
    example="/stats",
    request=Stats,
    handler=stats,
    asks=ask,
    group="Operator",
    place=6,
    role=Role.ADMIN,
    refreshes=True,
    route=Route("GET", "/admin/stats"),
    data=FleetStats,
)
