"""What an answer of each venue proves: the white-lists of codes that mean "nothing was done".

Whatever is not on a list proves nothing, and neither does an answer that is cut, is not JSON,
or comes from a server in trouble. Version 2 of the lists, by the venues' documents of 2026-07.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from tradefleet.domain.credentials import KeyFault
from tradefleet.venues._ccxt.calls import ABOUT_THE_KEY, Done, Garbled, Hold, Outcome, Said
from tradefleet.venues._ccxt.wire import Answer

MINUTE = 60.0
BAN_LEAST = 120.0  # the shortest ban of Binance
QUARTER = 900.0  # how long Kraken and Bybit stay closed to those who go on too fast


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTable:
    """One venue's codes. A code of refused that ends with * stands for all that begin so.

    doubtful: texts under which even a listed code proves nothing (a duplicate id: the order is
    probably ours). absent: the order asked for does not exist. holds: seconds to keep quiet.
    """

    refused: frozenset[str]
    doubtful: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    faults: Mapping[str, KeyFault] = field(default_factory=dict)
    holds: Mapping[str, float] = field(default_factory=dict)

    def said(self, code: str, text: str, *, whole: bool = True) -> Said:
        """Judge an error; whole is False for an answer whose form proves nothing."""
        fault = self.faults.get(code)
        doubted = any(mark in text.lower() for mark in self.doubtful)
        return Said(
            code=code,
            text=text,
            refused=whole and not doubted and matches(self.refused, code),
            absent=whole and code in self.absent,
            fault=fault if whole or fault not in ABOUT_THE_KEY else None,
            hold=Hold(self.holds[code]) if code in self.holds else None,
        )


def matches(listed: frozenset[str], code: str) -> bool:
    if code in listed:
        return True
    return any(each.endswith("*") and code.startswith(each[:-1]) for each in listed)


def is_refusal(status: int) -> bool:
    """Say whether a status belongs to a venue that read the request and said no."""
    return status == 200 or 400 <= status < 500


def parsed(answer: Answer) -> Any:
    """Return an answer's JSON; ValueError for anything else."""
    if not answer.body:
        raise ValueError("it is empty")
    return orjson.loads(answer.body)


def garbled(answer: Answer) -> Garbled:
    return Garbled(f"its answer with status {answer.status} proves nothing", answer.status)


# ------------------------------------------------------------------------- Binance

BINANCE = OutcomeTable(
    refused=frozenset(
        {
            "-1003",  # too many requests: counted before anything is done
            "-1013",  # a filter: it did not reach the matching engine
            "-1014",  # unsupported combination of order fields
            "-1015",  # too many new orders
            "-1021",  # outside recvWindow: checked twice, both before the matching engine
            "-1022",  # bad signature
            *(str(code) for code in range(-1130, -1099)),  # malformed in one way or another
            "-2008",  # unknown key
            "-2010",  # the matching engine says no, except where it says duplicate
            "-2014",  # key of a wrong form
            "-2015",  # key, address or right
        }
    ),
    doubtful=("duplicate",),
    absent=frozenset({"-2013"}),
    faults={
        "-1003": KeyFault.RATE_LIMIT,
        "-1016": KeyFault.MAINTENANCE,
        "-1021": KeyFault.CLOCK,
        "-1022": KeyFault.SIGNATURE,
        "-2008": KeyFault.INVALID,
        "-2014": KeyFault.INVALID,
        "-2015": KeyFault.INVALID,
    },
    holds={"-1015": 10.0},
)
BANNED_UNTIL = re.compile(r"banned until (\d{13})")


def read_binance(answer: Answer) -> Outcome:
    """Read an answer of Binance; errors are {"code": below zero, "msg": text} with a 4xx."""
    try:
        payload = parsed(answer)
    except ValueError:
        return garbled(answer)
    if not isinstance(payload, dict | list):
        return garbled(answer)
    if isinstance(payload, list) or "code" not in payload:
        return Done(payload) if answer.status == 200 else garbled(answer)
    code, text = payload["code"], payload.get("msg")
    if not isinstance(code, int) or not isinstance(text, str) or code >= 0:
        return garbled(answer)
    said = BINANCE.said(str(code), text, whole=400 <= answer.status < 500)
    ban = ban_of(text, answer.headers.get("date", ""))
    return said if ban is None else replace(said, hold=ban)


