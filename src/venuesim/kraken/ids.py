"""Kraken's ids of orders, trades and ledger entries: OQCLML-BW3P3-BUCMWZ for a number."""

from base64 import b32decode, b32encode
from binascii import Error as NotBase32
from functools import lru_cache

SPACE = 2**80
# A step without a common divisor with the space, so that every number has an id of its own.
STEP = 0x9E37_79B9_7F4A_7C15_F39D
BACK = pow(STEP, -1, SPACE)
SHIFTS = {"O": 0x5151, "T": 0x7A3F, "L": 0x2C9B, "F": 0x3B05}
IDS_KEPT = 16_384
POSITION = "TKH2SE-M7IF5-CFI7LT"  # what Kraken names as the position of every spot trade


@lru_cache(maxsize=IDS_KEPT)
def made(kind: str, number: int) -> str:
    """Return the id of a kind (Order, Trade, Ledger entry, Funding) for a number."""
    mixed = (number + SHIFTS[kind]) * STEP % SPACE
    code = kind + b32encode(mixed.to_bytes(10)).decode()
    return f"{code[:6]}-{code[6:11]}-{code[11:]}"


def number_of(kind: str, text: str) -> int | None:
    """Return the number an id was made from, None for what is no such id."""
    code = text.replace("-", "")
    if len(text) != 19 or len(code) != 17 or text != f"{code[:6]}-{code[6:11]}-{code[11:]}":
        return None
    if code[0] != kind:
        return None
    try:
        mixed = int.from_bytes(b32decode(code[1:]))
    except NotBase32:
        return None
    return (mixed * BACK - SHIFTS[kind]) % SPACE


def order_id(number: int) -> str:
    return made("O", number)


def trade_id(number: int) -> str:
    return made("T", number)


def ledger_id(number: int) -> str:
    return made("L", number)
