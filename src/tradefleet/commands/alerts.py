"""/alerts: what of the running service is not as it should be now."""

from collections.abc import Mapping
from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Question, Reply, Route, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import count

HEALTHY = "healthy"
CRITICAL = "unhealthy"


@dataclass(frozen=True, slots=True)
class Alerts:
    pass


@dataclass(frozen=True, slots=True)
class Alert:
    """A metric that is not healthy; level: warning or critical."""

    level: str
    metric: str
    value: str


@dataclass(frozen=True, slots=True)
class AlertList:
    """alerts, of so many metrics that were looked at."""

    alerts: tuple[Alert, ...]
    metrics: int


async def ask(request: Alerts, context: Context) -> Question | None:
    """Ask what runs how it is."""
    health = context.catalog.health

    async def put(desk: VenueDesk) -> AlertList | None:
        if health is None:
            return None
        metrics: Mapping[str, Mapping[str, object]] = (await health())["metrics"]
        found = [
            Alert(level_of(metric["status"]), name, str(metric["value"]))
            for name, metric in metrics.items()
            if metric["status"] != HEALTHY
        ]
        found.sort(key=lambda alert: (alert.level, alert.metric))
        return AlertList(tuple(found), len(metrics))

    return put


def level_of(status: object) -> str:
    return "critical" if status == CRITICAL else "warning"


async def alerts(request: Alerts, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, AlertList):
        raise Refused(
            "What runs is out of reach from here; ask the bot on Telegram, or GET /health of the "
            "running service."
        )
    if not found.alerts:
        return Reply(text=f"✅ All is well: {count(found.metrics, 'metric')}.", data=found)
    return Reply(
        text=f"🚨 {count(len(found.alerts), 'alert')} of {count(found.metrics, 'metric')}",
        columns=("Level", "Metric", "Value"),
        rows=tuple((each.level, each.metric, each.value) for each in found.alerts),
        data=found,
    )


COMMAND = CommandSpec(
    name="alerts",
    summary="What is not as it should be now",
    usage="/alerts",
    example="/alerts",
    request=Alerts,
    handler=alerts,
    asks=ask,
    group="Operator",
    place=7,
    role=Role.ADMIN,
    refreshes=True,
    route=Route("GET", "/admin/alerts"),
    data=AlertList,
)
