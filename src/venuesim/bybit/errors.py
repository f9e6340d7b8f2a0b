"""What Bybit says no with: its codes and texts, and which reason of the books each answers."""

from venuesim.orders import Reason, Refusal

TEXTS = {
    10000: "Server Timeout",
    10001: "Request parameter error.",
    10002: (
        "invalid request, please check your server timestamp or recv_window param. "
        "req_timestamp[{}],server_timestamp[{}],recv_window[{}]"
    ),
    10003: "API key is invalid.",
    10004: "error sign! origin_string[{}]",
    10005: "Permission denied, please check your API key permissions.",
    10006: "Too many visits!",
    10010: "Unmatched IP, please check your API key's bound IP addresses.",
    10016: "Server error.",
    10404: "op type is not found",
    20001: "Repeat auth",
    20006: "reqId is duplicated",
    33004: "Your api key has expired.",
    110066: "Trading is currently not allowed.",
    131001: "openapi svc error",
    170036: (
        "You haven't enabled Cross Margin Trading yet. "
        "To do so, please head to the PC trading site or the Bybit app"
    ),
    170115: "Invalid timeInForce.",
    170116: "Invalid orderType.",
    170117: "Invalid side.",
    170121: "Invalid symbol.",
    170124: "Order amount too large.",
    170130: "Data sent for paramter '{}' is not valid.",
    170131: "Insufficient balance.",
    170134: "Order price has too many decimals.",
    170136: "Order quantity lower than the minimum.",
    170137: "Order quantity has too many decimals.",
    170140: "Order value exceeded lower limit.",
    170141: "Duplicate clientOrderId.",
    170148: "Market order amount decimal too long",
    170149: "Create order failed.",
    170151: "The trading pair is not open yet.",
    170193: "Buy order price cannot be higher than {}.",
    170194: "Sell order price cannot be lower than {}.",
    170201: "Invalid orderFilter parameter.",
    170202: "Please enter the TP/SL price.",
    170213: "Order does not exist.",
    170218: "The LIMIT-MAKER order is rejected due to invalid price.",
    170227: "This feature is not supported.",
    170313: "The modified contract quantity cannot be less than to the filled quantity",
    170355: "RPI orders are restricted to approved market makers only",
    170810: "Cannot exceed maximum of 500 conditional, TP/SL and active orders.",
}

MISSING = "Missing some parameters that must be filled in, please check again"
TOO_LONG = "The time range between startTime and endTime cannot exceed 7 days"
TOO_OLD = "Can't query order earlier than 2 years"

REASONS = {
    Reason.UNKNOWN_SYMBOL: 170121,
    Reason.BAD_QUANTITY_STEP: 170137,
    Reason.BAD_PRICE_TICK: 170134,
    Reason.QUANTITY_TOO_SMALL: 170136,
    Reason.QUANTITY_TOO_LARGE: 170124,
    Reason.NOTIONAL_TOO_SMALL: 170140,
    Reason.INSUFFICIENT_BALANCE: 170131,
    Reason.DUPLICATE_CLIENT_ID: 170141,
    Reason.TOO_MANY_ORDERS: 170810,
    Reason.NOT_FOUND: 170213,
    Reason.NOT_LIVE: 170213,
    Reason.NO_PRICE: 170151,
    Reason.WOULD_TRIGGER: 170130,
    Reason.WOULD_TAKE: 170218,  # on amending; a new order is accepted and rejected later
    Reason.FOK_UNFILLED: 170149,  # never said: a new order is accepted and cancelled later
}

# Orders that are accepted and then end at once: (orderStatus, rejectReason).
LATE = {
    Reason.WOULD_TAKE.value: ("Rejected", "EC_PostOnlyWillTakeLiquidity"),
    Reason.FOK_UNFILLED.value: ("Cancelled", "EC_CancelForNoFullFill"),
    Reason.INSUFFICIENT_BALANCE.value: ("Rejected", "EC_Others"),
}


class Refused(Exception):
    """The venue's answer to a request is this code and text, with HTTP status 200."""

    def __init__(self, code: int, *details: object, text: str = "") -> None:
        self.code = code
        self.text = text or TEXTS[code].format(*details)
        super().__init__(f"{code} {self.text}")


def refused(refusal: Refusal) -> Refused:
    """Return the books' refusal in this venue's words."""
    code = REASONS[refusal.reason]
    return Refused(code, "triggerPrice") if code == 170130 else Refused(code)
