"""Kraken's private look-ups: balances, orders, trades, ledger, and the key itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from venuesim.keys import Key
from venuesim.kraken import wording
from venuesim.kraken.access import TOKEN_S
from venuesim.kraken.arguments import userref, whole, word, words, yes
from venuesim.kraken.errors import Error, Refused, bad
from venuesim.kraken.fees import fee_row
from venuesim.kraken.floor import Floor
from venuesim.kraken.ids import ledger_id, number_of, order_id, trade_id
from venuesim.kraken.keys import rights
from venuesim.kraken.ledger import Entry
from venuesim.kraken.numbers import amount, cut
from venuesim.orders import Order, Trade
from venuesim.units import units

PAGE = 50
ORDERS_ASKED_MAX = 50
TRADES_ASKED_MAX = 20
VOLUME_DAYS = 30
DAY_MS = 86_400_000
SHOWN_DECIMALS = 4  # of what an account is worth in one asset
CLOSE_TIMES = ("open", "close", "both")
TRADE_KINDS = ("all", "any position", "closed position", "closing position", "no position")
LEDGER_KINDS = (
    "all", "trade", "deposit", "withdrawal", "transfer", "margin", "adjustment", "rollover",
    "credit", "settled", "staking", "dividend", "sale", "nft_rebate",
)  # fmt: skip

Values = Mapping[str, object]
Item = TypeVar("Item", Order, Trade, Entry)


# ---------------------------------------------------------------- balances


def balance(floor: Floor, key: Key, values: Values) -> object:
    return {
        asset.key: amount(floor.exchange.worth(key.account, asset.code), asset.decimals)
        for asset in (floor.names.asset_of(code) for code in _held(floor, key.account))
    }


def extended_balance(floor: Floor, key: Key, values: Values) -> object:
    book = floor.exchange.open_account(key.account)
    return {
        asset.key: {
            "balance": amount(book.free[asset.code] + book.locked[asset.code], asset.decimals),
            "hold_trade": amount(book.locked[asset.code], asset.decimals),
        }
        for asset in (floor.names.asset_of(code) for code in _held(floor, key.account))
    }


def _held(floor: Floor, account: str) -> list[str]:
    """Return the assets an account has or had."""
    book = floor.exchange.open_account(account)
    return sorted(set(book.free) | set(book.locked))


def trade_balance(floor: Floor, key: Key, values: Values) -> object:
    asset = floor.names.find_asset(word(values, "asset", "ZUSD"))
    dollars = sum(
        wording.in_dollars(floor.exchange, code, floor.exchange.worth(key.account, code))
        for code in _held(floor, key.account)
    )
    rate = wording.in_dollars(floor.exchange, asset.code, units(1))
    worth = amount_of(dollars * units(1) // rate if rate else 0)
    nothing = amount_of(0)
    return {
        "eb": worth,
        "tb": worth,
        "m": nothing,
        "uv": nothing,
        "n": nothing,
        "c": nothing,
        "v": nothing,
        "e": worth,
        "mf": worth,
    }


def amount_of(value: int) -> str:
    return amount(cut(value, SHOWN_DECIMALS), SHOWN_DECIMALS)


def trade_volume(floor: Floor, key: Key, values: Values) -> object:
    since = floor.now_ms - VOLUME_DAYS * DAY_MS
    recent = [trade for trade in floor.trades(key.account) if trade.at_ms >= since]
    volume = sum(
        wording.in_dollars(floor.exchange, trade.symbol.split("/")[1], trade.cost)
        for trade in recent
    )
    found: dict[str, object] = {"currency": "ZUSD", "volume": amount_of(volume)}
    if pairs := [floor.names.find(name) for name in words(values, "pair")]:
        found["fees"] = {pair.key: fee_row(pair.instrument, maker=False) for pair in pairs}
        found["fees_maker"] = {pair.key: fee_row(pair.instrument, maker=True) for pair in pairs}
    return found


# ------------------------------------------------------------------ orders


def open_orders(floor: Floor, key: Key, values: Values) -> object:
    chosen = _named(floor.live_orders(key.account), values)
    return {"open": _rows(floor, chosen, values)}


def closed_orders(floor: Floor, key: Key, values: Values) -> object:
    which = word(values, "closetime", "both")
    if which not in CLOSE_TIMES:
        raise bad("closetime")
    over = [order for order in floor.orders(key.account) if not order.is_live]
    over.sort(key=lambda order: (order.updated_ms, order.id), reverse=True)
    times: dict[str, Callable[[Order], Sequence[int]]] = {
        "open": lambda order: (order.created_ms,),
        "close": lambda order: (order.updated_ms,),
        "both": lambda order: (order.created_ms, order.updated_ms),
    }
    span = _span(values, lambda text: _time_of_order(floor, key.account, text))
    chosen = [
        order
        for order in _named(over, values)
        if any(span.holds(at_ms) for at_ms in times[which](order))
    ]
    return _page("closed", chosen, values, lambda page: _rows(floor, page, values))


def query_orders(floor: Floor, key: Key, values: Values) -> object:
    ids = words(values, "txid")
    if not ids or len(ids) > ORDERS_ASKED_MAX:
        raise bad("txid")
    numbers = [number_of("O", text) for text in ids]
    if None in numbers:
        raise Refused(Error.INVALID_ORDER)
    known = floor.exchange.open_account(key.account).orders
    found = [known[number] for number in numbers if number is not None and number in known]
    return _rows(floor, _named([order for order in found if floor.sees(order)], values), values)


def _named(orders: list[Order], values: Values) -> list[Order]:
    """Return the orders that carry the client's names, if he asks for some."""
    client_id, reference = word(values, "cl_ord_id"), userref(values)
    return [
        order
        for order in orders
        if client_id in ("", order.client_id)
        and (reference is None or wording.userref(order.request) == reference)
    ]


