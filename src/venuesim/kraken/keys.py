"""Kraken's API keys: made, and what they may do in Kraken's words."""

from base64 import b64encode
from collections.abc import Iterable

from venuesim.keys import Key
from venuesim.wire import Place

# Kraken's rights in the order its answers have them.
RIGHTS = (
    "query-funds",
    "add-funds",
    "withdraw-funds",
    "earn-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "query-ledger",
    "export-data",
    "create-ws-token",
    "add-withdraw-address",
    "update-withdraw-address",
)
# What a venue's right in plain words comes to.
PLAIN = {
    "read": (
        "query-funds",
        "query-open-trades",
        "query-closed-trades",
        "query-ledger",
        "create-ws-token",
    ),
    "trade": ("modify-trades", "close-trades"),
    "withdraw": ("withdraw-funds",),
    "transfer": ("add-funds",),
}
KEY_BYTES = 42  # 56 characters
SECRET_BYTES = 64  # 88 characters


def rights(permissions: Iterable[str]) -> list[str]:
    """Return the rights of a key, whichever words they were given in."""
    has = {right for word in permissions for right in PLAIN.get(word, (word,))}
    return [right for right in RIGHTS if right in has]


def make_key(
    place: Place, account: str, permissions: Iterable[str], ips: Iterable[str] = ()
) -> Key:
    """Make a key for an account, opening it; permissions in plain or in Kraken's own words."""
    wanted = set(permissions)
    if unknown := wanted - set(PLAIN) - set(RIGHTS):
        raise ValueError(f"Kraken has no permission called {', '.join(sorted(unknown))}")
    place.exchange.open_account(account)
    return place.keys.add(
        Key(
            api_key=b64encode(place.keys.drawn("kraken key", KEY_BYTES)).decode(),
            secret=b64encode(place.keys.drawn("kraken secret", SECRET_BYTES)).decode(),
            account=account,
            permissions=wanted,
            ips=tuple(ips),
            created_ms=place.clock.now_ms(),
        )
    )
