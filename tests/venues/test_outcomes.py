"""What each venue's answers prove, body by body."""

import json
from itertools import count

import pytest

from tradefleet.domain.credentials import KeyFault
from tradefleet.venues._ccxt.calls import Done, Garbled, Said
from tradefleet.venues._ccxt.outcomes import (
    BINANCE,
    BYBIT,
    KRAKEN,
    created_binance,
    created_bybit,
    created_kraken,
    read_binance,
    read_bybit,
    read_kraken,
)
from tradefleet.venues._ccxt.wire import Answer

ID = "0f" * 16
HTML = b"<html>\r\n<head><title>Just a moment...</title></head>\r\n<body></body>\r\n</html>\r\n"
READERS = {"binance": read_binance, "bybit": read_bybit, "kraken": read_kraken}
CREATED = {"binance": created_binance, "bybit": created_bybit, "kraken": created_kraken}
names = count(1)


def verdict(venue: str, status: int, body: bytes) -> str:
    """Say what the answer to an order proves: taken, refused or unknown."""
    outcome = READERS[venue](Answer(status, {}, body))
    match outcome:
        case Done(payload):
            try:
                return "taken" if CREATED[venue](payload, ID, "BTCUSDT") else "unknown"
            except (LookupError, TypeError, ValueError, AttributeError):
                return "unknown"
        case Said(refused=True):
            return "refused"
        case _:
            return "unknown"


def error(venue: str, code: str, text: str) -> bytes:
    match venue:
        case "binance":
            return json.dumps({"code": int(code), "msg": text}).encode()
        case "bybit":
            said = {"retCode": int(code), "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1}
            return json.dumps(said).encode()
        case _:
            return json.dumps({"error": [code]}).encode()


# ---- what proves that the order was taken

TAKEN = {
    "binance": {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": ID,
        "transactTime": 1507725176595,
    },
    "bybit": {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"orderId": "1321003749386327552", "orderLinkId": ID},
        "retExtInfo": {},
        "time": 1672211918471,
    },
    "kraken": {
        "error": [],
        "result": {
            "descr": {"order": "buy 0.01 XBTUSDT @ market"},
            "txid": ["OUF4EM-FRGI2-MQMWZD"],
        },
    },
}


@pytest.mark.parametrize("venue", TAKEN)
def test_a_whole_answer_with_an_id_proves_that_the_order_was_taken(venue):
    body = json.dumps(TAKEN[venue]).encode()
    assert verdict(venue, 200, body) == "taken"
    assert verdict(venue, 201, body) == "unknown"


def test_the_id_is_the_venues_own():
    assert created_binance(TAKEN["binance"], ID, "BTCUSDT") == "28"
    assert created_bybit(TAKEN["bybit"]["result"], ID, "BTCUSDT") == "1321003749386327552"
    assert created_kraken(TAKEN["kraken"]["result"], ID, "BTCUSDT") == "OUF4EM-FRGI2-MQMWZD"


