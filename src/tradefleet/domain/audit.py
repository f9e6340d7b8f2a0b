"""The audit log's lines, each bound to the one before it by a key, and what is wrong with a chain.

A line's hash covers all of it and the hash before it, under a key that is not in the database. Who
it is about, who acted and the detail are covered by a digest of their own, which the hash covers:
they can be erased for good, and what is left still proves place, time and action.
"""

import hmac
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias, TypeVar

from tradefleet.domain.ids import UserId

SYSTEM = UserId("")  # whose chain holds what concerns no user alone
PLAIN = "sha256"  # in place of a key: a line from before there were keys
KEYLESS = "none"  # in place of a key: written where there was none, in a test or a benchmark
WEAK = frozenset({PLAIN, KEYLESS})
ANCHORED = "anchored"  # the action of the line that puts what stood before under the key
ERASED = "erased"  # the system's line that a user was erased, and the sole name in their details
TRIALS = 2_000  # of a place that a line may have come from
FAULTS_KEPT = 10_000  # in a report; more are counted

T = TypeVar("T")
Content: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who acts, and where they speak from; role: user, admin, operator (at the machine), service.

    address is written only into the actor's own chain.
    """

    actor: str = "service"
    role: str = "service"
    surface: str = "service"
    address: str = ""
    request_id: str = ""


AT_THE_MACHINE = Acting(actor="operator", role="operator", surface="cli")


class Written(NamedTuple):
    """A line as it stands in the database: every column, each as text but for the number."""

    user_id: str
    number: int
    at: str
    actor: str
    role: str
    surface: str
    request_id: str
    action: str
    detail: str
    digest: str
    key_id: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainKeys:
    """What lines are written under, and every key they were ever written under, by its id."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def are_kept(self) -> bool:
        """Whether there is a key at all."""
        return self.current != KEYLESS


