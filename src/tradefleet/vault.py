"""Seals credentials in an envelope: a master key wraps each user's key, which seals theirs.

What is sealed names its version, use, user, account, venue and mode, so that a ciphertext that was
moved to another row or user is refused; destroying a user's key destroys every copy of what it
sealed. Bytes go in and out: where they are kept is the store's business.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import TradefleetError, ensure
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.user import Account, Mode

VERSION = 1
NO_MASTER = (
    "The key of user {user} was wrapped under another ENCRYPTION_KEY: add the one that was used "
    "before, after a comma."
)
NOT_THEIRS = "What is kept as the key of user {user} is not theirs: restore it from a backup."
DAMAGED = "The credentials of account {account} cannot be opened: connect it again."
NOT_ITS_OWN = "What is kept for account {account} was sealed for another: connect it again."


class CannotOpen(TradefleetError):
    """Something sealed cannot be opened, or is not what it stands for; the text names the cure."""


class Use(StrEnum):
    """What sealed credentials are for: nothing is used that still waits for its confirmation."""

    ACCOUNT = "account"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where sealed credentials belong; they open nowhere else."""

    user_id: UserId
    account_id: AccountId
    venue: str
    mode: Mode
    use: Use = Use.ACCOUNT

    @classmethod
    def of(cls, account: Account, use: Use = Use.ACCOUNT) -> "Place":
        return cls(
            user_id=account.user_id,
            account_id=account.id,
            venue=account.venue,
            mode=account.mode,
            use=use,
        )

    def named(self) -> dict[str, object]:
        """Return what stands beside the credentials in the envelope."""
        return {
            "v": VERSION,
            "use": self.use.value,
            "user": self.user_id,
            "account": self.account_id,
            "venue": self.venue,
            "mode": self.mode.value,
        }


def new_master() -> Secret:
    """Return a master key drawn at random."""
    return Secret(Fernet.generate_key().decode())


class Vault:
    """Wraps users' keys and seals credentials with them; it remembers no user's key.

    masters: Fernet keys of 44 characters; the first wraps, all unwrap. fingerprint_key: the
    service's own secret, without which a fingerprint tells nothing of a key.
    """

    def __init__(self, masters: Sequence[Secret], fingerprint_key: bytes) -> None:
        ensure(bool(masters), "a vault needs a master key")
        fernets = [Fernet(master.reveal()) for master in masters]
        self._first = fernets[0]
        self._all = MultiFernet(fernets)
        self._fingerprint_key = fingerprint_key

    # ---- users' keys

    def new_user_key(self, user_id: UserId) -> bytes:
        """Return a fresh key for a user, wrapped."""
        named = {**_owner(user_id), "key": Fernet.generate_key().decode()}
        return self._first.encrypt(_written(named))

    def opens(self, user_id: UserId, wrapped: bytes) -> bool:
        """Say whether a user's key can be unwrapped with the master keys there are."""
        try:
            self._unwrapped(user_id, wrapped)
        except CannotOpen:
            return False
        return True

    def is_current(self, wrapped: bytes) -> bool:
        """Say whether a user's key is wrapped under the first master key."""
        return _decrypted(self._first, wrapped) is not None

    def rewrapped(self, user_id: UserId, wrapped: bytes) -> bytes:
        """Return a user's key wrapped under the first master key; CannotOpen names the cure."""
        named = self._unwrapped(user_id, wrapped)
        return self._first.encrypt(_written(named))

    def _unwrapped(self, user_id: UserId, wrapped: bytes) -> Mapping[str, object]:
        plain = _decrypted(self._all, wrapped)
        if plain is None:
            raise CannotOpen(NO_MASTER.format(user=user_id))
        named = _read(plain)
        if {name: named.get(name) for name in _owner(user_id)} != _owner(user_id):
            raise CannotOpen(NOT_THEIRS.format(user=user_id))
        return named

    def _user_fernet(self, user_id: UserId, wrapped: bytes) -> Fernet:
        return Fernet(str(self._unwrapped(user_id, wrapped)["key"]))

    # ---- credentials

    def seal(self, wrapped: bytes, place: Place, credentials: Credentials) -> bytes:
        """Return credentials sealed with their user's key, for one place."""
        named = {
            **place.named(),
            "api_key": credentials.api_key.reveal(),
            "api_secret": credentials.api_secret.reveal(),
        }
        return self._user_fernet(place.user_id, wrapped).encrypt(_written(named))

    def open(self, wrapped: bytes, place: Place, sealed: bytes) -> Credentials:
        """Return the credentials sealed for a place; CannotOpen when they are not that."""
        plain = _decrypted(self._user_fernet(place.user_id, wrapped), sealed)
        if plain is None:
            raise CannotOpen(DAMAGED.format(account=place.account_id))
        named = _read(plain)
        if {name: named.get(name) for name in place.named()} != place.named():
            raise CannotOpen(NOT_ITS_OWN.format(account=place.account_id))
        return Credentials(
            api_key=Secret(str(named["api_key"])), api_secret=Secret(str(named["api_secret"]))
        )

    def can_open(self, wrapped: bytes, place: Place, sealed: bytes) -> bool:
        """Say whether sealed credentials are what they stand for."""
        try:
            self.open(wrapped, place, sealed)
        except CannotOpen:
            return False
        return True

    # ---- a user's other secrets

    def seal_text(self, wrapped: bytes, user_id: UserId, use: str, text: Secret) -> bytes:
        """Return a secret sealed with its user's key, for one use."""
        named = {**_belongs(user_id, use), "text": text.reveal()}
        return self._user_fernet(user_id, wrapped).encrypt(_written(named))

    def open_text(self, wrapped: bytes, user_id: UserId, use: str, sealed: bytes) -> Secret:
        """Return what was sealed for a use; CannotOpen when it is not that."""
        plain = _decrypted(self._user_fernet(user_id, wrapped), sealed)
        named = {} if plain is None else _read(plain)
        if {name: named.get(name) for name in _belongs(user_id, use)} != _belongs(user_id, use):
            raise CannotOpen(f"What is sealed as the {use} of user {user_id} cannot be opened.")
        return Secret(str(named["text"]))

    # ---- the service's own keys

    def seal_own(self, use: str, id: str, key: bytes) -> bytes:
        """Return a key of the service's own, sealed under the first master key."""
        named = {"v": VERSION, "use": use, "id": id, "key": base64.b64encode(key).decode()}
        return self._first.encrypt(_written(named))

    def open_own(self, use: str, id: str, sealed: bytes) -> bytes:
        """Return a key of the service's own; CannotOpen when it is not the one of that id."""
        plain = _decrypted(self._all, sealed)
        named = {} if plain is None else _read(plain)
        if (named.get("use"), named.get("id")) != (use, id):
            raise CannotOpen(f"The key {id} of the {use} cannot be opened.")
        return base64.b64decode(str(named["key"]))

    def fingerprint(self, api_key: Secret) -> str:
        """Return a keyed hash of an API key, by which a second account with it is recognised."""
        named = api_key.reveal().encode()
        return hmac.digest(self._fingerprint_key, named, "sha256").hex()


