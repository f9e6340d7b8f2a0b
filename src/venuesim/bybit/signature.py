"""Whose request it is: the X-BAPI headers of REST and the auth message of the streams."""

import hmac

from venuesim.bybit.errors import Refused
from venuesim.keys import Key
from venuesim.wire import Call, Place

WINDOW_MS = 5000  # when the client names none
AHEAD_MS = 1000
NO_TRADING = "no_trading"  # the maintenance in which orders are refused and all else is served
HEADERS = ("x-bapi-api-key", "x-bapi-timestamp", "x-bapi-sign")


class Unsigned(Exception):
    """Headers of a private request are missing; answered with an empty HTTP 401."""


def signed(secret: str, text: str) -> str:
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def same(expected: str, sign: str) -> bool:
    return hmac.compare_digest(expected.encode(), sign.lower().encode())


def key_of(place: Place, call: Call) -> Key:
    """Return the key a request is signed with; Refused when it may not be used so."""
    api_key, timestamp, sign = (call.headers.get(name, "") for name in HEADERS)
    if not (api_key and timestamp and sign):
        raise Unsigned
    window = call.headers.get("x-bapi-recv-window", "") or str(WINDOW_MS)
    key = usable(place, api_key, call.ip)
    check_time(place, timestamp, window)
    payload = call.query if call.method == "GET" else call.body.decode(errors="replace")
    origin = f"{timestamp}{api_key}{window}{payload}"
    if not same(signed(key.secret, origin), sign):
        raise Refused(10004, origin)
    return key


def usable(place: Place, api_key: str, ip: str) -> Key:
    """Return a key that exists, is not expired and may be used from an address."""
    key = place.keys.find(api_key)
    if key is None:
        raise Refused(10003)
    if key.expires_ms is not None and key.expires_ms <= place.clock.now_ms():
        raise Refused(33004)
    if key.ips and ip not in key.ips:
        raise Refused(10010)
    return key


def open_for_keys(place: Place) -> None:
    """Refuse every private request in a maintenance that is not of orders alone."""
    if place.maintenance not in ("", NO_TRADING):
        raise Refused(10016)


def check_time(place: Place, timestamp: str, window: str) -> None:
    now = place.clock.now_ms()
    if not (timestamp.isdecimal() and window.isdecimal()):
        raise Refused(10001, text="params error: timestamp or recv_window invalid")
    if not now - int(window) <= int(timestamp) < now + AHEAD_MS:
        raise Refused(10002, timestamp, now, window)


def key_of_stream(place: Place, args: object, ip: str) -> Key:
    """Return the key of an auth message [key, expires, signature]; Refused otherwise."""
    if not isinstance(args, list) or len(args) != 3:
        raise Refused(10001, text="Params Error")
    api_key, expires, sign = (str(word) for word in args)
    if not expires.isdecimal() or int(expires) <= place.clock.now_ms():
        raise Refused(10001, text="Params Error")
    key = usable(place, api_key, ip)
    if not same(signed(key.secret, f"GET/realtime{expires}"), sign):
        raise Refused(10004, text="Invalid sign")
    return key
