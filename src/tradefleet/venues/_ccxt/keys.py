"""What to do about a key that a venue refuses, in words for its owner."""

import re

from tradefleet.domain.credentials import Credentials, KeyFault
from tradefleet.venues._ccxt.calls import Said

IN_ONE_WORD = re.compile(r"[!-~]+")
CURES = {
    KeyFault.INVALID: (
        "{title} does not accept this key. Copy it again, see that it still exists and that it "
        "is for this environment (live or testnet), and that this server's address is allowed."
    ),
    KeyFault.SIGNATURE: (
        "{title} knows this key, but the secret does not fit. Copy the secret again, whole; it "
        "is shown only once, so make a new key if it is lost."
    ),
    KeyFault.WRONG_MODE: (
        "This key belongs to the other environment of {title}. Connect it there (live or "
        "testnet), or make a key here."
    ),
    KeyFault.PERMISSION: (
        "{title} says that this key lacks a right. Switch on reading and spot trading for it."
    ),
    KeyFault.ADDRESS: (
        "{title} does not allow this key from our address. Add this server's address to the "
        "key's list, or lift the restriction."
    ),
    KeyFault.EXPIRED: "This key of {title} has expired. Make a new one and connect it.",
    KeyFault.CLOCK: (
        "This server's clock and {title}'s differ too much. The operator must set the clock "
        "(NTP); the key may be good."
    ),
    KeyFault.RATE_LIMIT: "{title} says we ask too much just now. Try again in a few minutes.",
    KeyFault.NETWORK: "{title} cannot be reached from here just now. Try again in a minute.",
    KeyFault.MAINTENANCE: "{title} is down for maintenance. Try again when it is back.",
}


def is_usable(credentials: Credentials) -> bool:
    """Say whether a key can be written into a request at all: no spaces, no line breaks."""
    key, secret = credentials.api_key.reveal(), credentials.api_secret.reveal()
    return bool(secret) and bool(IN_ONE_WORD.fullmatch(key))


def cure(title: str, fault: KeyFault, said: Said | None = None) -> str:
    """Return what to do about a fault, with what the venue said about it."""
    text = CURES[fault].format(title=title)
    return f"{text} ({title} said: {said})" if said is not None else text
