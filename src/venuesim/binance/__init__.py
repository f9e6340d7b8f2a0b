"""Binance spot: a simulated venue that speaks its protocol."""

from collections.abc import Iterable, Sequence

from venuesim.binance.desk import BinanceDesk
from venuesim.binance.floor import word
from venuesim.keys import Key
from venuesim.wire import Desk, Place

__all__ = ["desk", "make_key"]

KEY_LENGTH = 64
DAY_MS = 86_400_000
DAYS = 90  # that a key may trade which is bound to no address


def desk(place: Place) -> Desk:
    """Return the protocol over a place's books."""
    return BinanceDesk(place)


def make_key(
    place: Place, account: str, permissions: Iterable[str], ips: Sequence[str] = ()
) -> Key:
    """Return a new key of an account, which is opened if it is new.

    permissions: read, trade, withdraw, transfer.
    """
    place.exchange.open_account(account)
    now = place.clock.now_ms()
    return place.keys.add(
        Key(
            api_key=word(place.keys.drawn("binance key", KEY_LENGTH), KEY_LENGTH),
            secret=word(place.keys.drawn("binance secret", KEY_LENGTH), KEY_LENGTH),
            account=account,
            permissions=set(permissions),
            ips=tuple(ips),
            created_ms=now,
            expires_ms=None if ips else now + DAYS * DAY_MS,
        )
    )