def ban_of(text: str, date: str) -> Hold | None:
    """Return how long Binance says that this address is banned, by its own clock."""
    found = BANNED_UNTIL.search(text)
    if found is None:
        return None
    try:
        now = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Hold(BAN_LEAST, banned=True)
    return Hold(max(0.0, int(found[1]) / 1000 - now), banned=True)


def created_binance(payload: Any, client_id: str, symbol_id: str) -> str:
    """Return the new order's id; ValueError unless the answer is about this order."""
    number = payload["orderId"]
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise ValueError("no order id")
    if payload["clientOrderId"] != client_id or payload["symbol"] != symbol_id:
        raise ValueError("about another order")
    return str(number)


# --------------------------------------------------------------------------- Bybit

BYBIT = OutcomeTable(
    refused=frozenset(
        {
            "10001",  # a parameter
            "10002",  # outside recv_window
            "10003",  # key
            "10004",  # signature
            "10005",  # right
            "10006",  # too many requests
            "10007",  # who asks is not known
            "10008", "10024", "10027", "10028",  # account banned, or not of the kind that may
            "10009", "170209", "170348",  # not served where its owner lives
            "10010",  # address
            "10029",  # symbol not on the key's list
            "33004", "-2015",  # key has expired
            "110003", "110094",  # price, value
            "110004", "110007", "110012",  # balance
            "110009", "110020",  # too many stops, too many orders open
            "110066",  # no trading now
            "170005", "170222",  # too many orders, too many requests
            "170010", "170011", "170031", "170036", "170037", "170159", "170206", "170217",
            "170218", "170219", "170224", "170227", "170241", "170344", "170355", "170358",
            "170359", "170709",  # this account may not, or not yet, or not so
            "170033", "170034", "170131",  # balance
            "170105", "170115", "170116", "170117", "170121", "170130", "170202",  # parameters
            "170124", "170132", "170133", "170134", "170136", "170137", "170140", "170148",
            "170341", "170371", "170372", "170381", "170382",  # sizes, prices and decimals
            "170151", "170157", "170201", "170221",  # not traded so
            "170192", "170193", "170194",  # too far from the market
            "170197", "170198", "170199", "170200", "170228", "170229",  # too much at once
            "170203", "170204",  # trigger price on the wrong side
            "170215", "170216", "170220", "170223", "170226", "170230",  # money is lent
            "170810",  # too many orders open
        }
    ),
    doubtful=("duplicate",),
    absent=frozenset({"110001", "170213"}),
    faults={
        "10002": KeyFault.CLOCK,
        "10007": KeyFault.INVALID,
        "10008": KeyFault.PERMISSION,
        "10009": KeyFault.ADDRESS,
        "10024": KeyFault.PERMISSION,
        "10027": KeyFault.PERMISSION,
        "10028": KeyFault.PERMISSION,
        "10003": KeyFault.INVALID,
        "10004": KeyFault.SIGNATURE,
        "10005": KeyFault.PERMISSION,
        "10006": KeyFault.RATE_LIMIT,
        "10010": KeyFault.ADDRESS,
        "10016": KeyFault.MAINTENANCE,
        "33004": KeyFault.EXPIRED,
        "-2015": KeyFault.EXPIRED,
    },
    holds={"10006": 1.0, "170005": 1.0, "170222": 1.0},
)  # fmt: skip


def read_bybit(answer: Answer) -> Outcome:
    """Read an answer of Bybit: {"retCode", "retMsg", "result"}, nearly always with status 200."""
    try:
        payload = parsed(answer)
    except ValueError:
        return garbled(answer)
    if not isinstance(payload, dict):
        return garbled(answer)
    code, text = payload.get("retCode"), payload.get("retMsg")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(text, str):
        return garbled(answer)
    if code == 0:
        result = payload.get("result")
        return Done(result) if answer.status == 200 and result is not None else garbled(answer)
    return BYBIT.said(str(code), text, whole=is_refusal(answer.status))


def created_bybit(payload: Any, client_id: str, symbol_id: str) -> str:
    """Return the new order's id; ValueError unless the answer is about this order.

    Bybit does not name the symbol, and has only accepted the order: it may still refuse it.
    """
    number = payload["orderId"]
    if not isinstance(number, str) or not number:
        raise ValueError("no order id")
    if payload["orderLinkId"] != client_id:
        raise ValueError("about another order")
    return number


# -------------------------------------------------------------------------- Kraken

