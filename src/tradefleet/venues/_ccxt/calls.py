"""What is asked of a venue: one request, what it costs, and what its answer turned out to be."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.errors import VenueUnavailable

ABOUT_THE_KEY = frozenset(
    {
        KeyFault.INVALID,
        KeyFault.SIGNATURE,
        KeyFault.WRONG_MODE,
        KeyFault.PERMISSION,
        KeyFault.ADDRESS,
        KeyFault.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request before it is signed. api: which of the venue's addresses it goes to.

    costs: what it takes of which budget of the rate governor.
    """

    method: str
    api: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True
    costs: Mapping[str, float] = field(default_factory=lambda: {"weight": 1})


@dataclass(frozen=True, slots=True)
class Hold:
    """The venue says that we ask too much: for how long, and whether all of us."""

    seconds: float
    banned: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The venue did it, by an answer that is whole and of the right form."""

    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The venue answered with an error of its own.

    refused: it is on the list of those that prove that nothing was done. absent: the order
    asked for does not exist.
    """

    code: str
    text: str
    refused: bool
    absent: bool = False
    fault: KeyFault | None = None
    hold: Hold | None = None

    def __str__(self) -> str:
        return self.text if self.code in self.text else f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Garbled:
    """The answer proves nothing: not the venue's form, or an error of its servers."""

    what: str
    status: int = 0

    @property
    def fault(self) -> KeyFault:
        """Why there was no proper answer, when somebody asks for their key's sake."""
        if self.status in (403, 418, 429):
            return KeyFault.RATE_LIMIT
        return KeyFault.MAINTENANCE if self.status >= 500 else KeyFault.NETWORK


Outcome: TypeAlias = Done | Said | Garbled


class Unserved(VenueUnavailable):
    """There was no proper answer; fault says in which way."""

    def __init__(self, text: str, fault: KeyFault = KeyFault.NETWORK) -> None:
        super().__init__(text)
        self.fault = fault


class VenueSaid(VenueUnavailable):
    """A question was answered with an error: nothing is known but what it said."""

    def __init__(self, venue: str, said: Said) -> None:
        super().__init__(f"{venue}: {said}")
        self.said = said


class KeyFailed(KeyRefused, VenueSaid):
    """The venue refuses the key itself: whoever knows only VenueUnavailable may ask again."""

    def __init__(self, venue: str, said: Said, fault: KeyFault, text: str) -> None:
        VenueUnavailable.__init__(self, text)
        self.said = said
        self.fault = fault


Ask: TypeAlias = Callable[[Call], Awaitable[Any]]  # VenueUnavailable when there is no clean answer
