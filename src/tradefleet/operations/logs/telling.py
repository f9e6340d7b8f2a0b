"""How a record of the standard library becomes a line: whose it is, what it says, no secret."""

import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from tradefleet.domain.errors import TradefleetError
from tradefleet.operations.logs.masking import HIDDEN, NAMES, Masks

CAUSES_MAX = 5  # of one error, so many of the errors behind it are told
FRAMES_MAX = 30  # of one traceback
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
SECRET_NAME = re.compile(rf"(?i){NAMES}|^authorization$")
# What is told first in each line, in this order.
FIRST = ("at", "level", "logger", "event")
NEVER_FROM_OUTSIDE = frozenset({*FIRST, "exception"})


def formatter(masks: Masks, *, as_json: bool, colors: bool = False) -> logging.Formatter:
    """Return what makes lines: one JSON object each, or text for people."""
    shape: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=colors, timestamp_key="at", pad_level=True, pad_event_to=0, sort_keys=False
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            _whose_and_when,
            _fault,
            _masked(masks),
            *([] if as_json else [_shortened]),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            shape,
        ],
    )


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def _whose_and_when(_: object, __: str, told: EventDict) -> EventDict:
    """Put when, how grave and by whom before what is told; the rest of the context after it."""
    record: logging.LogRecord = told["_record"]
    more = {name: value for name, value in told.items() if name not in NEVER_FROM_OUTSIDE}
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {
        "at": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": told["event"],
        **more,
    }


def _fault(_: object, __: str, told: EventDict) -> EventDict:
    """Tell where an error came from; what it says only when it is one of ours.

    The words of any other may hold what it was given, a key among it.
    """
    said = told.pop("exc_info", None)
    error = said[1] if isinstance(said, tuple) else said
    if isinstance(error, BaseException):
        told["exception"] = "\n".join(_told(error))
    return told


def _told(error: BaseException) -> Iterator[str]:
    """Yield an error and what is behind it, the first cause last."""
    seen: list[BaseException] = []
    following: list[tuple[str, BaseException]] = [("", error)]
    while following and len(seen) < CAUSES_MAX:
        before, one = following.pop(0)
        if one in seen:
            continue
        seen.append(one)
        yield f"{before}{words_of(one)}"
        yield from _frames(one)
        if isinstance(one, BaseExceptionGroup):
            following += [("together with others: ", each) for each in one.exceptions]
        behind = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if behind is not None:
            following.append(("caused by ", behind))


def _frames(error: BaseException) -> Iterator[str]:
    frames = traceback.extract_tb(error.__traceback__)
    if len(frames) > FRAMES_MAX:
        yield f"  ({len(frames) - FRAMES_MAX} more)"
    for frame in frames[-FRAMES_MAX:]:
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line or ''}".rstrip(": ")


def words_of(error: BaseException) -> str:
    """Return what may be told of an error: its kind, and its text when we wrote it."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, TradefleetError) else kind


def _masked(masks: Masks) -> Processor:
    """Return what hides secrets in all that is told; names of ours are let be."""

    def hide(_: object, __: str, told: MutableMapping[str, Any]) -> Mapping[str, Any]:
        for name, value in told.items():
            if name not in ("at", "level", "logger") and not name.startswith("_"):
                told[name] = _hidden(name, value, masks.hide)
        return told

    return hide


def _hidden(name: str, value: Any, hide: Callable[[str], str]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return CONTROL.sub(_escaped, hide(value))
    if isinstance(value, Mapping):
        return {hide(str(key)): _hidden(str(key), each, hide) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(name, each, hide) for each in value]
    return CONTROL.sub(_escaped, hide(repr(value)))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _shortened(_: object, __: str, told: EventDict) -> EventDict:
    """Write for people: where one line ends and what goes on below is seen at a glance."""
    told["event"] = str(told["event"]).replace("\n", "\n    ")
    told["logger"] = str(told["logger"]).removeprefix("tradefleet.")
    if "exception" in told:
        told["exception"] = "    " + str(told["exception"]).replace("\n", "\n    ")
    return told