KRAKEN = OutcomeTable(
    refused=frozenset(
        {
            "EOrder:Insufficient funds",
            "EOrder:Order minimum not met",
            "EOrder:Cost minimum not met",
            "EOrder:Tick size check failed",
            "EOrder:Orders limit exceeded",
            "EOrder:Positions limit exceeded",
            "EOrder:Scheduled orders limit exceeded",
            "EOrder:Invalid price*",
            "EOrder:Cannot open position",
            "EOrder:Cannot open opposing position",
            "EOrder:Margin allowance exceeded",
            "EOrder:Margin level too low",
            "EOrder:Margin position size exceeded",
            "EOrder:Insufficient margin",
            "EOrder:Trading agreement required",  # of residents of some countries
            "EBM:limit exceeded*",  # of what an account may trade in a time
            "EOrder:Rate limit exceeded",
            "EOrder:Domain rate limit exceeded",
            "EAPI:Rate limit exceeded",
            "EAPI:Feature disabled",
            "EAuth:Account temporary disabled",
            "EAuth:Account unconfirmed",
            "EAuth:Rate limit exceeded",
            "EAuth:Too many requests",
            "EGeneral:Rate limit exceeded",
            "EGeneral:Too many requests",
            "EGeneral:Invalid arguments*",
            "EGeneral:Permission denied",
            "EGeneral:Temporary lockout",
            "EAPI:Invalid key",
            "EAPI:Invalid signature",
            "EAPI:Invalid nonce",
            "EQuery:Unknown asset pair",
            "EQuery:Invalid asset pair",
            "EAccount:Invalid permissions*",  # what may not be traded where its owner lives
            "EService:Market in cancel_only mode",
            "EService:Market in limit_only mode",
            "EService:Market in post_only mode",
        }
    ),
    doubtful=("duplicate", "cl_ord_id"),  # among the invalid arguments is an id that is in use
    absent=frozenset({"EOrder:Unknown order"}),
    faults={
        "EAPI:Invalid key": KeyFault.INVALID,
        "EAPI:Invalid signature": KeyFault.SIGNATURE,
        "EAPI:Invalid nonce": KeyFault.CLOCK,
        "EGeneral:Permission denied": KeyFault.PERMISSION,
        "EAuth:Account temporary disabled": KeyFault.PERMISSION,
        "EAuth:Account unconfirmed": KeyFault.PERMISSION,
        "EAPI:Rate limit exceeded": KeyFault.RATE_LIMIT,
        "EGeneral:Temporary lockout": KeyFault.RATE_LIMIT,
        "EGeneral:Too many requests": KeyFault.RATE_LIMIT,
        "EService:Unavailable": KeyFault.MAINTENANCE,
        "EService:Busy": KeyFault.MAINTENANCE,
        "EService:Market in cancel_only mode": KeyFault.MAINTENANCE,
    },
    holds={
        "EAPI:Rate limit exceeded": 15.0,
        "EOrder:Rate limit exceeded": 5.0,
        "EOrder:Domain rate limit exceeded": 5.0,
        "EAuth:Rate limit exceeded": MINUTE,
        "EAuth:Too many requests": MINUTE,
        "EGeneral:Rate limit exceeded": 15.0,
        "EGeneral:Too many requests": MINUTE,
        "EGeneral:Temporary lockout": QUARTER,
    },
)


def read_kraken(answer: Answer) -> Outcome:
    """Read an answer of Kraken: {"error": [texts], "result"}; the text is the code."""
    try:
        payload = parsed(answer)
    except ValueError:
        return garbled(answer)
    errors = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(errors, list) or not all(isinstance(each, str) for each in errors):
        return garbled(answer)
    errors = [each for each in errors if not each.startswith("W")]  # warnings change nothing
    if errors:
        return worst([KRAKEN.said(e, e, whole=is_refusal(answer.status)) for e in errors])
    result = payload.get("result")
    return Done(result) if answer.status == 200 and result is not None else garbled(answer)


def worst(errors: Sequence[Said]) -> Said:
    """Return the first error that proves nothing; all must prove a refusal for it to be one."""
    return next((each for each in errors if not each.refused), errors[0])


def created_kraken(payload: Any, client_id: str, symbol_id: str) -> str:
    """Return the new order's id; ValueError unless there is exactly one."""
    if not isinstance(payload["txid"], list):
        raise ValueError("no list of order ids")
    (number,) = payload["txid"]
    if not isinstance(number, str) or not number:
        raise ValueError("no order id")
    if payload.get("cl_ord_id", client_id) != client_id:
        raise ValueError("about another order")
    return number


Read = Callable[[Answer], Outcome]
Created = Callable[[Any, str, str], str]