def _owner(user_id: UserId) -> dict[str, object]:
    return {"v": VERSION, "use": "user key", "user": user_id}


def _belongs(user_id: UserId, use: str) -> dict[str, object]:
    return {"v": VERSION, "use": use, "user": user_id}


def _decrypted(fernet: Fernet | MultiFernet, token: bytes) -> bytes | None:
    """Return the plain text, None when it was not written with this key, or was changed."""
    try:
        return fernet.decrypt(token)
    except InvalidToken:
        return None


def _written(named: Mapping[str, object]) -> bytes:
    return json.dumps(named, sort_keys=True).encode()


def _read(plain: bytes) -> Mapping[str, object]:
    named: dict[str, object] = json.loads(plain)
    return named


# ---- long streams, in pieces

STREAM_KEY_BYTES = 32
NUMBER_BYTES = 11  # of a piece; with the mark of the last one a nonce of 12


class StreamSeal:
    """Seals the pieces of one stream, each for its place in it, and knows the last one.

    The key is derived from a master key for one use and one stream, which salt must name by itself:
    so a piece's number may be its nonce. header stands before the pieces and is bound to them.
    """

    def __init__(self, master: Secret, *, use: str, salt: bytes, header: bytes) -> None:
        key = HKDF(SHA256(), STREAM_KEY_BYTES, salt, use.encode()).derive(_material(master))
        self._cipher = AESGCM(key)
        self._header = header

    def seal(self, number: int, piece: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(number, is_last), piece, self._header)

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        """Return the piece; CannotOpen when it was changed, or belongs elsewhere."""
        try:
            return self._cipher.decrypt(_nonce(number, is_last), sealed, self._header)
        except InvalidTag:
            raise CannotOpen(f"Piece {number + 1} is not what was sealed.") from None


def master_fingerprint(master: Secret, use: str) -> str:
    """Return by what a master key is told from others, without telling anything of it."""
    derived = HKDF(SHA256(), 8, None, f"{use}: fingerprint".encode()).derive(_material(master))
    return derived.hex()


def _material(master: Secret) -> bytes:
    return base64.urlsafe_b64decode(master.reveal())


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(NUMBER_BYTES, "big") + bytes([is_last])


# ---- what the audit log is bound under

AUDIT = "tradefleet audit log"
AUDIT_KEY_BYTES = 32


def audit_key(master: Secret) -> tuple[str, bytes]:
    """Return the key that a master key gives the audit log, and its id, which tells nothing."""
    key = HKDF(SHA256(), AUDIT_KEY_BYTES, None, AUDIT.encode()).derive(_material(master))
    return master_fingerprint(master, AUDIT), key