def _rows(floor: Floor, orders: Sequence[Order], values: Values) -> dict[str, object]:
    with_trades = yes(values, "trades")
    return {
        order_id(order.id): wording.order_row(order, floor.names, trades=with_trades)
        for order in orders
    }


def _time_of_order(floor: Floor, account: str, text: str) -> int | None:
    number = number_of("O", text)
    order = floor.exchange.open_account(account).orders.get(number or 0)
    return None if order is None else order.created_ms


# ----------------------------------------------------------- trades, ledger


def trades_history(floor: Floor, key: Key, values: Values) -> object:
    if word(values, "type", "all") not in TRADE_KINDS:
        raise bad("type")
    of_spot = word(values, "type", "all") in ("all", "no position")
    trades = floor.trades(key.account) if of_spot else []
    by_id = {trade_id(trade.id): trade.at_ms for trade in trades}
    span = _span(values, by_id.get)
    chosen = [trade for trade in trades if span.holds(trade.at_ms)]
    return _page("trades", chosen, values, lambda page: _trade_rows(floor, page, values))


def query_trades(floor: Floor, key: Key, values: Values) -> object:
    ids = words(values, "txid")
    if not 0 < len(ids) <= TRADES_ASKED_MAX:
        raise bad("txid")
    by_id = {trade_id(trade.id): trade for trade in floor.trades(key.account)}
    found = [by_id[text] for text in ids if text in by_id]
    return _trade_rows(floor, found, values)


def _trade_rows(floor: Floor, trades: Sequence[Trade], values: Values) -> dict[str, object]:
    with_entries = yes(values, "ledgers")
    return {
        trade_id(trade.id): wording.trade_row(
            trade, floor.names, floor.ledger.of_trade.get(trade.id) if with_entries else None
        )
        for trade in trades
    }


def ledgers(floor: Floor, key: Key, values: Values) -> object:
    kind = word(values, "type", "all")
    if kind not in LEDGER_KINDS:
        raise bad("type")
    wanted = [name for name in words(values, "asset") if name != "all"]
    codes = {floor.names.find_asset(name).code for name in wanted}
    entries = _entries(floor, key.account)
    by_id = {entry.id: entry.at_ms for entry in entries}
    span = _span(values, by_id.get)
    chosen = [
        entry
        for entry in entries
        if (not codes or entry.asset in codes)
        and kind in ("all", entry.what)
        and span.holds(entry.at_ms)
    ]
    return _page("ledger", chosen, values, lambda page: _entry_rows(floor, page))


def query_ledgers(floor: Floor, key: Key, values: Values) -> object:
    ids = words(values, "id")
    if not 0 < len(ids) <= TRADES_ASKED_MAX:
        raise bad("id")
    return _entry_rows(floor, [e for e in _entries(floor, key.account) if e.id in ids])


def _entries(floor: Floor, account: str) -> list[Entry]:
    """Return the entries a look-up finds, the latest first."""
    until = floor.now_ms - floor.place.lag_ms
    entries = floor.ledger.of_account[account]
    return [entry for entry in reversed(entries) if entry.at_ms <= until]


def _entry_rows(floor: Floor, entries: Sequence[Entry]) -> dict[str, object]:
    return {ledger_id(entry.number): wording.entry_row(entry, floor.names) for entry in entries}


# ------------------------------------------------------------------- pages


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: after start, up to and with end."""

    start_ms: int | None
    end_ms: int | None

    def holds(self, at_ms: int) -> bool:
        after = self.start_ms is None or at_ms > self.start_ms
        return after and (self.end_ms is None or at_ms <= self.end_ms)


def _span(values: Values, time_of: Callable[[str], int | None]) -> Span:
    """Read start and end: each a time in seconds, or the id of an item."""

    def read(name: str) -> int | None:
        text = word(values, name)
        if not text or text == "0":
            return None
        if "-" in text:
            found = time_of(text)
            if found is None:
                raise bad(name)
            return found
        try:
            return units(text) // 100_000
        except ValueError as error:
            raise bad(name) from error

    return Span(read("start"), read("end"))


def _page(
    name: str,
    items: list[Item],
    values: Values,
    rows: Callable[[Sequence[Item]], dict[str, object]],
) -> dict[str, object]:
    offset = whole(values, "ofs")
    if offset < 0:
        raise bad("ofs")
    found: dict[str, object] = {name: rows(items[offset : offset + PAGE])}
    if not yes(values, "without_count"):
        found["count"] = len(items)
    return found


# ----------------------------------------------------------------- the key


def key_details(floor: Floor, key: Key, values: Values) -> object:
    used = floor.access.used_ms.get(key.api_key)
    made = str(key.created_ms // 1000)
    return {
        "apiKeyName": key.label,
        "apiKey": key.api_key,
        "nonce": str(key.nonce),
        "nonceWindow": key.nonce_window,
        "permissions": rights(key.permissions),
        "iban": _iban(key.account),
        "validUntil": str(key.expires_ms // 1000) if key.expires_ms is not None else "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": made,
        "modifiedTime": made,
        "ipAllowlist": list(key.ips),
        "lastUsed": str(used // 1000) if used is not None else None,
    }


def _iban(account: str) -> str:
    """Return the number Kraken knows an account by: AA88 N84G WOAK NMOI."""
    digits = sha256(account.encode()).hexdigest().upper()
    return f"AA{int(digits[:4], 16) % 90 + 10} N{digits[4:7]} {digits[7:11]} {digits[11:15]}"


def stream_token(floor: Floor, key: Key, values: Values) -> object:
    return {"token": floor.access.make_token(key), "expires": TOKEN_S}
