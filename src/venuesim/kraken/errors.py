"""What Kraken says no with, word for word."""

from enum import StrEnum

from venuesim.orders import Reason, Refusal


class Error(StrEnum):
    INVALID_KEY = "EAPI:Invalid key"
    INVALID_SIGNATURE = "EAPI:Invalid signature"
    INVALID_NONCE = "EAPI:Invalid nonce"
    CALL_RATE = "EAPI:Rate limit exceeded"
    TOO_MANY_REQUESTS = "EGeneral:Too many requests"
    LOCKED_OUT = "EGeneral:Temporary lockout"
    PERMISSION_DENIED = "EGeneral:Permission denied"
    UNKNOWN_METHOD = "EGeneral:Unknown method"
    INVALID_ARGUMENTS = "EGeneral:Invalid arguments"
    INTERNAL = "EGeneral:Internal error"
    NOT_UNIQUE = "EGeneral:Invalid arguments:cl_ord_id not unique"
    INSUFFICIENT_FUNDS = "EOrder:Insufficient funds"
    ORDER_MINIMUM = "EOrder:Order minimum not met"
    COST_MINIMUM = "EOrder:Cost minimum not met"
    TICK_SIZE = "EOrder:Tick size check failed"
    INVALID_PRICE = "EOrder:Invalid price"
    INVALID_ORDER = "EOrder:Invalid order"
    UNKNOWN_ORDER = "EOrder:Unknown order"
    POST_ONLY = "EOrder:Post only order"
    ORDER_RATE = "EOrder:Rate limit exceeded"
    TOO_MANY_ORDERS = "EOrder:Orders limit exceeded"
    UNKNOWN_PAIR = "EQuery:Unknown asset pair"
    UNKNOWN_ASSET = "EQuery:Unknown asset"
    UNAVAILABLE = "EService:Unavailable"
    BUSY = "EService:Busy"
    TIMEOUT = "EService:Timeout"
    DEADLINE = "EService:Deadline elapsed"
    CANCEL_ONLY = "EService:Market in cancel_only mode"
    LIMIT_ONLY = "EService:Market in limit_only mode"
    POST_ONLY_MODE = "EService:Market in post_only mode"
    # of streams
    INVALID_SESSION = "ESession:Invalid session"
    NO_PERMISSION = "EAccount:Invalid permissions"


BY_REASON = {
    Reason.UNKNOWN_SYMBOL: Error.UNKNOWN_PAIR,
    Reason.BAD_PRICE_TICK: Error.TICK_SIZE,
    Reason.QUANTITY_TOO_SMALL: Error.ORDER_MINIMUM,
    Reason.NOTIONAL_TOO_SMALL: Error.COST_MINIMUM,
    Reason.INSUFFICIENT_BALANCE: Error.INSUFFICIENT_FUNDS,
    Reason.DUPLICATE_CLIENT_ID: Error.NOT_UNIQUE,
    Reason.WOULD_TAKE: Error.POST_ONLY,
    Reason.TOO_MANY_ORDERS: Error.TOO_MANY_ORDERS,
    Reason.NOT_FOUND: Error.UNKNOWN_ORDER,
    Reason.NOT_LIVE: Error.UNKNOWN_ORDER,
    Reason.NO_PRICE: Error.UNAVAILABLE,
    Reason.WOULD_TRIGGER: Error.INVALID_PRICE,
    Reason.FOK_UNFILLED: Error.INVALID_ORDER,
    Reason.BAD_QUANTITY_STEP: f"{Error.INVALID_ARGUMENTS}:volume",
    Reason.QUANTITY_TOO_LARGE: f"{Error.INVALID_ARGUMENTS}:volume",
}


class Refused(Exception):
    """Kraken answers with this error and has done nothing."""

    def __init__(self, error: str) -> None:
        super().__init__(str(error))
        self.error = str(error)


def bad(argument: str) -> Refused:
    """Refuse an argument by its name."""
    return Refused(f"{Error.INVALID_ARGUMENTS}:{argument}")


def of_books(refusal: Refusal) -> Refused:
    """Say in Kraken's words why the books refuse."""
    return Refused(BY_REASON[refusal.reason])
