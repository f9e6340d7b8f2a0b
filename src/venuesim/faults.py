"""What can go wrong between a client and a venue: scripted, or drawn from a seed and counted.

A fault is a value; deliver() does what it says around any desk, without a network, and returns
what is to reach the client. A plan says which call or message meets which fault.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from venuesim.seeded import Dice, dice
from venuesim.wire import Answer

DELAY_MAX = 120.0  # seconds
SCRIPTED_MAX = 100_000  # scripted faults that wait for their call


class FaultKind(StrEnum):
    REQUEST_LOST = "request lost"
    REQUEST_DELAYED = "request delayed"
    REQUEST_DUPLICATED = "request duplicated"
    ANSWER_LOST = "answer lost"
    ANSWER_DELAYED = "answer delayed"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    BODY_CUT = "body cut"
    JSON_TRUNCATED = "json truncated"
    HTML = "html"
    STATUS = "status"
    ID_MISSING = "id missing"
    LOOKUP_LAG = "lookup lag"
    MAINTENANCE = "maintenance"
    # of messages on a stream
    MESSAGE_DROPPED = "message dropped"
    MESSAGE_DUPLICATED = "message duplicated"
    MESSAGES_SWAPPED = "messages swapped"
    STREAM_CUT = "stream cut"

    @property
    def is_of_messages(self) -> bool:
        return self in MESSAGE_KINDS


MESSAGE_KINDS = frozenset(
    {
        FaultKind.MESSAGE_DROPPED,
        FaultKind.MESSAGE_DUPLICATED,
        FaultKind.MESSAGES_SWAPPED,
        FaultKind.STREAM_CUT,
    }
)
MESSAGE = "message"  # the action of whatever is sent on a stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    seconds: how long it is delayed, or lasts. at: how many bytes of the body arrive. status: of
    html (200 or 403) and status. processed: whether the venue did what was asked all the same.
    word: the venue's word for its maintenance. body: instead of the page that would be sent.
    """

    kind: FaultKind
    seconds: float = 0
    at: int = 0
    status: int = 0
    processed: bool = False
    word: str = "maintenance"
    body: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= DELAY_MAX:
            raise ValueError(f"seconds must be between 0 and {DELAY_MAX:.0f}")
        if self.at < 0:
            raise ValueError("at counts bytes and is not below zero")
        if self.kind in (FaultKind.STATUS, FaultKind.HTML) and not 200 <= self.status <= 599:
            raise ValueError(f"{self.kind} needs a status between 200 and 599")

    def __str__(self) -> str:
        words = [str(self.kind)]
        if self.status:
            words.append(str(self.status))
        if self.kind in (FaultKind.STATUS, FaultKind.HTML):
            words.append("processed" if self.processed else "not processed")
        if self.kind in (FaultKind.BODY_CUT, FaultKind.JSON_TRUNCATED):
            words.append(f"at {self.at}")
        if self.seconds:
            words.append(f"{self.seconds:g} s")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What reaches the client: an answer, so many bytes of it, or nothing but the end.

    announced: the length the headers tell when the body is cut short of it. reset: the
    connection ends with a reset. processed: how often the venue did what was asked.
    """

    answer: Answer | None
    processed: int = 1
    announced: int | None = None
    reset: bool = False
    of_venue: Answer | None = None  # what the venue itself answered


@dataclass(slots=True, kw_only=True)
class Scripted:
    """A fault that waits for calls like this; times: how often it strikes, after skipping some."""

    fault: Fault
    action: str = ""  # "" for any
    account: str | None = None
    containing: str = ""
    times: int = 1
    skip: int = 0

    def strikes(self, action: str, account: str, text: str) -> bool:
        if self.action not in ("", action) or self.account not in (None, account):
            return False
        if self.containing not in text:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


Rates = Mapping[str, Mapping[FaultKind, float]]  # action ("" for any) → kind → probability


@dataclass(slots=True)
class FaultPlan:
    """Which call or message meets which fault. Scripted faults come before drawn ones.

    What is drawn depends on the seed, the account, the action and how many such calls the account
    has made, not on who else calls when. told hears every fault that strikes.
    """

    seed: int = 0
    rates: Rates = field(default_factory=dict)
    drawing: bool = True
    struck: Counter[FaultKind] = field(default_factory=Counter)
    told: list[Callable[[Fault, str, str], None]] = field(default_factory=list)
    _scripts: list[Scripted] = field(default_factory=list)
    _calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_idle(self) -> bool:
        return not self._scripts and not (self.rates and self.drawing)

    def once(
        self,
        *,
        fault: Fault,
        action: str = "",
        account: str | None = None,
        containing: str = "",
        times: int = 1,
        skip: int = 0,
    ) -> Scripted:
        """Let the next calls of that action, account and text meet a fault; take it back by drop.

        The action of a fault of messages is message, whatever is said.
        """
        if len(self._scripts) >= SCRIPTED_MAX:
            raise ValueError(f"more than {SCRIPTED_MAX} faults wait already")
        scripted = Scripted(
            fault=fault,
            action=MESSAGE if fault.kind.is_of_messages else action,
            account=account,
            containing=containing,
            times=times,
            skip=skip,
        )
        self._scripts.append(scripted)
        return scripted

    def drop(self, scripted: Scripted) -> None:
        """Forget a scripted fault that has not struck as often as it was to."""
        if scripted in self._scripts:
            self._scripts.remove(scripted)

    def clear(self) -> None:
        """Forget what is scripted, and draw no more."""
        self._scripts.clear()
        self.rates = {}

    @property
    def waiting(self) -> Sequence[Scripted]:
        return tuple(self._scripts)

    def draw(self, action: str, account: str, text: str = "") -> Fault | None:
        """Say what a call or message meets."""
        fault = self._scripted(action, account, text) or self._drawn(action, account)
        if fault is not None:
            self.struck[fault.kind] += 1
            for hear in self.told:
                hear(fault, action, account)
        return fault

    def _scripted(self, action: str, account: str, text: str) -> Fault | None:
        for script in self._scripts:
            if script.fault.kind.is_of_messages != (action == MESSAGE):
                continue
            if script.strikes(action, account, text):
                if script.times <= 0:
                    self._scripts.remove(script)
                return script.fault
        return None

    def _drawn(self, action: str, account: str) -> Fault | None:
        if not self.drawing:
            return None
        rates = self.rates.get(action) or (self.rates.get("") if action != MESSAGE else None)
        if not rates:
            return None
        self._calls[action, account] += 1
        roll = dice(self.seed, account, action, self._calls[action, account])
        drawn = roll.random()
        for kind, rate in rates.items():
            drawn -= rate
            if drawn < 0:
                return drawn_fault(kind, roll)
        return None


REFUSALS = (429, 418, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529)


def drawn_fault(kind: FaultKind, roll: Dice) -> Fault:
    """Return a fault of a kind, its figures drawn from all that the menu has."""
    match kind:
        case FaultKind.REQUEST_DELAYED:
            # Mostly short of any deadline, now and then far beyond every deadline and time-out.
            return Fault(kind=kind, seconds=roll.choice((0.2, 1, 3, 6, 11, 20, 61, DELAY_MAX)))
        case FaultKind.ANSWER_DELAYED:
            return Fault(kind=kind, seconds=roll.choice((0.2, 1, 3, 11)))
        case FaultKind.BODY_CUT | FaultKind.JSON_TRUNCATED:
            return Fault(kind=kind, at=roll.randrange(0, 200))
        case FaultKind.HTML:
            return Fault(kind=kind, status=roll.choice((200, 403)), processed=roll.random() < 0.5)
        case FaultKind.STATUS:
            return Fault(
                kind=kind, status=roll.choice(REFUSALS), processed=roll.random() < 0.5, seconds=1
            )
        case FaultKind.LOOKUP_LAG:
            return Fault(kind=kind, seconds=roll.uniform(0, 8))
        case FaultKind.MAINTENANCE:
            return Fault(kind=kind, seconds=roll.uniform(0.5, 5))
        case _:
            return Fault(kind=kind)


Handle = Callable[[], Answer]
Wait = Callable[[float], Awaitable[None]]


async def deliver(
    fault: Fault, handle: Handle, without_id: Callable[[Answer], Answer], wait: Wait
) -> Delivery:
    """Let the venue handle a call as a fault has it, and say what the client gets.

    LOOKUP_LAG and MAINTENANCE are states of the venue: whoever applies them has set them before.
    """
    kind = fault.kind
    match kind:
        case FaultKind.REQUEST_LOST:
            return Delivery(None, 0)
        case FaultKind.RESET_BEFORE:
            return Delivery(None, 0, reset=True)
        case FaultKind.REQUEST_DELAYED:
            await wait(fault.seconds)
            return _whole(handle())
        case FaultKind.REQUEST_DUPLICATED:
            first, second = handle(), handle()
            return Delivery(first, 2, of_venue=second)
        case FaultKind.ANSWER_LOST:
            return Delivery(None, of_venue=handle())
        case FaultKind.RESET_AFTER:
            return Delivery(None, reset=True, of_venue=handle())
        case FaultKind.ANSWER_DELAYED:
            answer = handle()
            await wait(fault.seconds)
            return _whole(answer)
        case FaultKind.BODY_CUT:
            answer = handle()
            # At least the last byte is missing, or it would be no cut.
            cut = answer.body[: min(fault.at, max(0, len(answer.body) - 1))]
            return Delivery(
                _with_body(answer, cut),
                announced=max(len(answer.body), len(cut) + 1),
                of_venue=answer,
            )
        case FaultKind.JSON_TRUNCATED:
            answer = handle()
            cut = answer.body[: min(fault.at, max(0, len(answer.body) - 1))]
            return Delivery(_with_body(answer, cut), of_venue=answer)
        case FaultKind.HTML | FaultKind.STATUS:
            done = handle() if fault.processed else None
            return Delivery(page(fault), int(done is not None), of_venue=done)
        case FaultKind.ID_MISSING:
            answer = handle()
            return Delivery(without_id(answer), of_venue=answer)
        case FaultKind.LOOKUP_LAG | FaultKind.MAINTENANCE:
            return _whole(handle())
        case (
            FaultKind.MESSAGE_DROPPED
            | FaultKind.MESSAGE_DUPLICATED
            | FaultKind.MESSAGES_SWAPPED
            | FaultKind.STREAM_CUT
        ):
            return _whole(handle())  # nothing to do with a call
        case _:
            assert_never(kind)


def _whole(answer: Answer) -> Delivery:
    return Delivery(answer, of_venue=answer)


def _with_body(answer: Answer, body: bytes) -> Answer:
    return Answer(
        status=answer.status,
        body=body,
        headers=answer.headers,
        content_type=answer.content_type,
        account=answer.account,
        client_id=answer.client_id,
        order=answer.order,
    )


TITLES = {
    200: "Just a moment...",
    403: "403 Forbidden",
    418: "418 I'm a teapot",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
    520: "520: Web server is returning an unknown error",
    521: "521: Web server is down",
    522: "522: Connection timed out",
    523: "523: Origin is unreachable",
    524: "524: A timeout occurred",
    525: "525: SSL handshake failed",
    526: "526: Invalid SSL certificate",
    527: "527: Railgun error",
    529: "529: Site is overloaded",
}


def page(fault: Fault) -> Answer:
    """Return what stands before a venue answers in its place: a page, not the venue's JSON."""
    headers = {"Retry-After": f"{max(1, round(fault.seconds))}"}
    limited = fault.status in (418, 429, 503)
    if fault.body:
        is_json = fault.body.lstrip().startswith(("{", "["))
        return Answer(
            status=fault.status,
            body=fault.body.encode(),
            headers=headers if limited else {},
            content_type="application/json" if is_json else "text/html",
        )
    title = TITLES.get(fault.status, str(fault.status))
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return Answer(
        status=fault.status,
        body=body.encode(),
        headers=headers if limited else {},
        content_type="text/html",
    )
