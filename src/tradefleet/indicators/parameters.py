"""Parameters of a plug-in: a frozen dataclass whose fields say default, meaning and bounds.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Parameters:
        period: int = number(14, "bars of the average", 2, 500)
        smoothing: str = choice("simple", "kind of average", ("simple", "wilder"))

`read` builds it from what a person wrote and refuses, with the cure, what it does not allow;
`describe` lists it. The type of a number is that of its default; a tuple is a list of numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import Field, field, fields
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from tradefleet.domain.errors import Refused

T = TypeVar("T")

WHOLE = re.compile(r"[+-]?\d{1,15}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d{1,15}\.?\d{0,15}|\.\d{1,15})(e[+-]?\d{1,2})?", re.A | re.I)
LIST_MAX = 10  # numbers a list may have
SHOWN_MAX = 40  # characters of a refused text that are repeated


def number(default: T, meaning: str, least: float, most: float) -> T:
    """Return a field for a number, or for a list of them, from least to most inclusive."""
    limits = {"meaning": meaning, "range": (least, most)}
    made: T = field(default=default, metadata=limits)
    return made


def choice(default: str, meaning: str, choices: tuple[str, ...]) -> str:
    """Return a field for one of a few words."""
    made: str = field(default=default, metadata={"meaning": meaning, "choices": choices})
    return made


def describe(parameters: type[Any]) -> dict[str, tuple[str, str]]:
    """Return the default, as a person would write it, and the meaning of each parameter."""
    return {f.name: (_written(f.default), f.metadata["meaning"]) for f in fields(parameters)}


def read(parameters: type[T], texts: Mapping[str, str]) -> T:
    """Return the parameters with `texts` in place of defaults; Refused says what is wrong."""
    known = {f.name: f for f in fields(cast(Any, parameters))}
    for name in texts:
        if name not in known:
            close = get_close_matches(name[:SHOWN_MAX], known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}? All" if close else "all"
            raise Refused(f"There is no parameter {_shown(name)}; {hint}: {', '.join(known)}.")
    return parameters(**{name: _value(known[name], text) for name, text in texts.items()})


def _value(of: Field[Any], text: str) -> object:
    if choices := of.metadata.get("choices"):
        if text.strip() not in choices:
            raise Refused(f"{of.name} must be {' or '.join(choices)}, not {_shown(text)}.")
        return text.strip()
    default: Any = of.default
    if not isinstance(default, tuple):
        return _number(of, type(default), text)
    parts = text.split(",")
    if len(parts) > LIST_MAX:
        raise Refused(f"{of.name} has {len(parts)} numbers; the most is {LIST_MAX}.")
    return tuple(_number(of, type(default[0]), part) for part in parts)


def _number(of: Field[Any], kind: type[int] | type[float] | type[Decimal], text: str) -> object:
    least, most = map(str, of.metadata["range"])
    pattern, what = (WHOLE, "a whole number") if kind is int else (NUMBER, "a number")
    if pattern.fullmatch(text.strip()) and kind(least) <= (value := kind(text)) <= kind(most):
        return value
    raise Refused(f"{of.name} must be {what} from {least} to {most}, not {_shown(text)}.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…")


def _written(value: object) -> str:
    return ",".join(map(_written, value)) if isinstance(value, tuple) else str(value)
