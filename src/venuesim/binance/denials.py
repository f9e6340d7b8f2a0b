"""What Binance answers when it refuses: codes, texts and HTTP statuses."""

from collections.abc import Mapping

from venuesim.orders import Reason, Refusal


class Denied(Exception):
    """The venue refuses a request; extra goes beside code and message in the body."""

    def __init__(
        self,
        code: int,
        text: str,
        status: int = 400,
        *,
        retry_after_ms: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status
        self.retry_after_ms = retry_after_ms  # from now
        self.extra = dict(extra or {})

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.text} | self.extra


# What the books refuse, as the venue says it; filters are refused before they are asked.
REFUSALS = {
    Reason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Reason.BAD_QUANTITY_STEP: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_TOO_SMALL: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_TOO_LARGE: (-1013, "Filter failure: LOT_SIZE"),
    Reason.BAD_PRICE_TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.NOTIONAL_TOO_SMALL: (-1013, "Filter failure: NOTIONAL"),
    Reason.INSUFFICIENT_BALANCE: (
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    Reason.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.WOULD_TRIGGER: (-2010, "Order would trigger immediately."),
    Reason.TOO_MANY_ORDERS: (-2010, "Filter failure: EXCHANGE_MAX_NUM_ORDERS"),
    Reason.NOT_FOUND: (-2011, "Unknown order sent."),
    Reason.NOT_LIVE: (-2011, "Unknown order sent."),
    Reason.NO_PRICE: (-2010, "Market is closed."),
    Reason.FOK_UNFILLED: (-2010, "Unsupported order combination"),
}


def refused(refusal: Refusal) -> Denied:
    return Denied(*REFUSALS[refusal.reason])


def missing(name: str) -> Denied:
    return Denied(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def neither(one: str, other: str) -> Denied:
    return Denied(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def unneeded(name: str) -> Denied:
    return Denied(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, legal: str) -> Denied:
    return Denied(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def not_valid(name: str) -> Denied:
    return Denied(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> Denied:
    return Denied(-1128, "Combination of optional parameters invalid.")


def filter_failure(name: str, code: int = -1013) -> Denied:
    return Denied(code, f"Filter failure: {name}")


def unknown_order() -> Denied:
    return Denied(-2011, "Unknown order sent.")


def rejected(text: str) -> Denied:
    return Denied(-2010, text)


def not_authorized(ip: str = "") -> Denied:
    """Return -2015; with the address it names where the call came from."""
    came_from = f", request ip: {ip}" if ip else "."
    return Denied(-2015, f"Invalid API-key, IP, or permissions for action{came_from}", status=401)
