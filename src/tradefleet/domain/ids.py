"""Names for identifiers, and the one way an order gets its name."""

import hmac
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", str)
AccountId = NewType("AccountId", str)
BotId = NewType("BotId", str)
OrderId = NewType("OrderId", str)  # ours, sent to the venue as its client order id
FillId = NewType("FillId", str)  # the venue's trade id; unique per venue account


def client_order_id(key: bytes, user: UserId, account: AccountId, bot: BotId, seq: int) -> OrderId:
    """Return the name of a bot's seq-th order: 32 lower-case hex, legal on every venue.

    A keyed hash of what the order is: the same after any crash, telling nothing about the user.
    """
    raw = hmac.digest(key, f"1|{user}|{account}|{bot}|{seq}".encode(), "sha256")[:16]
    return OrderId(UUID(bytes=raw, version=5).hex)
