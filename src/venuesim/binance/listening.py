"""Listen keys: how accounts were heard before the WebSocket API.

The venue retired them in February 2026; they stay here for clients that still ask.
"""

from venuesim.binance.denials import Denied
from venuesim.binance.floor import Ask, Floor, ListenKey, Reply

LASTS_MS = 3_600_000


def live_key(floor: Floor, name: str) -> ListenKey | None:
    """Return a listen key that is not over, and whose API key was not taken away."""
    known = floor.listen_keys.get(name)
    if known is None or known.expires_ms <= floor.now_ms:
        return None
    return known if floor.place.keys.find(known.api_key) is not None else None


def begin(ask: Ask) -> Reply:
    """Return the account's listen key, a new one if it has none."""
    floor, key = ask.floor, ask.signed_by
    for known in floor.listen_keys.values():
        if known.account == key.account and live_key(floor, known.key):
            known.expires_ms = ask.now_ms + LASTS_MS
            return Reply(body={"listenKey": known.key})
    made = ListenKey(floor.drawn_word(64), key.account, key.api_key, ask.now_ms + LASTS_MS)
    floor.listen_keys[made.key] = made
    return Reply(body={"listenKey": made.key})


def keep(ask: Ask) -> Reply:
    _own(ask).expires_ms = ask.now_ms + LASTS_MS
    return Reply(body={})


def end(ask: Ask) -> Reply:
    _own(ask).expires_ms = 0
    return Reply(body={})


def _own(ask: Ask) -> ListenKey:
    known = live_key(ask.floor, ask.sent.text("listenKey"))
    if known is None or known.account != ask.signed_by.account:
        raise Denied(-1125, "This listenKey does not exist.")
    return known
