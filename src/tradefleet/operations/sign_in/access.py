"""Access tokens: JWTs of one algorithm, under keys of our own, for one hour.

A token says which session it is of; whether that session is still open is asked of the store.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotSignedIn, ensure
from tradefleet.domain.ids import UserId
from tradefleet.identity import Session

ALGORITHM = "HS256"
LIFETIME = timedelta(hours=1)
ISSUER = "tradefleet"
AUDIENCE = "tradefleet-api"
TYPE = "access"
CLAIMS = ["iss", "aud", "sub", "sid", "typ", "iat", "nbf", "exp"]
HEADER = {"alg", "kid", "typ"}
CLOCK_SKEW = 5  # seconds between replicas
LENGTH_MAX = 4096
KEY_BYTES_MIN = 32
READ_KEPT = 20_000  # tokens whose signature was found right, a KiB each
NOT_VALID = "What you signed in with is not valid (any more); sign in again."


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says."""

    user_id: UserId
    session_id: str


class AccessTokens:
    """Signs with the first key; reads what any of them signed, found by its name."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        ensure(bool(keys), "access tokens need a key")
        self._keys = {name_of(key): key for key in keys}
        self._first = name_of(keys[0])
        self._read: dict[bytes, Mapping[str, Any]] = {}  # by the token's hash, the oldest first

    def sign(self, session: Session, now: datetime) -> Secret:
        at = int(now.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": session.user_id,
            "sid": session.id,
            "typ": TYPE,
            "iat": at,
            "nbf": at,
            "exp": at + int(LIFETIME.total_seconds()),
        }
        key = self._keys[self._first].reveal()
        return Secret(jwt.encode(claims, key, ALGORITHM, headers={"kid": self._first}))

    def read(self, token: str, now: datetime) -> Access:
        """Return what a token of ours says; raise NotSignedIn for any other."""
        if len(token) > LENGTH_MAX:
            raise NotSignedIn(NOT_VALID)
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        claims = self._read.get(digest)
        if claims is None:
            claims = self._claims(token)
            self._remember(digest, claims)
        check_claims(claims, now)
        return Access(UserId(claims["sub"]), claims["sid"])

    def _remember(self, digest: bytes, claims: Mapping[str, Any]) -> None:
        """Keep what a token says, which never changes; whether it counts is asked each time."""
        self._read[digest] = claims
        if len(self._read) > READ_KEPT:
            del self._read[next(iter(self._read))]

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Return what stands in a token that one of our keys signed."""
        if not is_written_once(token):
            raise NotSignedIn(NOT_VALID)
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys[checked_header(header)].reveal()
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": CLAIMS,
                    "strict_aud": True,
                    "verify_exp": False,  # these three by our own clock, below
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise NotSignedIn(NOT_VALID) from None  # its cause may hold the token
        return claims


def name_of(key: Secret) -> str:
    """Return what a key is called in the tokens it signed; it tells nothing of the key."""
    ensure(len(key.reveal().encode()) >= KEY_BYTES_MIN, "a key for access tokens is too short")
    return hashlib.sha256(b"kid:" + key.reveal().encode()).hexdigest()[:16]


def is_written_once(token: str) -> bool:
    """Say whether a token is written in the one way: base64 has others that read alike."""
    if not token.isascii():
        return False
    for part in token.split("."):
        try:
            read = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return False
        if base64.urlsafe_b64encode(read).rstrip(b"=").decode() != part:
            return False
    return True


def checked_header(header: Mapping[str, Any]) -> str:
    """Return the key's name; nothing else a header could name is ever looked at."""
    if set(header) != HEADER or header["alg"] != ALGORITHM or header["typ"] != "JWT":
        raise ValueError("not a header of ours")
    return str(header["kid"])


def check_claims(claims: Mapping[str, Any], now: datetime) -> None:
    """Raise NotSignedIn unless it is an access token, and of this time."""
    at = now.timestamp()
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    texts = [claims[name] for name in ("sub", "sid", "typ")]
    if not all(type(time) is int for time in times) or not all(type(t) is str for t in texts):
        raise NotSignedIn(NOT_VALID)
    early = at + CLOCK_SKEW < max(claims["nbf"], claims["iat"])
    if claims["typ"] != TYPE or early or at >= claims["exp"]:
        raise NotSignedIn(NOT_VALID)
