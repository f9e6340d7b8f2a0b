"""Kraken spot: REST and WebSocket v2 as its public documents have them."""

from venuesim.kraken.desk import KrakenDesk, desk
from venuesim.kraken.keys import make_key
from venuesim.kraken.limits import INTERMEDIATE, PRO, STARTER, TIERS, Tier
from venuesim.kraken.listings import LISTINGS

__all__ = [
    "INTERMEDIATE",
    "LISTINGS",
    "PRO",
    "STARTER",
    "TIERS",
    "KrakenDesk",
    "Tier",
    "desk",
    "make_key",
]
