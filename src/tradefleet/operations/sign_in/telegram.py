"""What Telegram says about who is there: login widget and Mini App, checked as it documents.

Both come through the user's own browser, so every field counts only if Telegram's hash over all of
them is right. Each is read once, a field that is there twice refuses it, and it is of one use.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import orjson

from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotSignedIn

LIFETIME = timedelta(minutes=5)
CLOCK_SKEW = timedelta(seconds=30)
FIELDS_MAX = 32
LENGTH_MAX = 8192
HASH_LENGTH = 64
NOT_FROM_TELEGRAM = "This does not come from Telegram, or is too old; open it in Telegram again."


@dataclass(frozen=True, slots=True)
class Telling:
    """Who Telegram says is there; mark tells one telling from every other."""

    telegram_id: int
    mark: str
    until: datetime


def read_widget(fields: Mapping[str, object], bot_token: Secret, now: datetime) -> Telling:
    """Return who signed in with the login widget; raise NotSignedIn for what is not Telegram's."""
    if len(fields) > FIELDS_MAX or not all(is_plain(value) for value in fields.values()):
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    said = {name: str(value) for name, value in fields.items()}
    key = hashlib.sha256(bot_token.reveal().encode()).digest()
    until = checked(said, key, now)
    return Telling(number_in(said.get("id", "")), said["hash"], until)


def read_mini_app(init_data: str, bot_token: Secret, now: datetime) -> Telling:
    """Return who opened the Mini App; raise NotSignedIn for what is not Telegram's."""
    if len(init_data) > LENGTH_MAX:
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    try:
        pairs = parse_qsl(
            init_data,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:
        raise NotSignedIn(NOT_FROM_TELEGRAM) from None
    said = dict(pairs)
    if len(said) != len(pairs):
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    key = hmac.digest(b"WebAppData", bot_token.reveal().encode(), "sha256")
    until = checked(said, key, now)
    return Telling(user_in(said.get("user", "")), said["hash"], until)


def checked(said: Mapping[str, str], key: bytes, now: datetime) -> datetime:
    """Return until when fields count whose hash is right; raise NotSignedIn."""
    hash = said.get("hash", "")
    lines = "\n".join(f"{name}={said[name]}" for name in sorted(said) if name != "hash")
    right = hmac.new(key, lines.encode("utf-8", "replace"), "sha256").hexdigest()
    shown = hash.encode("utf-8", "replace")
    if len(shown) != HASH_LENGTH or not hmac.compare_digest(shown, right.encode()):
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    age = now.timestamp() - number_in(said.get("auth_date", ""))
    if not -CLOCK_SKEW.total_seconds() <= age <= LIFETIME.total_seconds():
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    return now + LIFETIME + CLOCK_SKEW


def is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def number_in(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    return int(text)


def user_in(text: str) -> int:
    """Return the id in the JSON that says who the user is."""
    try:
        user = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotSignedIn(NOT_FROM_TELEGRAM) from None
    id = user.get("id") if isinstance(user, dict) else None
    if type(id) is not int or id <= 0:
        raise NotSignedIn(NOT_FROM_TELEGRAM)
    return id
