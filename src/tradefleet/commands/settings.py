"""/settings: your own risk limits, every one by the name /set knows it by."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.limits import RiskLimits
from tradefleet.drawing import limit_text, moment


@dataclass(frozen=True, slots=True)
class Settings:
    pass


@dataclass(frozen=True, slots=True)
class UserSettings:
    """limits: every one by its name, "off" where there is none; shares are parts of 1."""

    tier: str
    limits: Mapping[str, str]
    is_default: bool
    notice_agreed: int = 0  # the version of the risk notice that was agreed to, 0: none


async def settings(request: Settings, context: Context) -> Reply:
    limits = (await context.store.limits()) or RiskLimits.default()
    agreed = (await context.store.consents())[-1:]
    text = "⚙️ Your limits (/set changes one)"
    for consent in agreed:
        text += (
            f"\nRisk notice: version {consent.version}, agreed to at {moment(consent.at)} (/risk)"
        )
    values = {field.name: limit_text(getattr(limits, field.name)) for field in fields(limits)}
    return Reply(
        text=text,
        columns=("Setting", "Value"),
        rows=tuple(values.items()),
        data=UserSettings(
            context.user.tier,
            values,
            limits == RiskLimits.default(),
            notice_agreed=agreed[0].version if agreed else 0,
        ),
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
