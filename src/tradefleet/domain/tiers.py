"""Tiers as an operator writes them: changes to the built-in ones, or whole new ones."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from difflib import get_close_matches

from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import TIERS, Tier

LIMITS = {f.name: f for f in fields(Tier) if f.name != "name"}
NUMBER_MAX = 1_000_000


def tiers_from(written: object) -> Mapping[str, Tier]:
    """Return the built-in tiers with what is written in place of theirs, and the new ones.

    written: tier name to its limits by name. Refused names the tier, the limit and the cure.
    """
    if not isinstance(written, Mapping):
        raise Refused("A tiers file holds one section per tier, like [free].")
    return {**TIERS, **{str(name): _tier(str(name), limits) for name, limits in written.items()}}


def _tier(name: str, limits: object) -> Tier:
    if not isinstance(limits, Mapping):
        raise Refused(f"Tier {name!r} must be a section of limits, like bots = 3.")
    for limit, value in limits.items():
        _check(name, str(limit), value)
    known = {k: v for k, v in asdict(TIERS[name]).items() if k != "name"} if name in TIERS else {}
    given = {**known, **limits}
    missing = [n for n, f in LIMITS.items() if f.default is MISSING and n not in given]
    if missing:
        raise Refused(f"The new tier {name!r} must also say: {', '.join(missing)}.")
    return Tier(name=name, **given)


def _check(tier: str, limit: str, value: object) -> None:
    if limit not in LIMITS:
        close = get_close_matches(limit, LIMITS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose from: {', '.join(LIMITS)}."
        raise Refused(f"Tier {tier!r} has no limit {limit!r}; {hint}")
    if LIMITS[limit].type is bool:
        if not isinstance(value, bool):
            raise Refused(f"{limit} of tier {tier!r} must be true or false, not {value!r}.")
    elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= NUMBER_MAX:
        raise Refused(
            f"{limit} of tier {tier!r} must be a whole number from 0 to {NUMBER_MAX}, "
            f"not {value!r}."
        )
