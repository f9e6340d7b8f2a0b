"""Every error this package raises on purpose, by what the caller must do about it.

TradefleetError
├── Refused            the user asked for what is not allowed: show the text, wake nobody;
│                      NotThere, Conflict, TooMany, NotSignedIn, NotAllowed for programs
├── VenueError
│   ├── VenueRejected      the venue said no, provably: final, never retry
│   ├── VenueUnavailable   the request did not get through: retry with back-off
│   └── OutcomeUnknown     it may have been accepted: look it up before anything else
├── StoreError
│   ├── StoreUnavailable   the database cannot be used now: the text says why and the cure
│   └── LeaseLost          another host owns this user now: stop at once, write nothing
└── BrokenInvariant    our own bug: set the bot aside, wake a human
"""

from datetime import datetime


class TradefleetError(Exception):
    """Base of all errors raised on purpose."""


class Refused(TradefleetError):
    """The request is understood and not allowed; the text is for the user.

    code is the same for programs: one word, which a front turns into its own kind of answer.
    """

    code = "refused"


class NotThere(Refused):
    """What is asked for is not there, or is somebody else's, which is the same to the asker."""

    code = "not_found"


class Conflict(Refused):
    """What is asked for contradicts what was asked before."""

    code = "conflict"


class TooMany(Refused):
    """Too much was asked in too short a time; seconds says when to try again."""

    code = "too_many"

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class NotSignedIn(Refused):
    """Nobody is signed in, or what they signed in with is not valid (any more)."""

    code = "unauthorized"


class NotAllowed(Refused):
    """Whoever is signed in may not do this: a scope is missing, or trading is switched off."""

    code = "forbidden"


class NeedsProof(Refused):
    """It needs the digits of the user's second factor, and they are missing or wrong."""

    code = "second_factor"


class VenueError(TradefleetError):
    """Something went wrong between us and a venue."""


class VenueRejected(VenueError):
    """The venue refused the request; the same request would be refused again."""


class VenueUnavailable(VenueError):
    """The venue did not receive the request; sending it again is safe.

    opens_at: when it may get through again, where that is known.
    """

    def __init__(self, text: str, *, opens_at: datetime | None = None) -> None:
        super().__init__(text)
        self.opens_at = opens_at


class OutcomeUnknown(VenueError):
    """The venue may have accepted the request; ask before sending anything else."""


class StoreError(TradefleetError):
    """Something went wrong between us and the database."""


class StoreUnavailable(StoreError):
    """The database cannot be used now; the text names the cure."""


class LeaseLost(StoreError):
    """Another host owns this user now; nothing of this write was kept."""


class BrokenInvariant(TradefleetError):
    """A thing that cannot be true is true."""


def ensure(condition: bool, message: str) -> None:
    """Raise BrokenInvariant unless condition holds (an assert that -O keeps)."""
    if not condition:
        raise BrokenInvariant(message)
