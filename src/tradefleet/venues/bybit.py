"""Bybit spot in a unified account (API v5): its protocol in our words."""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyFault, KeyReport
from tradefleet.domain.errors import VenueUnavailable, ensure
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Bar, Side, Symbol, TradingRules
from tradefleet.domain.money import MONEY, round_to_tick
from tradefleet.domain.order import Order, OrderKind, OrderReport
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement
from tradefleet.domain.user import Account, Mode
from tradefleet.venue import Pacer, Venue, VenueOrder, VenueSpec, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.addresses import Addresses, VenueOptions
from tradefleet.venues._ccxt.amounts import (
    EPOCH,
    MILLISECOND,
    amount,
    counted,
    from_ms,
    name_of,
    plain,
    positive,
    to_ms,
    word,
)
from tradefleet.venues._ccxt.calls import Call, Garbled, KeyFailed, Outcome, Said
from tradefleet.venues._ccxt.dialect import (
    BarTold,
    Bell,
    Errand,
    Followed,
    Joined,
    Left,
    Rung,
    StreamNotes,
    Told,
    Traded,
)
from tradefleet.venues._ccxt.listings import Listing, Listings
from tradefleet.venues._ccxt.outcomes import created_bybit, read_bybit
from tradefleet.venues._ccxt.venue import open_venue as open_with
from tradefleet.venues._ccxt.wire import Answer, Wire

logger = logging.getLogger(__name__)

VENUE = VenueSpec(
    name="bybit",
    summary="Bybit spot, live or testnet; needs an API key of a unified account that may trade.",
    needs_keys=True,
    modes=(Mode.TESTNET, Mode.LIVE),
)

LIVE = Addresses(
    rest={"public": "https://api.bybit.com", "private": "https://api.bybit.com"},
    public_stream="wss://stream.bybit.com/v5/public/spot",
    private_stream="wss://stream.bybit.com/v5/private",
)
TESTNET = Addresses(
    rest={"public": "https://api-testnet.bybit.com", "private": "https://api-testnet.bybit.com"},
    public_stream="wss://stream-testnet.bybit.com/v5/public/spot",
    private_stream="wss://stream-testnet.bybit.com/v5/private",
)
SPOT = {"category": "spot"}
RECEIVE_MS = "5000"  # the venue refuses what is older than this when it arrives
JOIN_MS = 10_000  # for so long the word that joins a private stream is good
OPEN = frozenset({"New", "PartiallyFilled", "Untriggered", "Triggered"})
CLOSED = frozenset({"Filled", "PartiallyFilledCanceled", "Cancelled", "Rejected", "Deactivated"})
ORDERS_PAGE, TRADES_PAGE, LOG_PAGE, BARS_PAGE = 50, 100, 50, 1000
PAGES_MAX = 400  # of one list; the venue would have to show 20,000 orders
WINDOW = timedelta(days=7)  # the longest span a list is asked for at once
TOPICS_AT_ONCE = 10  # in one message
REPEATED = re.compile(r"(?<=origin_string)\[.*\]", re.DOTALL)
CLIENT_ID_LENGTH = 32
LETTERS = frozenset("0123456789abcdef")
# A stop at the venue is of the kind that sets its coins apart when it is placed. The other kind,
# StopOrder, takes them when it fires: it fails when they are gone by then, and sells the coins of
# another bot, or the user's own, when an exit of ours came first.
STOP_FILTER = "tpslOrder"


