"""The way of every request to its handler, whichever socket it came by."""

from collections.abc import Mapping
from dataclasses import dataclass

from venuesim.binance.denials import Denied, refused
from venuesim.binance.filters import HALTED
from venuesim.binance.floor import Ask, Floor, Reply
from venuesim.binance.parameters import Parameters
from venuesim.binance.routes import Route
from venuesim.binance.signatures import SIGNING, named_key, signed_key
from venuesim.keys import Key
from venuesim.orders import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request before anything of it was looked at. payload: what the signature is of."""

    route: Route
    sent: Mapping[str, str]
    payload: str
    api_key: str
    ip: str
    sapi: bool = False


@dataclass(slots=True)
class Passage:
    """How far a request got: what is told of it even when it is refused."""

    key: Key | None = None


def in_maintenance(floor: Floor) -> bool:
    """Say whether the venue is down; where only markets are closed, it is not."""
    return bool(floor.place.maintenance) and floor.place.maintenance not in HALTED


def pass_through(floor: Floor, asked: Asked, passage: Passage) -> Reply:
    """Return the reply to a request; Denied when limits, key, signature or handler say no."""
    now, route, sent = floor.now_ms, asked.route, Parameters(asked.sent)
    weight = route.weight_of(sent)
    if floor.place.limits:
        floor.weights.charge(asked.ip, weight, now, sapi=asked.sapi)
    if in_maintenance(floor) and not asked.sapi:
        raise Denied(1, "System is under maintenance.", 503)
    knows = _knows(route)
    if not route.lenient and len(asked.sent) > len(knows):
        raise Denied(
            -1101,
            f"Too many parameters; expected '{len(knows)}' and received '{len(asked.sent)}'.",
        )
    if route.right:
        passage.key = _key(floor, asked, sent, now)
    if not route.lenient:
        read = sum(name in knows for name in asked.sent)
        if read < len(asked.sent):
            raise Denied(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) but was sent "
                f"'{len(asked.sent)}'.",
            )
    try:
        reply = route.handler(Ask(floor=floor, sent=sent, ip=asked.ip, now_ms=now, key=passage.key))
    except Refusal as refusal:
        raise refused(refusal) from None
    if route.free and floor.place.limits:
        floor.weights.give_back(asked.ip, weight, now)
    return reply


def _knows(route: Route) -> tuple[str, ...]:
    return route.takes + SIGNING if route.right and route.signs else route.takes


def _key(floor: Floor, asked: Asked, sent: Parameters, now_ms: int) -> Key:
    right = asked.route.right
    if not asked.route.signs:
        return named_key(floor, asked.api_key, asked.ip, right, now_ms)
    return signed_key(floor, asked.api_key, sent, asked.payload, asked.ip, right, now_ms)
