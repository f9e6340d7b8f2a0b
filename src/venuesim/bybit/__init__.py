"""Bybit v5 spot, unified account: a simulated venue that speaks its protocol."""

from collections.abc import Iterable, Sequence

from venuesim.bybit.ask import DAY_MS
from venuesim.bybit.desk import BybitDesk
from venuesim.keys import Key
from venuesim.wire import Desk, Place

__all__ = ["desk", "make_key"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
DAYS = 90  # that a key lives which is bound to no address


def desk(place: Place) -> Desk:
    """Return the protocol over a place's books."""
    return BybitDesk(place)


def make_key(
    place: Place, account: str, permissions: Iterable[str], ips: Sequence[str] = ()
) -> Key:
    """Return a new key of an account, which is opened if it is new."""
    place.exchange.open_account(account)
    now = place.clock.now_ms()
    return place.keys.add(
        Key(
            api_key=drawn(place, "key", 18),
            secret=drawn(place, "secret", 36),
            account=account,
            permissions=set(permissions),
            ips=tuple(ips),
            created_ms=now,
            expires_ms=None if ips else now + DAYS * DAY_MS,
        )
    )


def drawn(place: Place, what: str, length: int) -> str:
    made = place.keys.drawn(f"bybit {what}", length)
    return "".join(LETTERS[byte % len(LETTERS)] for byte in made)