@dataclass(frozen=True, slots=True)
class Bybit:
    """Bybit's formats and codes."""

    name: str = "bybit"
    title: str = "Bybit"
    modes: tuple[Mode, ...] = VENUE.modes
    timing: VenueTiming = VenueTiming()
    bars_page: int = BARS_PAGE
    signs_sent_at: bool = True
    counts_requests: bool = False
    topics_per_stream: int = 100  # ten topics a message: 20 messages until all are heard
    accounts_per_stream: int = 1
    ping: str = '{"op":"ping"}'

    @property
    def ccxt_options(self) -> Mapping[str, Any]:
        return {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}

    @property
    def market_costs(self) -> Mapping[str, float]:
        return {"weight": 1}

    @property
    def join_costs(self) -> Mapping[str, float]:
        return {}  # the connection is what is counted

    @property
    def timeframes(self) -> Mapping[timedelta, str]:
        return TIMEFRAMES

    # ------------------------------------------------------------- the wire

    def addresses(self, mode: Mode) -> Addresses:
        return LIVE if mode is Mode.LIVE else TESTNET

    def sign(self, call: Call, url: str, credentials: Credentials, stamp: int) -> Wire:
        """Sign time, key, how long it is good, and then what is asked, as it is sent."""
        key, address = credentials.api_key.reveal(), f"{url}{call.path}"
        reads = call.method == "GET"
        asked = joined(call.params) if reads else json.dumps(call.params, separators=(",", ":"))
        headers = {
            "Content-Type": "application/json",
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": str(stamp),
            "X-BAPI-RECV-WINDOW": RECEIVE_MS,
            "X-BAPI-SIGN": signature_of(f"{stamp}{key}{RECEIVE_MS}{asked}", credentials),
        }
        if reads:
            return Wire(call.method, f"{address}?{asked}", headers)
        return Wire(call.method, address, headers, asked.encode())

    def read(self, answer: Answer) -> Outcome:
        """Read an answer; what it repeats of a request that was signed wrongly holds the key.

        Some keys that it does not know it answers with an empty 401.
        """
        outcome = read_bybit(answer)
        match outcome:
            case Said():
                return replace(outcome, text=REPEATED.sub("[…]", outcome.text))
            case Garbled(status=401):
                return Said(code="401", text="Unauthorized", refused=False, fault=KeyFault.INVALID)
            case _:
                return outcome

    # --------------------------------------------------------------- public

    def listing(self, symbol: Symbol, market: Mapping[str, Any]) -> Listing:
        raw = market["info"]
        lots = raw["lotSizeFilter"]
        return Listing(
            symbol=symbol,
            id=raw["symbol"],
            stream_id=raw["symbol"],
            rules=TradingRules(
                price_tick=amount(raw["priceFilter"]["tickSize"]),
                quantity_step=amount(lots["basePrecision"]),
                notional_min=amount(lots["minOrderAmt"]),
                quantity_min=number(lots.get("minOrderQty")),
                fee=Decimal(str(market["taker"])),
            ),
            is_active=raw["status"] == "Trading",
            status=raw["status"],
        )

    def server_time(self) -> Call:
        return Call(method="GET", api="public", path="/v5/market/time", signed=False)

    def time_of(self, payload: Any) -> datetime:
        return from_ms(int(payload["timeNano"]) // 1_000_000)

    async def bars(
        self, errand: Errand, followed: Followed, until: datetime, count: int
    ) -> Sequence[Bar]:
        result = await errand.ask(
            Call(
                method="GET",
                api="public",
                path="/v5/market/kline",
                params={
                    **SPOT,
                    "symbol": followed.listing.id,
                    "interval": followed.word,
                    "end": str(to_ms(until)),
                    "limit": str(count),
                },
                signed=False,
            )
        )
        return [bar_of(*row[:6]) for row in reversed(result["list"])]  # the latest comes first

    async def last_price(self, errand: Errand, listing: Listing) -> Decimal:
        call = Call(
            method="GET",
            api="public",
            path="/v5/market/tickers",
            params={**SPOT, "symbol": listing.id},
            signed=False,
        )
        (row,) = (await errand.ask(call))["list"]
        return counted(row["lastPrice"])

    # --------------------------------------------------------------- orders

    def create(self, order: Order, listing: Listing) -> Call:
        """A market order's quantity would be in quote when it buys: marketUnit says otherwise."""
        return Call(
            method="POST",
            api="private",
            path="/v5/order/create",
            params={
                **SPOT,
                "symbol": listing.id,
                "side": order.side.capitalize(),
                "orderType": "Market",
                "qty": plain(order.quantity),
                "marketUnit": "baseCoin",
                **trigger_of(order, listing),
                "orderLinkId": order.id,
            },
            costs={"weight": 1, "create": 1},
        )

    def created(self, payload: Any, order: Order, listing: Listing) -> str:
        return created_bybit(payload, order.id, listing.id)

    def cancel(self, order: Order, listing: Listing) -> Call:
        stops = order.kind is OrderKind.RESTING_STOP
        return Call(
            method="POST",
            api="private",
            path="/v5/order/cancel",
            params={
                **SPOT,
                "symbol": listing.id,
                "orderLinkId": order.id,
                **({"orderFilter": STOP_FILTER} if stops else {}),
            },
            costs={"weight": 1, "cancel": 1},
        )

    async def find(self, errand: Errand, order: Order, listing: Listing) -> OrderReport | None:
        """Look among what is open or ended just now, then in the history.

        The first forgets what has ended when the venue restarts, the second hears of it late.
        """
        for path, since in found_in(order, errand.now):
            params = {**SPOT, "orderLinkId": order.id, **since}
            rows = (await errand.ask(query(path, params)))["list"]
            if rows:
                row = rows[0]
                if row["orderLinkId"] != order.id or row["symbol"] != listing.id:
                    raise ValueError("about another order")
                await self._undo_turned(errand, order, listing, row)
                filled = counted(row["cumExecQty"] or "0")
                return OrderReport(name_of(row["orderId"]), is_open(row), filled)
        return None

    async def _undo_turned(
        self, errand: Errand, order: Order, listing: Listing, row: Mapping[str, Any]
    ) -> None:
        """Cancel a stop that came too late, and say that it is not known yet what it is.

        The venue reads from the price of the moment which way the trigger lies: where the price
        was there already, our stop would wait for the price to rise, and guard nothing.
        """
        if order.kind is not OrderKind.RESTING_STOP or not waits_for_rise(row):
            return
        await errand.ask(self.cancel(order, listing))
        raise VenueUnavailable(
            f"{self.title}: the price was at the stop of order {order.id} when it was placed, so "
            "that it would wait for a rise; it is being cancelled"
        )

    async def trades_of(
        self, errand: Errand, order: Order, listing: Listing, venue_order_id: str
    ) -> Sequence[VenueTrade]:
        """Return an order's executions; whether one is missing the order's own total tells."""
        params = {**SPOT, "orderId": venue_order_id}
        rows = await pages(errand, "/v5/execution/list", params, TRADES_PAGE, is_short_last=True)
        return [trade_of(row, listing) for row in rows if row["symbol"] == listing.id]

    async def open_orders(
        self, errand: Errand, listings: Sequence[Listing]
    ) -> Sequence[VenueOrder]:
        rows = await pages(errand, "/v5/order/realtime", about(listings), ORDERS_PAGE)
        return [each for each in orders_of(rows, listings) if each.is_open]

    async def orders_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueOrder]:
        """Return what is open, what ended just now, and what the history has.

        An order may be in several of them; the later word counts, for it may have ended between.
        """
        params, realtime = about(listings), "/v5/order/realtime"
        rows = await pages(errand, realtime, params, ORDERS_PAGE)
        rows += await pages(
            errand,
            realtime,
            {**params, "openOnly": "1"},
            ORDERS_PAGE,
            enough=lambda row: from_ms(row["createdTime"]) < since,
        )
        rows += await windows(errand, "/v5/order/history", params, since, ORDERS_PAGE)
        found = {each.venue_order_id: each for each in orders_of(rows, listings)}
        return [each for each in found.values() if each.created_at >= since]

    async def trades_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueTrade]:
        params = {**about(listings), "execType": "Trade"}
        rows = await windows(errand, "/v5/execution/list", params, since, TRADES_PAGE)
        by_id = {each.id: each for each in listings}
        trades = [trade_of(row, by_id[row["symbol"]]) for row in rows if row["symbol"] in by_id]
        return [each for each in {t.id: t for t in trades}.values() if each.at >= since]

    async def balances(self, errand: Errand) -> Mapping[str, Decimal]:
        """Return what the account has of each asset, less what is borrowed of it."""
        (account,) = (await errand.ask(WALLET))["list"]
        return {
            errand.book.asset(name_of(row["coin"])): MONEY.subtract(
                number(row["walletBalance"]), number(row.get("spotBorrow"))
            )
            for row in account["coin"]
        }

    async def statement(
        self, errand: Errand, listings: Sequence[Listing], since: datetime, until: datetime
    ) -> VenueStatement:
        """Return the log of the unified account, of all it trades: derivatives move it, too."""
        rows: list[dict[str, Any]] = []
        start, last, week = to_ms(since), to_ms(until), WINDOW // MILLISECOND
        while start <= last:
            end = min(start + week, last)
            params = {"accountType": "UNIFIED", "startTime": str(start), "endTime": str(end)}
            rows += await pages(errand, "/v5/account/transaction-log", params, LOG_PAGE)
            start = end + 1
        found = (entries_of(row, errand.book) for row in rows)
        return VenueStatement(tuple(entry for row in found for entry in row))

    @property
    def ledger_right(self) -> str:
        return "Unified Trading, or Spot, to read"

    async def rights(self, errand: Errand, mode: Mode) -> KeyReport:
        """Ask for the key, which needs no right, and then for the balances, which needs reading.

        Of an account that is not unified they cannot be asked for.
        """
        said = await errand.ask(KEY)
        if said.get("uta") == 0:
            return report_of(said, {})
        try:
            return report_of(said, await self.balances(errand))
        except KeyFailed as failed:
            if failed.fault is not KeyFault.PERMISSION:
                raise
            return report_of(said, None)

    # -------------------------------------------------------------- streams

    def subscribe(self, followed: Sequence[Followed]) -> Sequence[str]:
        prices = [f"publicTrade.{each.listing.stream_id}" for each in followed]
        bars = [f"kline.{each.word}.{each.listing.stream_id}" for each in followed]
        names = list(dict.fromkeys(bars + prices))
        return [
            json.dumps({"op": "subscribe", "args": names[at : at + TOPICS_AT_ONCE]})
            for at in range(0, len(names), TOPICS_AT_ONCE)
        ]

    def told(self, message: Any) -> Iterable[Told]:
        kind, _, rest = message.get("topic", "").partition(".")
        if kind == "publicTrade":
            for row in message["data"]:
                yield Traded(row["s"], positive(row["p"]), from_ms(row["T"]))
        elif kind == "kline":
            word, _, stream_id = rest.partition(".")
            for row in message["data"]:
                prices = (row["open"], row["high"], row["low"], row["close"])
                bar = bar_of(row["start"], *prices, row["volume"])
                at = from_ms(message["ts"])
                yield BarTold(stream_id, word, bar, row["confirm"] is True, at)
        elif message.get("success") is False:
            logger.warning("bybit refuses a subscription: %s", message.get("ret_msg"))

    async def join(
        self, errand: Errand, credentials: Credentials, tag: str, stamp: int
    ) -> Sequence[str]:
        expires = stamp + JOIN_MS
        signature = signature_of(f"GET/realtime{expires}", credentials)
        args = [credentials.api_key.reveal(), expires, signature]
        return (
            json.dumps({"req_id": tag, "op": "auth", "args": args}),
            json.dumps({"req_id": tag, "op": "subscribe", "args": PRIVATE_TOPICS}),
        )

    def leave(self, tag: str, notes: StreamNotes) -> Sequence[str]:
        return ()  # an account has a connection of its own, which is closed

    def bell(self, message: Any, notes: StreamNotes) -> Iterable[Bell]:
        operation = message.get("op")
        if operation in ("auth", "subscribe"):
            if not message["success"]:
                yield Left("", f"{operation}: {message.get('ret_msg')}")
            elif operation == "subscribe":
                yield Joined("")
        elif message.get("topic") in PRIVATE_TOPICS:
            names = (row["orderLinkId"] for row in message["data"])
            yield Rung("", tuple(OrderId(each) for each in dict.fromkeys(names) if is_ours(each)))