def without(venue: str, **changes: object) -> bytes:
    """The answer of an order that was taken, but for some of its fields; None leaves one out."""
    told = json.loads(json.dumps(TAKEN[venue]))
    inner = told if venue == "binance" else told["result"]
    for name, value in changes.items():
        if value is None:
            inner.pop(name)
        else:
            inner[name] = json.loads(str(value))
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("venue", "body"),
    [
        ("binance", without("binance", orderId="null")),
        ("binance", without("binance", orderId=None)),
        ("binance", without("binance", orderId='""')),
        ("binance", without("binance", orderId="0")),
        ("binance", without("binance", orderId="-1")),
        ("binance", without("binance", orderId="true")),
        ("binance", without("binance", orderId="28.5")),
        ("binance", without("binance", clientOrderId='"another"')),
        ("binance", without("binance", clientOrderId=None)),
        ("binance", without("binance", symbol='"ETHUSDT"')),
        ("binance", without("binance", symbol=None)),
        ("bybit", without("bybit", orderId="null")),
        ("bybit", without("bybit", orderId=None)),
        ("bybit", without("bybit", orderId='""')),
        ("bybit", without("bybit", orderId="7")),
        ("bybit", without("bybit", orderLinkId='""')),
        ("bybit", without("bybit", orderLinkId='"another"')),
        ("bybit", without("bybit", orderLinkId=None)),
        ("bybit", b'{"retCode":0,"retMsg":"OK","result":null}'),
        ("bybit", b'{"retCode":0,"retMsg":"OK"}'),
        ("bybit", b'{"retCode":0,"retMsg":"OK","result":[]}'),
        ("bybit", b'{"retCode":"0","retMsg":"OK","result":{"orderId":"1"}}'),
        ("bybit", b'{"retCode":0,"result":{"orderId":"1"}}'),
        ("kraken", without("kraken", txid="null")),
        ("kraken", without("kraken", txid=None)),
        ("kraken", without("kraken", txid="[]")),
        ("kraken", without("kraken", txid='[""]')),
        ("kraken", without("kraken", txid="[null]")),
        ("kraken", without("kraken", txid='["OA","OB"]')),
        ("kraken", without("kraken", txid="7")),
        ("kraken", b'{"error":[],"result":null}'),
        ("kraken", b'{"error":[]}'),
        ("kraken", b'{"error":null,"result":{"txid":["OA"]}}'),
        ("kraken", b'{"result":{"txid":["OA"]}}'),
        ("kraken", b'{"error":[7],"result":{"txid":["OA"]}}'),
    ],
)
def test_an_answer_without_the_orders_own_id_proves_nothing(venue, body):
    assert verdict(venue, 200, body) == "unknown"


# ---- what never proves anything, whatever it says

SHAPES = {
    "empty": b"",
    "blank": b"  \n",
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "number": b"7",
    "text": b'"OK"',
    "html": HTML,
    "truncated": b'{"symbol":"BTCUSDT","orderId":28,"clien',
    "no JSON": b"upstream connect error or disconnect/reset before headers",
    "not UTF-8": b'{"code":-2010,"msg":"\xff\xfe"}',
}


@pytest.mark.parametrize("status", [200, 400, 403, 502])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("venue", READERS)
def test_a_body_that_is_not_the_venues_proves_nothing(venue, shape, status):
    assert verdict(venue, status, SHAPES[shape]) == "unknown"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 523, 524, 529])
@pytest.mark.parametrize("venue", READERS)
def test_a_server_in_trouble_proves_nothing_not_even_by_a_listed_code(venue, status):
    listed = {"binance": "-2010", "bybit": "170131", "kraken": "EOrder:Insufficient funds"}
    assert verdict(venue, status, HTML) == "unknown"
    assert verdict(venue, status, error(venue, listed[venue], "no")) == "unknown"
    assert verdict(venue, status, json.dumps(TAKEN[venue]).encode()) == "unknown"


@pytest.mark.parametrize("venue", READERS)
def test_every_beginning_of_an_answer_proves_nothing(venue):
    whole = json.dumps(TAKEN[venue]).encode()
    assert {verdict(venue, 200, whole[:length]) for length in range(len(whole))} == {"unknown"}


# ---- Binance, code by code

