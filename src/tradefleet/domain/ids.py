"""Names for identifiers, and the one way an order gets its name."""

import hmac
from functools import lru_cache
from typing import NewType

KEYS_KEPT = 8
VARIANTS = {digit: "89ab"[number & 3] for number, digit in enumerate("0123456789abcdef")}

UserId = NewType("UserId", str)
AccountId = NewType("AccountId", str)
BotId = NewType("BotId", str)
UniverseId = NewType("UniverseId", str)
OrderId = NewType("OrderId", str)  # ours, sent to the venue as its client order id
FillId = NewType("FillId", str)  # the venue's trade id; unique per venue account


def client_order_id(key: bytes, user: UserId, account: AccountId, bot: BotId, seq: int) -> OrderId:
    """Return the name of a bot's seq-th order: 32 lower-case hex, legal on every venue.

    A keyed hash of what the order is: the same after any crash, telling nothing about the user.
    """
    keyed = _keyed(key).copy()  # costs half of beginning with the key each time
    keyed.update(f"1|{user}|{account}|{bot}|{seq}".encode())
    named = keyed.hexdigest()
    variant = VARIANTS[named[16]]  # the bits that make it a UUID of version 5
    return OrderId(f"{named[:12]}5{named[13:16]}{variant}{named[17:32]}")


@lru_cache(KEYS_KEPT)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")
