"""API keys: whose they are, what they may do, from where, and until when."""

from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(slots=True, kw_only=True)
class Key:
    """permissions: read, trade, withdraw, transfer; venues name them in their own words.

    nonce: the highest seen; nonce_window: how far below it one may still come (Kraken);
    ips: from where it may be used, empty for anywhere.
    """

    api_key: str
    secret: str = field(repr=False)
    account: str
    permissions: set[str]
    ips: tuple[str, ...] = ()
    created_ms: int = 0
    expires_ms: int | None = None
    revoked: bool = False
    nonce: int = 0
    nonce_window: int = 0
    label: str = "tradefleet"


@dataclass(slots=True)
class KeyRing:
    """All keys of a venue. Keys are functions of a seed and a number: a run repeats."""

    seed: int = 0
    by_key: dict[str, Key] = field(default_factory=dict)

    def add(self, key: Key) -> Key:
        self.by_key[key.api_key] = key
        return key

    def find(self, api_key: str) -> Key | None:
        """Return a key that was made and not revoked."""
        key = self.by_key.get(api_key)
        return None if key is None or key.revoked else key

    def drawn(self, what: str, length: int) -> bytes:
        """Return bytes that depend on the seed, the number of keys and what they are for."""
        made, number = b"", 0
        while len(made) < length:
            text = f"{self.seed}|{len(self.by_key)}|{what}|{number}"
            made += sha256(text.encode()).digest()
            number += 1
        return made[:length]
