"""What can happen to a venue's answer: cut, garbled, another shape, a number made a float."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import strategies as st

from tradefleet.venues._ccxt.wire import Answer

Path: TypeAlias = tuple[str | int, ...]

# Texts that venues' formats, Python's numbers and dates stumble over.
ODD_TEXTS = (
    "", " ", "0", "-1", "1e400", "1e999999999", "NaN", "Infinity", "-Infinity", "1_000", "0x10",
    "٣", "\x00", "None", "null", "true", "1.5", "9" * 5000, "-0", "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999+00:00", "buy", "Buy", "FILLED", "BTCUSDT",
    "0" * 32, "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 0.1, -0.5, 1e308, 5e-324, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 10**30)
STATUSES = (100, 200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503, 520)
DATES = (
    "", "soon", "Sat, 21 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 -0000",
    "Sat, 99 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 99999 12:00:00 GMT", "1 2 3 4 5 6 7",
    "Mon, 01 Jan 0001 00:00:00 +2359", "\x00", ",", "Sat,21", "0",
)  # fmt: skip

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=8),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that happens to an answer; name says what, for whoever reads a failure."""

    name: str
    happen: Callable[[Answer], Answer]

    def __repr__(self) -> str:
        return self.name

    def __call__(self, answer: Answer) -> Answer:
        return self.happen(answer)


def cut(at: int) -> Damage:
    return _of_bytes(f"cut({at})", lambda body: body[: at % max(len(body), 1)])


def flipped(at: int, bit: int) -> Damage:
    def flip(body: bytes) -> bytes:
        place = at % max(len(body), 1)
        return body[:place] + bytes([body[place] ^ (1 << bit)]) + body[place + 1 :] if body else b""

    return _of_bytes(f"flipped({at}, {bit})", flip)


def pushed_in(at: int, more: bytes) -> Damage:
    def push(body: bytes) -> bytes:
        place = at % (len(body) + 1)
        return body[:place] + more + body[place:]

    return _of_bytes(f"pushed_in({at}, {more!r})", push)


def in_place(body: bytes) -> Damage:
    return _of_bytes(f"in_place({body!r})", lambda _: body)


def with_status(status: int) -> Damage:
    return Damage(
        f"with_status({status})", lambda answer: Answer(status, answer.headers, answer.body)
    )


def dated(text: str) -> Damage:
    """Another date, and Binance's word of a ban, which is counted from it."""
    ban = b'{"code":-1003,"msg":"Way too much; banned until 1795262500000."}'
    return Damage(
        f"dated({text!r})", lambda answer: Answer(418, {**answer.headers, "date": text}, ban)
    )


def put(number: int, value: Any) -> Damage:
    return _of_json(
        f"put({number}, {value!r})", number, lambda holder, key: _set(holder, key, value)
    )


def dropped(number: int) -> Damage:
    return _of_json(f"dropped({number})", number, lambda holder, key: holder.pop(key))


def floated(number: int) -> Damage:
    """A number that is written as text, as a JSON number with a point."""

    def turn(holder: Any, key: Any) -> None:
        try:
            holder[key] = float(holder[key])
        except (TypeError, ValueError, OverflowError):
            holder[key] = 0.1

    return _of_json(f"floated({number})", number, turn)


def doubled(number: int) -> Damage:
    """A value inside a list of itself."""
    return _of_json(
        f"doubled({number})", number, lambda holder, key: _set(holder, key, [holder[key]])
    )


def _set(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _of_bytes(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return Damage(name, lambda answer: Answer(answer.status, answer.headers, change(answer.body)))


def _of_json(name: str, number: int, change: Callable[[Any, Any], object]) -> Damage:
    """Change what stands at one place of a document; a body that is none stays as it is."""

    def happen(body: bytes) -> bytes:
        try:
            document = [json.loads(body)]
        except ValueError:
            return body
        paths = list(paths_in(document))
        *way, key = paths[number % len(paths)]
        holder: Any = document
        for step in way:
            holder = holder[step]
        change(holder, key)
        return json.dumps(document[0] if document else None).encode("utf-8", "replace")

    return _of_bytes(name, happen)


def paths_in(document: Any, before: Path = ()) -> Iterator[Path]:
    """Return the ways to every value of a document, the document itself among them."""
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in inside:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from paths_in(value, (*before, key))


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


places = st.integers(0, 5000)
of_shape = st.one_of(
    st.builds(put, places, anything),
    st.builds(dropped, places),
    st.builds(doubled, places),
    st.builds(floated, places),
)
of_bytes = st.one_of(
    st.builds(cut, places),
    st.builds(flipped, places, st.integers(0, 7)),
    st.builds(pushed_in, places, st.binary(min_size=1, max_size=4)),
    st.builds(in_place, st.one_of(anything.map(as_json), st.binary(max_size=30))),
)
damages = st.one_of(
    of_shape,
    of_shape,
    of_bytes,
    st.builds(with_status, st.sampled_from(STATUSES)),
    st.builds(dated, st.sampled_from(DATES)),
)