PRIVATE_TOPICS = ["order.spot", "execution.spot"]
KEY = Call(method="GET", api="private", path="/v5/user/query-api")
WALLET = Call(
    method="GET",
    api="private",
    path="/v5/account/wallet-balance",
    params={"accountType": "UNIFIED"},
    costs={"weight": 1, "query": 1},
)
TIMEFRAMES = {
    timedelta(minutes=1): "1",
    timedelta(minutes=3): "3",
    timedelta(minutes=5): "5",
    timedelta(minutes=15): "15",
    timedelta(minutes=30): "30",
    timedelta(hours=1): "60",
    timedelta(hours=2): "120",
    timedelta(hours=4): "240",
    timedelta(hours=6): "360",
    timedelta(hours=12): "720",
    timedelta(days=1): "D",
    timedelta(days=7): "W",
}


def joined(params: Mapping[str, str]) -> str:
    """Return a query as it is: what the venue gives for a cursor is encoded already."""
    return "&".join(f"{name}={value}" for name, value in params.items())


def signature_of(text: str, credentials: Credentials) -> str:
    return hmac.digest(credentials.api_secret.reveal().encode(), text.encode(), "sha256").hex()


def number(value: object) -> Decimal:
    """Return a number that the venue leaves empty when it is zero."""
    return amount(value or "0")


