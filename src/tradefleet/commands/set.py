"""/set: change one of your own risk limits.

It holds from the next entry on; exits are never refused by any limit.
"""

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from types import NoneType
from typing import Any, get_args, get_type_hints

from tradefleet.command import CommandSpec, Context, Reply, Route, rest_of_words
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ONE, parse_amount
from tradefleet.drawing import limit_text

OFF = "off"
DEFAULT = "default"
COUNT_MAX = 1_000_000
HOURS_MAX = Decimal(8760)
KINDS = get_type_hints(RiskLimits)
NAMES = tuple(field.name for field in fields(RiskLimits))


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    value: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A limit as it is now."""

    name: str
    value: str


async def change(request: Change, context: Context) -> Reply:
    name = request.name.lower()
    if name not in NAMES:
        raise NotThere(f"There is no setting {name[:40]!r}; there is: {', '.join(NAMES)}.")
    if not request.value:
        raise Refused(f"Say what {name} shall be: a value, {OFF} or {DEFAULT}.")
    limits = (await context.store.limits()) or RiskLimits.default()
    limits = replace(limits, **{name: read(name, request.value)})
    await context.store.save_limits(limits)
    await context.store.ask_host("switches_changed", {})
    value = limit_text(getattr(limits, name))
    return Reply(text=f"✅ {name} is {value} now.", data=SettingChanged(name, value))


def read(name: str, text: str) -> Any:
    """Read a limit's new value; Refused says what it may be."""
    word = text.strip().lower()
    if word == DEFAULT:
        return getattr(RiskLimits.default(), name)
    kind = KINDS[name]
    optional = NoneType in get_args(kind)
    inner = next((part for part in get_args(kind) if part is not NoneType), kind)
    if name.startswith("symbols_"):
        if word == OFF:
            return None if optional else frozenset()
        return frozenset(str(Symbol.parse(each)) for each in word.split(","))
    if word == OFF:
        if not optional:
            raise Refused(f"{name} cannot be {OFF}; give it a value.")
        return None
    if inner is int:
        if not (word.isascii() and word.isdigit() and 1 <= int(word[:9]) <= COUNT_MAX):
            raise Refused(f"{name} must be a whole number from 1 to {COUNT_MAX}, or {OFF}.")
        return int(word)
    value = parse_amount(word, name)
    if "_share" in name and value > ONE:
        raise Refused(f"{name} is a part of 1: write 5 % as 0.05.")
    if name == "breaker_hours" and value > HOURS_MAX:
        raise Refused(f"{name} must be at most {HOURS_MAX}.")
    return value


COMMAND = CommandSpec(
    name="set",
    summary="Change one of your risk limits",
    usage="/set <name> <value>",
    options="off in place of a value switches it off, default makes it as it was at first",
    example="/set daily_loss_share 0.04",
    request=Change,
    handler=change,
    group="Setup",
    place=9,
    changes=True,
    route=Route("PUT", "/settings/{name}"),
    data=SettingChanged,
)
