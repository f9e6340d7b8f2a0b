"""Tiers as an operator writes them: changed built-in ones, whole new ones, and request limits."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields, replace
from difflib import get_close_matches
from typing import Any, NoReturn

from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import TIERS, RequestLimits, Tier, linked
from tradefleet.domain.user import User

LIMITS = {f.name: f for f in fields(Tier) if f.name not in ("name", "larger")}
NUMBERS = tuple(name for name, each in LIMITS.items() if each.type is int)
REQUESTS = "requests"  # the section that is no tier
RATES = {f.name: f for f in fields(RequestLimits) if f.type is int}
NUMBER_MAX = 1_000_000


class WronglyWritten(Refused):
    """What is wrong in a tiers file, and where: the section, and the field in it if it is one."""

    def __init__(self, text: str, section: str = "", field: str = "") -> None:
        super().__init__(text)
        self.section = section
        self.field = field


def tiers_from(written: object) -> Mapping[str, Tier]:
    """Return the built-in tiers with what is written in place of theirs, and the new ones.

    written: tier name to its limits by name. WronglyWritten names the tier, the limit and the
    cure.
    """
    sections = _sections(written)
    tiers = {name: _tier(name, limits) for name, limits in sections.items() if name != REQUESTS}
    return linked({**TIERS, **tiers}.values())


def requests_from(written: object) -> RequestLimits:
    """Return the request limits with what is written in place of them."""
    section = _sections(written).get(REQUESTS, {})
    if not isinstance(section, Mapping):
        raise WronglyWritten(
            "requests must be a section of limits, like anonymous_per_hour = 100.", REQUESTS
        )
    for name, value in section.items():
        _check(REQUESTS, str(name), value, RATES, least=1)
    return RequestLimits(**section)


def allowed_to(user: User, tiers: Mapping[str, Tier]) -> Tier | None:
    """Return what a user may do: their tier, with what the operator gave them in its place.

    By the free tier when theirs is no longer there; None where there are no tiers at all.
    """
    tier = tiers.get(user.tier) or tiers.get("free")
    given: dict[str, Any] = {n: value for n, value in user.overrides.items() if n in NUMBERS}
    return tier if tier is None or not given else replace(tier, **given)


def _sections(written: object) -> Mapping[str, object]:
    if not isinstance(written, Mapping):
        raise WronglyWritten("A tiers file holds one section per tier, like [free].")
    return {str(name): section for name, section in written.items()}


def _tier(name: str, limits: object) -> Tier:
    if not isinstance(limits, Mapping):
        raise WronglyWritten(f"Tier {name!r} must be a section of limits, like bots = 3.", name)
    for limit, value in limits.items():
        _check(name, str(limit), value, LIMITS)
    known = {each: getattr(TIERS[name], each) for each in LIMITS} if name in TIERS else {}
    given = {**known, **limits}
    missing = [n for n, f in LIMITS.items() if f.default is MISSING and n not in given]
    if missing:
        raise WronglyWritten(f"The new tier {name!r} must also say: {', '.join(missing)}.", name)
    return Tier(name=name, **given)


def _check(
    section: str,
    name: str,
    value: object,
    known: Mapping[str, "Field[Any]"],
    *,
    least: int = 0,
) -> None:
    def wrong(text: str) -> NoReturn:
        raise WronglyWritten(text, section, name)

    owner = "requests" if section == REQUESTS else f"tier {section!r}"
    if name not in known:
        wrong(f"{owner[0].upper()}{owner[1:]} has no limit {name!r}; {hint(name, known)}")
    if known[name].type is bool:
        if not isinstance(value, bool):
            wrong(f"{name} of {owner} must be true or false, not {value!r}.")
    elif isinstance(value, bool) or not isinstance(value, int) or not least <= value <= NUMBER_MAX:
        wrong(
            f"{name} of {owner} must be a whole number from {least} to {NUMBER_MAX}, not {value!r}."
        )


def hint(name: str, known: Collection[str]) -> str:
    """Say what may have been meant by a name that is not known."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from: {', '.join(known)}."