def bar_of(opened: object, *numbers: object) -> Bar:
    return Bar(from_ms(opened), *(amount(each) for each in numbers))


def trigger_of(order: Order, listing: Listing) -> Mapping[str, str]:
    """Return what makes an order wait for its price, nothing for one that does not."""
    if order.kind is not OrderKind.RESTING_STOP:
        return {}
    ensure(order.side is Side.SELL and order.price is not None, "a resting stop sells at a price")
    trigger = round_to_tick(order.price or Decimal(0), listing.rules.price_tick)
    return {"orderFilter": STOP_FILTER, "triggerPrice": plain(trigger)}


# ------------------------------------------------------------------------- look-ups


def query(path: str, params: Mapping[str, str]) -> Call:
    """Return a signed question; each path has a limit of its own, which the header tells."""
    return Call(
        method="GET", api="private", path=path, params=params, costs={"weight": 1, "query": 1}
    )


def found_in(order: Order, now: datetime) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Return where an order may be found, and from when on.

    The history shows the last seven days where it is not told: an older order is asked for in
    the days after it was sent as well.
    """
    yield "/v5/order/realtime", {}
    yield "/v5/order/history", {}
    sent_at = order.sent_at or order.decided_at
    if now - sent_at > WINDOW - timedelta(hours=1):
        yield "/v5/order/history", {"startTime": str(to_ms(sent_at - timedelta(minutes=1)))}


def about(listings: Sequence[Listing]) -> Mapping[str, str]:
    """Return what asks for one symbol; for several, all are asked for at once, and sorted out."""
    return {**SPOT, "symbol": listings[0].id} if len(listings) == 1 else SPOT


async def pages(
    errand: Errand,
    path: str,
    params: Mapping[str, str],
    size: int,
    *,
    enough: Callable[[Mapping[str, Any]], bool] = lambda row: False,
    is_short_last: bool = False,
) -> list[dict[str, Any]]:
    """Return all rows of a list, or those up to a page whose last row is enough.

    The venue does not say that a short page is the last: unless is_short_last, its cursor is
    followed until a page is empty.
    """
    found: list[dict[str, Any]] = []
    asked = {**params, "limit": str(size)}
    for _ in range(PAGES_MAX):
        result = await errand.ask(query(path, asked))
        page, cursor = result["list"], result["nextPageCursor"]
        found += page
        is_last = not page or not cursor or (is_short_last and len(page) < size)
        if is_last or enough(page[-1]):
            return found
        asked = {**params, "limit": str(size), "cursor": cursor}
    raise VenueUnavailable(f"Bybit: the list {path} has no end")


async def windows(
    errand: Errand, path: str, params: Mapping[str, str], since: datetime, size: int
) -> list[dict[str, Any]]:
    """Return all rows since then, seven days at a time; rows on the border come twice."""
    found: list[dict[str, Any]] = []
    start = since
    while start <= errand.now:
        found += await pages(errand, path, {**params, "startTime": str(to_ms(start))}, size)
        start += WINDOW
    return found


# ---------------------------------------------------------------------------- rows


def is_open(row: Mapping[str, Any]) -> bool:
    """Say whether the venue may fill more of an order; ValueError for a status we do not know."""
    status = row["orderStatus"]
    if status not in OPEN | CLOSED:
        raise ValueError("an unknown status")
    return status in OPEN


def waits_for_rise(row: Mapping[str, Any]) -> bool:
    """Say whether an order waits for a trigger that was not below the price when it was placed."""
    if row["orderStatus"] != "Untriggered" or not row.get("basePrice"):
        return False
    return amount(row["basePrice"]) <= amount(row["triggerPrice"])


def is_ours(name: object) -> bool:
    return isinstance(name, str) and len(name) == CLIENT_ID_LENGTH and LETTERS.issuperset(name)


def orders_of(rows: Iterable[Mapping[str, Any]], listings: Sequence[Listing]) -> list[VenueOrder]:
    by_id = {each.id: each for each in listings}
    return [order_of(row, by_id[row["symbol"]]) for row in rows if row["symbol"] in by_id]


def order_of(row: Mapping[str, Any], listing: Listing) -> VenueOrder:
    """Return an order; of one that is bought by value, what it filled is all that is known."""
    filled, side = counted(row["cumExecQty"] or "0"), Side(row["side"].lower())
    unit = row.get("marketUnit") or ("quoteCoin" if side is Side.BUY else "baseCoin")
    by_value = row["orderType"] == "Market" and unit == "quoteCoin"
    return VenueOrder(
        venue_order_id=name_of(row["orderId"]),
        client_id=word(row["orderLinkId"]),
        symbol=listing.symbol,
        side=side,
        quantity=filled if by_value else counted(row["qty"]),
        filled=filled,
        is_open=is_open(row),
        created_at=from_ms(row["createdTime"]),
    )


def trade_of(row: Mapping[str, Any], listing: Listing) -> VenueTrade:
    """Return an execution; both sides of a trade have its number, so the order is in its id."""
    side, fee = Side(row["side"].lower()), number(row["execFee"])
    received = listing.symbol.base if (side is Side.BUY) == (fee >= 0) else listing.symbol.quote
    return VenueTrade(
        id=FillId(f"{name_of(row['orderId'])}-{name_of(row['execId'])}"),
        venue_order_id=name_of(row["orderId"]),
        client_id=word(row["orderLinkId"]),
        symbol=listing.symbol,
        side=side,
        quantity=positive(row["execQty"]),
        price=positive(row["execPrice"]),
        cost=counted(row["execValue"]),
        fee=fee,
        fee_asset=name_of(row.get("feeCurrency") or received),
        at=from_ms(row["execTime"]),
    )


LOG_KINDS = {
    "TRANSFER_IN": EntryKind.TRANSFER,
    "TRANSFER_OUT": EntryKind.TRANSFER,
    "CURRENCY_BUY": EntryKind.CONVERSION,
    "CURRENCY_SELL": EntryKind.CONVERSION,
    "FEE_REFUND": EntryKind.REBATE,
    "BONUS": EntryKind.REBATE,
    "AIRDROP": EntryKind.REBATE,
}


def entries_of(row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    """Return a line of the log, and its fee: its change is what is left after that."""
    is_trade = row["type"] == "TRADE" and row["category"] == "spot"
    kind = EntryKind.TRADE if is_trade else LOG_KINDS.get(row["type"], EntryKind.OTHER)
    fee = number(row["fee"])
    moved = MONEY.add(number(row["change"]), fee)
    order_id = row["orderId"] if is_trade else ""
    for ending, why, value in (("", kind, moved), (":fee", EntryKind.FEE, MONEY.minus(fee))):
        if value:
            yield VenueEntry(
                id=f"{row['id']}:{row['currency']}:{row['type']}:{row['tradeId']}{ending}",
                kind=why,
                asset=book.asset(row["currency"]),
                amount=value,
                at=from_ms(row["transactionTime"]),
                trade_id=FillId(f"{order_id}-{row['tradeId']}" if is_trade else ""),
                order_id=order_id,
                word=row["type"],
            )


def report_of(said: Mapping[str, Any], balances: Mapping[str, Decimal] | None) -> KeyReport:
    """Return what a key may do; balances is None when it may not even read them."""
    permissions = said.get("permissions")
    spot, wallet = rights_in(permissions, "Spot"), rights_in(permissions, "Wallet")
    writes = {0: True, 1: False}.get(said.get("readOnly", -1))
    lacking = {
        "Read-Write": writes is False,
        "SpotTrade": spot is not None and "SpotTrade" not in spot,
        "Unified Trading Account": said.get("uta") == 0,
    }
    missing = tuple(name for name, is_lacking in lacking.items() if is_lacking)
    ips = said.get("ips")
    return KeyReport(
        can_read=balances is not None,
        can_trade=False if missing else True if writes and spot is not None else None,
        can_withdraw=None if wallet is None else "Withdraw" in wallet,
        missing=missing,
        ip_restricted=ips not in ([], ["*"]) if isinstance(ips, list) else None,
        expires_at=expiry(said.get("expiredAt")),
        balances=balances or {},
    )


def rights_in(permissions: object, name: str) -> Sequence[str] | None:
    """Return the rights of one kind, None where the venue does not tell of it."""
    found = permissions.get(name) if isinstance(permissions, dict) else None
    return found if isinstance(found, list) else None


def expiry(text: object) -> datetime | None:
    """Return when a key ends; one that is bound to addresses does not, which is said as 1970."""
    at = datetime.fromisoformat(text) if isinstance(text, str) and text else EPOCH
    return at if at > EPOCH else None


async def open_venue(
    *,
    clock: Clock,
    pacer: Pacer,
    credentials: Callable[[Account], Awaitable[Credentials]],
    options: VenueOptions,
) -> Venue:
    """Open Bybit for all accounts of this process; nothing is asked of it yet."""
    return await open_with(
        Bybit(), clock=clock, pacer=pacer, credentials=credentials, options=options
    )