NO_KEYS = ChainKeys(KEYLESS, {KEYLESS: b""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line as people read it: what was asked, and what of it changed from what to what."""

    number: int
    at: datetime
    actor: str
    role: str
    surface: str
    request_id: str
    action: str
    asked: Content
    changed: tuple[Content, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come: the number of its last line, and that line's hash."""

    user_id: UserId
    number: int
    hash: str


def moment_text(at: datetime) -> str:
    """Return a time as a line's hash covers it, alike on every database."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def detail_text(asked: Content, changed: Collection[Content] = (), address: str = "") -> str:
    """Return the one way to write a detail; what JSON cannot say is written as text."""
    said = {"asked": asked, "changed": list(changed), "address": address}
    given = {name: value for name, value in said.items() if value}
    return json.dumps(given, sort_keys=True, separators=(",", ":"), default=str)


def entry_of(line: Written) -> Entry:
    """Return a line for people; a detail that was erased says so."""
    said = json.loads(line.detail)
    is_plain = line.key_id == PLAIN or ERASED in said
    return Entry(
        number=line.number,
        at=datetime.fromisoformat(line.at),
        actor=line.actor,
        role=line.role,
        surface=line.surface,
        request_id=line.request_id,
        action=line.action,
        asked=said if is_plain else said.get("asked", {}),
        changed=() if is_plain else tuple(said.get("changed", ())),
        address="" if is_plain else said.get("address", ""),
    )


def next_line(
    keys: ChainKeys,
    last: Head | None,
    *,
    user_id: str,
    at: datetime,
    actor: str,
    role: str,
    surface: str,
    request_id: str,
    action: str,
    detail: str,
) -> Written:
    """Return the line that follows the last one of a chain, None: the first one."""
    key = keys.keys[keys.current]
    line = Written(
        user_id=user_id,
        number=1 if last is None else last.number + 1,
        at=moment_text(at),
        actor=actor,
        role=role,
        surface=surface,
        request_id=request_id,
        action=action,
        detail=detail,
        digest=digest_of(key, user_id, actor, detail),
        key_id=keys.current,
        previous="" if last is None else last.hash,
        hash="",
    )
    return line._replace(hash=hash_of(key, line, line.number))


def digest_of(key: bytes, user_id: str, actor: str, detail: str) -> str:
    """Return what binds a line to its people and its detail, and tells nothing of them."""
    return hmac.digest(key, json.dumps([user_id, actor, detail]).encode(), "sha256").hex()


def hash_of(key: bytes, line: Written, number: int) -> str:
    """Return the hash of a line as if it stood at a number of its chain."""
    said = json.dumps(
        [
            number,
            line.previous,
            line.at,
            line.role,
            line.surface,
            line.request_id,
            line.action,
            line.digest,
            line.key_id,
        ]
    )
    return hmac.digest(key, said.encode(), "sha256").hex()


def plain_hash_of(line: Written) -> str:
    """Return the hash of a line from before there were keys, which anybody could write."""
    said = [line.at, line.previous, line.user_id, line.actor, line.action, json.loads(line.detail)]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def erased_in(detail: str) -> str:
    """Return the pseudonym of whoever was erased from a detail, "" when nobody was."""
    if ERASED not in detail[:12]:
        return ""
    try:
        said = json.loads(detail)
    except ValueError:
        return ""
    is_so = isinstance(said, dict) and [*said] == [ERASED]
    return str(said[ERASED]) if is_so else ""


# ---- looking a chain through


class Wrong(StrEnum):
    """What is wrong with a line, or with a chain."""

    CHANGED = "changed"
    ADDED = "added"
    MOVED = "moved"
    REMOVED = "removed"
    REPLACED = "replaced"  # by a line of another past
    CUT = "cut"  # a checkpoint tells of later lines
    WEAK = "weak"  # no line of the chain was written under a key


@dataclass(frozen=True, slots=True)
class Fault:
    """Lines of one user's chain that are not as they were written: from a number, to a number."""

    wrong: Wrong
    user_id: str
    number: int
    last: int
    text: str

    def __str__(self) -> str:
        whose = f"the chain of {self.user_id}" if self.user_id else "the service's own chain"
        lines = (
            f"line {self.number}"
            if self.last == self.number
            else f"lines {self.number} to {self.last}"
        )
        return f"{whose}, {lines}: {self.text}"


def fault(wrong: Wrong, line: Written, text: str) -> Fault:
    return Fault(wrong, line.user_id, line.number, line.number, text)


class ChainWalk:
    """Looks one chain through, line by line in the order of their numbers; remembers few of them.

    erased: pseudonyms of those of whom the service's own chain says that they were erased.
    """

    def __init__(self, user_id: str, keys: ChainKeys, erased: Collection[str]) -> None:
        self.user_id = user_id
        self.lines = 0
        self.more = 0  # wrong lines besides those kept below
        self.faults: list[Fault] = []
        self.odd: list[Written] = []  # what was not written where it stands
        self.strays: list[Written] = []  # of these, what no place in this chain explains
        self.missing: list[range] = []  # places that nothing was found at
        self._keys = keys
        self._erased = erased
        self._next = 1
        self._last_hash = ""
        self._is_keyed = False

    def take(self, line: Written) -> None:
        """Look at the next line."""
        self.lines += 1
        place = self._place(line)
        if place is None:
            self._keep(self.odd, line)
            return
        if place != line.number:
            self._say(fault(Wrong.MOVED, line, f"was written as line {place}"))
        self._is_keyed |= line.key_id not in WEAK
        if place < self._next:
            self._say(fault(Wrong.ADDED, line, f"is a copy of line {place}"))
            return
        if place > self._next:
            self.missing.append(range(self._next, place))
        elif line.previous != self._last_hash:
            text = "does not follow the line before it: one of the two is of another past"
            self._say(fault(Wrong.REPLACED, line, text))
        self._next, self._last_hash = place + 1, line.hash

    def end(self) -> None:
        """Say what became of the lines that are not as they were written, once all were seen."""
        for line in self.odd:
            self._say(self._explained(line))
        for gap in self.missing:
            self._say(Fault(Wrong.REMOVED, self.user_id, gap[0], gap[-1], "not there any more"))
        if self.lines and self._keys.are_kept and not self._is_keyed:
            text = "no line of this chain was written under a key"
            self._say(Fault(Wrong.WEAK, self.user_id, 1, self.lines, text))

    def _say(self, found: Fault) -> None:
        self._keep(self.faults, found)

    def _keep(self, kept: list[T], found: T) -> None:
        if len(kept) < FAULTS_KEPT:
            kept.append(found)
        else:
            self.more += 1

    def _place(self, line: Written) -> int | None:
        """Return the number a line was written with, None when it was not written so."""
        if line.key_id == PLAIN:
            return self._plain_place(line)
        if line.key_id in WEAK and self._is_keyed:
            return None
        if self.was_written(line, line.number):
            return line.number
        return self._next if self.was_written(line, self._next) else None

    def _plain_place(self, line: Written) -> int | None:
        is_bare = not (line.role or line.surface or line.request_id or line.digest)
        follows = line.number != self._next or line.previous == self._last_hash
        if self._is_keyed or not is_bare or not follows:
            return None
        return line.number if self._is_erased(line) or is_plain(line) else None

    def was_written(self, line: Written, number: int, user_id: str | None = None) -> bool:
        """Say whether a line was written so under one of the keys, at a number, for a user."""
        key = self._keys.keys.get(line.key_id)
        if key is None or line.hash != hash_of(key, line, number):
            return False
        whose = line.user_id if user_id is None else user_id
        return self._is_erased(line) or line.digest == digest_of(
            key, whose, line.actor, line.detail
        )

    def _is_erased(self, line: Written) -> bool:
        return erased_in(line.detail) in self._erased

    def _fill(self, place: int) -> bool:
        """Take a place from those that nothing was found at; False: it is none of them."""
        for at, gap in enumerate(self.missing):
            if place in gap:
                parts = (range(gap[0], place), range(place + 1, gap[-1] + 1))
                self.missing[at : at + 1] = [part for part in parts if part]
                return True
        return False

    def _explained(self, line: Written) -> Fault:
        for place in first_of(self.missing):
            if self.was_written(line, place):
                self._fill(place)
                return fault(Wrong.MOVED, line, f"was written as line {place}")
        self.strays.append(line)
        if line.key_id not in self._keys.keys and line.key_id != PLAIN:
            self._fill(line.number)
            text = f"names the key {line.key_id[:16]!r}, which is not among those there are"
            return fault(Wrong.CHANGED, line, text)
        if self._fill(line.number):
            return fault(Wrong.CHANGED, line, "is not what was written there")
        if line.number < self._next:
            return fault(Wrong.ADDED, line, "was not written by the service")
        return fault(Wrong.CHANGED, line, "is not what was written there, or was added")


def is_plain(line: Written) -> bool:
    """Say whether a line from before there were keys has the hash of what it says."""
    try:
        return line.hash == plain_hash_of(line)
    except ValueError:
        return False


def first_of(gaps: Collection[range]) -> Iterator[int]:
    """Yield places in gaps, the first so many."""
    left = TRIALS
    for gap in gaps:
        yield from gap[:left]
        left -= len(gap[:left])


# ---- a line in few words

WORDS_MAX = 160  # characters


def in_words(entry: Entry) -> str:
    """Return what was done, and what changed by it, in one line for people."""
    parts = [entry.action, *(f"{name}={plain(value)}" for name, value in entry.asked.items())]
    changes = [change_in_words(each) for each in entry.changed]
    return short(f"{' '.join(parts)}{'; ' if changes else ''}{'; '.join(changes)}")


def change_in_words(change: Content) -> str:
    before, after = change.get("before"), change.get("after")
    what = f"{change['what']} {change['id']}"
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return f"{what}: {plain(before)} → {plain(after)}"
    names = dict.fromkeys((*before, *after))
    said = [f"{name} {plain(before.get(name))} → {plain(after.get(name))}" for name in names]
    return f"{what}: {', '.join(said)}"


def plain(value: object) -> str:
    if value in (None, ""):
        return "-"
    return "there" if isinstance(value, Mapping) else str(value)


def short(text: str) -> str:
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"
