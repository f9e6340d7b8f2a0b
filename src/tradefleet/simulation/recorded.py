"""Bars read from the lines of a CSV file; whatever is wrong is refused with its line and cure."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from operator import itemgetter
from typing import TypeAlias

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Timeframe, bar_fault
from tradefleet.domain.money import ZERO, money_context
from tradefleet.simulation.checked_bar import checked_bar

Pick: TypeAlias = Callable[[list[str]], tuple[str, ...]]

COLUMNS = ("opened_at", "open", "high", "low", "close", "volume")
HEADER = ",".join(COLUMNS)
# Beyond these a number is a slip, and computing with it would end in infinity or in zero.
PRICE_MIN, PRICE_MAX, VOLUME_MAX = 1e-18, 1e15, 1e21
SECONDS_MAX, MILLISECONDS_MAX, MICROSECONDS_MAX = 10**11, 10**14, 10**17  # the year 5138


def read_bars(lines: Iterable[str], timeframe: Timeframe) -> list[Bar]:
    """Return the bars that lines hold, oldest first; raise Refused for the first defect.

    The first line names the columns, in any order; columns with other names are ignored.
    """
    rows = _rows(lines)
    first = next(rows, None)
    if first is None:
        raise Refused(f"The file is empty; its first line must name the columns: {HEADER}.")
    pick, width = _columns(*first)
    with money_context():
        bars = list(_bars(rows, pick, width, timeframe.delta))
    if not bars:
        raise Refused("The file has no bars, only the line that names the columns.")
    return bars


def count_gaps(bars: Sequence[Bar], timeframe: Timeframe) -> int:
    """Return at how many places the step from one bar to the next exceeds the timeframe."""
    longest = timeframe.delta
    return sum(after.opened_at - before.opened_at > longest for before, after in pairwise(bars))


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each line that is not blank, as its number and its fields."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix("\ufeff")
        if "\0" in line:
            raise Refused(
                f"Line {number} holds a NUL byte: the file is damaged or not plain text; "
                "export it again as UTF-8 CSV."
            )
        text = line.strip()
        if text:
            yield number, text.split(",") if '"' not in text else _unquoted(number, text)


def _unquoted(number: int, text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        raise Refused(f"Line {number} has a quote that is never closed; remove it.") from None


def _columns(number: int, fields: list[str]) -> tuple[Pick, int]:
    """Return what takes the six fields of a bar out of a row, and how many fields a row has."""
    names = [field.strip().lower() for field in fields]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise Refused(
            f"Line {number} must name the columns, separated by commas; "
            f"missing: {', '.join(missing)}. Write it like {HEADER}."
        )
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise Refused(f"Line {number} names {twice[0]} twice; keep one of the two columns.")
    return itemgetter(*map(names.index, COLUMNS)), len(names)


def _bars(
    rows: Iterator[tuple[int, list[str]]],
    pick: Pick,
    width: int,
    shortest: timedelta,
) -> Iterator[Bar]:
    previous = None
    for number, fields in rows:
        if len(fields) != width:
            raise Refused(
                f"Line {number} has {len(fields)} fields where the header has {width}; "
                "write one field per column, and decimals with a point."
            )
        time, *texts = pick(fields)
        opened_at = _time(number, time)
        if previous is not None and opened_at - previous < shortest:
            raise _misplaced(number, opened_at, previous, shortest)
        previous = opened_at
        yield _bar(number, opened_at, texts)


def _bar(number: int, opened_at: datetime, texts: list[str]) -> Bar:
    try:
        o, h, l, c, v = map(float, texts)  # noqa: E741
        values = open_, high, low, close, volume = tuple(map(Decimal, texts))
    except (ValueError, InvalidOperation):
        raise _unreadable(number, texts) from None
    # The floats first: they tell what is not a number, which decimals refuse to compare.
    in_range = PRICE_MIN <= l <= o <= h >= c >= l and h <= PRICE_MAX and v <= VOLUME_MAX
    if in_range and low <= open_ <= high >= close >= low and volume >= ZERO:
        return checked_bar(opened_at, open_, high, low, close, volume, (o, h, l, c, v))
    raise _impossible(number, texts, values)


def _time(number: int, text: str) -> datetime:
    """Return the moment that text names: ISO 8601 with a zone, or a count since 1970."""
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text) if "-" in text else _since_1970(text)
        if moment.tzinfo is not None:
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(
            f"Line {number}: opened_at {text!r} is not a time; write it like "
            "2024-01-31T12:00:00Z, or in seconds or milliseconds since 1970."
        ) from None
    raise Refused(
        f"Line {number}: opened_at {text!r} does not say its time zone; "
        "write Z after it for UTC, or an offset like +02:00."
    )


def _since_1970(text: str) -> datetime:
    count = float(text)
    if not 0 <= count < MICROSECONDS_MAX:
        raise ValueError(text)
    if count >= MILLISECONDS_MAX:
        count /= 1_000_000
    elif count >= SECONDS_MAX:
        count /= 1_000
    return datetime.fromtimestamp(count, UTC)


def _misplaced(
    number: int, opened_at: datetime, previous: datetime, shortest: timedelta
) -> Refused:
    place = f"Line {number}: the bar of {opened_at:%Y-%m-%dT%H:%M:%SZ}"
    if opened_at == previous:
        return Refused(f"{place} stands there twice; remove one of the two.")
    if opened_at < previous:
        return Refused(f"{place} comes after a later one; sort the file by opened_at.")
    step = (opened_at - previous).total_seconds()
    return Refused(
        f"{place} opens {step:g} s after the bar before, less than the timeframe of "
        f"{Timeframe(int(shortest.total_seconds()))}; name the file's own timeframe."
    )


def _unreadable(number: int, texts: list[str]) -> Refused:
    fields = zip(COLUMNS[1:], texts, strict=True)
    name, text = next((name, text) for name, text in fields if not _is_number(text))
    return Refused(
        f"Line {number}: {name} {text.strip()!r} is not a number; write it like 0.0512 or 5.12e-2."
    )


def _is_number(text: str) -> bool:
    try:
        float(text), Decimal(text)
    except (ValueError, InvalidOperation):
        return False
    return True


def _impossible(number: int, texts: list[str], values: tuple[Decimal, ...]) -> Refused:
    open_, high, low, close, volume = values
    fault = bar_fault(open_, high, low, close, volume)
    if fault is None:
        fault = f"a number is out of the range that can be computed with ({', '.join(texts)})"
    return Refused(f"Line {number}: {fault}; correct the line or remove it.")
