"""Who signed a request, when, and whether that key may do it from there."""

import hmac
from collections.abc import Mapping
from hashlib import sha256

from venuesim.binance.denials import Denied, missing, not_authorized
from venuesim.binance.floor import Floor
from venuesim.binance.parameters import Parameters
from venuesim.keys import Key
from venuesim.units import UNITS

KEY_LENGTH = 64
WINDOW_MS = 5000
WINDOW_MAX_MS = 60_000
AHEAD_MS = 1000
SIGNING = ("signature", "timestamp", "recvWindow")


def payload_of(query: str, body: str) -> str:
    """Return what a REST request's signature is of: query and form, one after the other."""
    return _without_signature(query) + _without_signature(body)


def payload_of_call(params: Mapping[str, str]) -> str:
    """Return what a WebSocket request's signature is of: parameters by name."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _without_signature(raw: str) -> str:
    if "signature=" not in raw:
        return raw
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


def named_key(floor: Floor, api_key: str, ip: str, right: str, now_ms: int) -> Key:
    """Return the key a request names; Denied when it may not do this from there."""
    if len(api_key) != KEY_LENGTH or not api_key.isalnum():
        raise Denied(-2014, "API-key format invalid.", 401)
    key = floor.place.keys.find(api_key)
    if key is None or key.account not in floor.place.exchange.accounts:
        raise not_authorized()
    if key.ips and ip not in key.ips:
        raise not_authorized(ip)
    if right not in key.permissions or (right == "trade" and expired(key, now_ms)):
        raise not_authorized()
    return key


def expired(key: Key, now_ms: int) -> bool:
    """Say whether a key that is bound to no address has lost its right to trade."""
    return key.expires_ms is not None and now_ms >= key.expires_ms


def signed_key(
    floor: Floor, api_key: str, sent: Parameters, payload: str, ip: str, right: str, now_ms: int
) -> Key:
    """Return the key that signed a request in time."""
    if len(api_key) != KEY_LENGTH or not api_key.isalnum():
        raise Denied(-2014, "API-key format invalid.", 401)
    check_time(sent, now_ms)
    signature = sent.text("signature")
    key = floor.place.keys.find(api_key)
    if key is None:
        raise not_authorized()
    raw = payload.encode("utf-8", "surrogateescape")
    wanted = hmac.new(key.secret.encode(), raw, sha256).hexdigest().encode()
    if not hmac.compare_digest(wanted, signature.lower().encode("utf-8", "replace")):
        raise Denied(-1022, "Signature for this request is not valid.")
    return named_key(floor, api_key, ip, right, now_ms)


def check_time(sent: Parameters, now_ms: int) -> None:
    moment = sent.moment("timestamp")
    if moment is None:
        raise missing("timestamp")
    window = sent.amount("recvWindow") if sent.has("recvWindow") else WINDOW_MS * UNITS
    if window > WINDOW_MAX_MS * UNITS:
        raise Denied(
            -1102,
            f"'recvWindow' contains unexpected value. Cannot be greater than {WINDOW_MAX_MS}.",
        )
    if moment >= now_ms + AHEAD_MS:
        raise Denied(
            -1021,
            f"Timestamp for this request was {AHEAD_MS}ms ahead of the server's time.",
        )
    if (now_ms - moment) * UNITS > window:
        raise Denied(-1021, "Timestamp for this request is outside of the recvWindow.")
