"""Names for identifiers, and the one way an order gets its name."""

import hmac
from typing import NewType

UserId = NewType("UserId", str)
AccountId = NewType("AccountId", str)
BotId = NewType("BotId", str)
OrderId = NewType("OrderId", str)  # ours, sent to the venue as its client order id
FillId = NewType("FillId", str)  # the venue's trade id; unique per venue account


def client_order_id(key: bytes, user: UserId, account: AccountId, bot: BotId, seq: int) -> OrderId:
    """Return the name of a bot's seq-th order: 32 lower-case hex, legal on every venue.

    A keyed hash of what the order is: the same after any crash, telling nothing about the user.
    """
    named = hmac.digest(key, f"1|{user}|{account}|{bot}|{seq}".encode(), "sha256").hex()
    variant = "89ab"[int(named[16], 16) & 3]  # the bits that make it a UUID of version 5
    return OrderId(f"{named[:12]}5{named[13:16]}{variant}{named[17:32]}")