BINANCE_REFUSED = {
    -1003: (429, "Too much request weight used; current limit is 6000 per 1 MINUTE."),
    -1013: (400, "Filter failure: NOTIONAL"),
    -1014: (400, "Unsupported order combination."),
    -1015: (429, "Too many new orders; current limit is 50 orders per 10 SECOND."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -1022: (400, "Signature for this request is not valid."),
    -1100: (400, "Illegal characters found in parameter 'quantity'; legal range is '^([0-9]*)$'."),
    -1101: (400, "Too many parameters; expected '5' and received '6'."),
    -1102: (400, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
    -1103: (400, "An unknown parameter was sent."),
    -1104: (400, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'."),
    -1105: (400, "Parameter 'symbol' was empty."),
    -1106: (400, "Parameter 'timeInForce' sent when not required."),
    -1108: (400, "Parameter 'quantity' overflowed."),
    -1111: (400, "Parameter 'quantity' has too much precision."),
    -1112: (400, "No orders on book for symbol."),
    -1114: (400, "TimeInForce parameter sent when not required."),
    -1115: (400, "Invalid timeInForce."),
    -1116: (400, "Invalid orderType."),
    -1117: (400, "Invalid side."),
    -1118: (400, "New client order ID was empty."),
    -1119: (400, "Original client order ID was empty."),
    -1120: (400, "Invalid interval."),
    -1121: (400, "Invalid symbol."),
    -1122: (400, "Invalid symbolStatus."),
    -1125: (400, "This listenKey does not exist."),
    -1127: (400, "More than 24 hours between startTime and endTime."),
    -1128: (400, "Combination of optional parameters invalid."),
    -1130: (400, "Data sent for parameter 'type' is not valid."),
    -2008: (401, "Invalid Api-Key ID."),
    -2010: (400, "Account has insufficient balance for requested action."),
    -2014: (401, "API-key format invalid."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
}  # fmt: skip
BINANCE_UNKNOWN = {
    -1000: (400, "An unknown error occurred while processing the request."),
    -1001: (400, "Internal error; unable to process your request. Please try again."),
    -1002: (401, "You are not authorized to execute this request."),
    -1006: (400, "An unexpected response was received from the message bus."),
    -1007: (400, "Timeout waiting for response from backend server. Send status unknown."),
    -1008: (503, "Server is currently overloaded with other requests."),
    -1010: (400, "Unsupported order combination"),
    -1016: (503, "This service is no longer available."),
    -1020: (400, "This operation is not supported."),
    -1034: (429, "Too many concurrent connections; current limit is '10'."),
    -1131: (400, "recvWindow must be less than 60000."),
    -1134: (400, "strategyType was less than 1000000."),
    -1135: (400, "Invalid JSON Request"),
    -1145: (400, "Invalid cancelRestrictions"),
    -1220: (400, "The symbol's status does not match the requested symbolStatus."),
    -2011: (400, "Unknown order sent."),
    -2013: (400, "Order does not exist."),
    -2016: (400, "No trading window could be found for the symbol."),
    -2021: (409, "Order cancel-replace partially failed."),
    -2022: (400, "Order cancel-replace failed."),
    -2026: (400, "Order was canceled or expired with no executed qty over 90 days ago."),
    -2038: (400, "The requested action would change no state; rejecting"),
    -2043: (400, "This symbol doesn't have a reference price."),
    -2039: (400, "Client order ID is not correct for this order ID."),
    -9999: (400, "A code of next year."),
}


@pytest.mark.parametrize("code", BINANCE_REFUSED)
def test_binance_proves_a_refusal(code):
    status, text = BINANCE_REFUSED[code]
    assert verdict("binance", status, error("binance", str(code), text)) == "refused"
    assert verdict("binance", 200, error("binance", str(code), text)) == "unknown"


@pytest.mark.parametrize("code", BINANCE_UNKNOWN)
def test_binance_proves_nothing(code):
    status, text = BINANCE_UNKNOWN[code]
    assert verdict("binance", status, error("binance", str(code), text)) == "unknown"


def test_every_listed_code_of_binance_is_refused_above_or_one_of_its_range():
    named = {str(code) for code in BINANCE_REFUSED}
    assert named <= BINANCE.refused
    assert all(-1130 <= int(code) <= -1100 for code in BINANCE.refused - named)


@pytest.mark.parametrize(
    ("text", "proves"),
    [
        ("Account has insufficient balance for requested action.", "refused"),
        ("Market is closed.", "refused"),
        ("Stop loss orders are not supported for this symbol.", "refused"),
        ("Order would trigger immediately.", "refused"),
        ("This action is disabled on this account.", "refused"),
        ("This symbol is not permitted for this account.", "refused"),
        ("Rest API trading is not enabled.", "refused"),
        ("Duplicate order sent.", "unknown"),
        ("DUPLICATE ORDER SENT", "unknown"),
    ],
)
def test_the_matching_engine_of_binance_refuses_except_what_it_has_already(text, proves):
    assert verdict("binance", 400, error("binance", "-2010", text)) == proves


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":1,"msg":"System is under maintenance."}',
        b'{"code":0,"msg":"success"}',
        b'{"code":"-2010","msg":"Account has insufficient balance for requested action."}',
        b'{"code":-2010}',
        b'{"code":-2010,"msg":null}',
        b'{"msg":"Account has insufficient balance for requested action."}',
        b'[{"code":-2010,"msg":"Account has insufficient balance"}]',
    ],
)
def test_an_error_of_binance_in_another_form_proves_nothing(body):
    assert verdict("binance", 400, body) == "unknown"


# ---- Bybit, code by code

BYBIT_REFUSED = [
    -2015, 10001, 10002, 10003, 10004, 10005, 10006, 10007, 10008, 10009, 10010, 10024, 10027,
    10028, 10029, 33004, 110003, 110004, 110007, 110009, 110012, 110020, 110066, 110094,
    170005, 170010, 170011, 170031, 170033, 170034, 170036, 170037, 170105, 170115, 170116,
    170117, 170121, 170124, 170130, 170131, 170132, 170133, 170134, 170136, 170137, 170140,
    170148, 170151, 170157, 170159, 170192, 170193, 170194, 170197, 170198, 170199, 170200,
    170201, 170202, 170203, 170204, 170206, 170209, 170215, 170216, 170217, 170218, 170219,
    170220, 170221, 170222, 170223, 170224, 170226, 170227, 170228, 170229, 170230, 170241,
    170341, 170344, 170348, 170355, 170358, 170359, 170371, 170372, 170381, 170382, 170709,
    170810,
]  # fmt: skip
BYBIT_UNKNOWN = {
    429: "The trading service is experiencing a high server load.",
    10000: "Server Timeout",
    10014: "Invalid duplicate request.",
    10016: "Server error.",
    10017: "Route not found.",
    10019: "ws trade service is restarting",
    10429: "System level frequency protection",
    110001: "Order does not exist",
    110008: "The order has been completed or cancelled.",
    110010: "The order has been cancelled",
    110030: "Duplicate orderId",
    110072: "OrderLinkedID is duplicate",
    110079: "The order is processing and can not be operated",
    170001: "Internal error.",
    170007: "Timeout waiting for response from backend server.",
    170032: "Network error. Please try again later",
    170035: "Submitted to the system for processing!",
    170139: "Order has been filled.",
    170141: "Duplicate clientOrderId",
    170142: "Order has been cancelled",
    170143: "Cannot be found on order book",
    170144: "Order has been locked",
    170145: "This order type does not support cancellation",
    170146: "Order creation timeout",
    170147: "Order cancellation timeout",
    170149: "Create order failed",
    170150: "Cancel order failed",
    170190: "Cancel order has been finished",
    170191: "Can not cancel order, please try again later",
    170195: "Please note that your order may not be filled.",
    170196: "Please note that your order may not be filled.",
    170212: "Cancel order request processing",
    170210: "New order rejected.",
    170213: "Order does not exist.",
    170234: "System Error",
    999999: "A code of next year.",
}


@pytest.mark.parametrize("code", BYBIT_REFUSED)
def test_bybit_proves_a_refusal(code):
    assert verdict("bybit", 200, error("bybit", str(code), "No.")) == "refused"


@pytest.mark.parametrize("code", BYBIT_UNKNOWN)
def test_bybit_proves_nothing(code):
    body = error("bybit", str(code), BYBIT_UNKNOWN[code])
    assert verdict("bybit", 200, body) == "unknown"


def test_every_listed_code_of_bybit_is_refused_above():
    assert {str(code) for code in BYBIT_REFUSED} == BYBIT.refused


def test_a_listed_code_of_bybit_about_a_duplicate_proves_nothing():
    assert verdict("bybit", 200, error("bybit", "10001", "Duplicate orderLinkId")) == "unknown"


# ---- Kraken, text by text

KRAKEN_REFUSED = [
    "EOrder:Insufficient funds",
    "EOrder:Order minimum not met",
    "EOrder:Cost minimum not met",
    "EOrder:Tick size check failed",
    "EOrder:Orders limit exceeded",
    "EOrder:Positions limit exceeded",
    "EOrder:Scheduled orders limit exceeded",
    "EOrder:Cannot open position",
    "EOrder:Cannot open opposing position",
    "EOrder:Margin allowance exceeded",
    "EOrder:Margin level too low",
    "EOrder:Margin position size exceeded",
    "EOrder:Insufficient margin",
    "EOrder:Trading agreement required",
    "EOrder:Domain rate limit exceeded",
    "EBM:limit exceeded",
    "EBM:limit exceeded:CAL",
    "EAPI:Feature disabled",
    "EAuth:Account temporary disabled",
    "EAuth:Account unconfirmed",
    "EAuth:Rate limit exceeded",
    "EAuth:Too many requests",
    "EOrder:Invalid price",
    "EOrder:Invalid price:Invalid price argument",
    "EOrder:Rate limit exceeded",
    "EAPI:Rate limit exceeded",
    "EGeneral:Rate limit exceeded",
    "EGeneral:Too many requests",
    "EGeneral:Invalid arguments",
    "EGeneral:Invalid arguments:volume",
    "EGeneral:Invalid arguments:price",
    "EGeneral:Permission denied",
    "EGeneral:Temporary lockout",
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EAPI:Invalid nonce",
    "EQuery:Unknown asset pair",
    "EQuery:Invalid asset pair",
    "EAccount:Invalid permissions",
    "EAccount:Invalid permissions:ACA trading restricted for US:TX.",
    "EService:Market in cancel_only mode",
    "EService:Market in limit_only mode",
    "EService:Market in post_only mode",
]
KRAKEN_UNKNOWN = [
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
    "EService:Deadline elapsed",
    "EGeneral:Internal error",
    "EGeneral:Internal error[42]",
    "EDatabase:Internal error",
    "EOrder:Unknown order",
    "EOrder:Duplicate cl_ord_id",
    "EGeneral:Invalid arguments:cl_ord_id",
    "EGeneral:Invalid arguments:cl_ord_id not unique",
    "EGeneral:Invalid arguments:Duplicate client order id",
    "EOrder:Unknown position",
    "EOrder:Invalid order",
    "ETrade:Locked",
    "ETrade:User Locked",
    "EGeneral:Unknown method",
    "EFunding:Unknown asset",
    "Insufficient funds",
    "eorder:insufficient funds",
    "",
]


@pytest.mark.parametrize("text", KRAKEN_REFUSED)
def test_kraken_proves_a_refusal(text):
    assert verdict("kraken", 200, error("kraken", text, "")) == "refused"


@pytest.mark.parametrize("text", KRAKEN_UNKNOWN)
def test_kraken_proves_nothing(text):
    assert verdict("kraken", 200, error("kraken", text, "")) == "unknown"


def test_every_listed_text_of_kraken_is_refused_above():
    assert {text.rstrip("*") for text in KRAKEN.refused} <= set(KRAKEN_REFUSED)


def test_kraken_proves_a_refusal_only_if_all_that_it_says_does():
    both = b'{"error":["EOrder:Insufficient funds","EService:Timeout"]}'
    assert verdict("kraken", 200, both) == "unknown"
    assert (
        verdict("kraken", 200, b'{"error":["EAPI:Invalid key","EAPI:Invalid nonce"]}') == "refused"
    )


def test_a_warning_of_kraken_changes_nothing():
    warned = json.loads(json.dumps(TAKEN["kraken"])) | {"error": ["WGeneral:Something"]}
    assert verdict("kraken", 200, json.dumps(warned).encode()) == "taken"


# ---- what else an error says


@pytest.mark.parametrize(
    ("venue", "status", "code", "fault"),
    [
        ("binance", 401, "-2014", KeyFault.INVALID),
        ("binance", 401, "-2008", KeyFault.INVALID),
        ("binance", 401, "-2015", KeyFault.INVALID),
        ("binance", 400, "-1022", KeyFault.SIGNATURE),
        ("binance", 400, "-1021", KeyFault.CLOCK),
        ("binance", 429, "-1003", KeyFault.RATE_LIMIT),
        ("binance", 503, "-1016", KeyFault.MAINTENANCE),
        ("binance", 400, "-1000", None),
        ("bybit", 200, "10003", KeyFault.INVALID),
        ("bybit", 200, "10004", KeyFault.SIGNATURE),
        ("bybit", 200, "10005", KeyFault.PERMISSION),
        ("bybit", 200, "10010", KeyFault.ADDRESS),
        ("bybit", 200, "33004", KeyFault.EXPIRED),
        ("bybit", 200, "10002", KeyFault.CLOCK),
        ("kraken", 200, "EAPI:Invalid key", KeyFault.INVALID),
        ("kraken", 200, "EAPI:Invalid signature", KeyFault.SIGNATURE),
        ("kraken", 200, "EGeneral:Permission denied", KeyFault.PERMISSION),
        ("kraken", 200, "EAPI:Rate limit exceeded", KeyFault.RATE_LIMIT),
        ("kraken", 200, "EService:Unavailable", KeyFault.MAINTENANCE),
    ],
)
def test_an_error_about_the_key_says_which_fault_it_is(venue, status, code, fault):
    said = READERS[venue](Answer(status, {}, error(venue, code, "No.")))
    assert isinstance(said, Said)
    assert said.fault is fault


def test_a_server_in_trouble_says_nothing_about_a_key():
    said = read_binance(Answer(503, {}, error("binance", "-2015", "Invalid API-key")))
    assert isinstance(said, Said)
    assert said.fault is None


@pytest.mark.parametrize(
    ("venue", "code"),
    [("binance", "-2013"), ("bybit", "170213"), ("kraken", "EOrder:Unknown order")],
)
def test_only_a_clear_word_says_that_an_order_is_not_there(venue, code):
    status = 400 if venue == "binance" else 200
    said = READERS[venue](Answer(status, {}, error(venue, code, "No such order")))
    assert isinstance(said, Said) and said.absent
    said = READERS[venue](Answer(503, {}, error(venue, code, "No such order")))
    assert isinstance(said, Said) and not said.absent


@pytest.mark.parametrize(
    ("status", "fault"),
    [(502, KeyFault.MAINTENANCE), (403, KeyFault.RATE_LIMIT), (200, KeyFault.NETWORK)],
)
def test_an_answer_that_proves_nothing_says_why_there_is_none(status, fault):
    outcome = read_binance(Answer(status, {}, HTML))
    assert isinstance(outcome, Garbled)
    assert outcome.fault is fault


@pytest.mark.parametrize(
    ("venue", "code", "seconds"),
    [("binance", "-1015", 10), ("bybit", "10006", 1), ("kraken", "EAPI:Rate limit exceeded", 15)],
)
def test_an_error_about_our_pace_says_how_long_to_hold_it(venue, code, seconds):
    status = 429 if venue == "binance" else 200
    said = READERS[venue](Answer(status, {}, error(venue, code, "Too many.")))
    assert isinstance(said, Said) and said.hold is not None
    assert said.hold.seconds == seconds


def test_a_ban_of_binance_holds_everybody_until_it_is_over():
    text = "Way too much request weight used; IP banned until 1700000005000. Please use WebSocket."
    body = error("binance", "-1003", text)
    said = read_binance(Answer(418, {"date": "Tue, 14 Nov 2023 22:13:20 GMT"}, body))
    assert isinstance(said, Said) and said.hold is not None
    assert said.hold.banned
    assert said.hold.seconds == 5
