"""What a client asks for when he places an order: read, checked and put in the books' words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from venuesim.kraken.arguments import needed, number, time_ms, userref, word, words
from venuesim.kraken.errors import Error, Refused, bad
from venuesim.kraken.floor import Floor
from venuesim.kraken.names import Pair
from venuesim.kraken.wording import ORDER_TYPES, sentence
from venuesim.orders import Lifetime, NewOrder, Side

DEADLINE_LEAST_MS = 2_000
DEADLINE_LEAST_ON_STREAM_MS = 500
DEADLINE_MOST_MS = 60_000
FREE_TEXT_MAX = 18
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
LIFETIMES = {"GTC": Lifetime.GTC, "IOC": Lifetime.IOC}
FLAGS = {"post", "fcib", "fciq", "nompp", "viqc"}
TRIGGERS = ("last", "index")
# What a spot order without margin, schedule or hidden parts must not ask for.
NOT_HERE = {
    "leverage": {"", "none", "0", "1"},
    "displayvol": {"", "0"},
    "starttm": {"", "0"},
    "expiretm": {"", "0"},
    "close[ordertype]": {""},
}

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Wish:
    """An order as it is to be placed; deadline: until when, if the client said so."""

    pair: Pair
    request: NewOrder
    deadline_ms: int | None = None

    @property
    def words(self) -> str:
        volume = self.request.quantity or self.request.quote_quantity
        return sentence(self.request, volume, self.pair)


def read(
    floor: Floor, values: Values, *, name: str = "", least_ms: int = DEADLINE_LEAST_MS
) -> Wish:
    """Return the order a client asks for; Refused when it is none. name: of the pair."""
    pair = floor.names.find(name or needed(values, "pair"))
    for argument, harmless in NOT_HERE.items():
        if word(values, argument).lower() not in harmless:
            raise bad(argument)
    if "close" in values:
        raise bad("close[ordertype]")
    flags = _flags(values)
    request = NewOrder(
        symbol=pair.symbol,
        side=_side(values),
        kind=ORDER_TYPES[_ordertype(values)],
        client_id=client_id(values),
        lifetime=_lifetime(values),
        post_only="post" in flags,
        tags=_tags(values, flags),
    )
    request = _with_volume(_with_prices(request, values, pair), values, pair, flags)
    return Wish(pair, request, deadline(floor, values, least_ms))


def _side(values: Values) -> Side:
    try:
        return Side(needed(values, "type"))
    except ValueError as error:
        raise bad("type") from error


def _ordertype(values: Values) -> str:
    kind = needed(values, "ordertype")
    if kind not in ORDER_TYPES:
        raise bad("ordertype")
    return kind


def _lifetime(values: Values) -> Lifetime:
    found = LIFETIMES.get(word(values, "timeinforce", "GTC").upper())
    if found is None:
        raise bad("timeinforce")
    return found


def _flags(values: Values) -> list[str]:
    flags = words(values, "oflags")
    if set(flags) - FLAGS or {"fcib", "fciq"} <= set(flags):
        raise bad("oflags")
    if "post" in flags and _ordertype(values) != "limit":
        raise bad("oflags")
    buys_market = _ordertype(values) == "market" and word(values, "type") == "buy"
    if "viqc" in flags and not buys_market:
        raise bad("oflags")
    return flags


def _tags(values: Values, flags: list[str]) -> dict[str, str]:
    reference = userref(values)
    fee_flag = "fcib" if "fcib" in flags else "fciq"
    shown = [fee_flag, *(flag for flag in flags if flag in ("post", "viqc", "nompp"))]
    tags = {
        "ordertype": _ordertype(values),
        "oflags": ",".join(shown),
        "timeinforce": word(values, "timeinforce", "GTC").upper(),
    }
    if fee_flag == "fcib":
        tags["fee_from"] = "base"
    if reference is not None:
        tags["userref"] = str(reference)
    if ORDER_TYPES[tags["ordertype"]].triggers:
        tags["trigger"] = word(values, "trigger", "last")
        if tags["trigger"] not in TRIGGERS:
            raise bad("trigger")
    elif word(values, "trigger"):
        raise bad("trigger")
    return tags


def client_id(values: Values) -> str:
    """Return the client's name for an order: a UUID, 32 hex digits, or up to 18 characters."""
    text = word(values, "cl_ord_id")
    if not text:
        return ""
    free = len(text) <= FREE_TEXT_MAX and text.isascii() and text.isprintable()
    if not (UUID.fullmatch(text) or free):
        raise bad("cl_ord_id")
    if userref(values) is not None:
        raise bad("cl_ord_id")
    return text


def _with_prices(request: NewOrder, values: Values, pair: Pair) -> NewOrder:
    first, second = price(values, "price", pair), price(values, "price2", pair)
    kind = request.kind
    if kind.triggers:
        needed(values, "price")
        if kind.has_limit:
            needed(values, "price2")
        return replace(request, stop_price=first, price=second if kind.has_limit else 0)
    if kind.has_limit:
        needed(values, "price")
        return replace(request, price=first)
    return request


def price(values: Values, name: str, pair: Pair) -> int:
    """Return a price; Refused when it has too many decimals or is no price at all."""
    text = word(values, name)
    if not text or text == "0":
        return 0
    if text.endswith("%") or text[0] in "+-#":
        raise Refused(f"{Error.INVALID_PRICE}:{name} must be a price, not a distance")
    found = number(values, name)
    if found <= 0:
        raise bad(name)
    if found % 10 ** (8 - pair.price_decimals):
        raise Refused(
            f"{Error.INVALID_PRICE}:{pair.wsname} price can only be specified"
            f" up to {pair.price_decimals} decimals."
        )
    return found


def _with_volume(request: NewOrder, values: Values, pair: Pair, flags: list[str]) -> NewOrder:
    needed(values, "volume")
    volume = number(values, "volume")
    if volume <= 0:
        raise bad("volume")
    if "viqc" in flags:
        return replace(request, quote_quantity=volume)
    return replace(request, quantity=volume)


def deadline(floor: Floor, values: Values, least_ms: int = DEADLINE_LEAST_MS) -> int | None:
    """Return until when an order may reach the books; Refused when that is over or too far off."""
    at_ms = time_ms(values, "deadline")
    if at_ms is None:
        return None
    ahead = at_ms - floor.now_ms
    if ahead <= 0:
        raise Refused(Error.DEADLINE)
    if not least_ms <= ahead <= DEADLINE_MOST_MS:
        raise bad("deadline")
    return at_ms
