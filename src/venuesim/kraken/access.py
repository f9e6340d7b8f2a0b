"""Who calls: key, address, signature and nonce, in the order Kraken looks at them."""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from hashlib import sha256, sha512

from venuesim.keys import Key
from venuesim.kraken.arguments import Values, word
from venuesim.kraken.errors import Error, Refused
from venuesim.kraken.keys import rights
from venuesim.kraken.limits import Limits
from venuesim.wire import Call, Place

NONCE_END = 2**64
NONCES_KEPT = 10_000  # of a key with a nonce window
TOKEN_S = 900
TOKENS_KEPT = 100_000


def signature(secret: str, path: str, nonce: str, body: bytes) -> str:
    """Return what API-Sign must be; path from /0/ on. ValueError when the secret is no base64."""
    digest = sha256(nonce.encode() + body).digest()
    try:
        key = b64decode(secret, validate=True)
    except NotBase64 as error:
        raise ValueError("the secret of a key is base64") from error
    return b64encode(hmac.new(key, path.encode() + digest, sha512).digest()).decode()


@dataclass(slots=True)
class Token:
    """What a stream is opened with: good for a while, and then as long as its stream."""

    key: Key
    until_ms: int


@dataclass(slots=True)
class Access:
    """Knows which calls are signed, and what was seen of each key."""

    place: Place
    limits: Limits
    used_ms: dict[str, int] = field(default_factory=dict)  # by key, when last
    tokens: dict[str, Token] = field(default_factory=dict)
    _nonces: dict[str, set[int]] = field(default_factory=dict)
    _tokens: int = 0

    def caller(self, call: Call, path: str, values: Values) -> Key:
        """Return the key that signed a call; Refused when none did."""
        now_ms = self.place.clock.now_ms()
        name = call.headers.get("api-key", "")
        if self.place.limits:
            self.limits.check_lockout(name, now_ms)
        try:
            key = self._signer(call, name, path, values)
        except Refused:
            self.limits.failed(name, now_ms)
            raise
        self.limits.succeeded(name)
        self._use_nonce(key, values)
        self.used_ms[key.api_key] = now_ms
        return key

    def _signer(self, call: Call, name: str, path: str, values: Values) -> Key:
        key = self.place.keys.find(name)
        if key is None or not self.is_valid(key):
            raise Refused(Error.INVALID_KEY)
        if key.ips and call.ip not in key.ips:
            raise Refused(Error.PERMISSION_DENIED)
        expected = signature(key.secret, path, word(values, "nonce"), call.body)
        given = call.headers.get("api-sign", "")
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise Refused(Error.INVALID_SIGNATURE)
        return key

    def is_valid(self, key: Key) -> bool:
        """Say whether a key was neither revoked nor has come to its end."""
        if key.revoked:
            return False
        return key.expires_ms is None or self.place.clock.now_ms() < key.expires_ms

    def _use_nonce(self, key: Key, values: Values) -> None:
        text = word(values, "nonce")
        nonce = int(text) if text.isascii() and text.isdigit() else 0
        if not 0 < nonce < NONCE_END:
            raise Refused(Error.INVALID_NONCE)
        seen = self._nonces.setdefault(key.api_key, set())
        if nonce <= key.nonce and (nonce <= key.nonce - key.nonce_window or nonce in seen):
            raise Refused(Error.INVALID_NONCE)
        key.nonce = max(key.nonce, nonce)
        if key.nonce_window:
            seen.add(nonce)
            if len(seen) > NONCES_KEPT:
                seen.intersection_update(sorted(seen)[NONCES_KEPT // 2 :])

    def may(self, key: Key, *needed: str) -> bool:
        """Say whether a key has one of these rights."""
        has = rights(key.permissions)
        return not needed or any(right in has for right in needed)

    def make_token(self, key: Key) -> str:
        self._tokens += 1
        made = sha256(f"{key.secret}|{self._tokens}|{key.nonce}".encode()).digest()
        token = b64encode(made).decode().rstrip("=")
        self.tokens[token] = Token(key, self.place.clock.now_ms() + TOKEN_S * 1000)
        if len(self.tokens) > TOKENS_KEPT:
            del self.tokens[next(iter(self.tokens))]
        return token

    def key_of(self, token: str, *, opened: bool) -> Key:
        """Return whose token it is; one already used on the same stream does not grow old."""
        found = self.tokens.get(token)
        if found is None or not self.is_valid(found.key):
            raise Refused(Error.INVALID_SESSION)
        if not opened and self.place.clock.now_ms() >= found.until_ms:
            raise Refused(Error.INVALID_SESSION)
        return found.key
