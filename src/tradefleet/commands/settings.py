"""/settings: your own risk limits, every one by the name /set knows it by."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.limits import RiskLimits
from tradefleet.drawing import limit_text


@dataclass(frozen=True, slots=True)
class Settings:
    pass


@dataclass(frozen=True, slots=True)
class UserSettings:
    """limits: every one by its name, "off" where there is none; shares are parts of 1."""

    tier: str
    limits: Mapping[str, str]
    is_default: bool


async def settings(request: Settings, context: Context) -> Reply:
    limits = (await context.store.limits()) or RiskLimits.default()
    values = {field.name: limit_text(getattr(limits, field.name)) for field in fields(limits)}
    return Reply(
        text="⚙️ Your limits (/set changes one)",
        columns=("Setting", "Value"),
        rows=tuple(values.items()),
        data=UserSettings(context.user.tier, values, limits == RiskLimits.default()),
    )


COMMAND = CommandSpec(
    name="settings",
    summary="Your risk limits",
    usage="/settings",
    example="/settings",
    request=Settings,
    handler=settings,
    group="Setup",
    place=8,
    refreshes=True,
    route=Route("GET", "/settings"),
    data=UserSettings,
)
