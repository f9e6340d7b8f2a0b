"""Who signs in, and with what: values, and the part of a store that knows them.

Nothing in here can be signed in with: of every secret only its hash is kept. A token or a link is
256 bits drawn at random, so one round of SHA-256 hides it; a password is hashed with Argon2.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from tradefleet.domain.credentials import Secret
from tradefleet.domain.ids import UserId

SESSION_LIFETIME = timedelta(days=30)
LINK_LIFETIME = timedelta(minutes=10)
REUSE_GRACE = timedelta(seconds=5)  # two tabs renewing at once are no theft
TOKENS_MAX = 20  # personal tokens of one user that are valid
SESSIONS_MAX = 50  # of one user; the one unused longest ends first
TOKEN_PREFIX = "tf_"


class Right(StrEnum):
    """What whoever signed in may do with it; a personal token may have fewer than its user."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"


class LinkUse(StrEnum):
    """What a one-time link is for; it opens nothing else."""

    SIGN_IN = "sign_in"
    PASSWORD = "password"
    SECOND_FACTOR = "second_factor"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A user's password, hashed."""

    hash: str = field(repr=False)
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in, wherever it is used; it ends when it is revoked or was not renewed in time.

    how: what was signed in with, for people. strong_until: so long a second factor counts.
    """

    id: str
    user_id: UserId
    how: str
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    strong_until: datetime | None = None
    revoked_at: datetime | None = None
    revoked_because: str = ""

    def is_open(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalToken:
    """A long-lived token of a user's own program, with the rights they gave it."""

    id: str
    user_id: UserId
    name: str
    hash: str = field(repr=False)
    rights: tuple[Right, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that works once and for one purpose."""

    hash: str = field(repr=False)
    user_id: UserId
    use: LinkUse
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What a user's authenticator knows, sealed; confirmed_at: since when it is asked for."""

    sealed: bytes = field(repr=False)
    made_at: datetime
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How often in a row somebody failed to sign in under a name."""

    count: int = 0
    last_at: datetime | None = None


class RenewalFault(StrEnum):
    """Why a session was not renewed."""

    UNKNOWN = "unknown"
    ENDED = "ended"
    USED = "used"  # a moment ago: two at once, and the other one won
    STOLEN = "stolen"  # used long before: the session was ended


class UserIdentity(Protocol):
    """What one user signs in with, in that user's transaction."""

    async def password(self) -> Password | None: ...
    async def save_password(self, password: Password) -> None: ...
    async def sessions(self) -> Sequence[Session]:
        """Return the user's sessions, open or not, the oldest first."""

    async def session(self, id: str) -> Session | None: ...
    async def save_session(self, session: Session) -> None: ...
    async def save_renewal(self, session_id: str, hash: str, now: datetime) -> None:
        """Keep the hash of what renews a session."""

    async def tokens(self) -> Sequence[PersonalToken]:
        """Return the user's tokens, valid or not, the oldest first."""

    async def save_token(self, token: PersonalToken) -> None: ...
    async def save_link(self, link: Link) -> None:
        """Keep a link; one for the same use that was not opened yet works no more."""

    async def second_factor(self) -> SecondFactor | None: ...
    async def save_second_factor(self, factor: SecondFactor) -> None: ...
    async def drop_second_factor(self) -> None: ...
    async def spend(self, hash: str, until: datetime) -> bool:
        """Note that something of one use was used; False: it was before."""


class IdentityStore(Protocol):
    """Who signs in, over all users: found by the hash of what they show."""

    async def session(self, id: str) -> Session | None: ...
    async def token(self, hash: str) -> PersonalToken | None: ...
    async def renew(self, old: str, new: str, now: datetime) -> Session | RenewalFault:
        """Put a session's next renewal in place of the last; of two at once one succeeds.

        What was used before ends its session, but for one moment's grace.
        """

    async def link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        """Return a link that still works, without opening it."""

    async def open_link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        """Open a link; it works no more. Of two at once one succeeds."""

    async def spend(self, hash: str, until: datetime) -> bool:
        """Note that something of one use was used; False: it was before."""

    async def failures(self, name: str) -> Failures: ...
    async def note_failure(self, name: str, now: datetime) -> Failures:
        """Count a failure, and return how many there are in a row."""

    async def forget_failures(self, name: str) -> None: ...
    async def forget_old(self, now: datetime) -> int:
        """Drop what is of no use any more; return how many rows that were."""


FREE_TRIES = 5  # to sign in, before each further one has to wait
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


def seconds_locked(failures: Failures, now: datetime) -> float:
    """Return how long nobody may try again: a minute after five failures, then twice as long."""
    if failures.count < FREE_TRIES or failures.last_at is None:
        return 0.0
    doublings = min(failures.count - FREE_TRIES, 10)
    wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return max(0.0, (failures.last_at + wait - now).total_seconds())


def hash_of(secret: str) -> str:
    """Return what is kept of a secret drawn at random."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def drawn(prefix: str = "") -> Secret:
    """Return 256 bits drawn at random, as text."""
    return Secret(prefix + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode())


def drawn_by(new_id: Callable[[], str], prefix: str = "") -> Secret:
    """Return what two random ids come to, 244 bits, as text: a simulation draws it alike again."""
    bits = bytes.fromhex(new_id() + new_id())
    return Secret(prefix + base64.urlsafe_b64encode(bits).rstrip(b"=").decode())


def rights_from(words: str) -> tuple[Right, ...]:
    """Return rights as they are kept, the fewest first; ValueError for one there is not."""
    said = {Right(word) for word in words.replace(",", " ").lower().split()}
    return tuple(right for right in Right if right in said)


WITHIN: Mapping[Right, frozenset[Right]] = {
    Right.READ: frozenset({Right.READ}),
    Right.TRADE: frozenset({Right.READ, Right.TRADE}),
    Right.ADMIN: frozenset(Right),
}


def all_rights(rights: Sequence[Right], *, is_admin: bool) -> frozenset[Right]:
    """Return what rights come to: who may trade may read; nobody is more than their user is."""
    found = frozenset[Right]().union(*(WITHIN[right] for right in rights))
    return found if is_admin else found - {Right.ADMIN}
