"""The way between a host and a venue: what is sent may be lost, late, doubled or damaged.

It outlives its hosts: what has left one arrives although the host that sent it is gone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from judge.world import menu
from judge.world.chance import Chance
from judge.world.desk import Answer, Call, DirectVenue
from judge.world.menu import Fault
from venuesim.seeded import Dice

TIMEOUT = 8.0  # seconds that a sender waits for an answer
STATUS = {
    menu.STATUS_429: 429,
    menu.STATUS_418: 418,
    menu.HTML_200: 200,
    menu.HTML_403: 403,
}
STATUS_5XX = (500, 502, 503, 504)
STATUS_52X = (520, 521, 522, 523, 524, 525)


class NotSent(Exception):
    """Not one byte left, and none will."""


class NoAnswer(Exception):
    """Something left, or may have; nothing that can be read came back."""


class Damaged(NoAnswer):
    """An answer came that is not the venue's word: cut, not JSON, or from somebody before it."""

    def __init__(self, what: str, status: int = 200) -> None:
        super().__init__(what)
        self.status = status


class Weather(Protocol):
    """Who says what a call meets."""

    def draw(self, account: str, action: str) -> Fault | None: ...


class Clear:
    """Nothing ever goes wrong."""

    def draw(self, account: str, action: str) -> Fault | None:
        return None


@dataclass(slots=True)
class Way:
    """What a sender is told of its request while it is under way; arrived: the venue had it."""

    arrived: bool = False


@dataclass(slots=True, kw_only=True)
class Network:
    """Carries calls to one venue. left and there are told of each call: it is on its way; it was
    handled."""

    venue: DirectVenue
    chance: Chance
    weather: Weather = field(default_factory=Clear)
    carried: int = 0
    under_way: dict[str, int] = field(default_factory=dict)  # client ids that are to arrive yet
    _requests: Any = field(default_factory=lambda: count(1))
    _roll: Dice = field(init=False)

    def __post_init__(self) -> None:
        self._roll = self.chance.of("network")

    def delay(self) -> float:
        """Return how long one way takes when nothing is wrong."""
        return 0.005 + self._roll.random() * 0.06

    async def ask(
        self,
        account: str,
        call: Call,
        *,
        left: Callable[[], None] | None = None,
        patience: float = TIMEOUT,
    ) -> Answer:
        """Send a call and return the venue's word; NotSent, NoAnswer or Damaged otherwise.

        left is called as soon as the first byte is out.
        """
        self.carried += 1
        fault = self.weather.draw(account, call.action)
        kind = fault.kind if fault is not None else ""
        if kind == menu.REFUSED:
            await asyncio.sleep(0.002)
            raise NotSent("connection refused")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._expect(call, 1 if fault is None else copies_of(fault))
        if fault is None:
            loop.call_later(self.delay(), self._arrive, future, call, "", self.delay())
        else:
            self._carry(loop, future, call, fault, patience)
        if left is not None:
            left()
        return await future

    def _arrive(
        self, future: "asyncio.Future[Answer]", call: Call, fault: str, back: float
    ) -> None:
        answer = self._handle(call, fault)
        asyncio.get_running_loop().call_later(back, settle, future, answer)

    def _handle(self, call: Call, fault: str) -> Answer:
        name = call.body.get("client_id", "") if call.action == "create" else ""
        if name:
            self.under_way[name] -= 1
            if not self.under_way[name]:
                del self.under_way[name]
        return self.venue.handle(call, fault)

    def _expect(self, call: Call, copies: int) -> None:
        """Note that so many copies of an order are to arrive."""
        name = call.body.get("client_id", "") if call.action == "create" else ""
        if name and copies:
            self.under_way[name] = self.under_way.get(name, 0) + copies

    def _carry(
        self,
        loop: asyncio.AbstractEventLoop,
        future: "asyncio.Future[Answer]",
        call: Call,
        fault: Fault,
        patience: float,
    ) -> None:
        """Let a call meet its fault."""
        kind, there, back = fault.kind, self.delay(), self.delay()
        text, handle = fault.text, self._handle

        def fail(after: float, error: Exception) -> None:
            loop.call_later(after, spoil, future, error)

        def do(after: float) -> None:
            loop.call_later(after, handle, call, text)

        match kind:
            case menu.REQUEST_LOST:
                fail(patience, NoAnswer("timed out"))
            case menu.REQUEST_DELAYED:
                loop.call_later(fault.seconds, self._arrive, future, call, text, back)
                if fault.seconds + back > patience:
                    fail(patience, NoAnswer("timed out"))
            case menu.REQUEST_DUPLICATED:
                loop.call_later(there, self._arrive, future, call, text, back)
                do(there + self.delay())
            case menu.ANSWER_LOST:
                do(there)
                fail(patience, NoAnswer("timed out"))
            case menu.ANSWER_DELAYED:
                loop.call_later(there, self._arrive, future, call, text, fault.seconds)
                if there + fault.seconds > patience:
                    fail(patience, NoAnswer("timed out"))
            case menu.RESET_BEFORE:
                fail(there, NoAnswer("connection reset"))
            case menu.RESET_AFTER:
                do(there)
                fail(there + back, NoAnswer("connection reset"))
            case menu.BODY_CUT | menu.JSON_TRUNCATED:
                do(there)
                fail(there + back, Damaged(kind))
            case menu.ID_MISSING:
                loop.call_later(there, self._arrive_unnamed, future, call, text, back)
            case _:
                if fault.processed:
                    do(there)
                fail(there + back, Damaged(kind, self._status(kind)))

    def _arrive_unnamed(
        self, future: "asyncio.Future[Answer]", call: Call, fault: str, back: float
    ) -> None:
        """Bring an answer that lacks the name of what it is about."""
        answer = self._handle(call, fault)
        if answer.is_good:
            answer = Answer(status=answer.status, payload=None)
        asyncio.get_running_loop().call_later(back, settle, future, answer)

    def _status(self, kind: str) -> int:
        known = STATUS.get(kind)
        if known is not None:
            return known
        return self._roll.choice(STATUS_52X if kind == menu.STATUS_52X else STATUS_5XX)

    def next_request(self) -> int:
        return int(next(self._requests))


NEVER_ARRIVE = frozenset({menu.REQUEST_LOST, menu.RESET_BEFORE})
ARRIVE = frozenset(
    {
        menu.REQUEST_DELAYED,
        menu.ANSWER_LOST,
        menu.ANSWER_DELAYED,
        menu.RESET_AFTER,
        menu.BODY_CUT,
        menu.JSON_TRUNCATED,
        menu.ID_MISSING,
    }
)


def copies_of(fault: Fault) -> int:
    """Return how often the venue gets a call that meets a fault."""
    if fault.kind == menu.REQUEST_DUPLICATED:
        return 2
    if fault.kind in NEVER_ARRIVE:
        return 0
    return int(fault.kind in ARRIVE or fault.processed)


def settle(future: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def spoil(future: "asyncio.Future[Answer]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
