"""Kraken spot: its protocol in our words."""

import hmac
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyFault, KeyReport
from tradefleet.domain.errors import VenueUnavailable, ensure
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Bar, Side, Symbol, TradingRules
from tradefleet.domain.money import MONEY, UNIT, round_down, round_to_tick
from tradefleet.domain.order import Order, OrderKind, OrderReport
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement
from tradefleet.domain.user import Account, Mode
from tradefleet.engine.reconcile import total
from tradefleet.venue import Pacer, Venue, VenueOrder, VenueSpec, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.addresses import Addresses, VenueOptions
from tradefleet.venues._ccxt.amounts import (
    EPOCH,
    amount,
    counted,
    name_of,
    plain,
    positive,
    to_ms,
    word,
)
from tradefleet.venues._ccxt.calls import Call, KeyFailed, Outcome, VenueSaid
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
from tradefleet.venues._ccxt.encoding import encoded
from tradefleet.venues._ccxt.environment import refuses_number
from tradefleet.venues._ccxt.keys import cure
from tradefleet.venues._ccxt.listings import Listing, Listings
from tradefleet.venues._ccxt.outcomes import created_kraken, read_kraken
from tradefleet.venues._ccxt.venue import open_venue as open_with
from tradefleet.venues._ccxt.wire import Answer, Wire

logger = logging.getLogger(__name__)

VENUE = VenueSpec(
    name="kraken",
    summary="Kraken spot, live: it has no testnet; needs an API key that may query and trade.",
    needs_keys=True,
    modes=(Mode.LIVE,),
)

LIVE = Addresses(
    rest={"public": "https://api.kraken.com", "private": "https://api.kraken.com"},
    public_stream="wss://ws.kraken.com/v2",
    private_stream="wss://ws-auth.kraken.com/v2",
)
PUBLIC, PRIVATE = "/0/public/", "/0/private/"
FEE = Decimal("0.004")  # of who trades least, where the list of markets does not say it
CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))  # below so many s of age
HISTORY_COST = 2  # of a call for the history of trades or the ledger, where others cost 1
SENT_EARLIER = timedelta(seconds=5)  # the venue's clock may be behind ours
DEADLINE_LEAST = timedelta(seconds=2)  # which an order must have left when it arrives
OPEN = frozenset({"pending", "open"})
CLOSED = frozenset({"closed", "canceled", "expired"})
PAGE = 50  # orders or trades in one answer
PAGES_MAX = 200  # of one list
NAMED_AT_ONCE, TRADES_AT_ONCE = 50, 20  # ids in one question
BARS_PAGE = 720  # all that Kraken keeps
SUBSCRIBED_AT_ONCE = 100  # symbols in one message
CLIENT_ID_LENGTH = 32
LETTERS = frozenset("0123456789abcdef")
STREAM_CODES = {"XBT": "BTC", "XDG": "DOGE"}  # what the streams call otherwise than all the rest


@dataclass(frozen=True, slots=True)
class Kraken:
    """Kraken's formats and codes; the clock says what a cancel costs, by the order's age."""

    clock: Clock
    name: str = "kraken"
    title: str = "Kraken"
    modes: tuple[Mode, ...] = VENUE.modes
    timing: VenueTiming = VenueTiming(
        visibility=timedelta(seconds=2),
        margin=DEADLINE_LEAST + timedelta(seconds=1),
        clock_step=timedelta(seconds=1),
    )
    bars_page: int = BARS_PAGE
    signs_sent_at: bool = False  # an order says itself until when it may be taken
    counts_requests: bool = True
    topics_per_stream: int = 250
    accounts_per_stream: int = 1
    ping: str = '{"method":"ping"}'

    @property
    def ccxt_options(self) -> Mapping[str, Any]:
        return {}

    @property
    def market_costs(self) -> Mapping[str, float]:
        return {"weight": 1}

    @property
    def join_costs(self) -> Mapping[str, float]:
        return {}  # what the token costs is said where it is asked for

    @property
    def timeframes(self) -> Mapping[timedelta, str]:
        return TIMEFRAMES

    # ------------------------------------------------------------- the wire

    def addresses(self, mode: Mode) -> Addresses:
        return LIVE

    def sign(self, call: Call, url: str, credentials: Credentials, stamp: int) -> Wire:
        """Sign the path and what is sent; stamp is the number (nonce), which comes first."""
        body = encoded({"nonce": str(stamp), **call.params}).encode()
        digest = sha256(str(stamp).encode() + body).digest()
        signature = hmac.digest(secret_of(credentials), call.path.encode() + digest, "sha512")
        headers = {
            "API-Key": credentials.api_key.reveal(),
            "API-Sign": b64encode(signature).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return Wire(call.method, f"{url}{call.path}", headers, body)

    def read(self, answer: Answer) -> Outcome:
        return read_kraken(answer)

    # --------------------------------------------------------------- public

    def listing(self, symbol: Symbol, market: Mapping[str, Any]) -> Listing:
        """Return a pair; its names on the wire are XBTUSD, XXBTZUSD, XBT/USD and BTC/USD."""
        raw, taker = market["info"], market["taker"]
        base, _, quote = raw["wsname"].partition("/")
        stream_id = f"{STREAM_CODES.get(base, base)}/{STREAM_CODES.get(quote, quote)}"
        return Listing(
            symbol=symbol,
            id=raw["altname"],
            stream_id=stream_id,
            rules=TradingRules(
                price_tick=amount(raw["tick_size"]),
                quantity_step=Decimal(1).scaleb(-int(raw["lot_decimals"])),
                notional_min=amount(raw.get("costmin", 0)),
                quantity_min=amount(raw["ordermin"]),
                fee=FEE if taker is None else Decimal(str(taker)),
            ),
            is_active=raw["status"] == "online",
            status=raw["status"],
            names=frozenset({raw["altname"], market["id"], raw["wsname"], stream_id}),
        )

    def server_time(self) -> Call:
        return public("Time")

    def time_of(self, payload: Any) -> datetime:
        return from_seconds(payload["unixtime"])

    async def bars(
        self, errand: Errand, followed: Followed, until: datetime, count: int
    ) -> Sequence[Bar]:
        """Return what is committed alone: the bar that runs, or is still counted, is left out.

        The venue keeps the latest bars only, and asks for where to begin, not where to end.
        """
        since = until - (count + 1) * followed.timeframe.delta
        result = await errand.ask(
            public(
                "OHLC",
                pair=followed.listing.id,
                interval=followed.word,
                since=str(to_ms(since) // 1000),
            )
        )
        (rows,) = (found for name, found in result.items() if name != "last")
        committed = [bar_of(row) for row in rows if row[0] <= result["last"]]
        return [bar for bar in committed if bar.opened_at <= until][-count:]

    async def last_price(self, errand: Errand, listing: Listing) -> Decimal:
        (row,) = (await errand.ask(public("Ticker", pair=listing.id))).values()
        return counted(row["c"][0])

    # --------------------------------------------------------------- orders

    def create(self, order: Order, listing: Listing) -> Call:
        """The fee is to be in quote: sells would pay it in base, which they have no more of."""
        return Call(
            method="POST",
            api="private",
            path=f"{PRIVATE}AddOrder",
            params={
                "pair": listing.id,
                "type": order.side.value,
                **kind_of(order, listing),
                "volume": plain(order.quantity),
                "oflags": "fciq",
                "cl_ord_id": order.id,
                "deadline": until_of(order),
            },
            costs={f"pair:{listing.id}": 1},
        )

    def created(self, payload: Any, order: Order, listing: Listing) -> str:
        return created_kraken(payload, order.id, listing.id)

    def cancel(self, order: Order, listing: Listing) -> Call:
        age = (self.clock.now() - (order.sent_at or order.decided_at)).total_seconds()
        cost = next((cost for below, cost in CANCEL_COSTS if age < below), 0)
        return Call(
            method="POST",
            api="private",
            path=f"{PRIVATE}CancelOrder",
            params={"cl_ord_id": order.id},
            costs={f"pair:{listing.id}": cost},
        )

    async def find(self, errand: Errand, order: Order, listing: Listing) -> OrderReport | None:
        """Look for our name among what is open, then among what is closed since it was sent.

        An order passes from the first to the second list, never back: it cannot slip through.
        """
        ours = {"cl_ord_id": order.id}
        since = since_of((order.sent_at or order.decided_at) - SENT_EARLIER)
        for method, name, params in (
            ("OpenOrders", "open", ours),
            ("ClosedOrders", "closed", {**ours, "start": since, "without_count": "true"}),
        ):
            rows = (await errand.ask(private(method, params)))[name]
            if rows:
                return report_of(rows, order, listing)
        return None

    async def trades_of(
        self, errand: Errand, order: Order, listing: Listing, venue_order_id: str
    ) -> Sequence[VenueTrade]:
        """Return an order's trades, each by itself: those of one moment are not added up.

        Where their ids do not lead to all of them, the history of that time does.
        """
        asked = {"txid": venue_order_id, "trades": "true", **EACH_BY_ITSELF}
        placed = (await errand.ask(private("QueryOrders", asked)))[venue_order_id]
        if placed["descr"]["pair"] not in listing.names:
            raise ValueError("about another order")
        rows: dict[str, Any] = {}
        for part in parts(placed.get("trades") or [], TRADES_AT_ONCE):
            rows |= await errand.ask(private("QueryTrades", {"txid": ",".join(part)}))
        if total(amount(row["vol"]) for row in rows.values()) != amount(placed["vol_exec"]):
            since = from_seconds(placed["opentm"])
            rows = await history(errand, since, until=placed.get("closetm"))
        return [
            trade_of(number, row, listing, order.id)
            for number, row in rows.items()
            if row["ordertxid"] == venue_order_id
        ]

    async def open_orders(
        self, errand: Errand, listings: Sequence[Listing]
    ) -> Sequence[VenueOrder]:
        rows = (await errand.ask(private("OpenOrders")))["open"]
        return orders_of(rows, listings)

    async def orders_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueOrder]:
        """Return what is open and what is closed; an order in both was closed in between."""
        rows = (await errand.ask(private("OpenOrders")))["open"]
        params = {"start": since_of(since), "closetime": "open"}
        rows |= await pages(errand, "ClosedOrders", "closed", params)
        return [each for each in orders_of(rows, listings) if each.created_at >= since]

    async def trades_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueTrade]:
        by_name = named(listings)
        rows = {
            number: row
            for number, row in (await history(errand, since)).items()
            if row["pair"] in by_name and from_seconds(row["time"]) >= since
        }
        orders = await names_of(errand, [row["ordertxid"] for row in rows.values()])
        return [
            trade_of(number, row, by_name[row["pair"]], orders.get(row["ordertxid"], ""))
            for number, row in rows.items()
        ]

    async def balances(self, errand: Errand) -> Mapping[str, Decimal]:
        """Return all of every asset, what is on hold too, but for what is finer than our books.

        What earns or is staked has a suffix (ETH.S, USDT.F) and keeps it: it is not the asset.
        """
        rows = await errand.ask(private("BalanceEx"))
        return {
            errand.book.asset(name_of(code)): round_down(amount(row["balance"]), UNIT)
            for code, row in rows.items()
        }

    async def statement(
        self, errand: Errand, listings: Sequence[Listing], since: datetime, until: datetime
    ) -> VenueStatement:
        params = {"start": since_of(since), "end": str(to_ms(until) // 1000 + 1)}
        rows = await pages(errand, "Ledgers", "ledger", params, HISTORY_COST)
        found = (entries_of(number, row, errand.book) for number, row in rows.items())
        return VenueStatement(tuple(entry for row in found for entry in row))

    @property
    def ledger_right(self) -> str:
        return LEDGER_RIGHT[1]

    async def rights(self, errand: Errand, mode: Mode) -> KeyReport:
        """Ask for the key, which needs no right, and then for the balances, which need one."""
        try:
            said = await errand.ask(private("GetApiKeyInfo"))
        except VenueSaid as answer:
            raise understood(answer) from None
        permissions = permissions_in(said)
        reads = permissions is not None and "query-funds" in permissions
        return report_on(said, permissions, await self.balances(errand) if reads else {})

    # -------------------------------------------------------------- streams

    def subscribe(self, followed: Sequence[Followed]) -> Sequence[str]:
        """Bars come with a snapshot of the latest: it fills the gap after a silence."""
        by_word: dict[str, list[str]] = {}
        for each in followed:
            by_word.setdefault(each.word, []).append(each.listing.stream_id)
        traded = [each.listing.stream_id for each in followed]
        wanted: list[tuple[list[str], dict[str, Any]]] = [
            (ids, {"channel": "ohlc", "interval": int(word), "snapshot": True})
            for word, ids in by_word.items()
        ]
        wanted.append((traded, {"channel": "trade", "snapshot": False}))
        return [
            json.dumps({"method": "subscribe", "params": {**params, "symbol": part}})
            for ids, params in wanted
            for part in parts(list(dict.fromkeys(ids)), SUBSCRIBED_AT_ONCE)
        ]

    def told(self, message: Any) -> Iterable[Told]:
        channel = message.get("channel")
        if channel == "trade":
            for row in message["data"]:
                yield Traded(row["symbol"], price_shown(row["price"]), moment(row["timestamp"]))
        elif channel == "ohlc":
            yield from bars_told(message)
        elif message.get("success") is False:
            logger.warning("kraken refuses a subscription: %s", message.get("error"))

    async def join(
        self, errand: Errand, credentials: Credentials, tag: str, stamp: int
    ) -> Sequence[str]:
        """Return a subscription with a token of its own, which is good for one connection.

        No snapshot: whatever may be open is looked up as soon as the stream is there.
        """
        token = (await errand.ask(private("GetWebSocketsToken")))["token"]
        params = {
            "channel": "executions",
            "snap_orders": False,
            "snap_trades": False,
            "token": token,
        }
        return (json.dumps({"method": "subscribe", "params": params}),)

    def leave(self, tag: str, notes: StreamNotes) -> Sequence[str]:
        return ()  # an account has a connection of its own, which is closed

    def bell(self, message: Any, notes: StreamNotes) -> Iterable[Bell]:
        """Ring for what is told; where a message is missing, for whatever may be open."""
        if message.get("method") == "subscribe":
            if message["success"] or message.get("error") == HEARD_ALREADY:
                yield Joined("")
            else:
                yield Left("", str(message.get("error")))
        elif message.get("channel") == "executions":
            number, before = message.get("sequence"), notes.tags.get("sequence")
            notes.tags["sequence"] = str(number)
            if before is not None and isinstance(number, int) and str(number - 1) != before:
                yield Joined("")
            names = (row.get("cl_ord_id") for row in message["data"])
            yield Rung("", tuple(OrderId(each) for each in dict.fromkeys(names) if is_ours(each)))


TIMEFRAMES = {
    timedelta(minutes=1): "1",
    timedelta(minutes=5): "5",
    timedelta(minutes=15): "15",
    timedelta(minutes=30): "30",
    timedelta(hours=1): "60",
    timedelta(hours=4): "240",
    timedelta(days=1): "1440",
    timedelta(days=7): "10080",
}
HEARD_ALREADY = "Already subscribed"  # its first answer was lost: on one's own line, as good
EACH_BY_ITSELF = {"consolidate_taker": "false"}


def public(method: str, **params: str) -> Call:
    return Call(method="GET", api="public", path=f"{PUBLIC}{method}", params=params, signed=False)


def private(method: str, params: Mapping[str, str] | None = None, cost: float = 1) -> Call:
    """Return a signed question; it is counted by its key, not by our address."""
    return Call(
        method="POST",
        api="private",
        path=f"{PRIVATE}{method}",
        params=params or {},
        costs={"counter": cost},
    )


def secret_of(credentials: Credentials) -> bytes:
    """Return the secret's bytes; of one that is none, what makes the venue say so."""
    text = credentials.api_secret.reveal()
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return text.encode()


# --------------------------------------------------------------------- orders


def kind_of(order: Order, listing: Listing) -> Mapping[str, str]:
    """Return the venue's kind of an order, and the price it waits for."""
    if order.kind is not OrderKind.RESTING_STOP:
        return {"ordertype": "market"}
    ensure(order.side is Side.SELL and order.price is not None, "a resting stop sells at a price")
    trigger = round_to_tick(order.price or Decimal(0), listing.rules.price_tick)
    return {"ordertype": "stop-loss", "price": plain(trigger)}


def until_of(order: Order) -> str:
    """Return until when an order may be taken, as it was written down."""
    ensure(order.deadline is not None, "an order is sent with its deadline")
    deadline = order.deadline or order.decided_at
    return f"{deadline.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{deadline.microsecond // 1000:03d}Z"


def report_of(rows: Mapping[str, Mapping[str, Any]], order: Order, listing: Listing) -> OrderReport:
    """Return what a list says of the one order that bears our name."""
    ((number, row),) = rows.items()
    if row["cl_ord_id"] != order.id or row["descr"]["pair"] not in listing.names:
        raise ValueError("about another order")
    return OrderReport(name_of(number), is_open(row), counted(row["vol_exec"]))


def is_open(row: Mapping[str, Any]) -> bool:
    """Say whether the venue may fill more of an order; ValueError for a status we do not know."""
    status = row["status"]
    if status not in OPEN | CLOSED:
        raise ValueError("an unknown status")
    return status in OPEN


def is_ours(name: object) -> bool:
    return isinstance(name, str) and len(name) == CLIENT_ID_LENGTH and LETTERS.issuperset(name)


def named(listings: Sequence[Listing]) -> dict[str, Listing]:
    """Return pairs by every name that the venue's answers have for them."""
    return {name: listing for listing in listings for name in listing.names}


def orders_of(
    rows: Mapping[str, Mapping[str, Any]], listings: Sequence[Listing]
) -> list[VenueOrder]:
    by_name = named(listings)
    return [
        order_of(number, row, by_name[row["descr"]["pair"]])
        for number, row in rows.items()
        if row["descr"]["pair"] in by_name
    ]


def order_of(number: str, row: Mapping[str, Any], listing: Listing) -> VenueOrder:
    """Return an order; of one that is bought by value, what it filled is all that is known."""
    filled = counted(row["vol_exec"])
    by_value = "viqc" in row["oflags"].split(",")
    return VenueOrder(
        venue_order_id=name_of(number),
        client_id=word(row.get("cl_ord_id") or ""),
        symbol=listing.symbol,
        side=Side(row["descr"]["type"]),
        quantity=filled if by_value else counted(row["vol"]),
        filled=filled,
        is_open=is_open(row),
        created_at=from_seconds(row["opentm"]),
    )


def trade_of(number: str, row: Mapping[str, Any], listing: Listing, client_id: str) -> VenueTrade:
    """Return a trade; its fee is told in quote, whatever it was paid in."""
    if row["pair"] not in listing.names:
        raise ValueError("about another pair")
    return VenueTrade(
        id=FillId(name_of(number)),
        venue_order_id=name_of(row["ordertxid"]),
        client_id=client_id,
        symbol=listing.symbol,
        side=Side(row["type"]),
        quantity=positive(row["vol"]),
        price=positive(row["price"]),
        cost=counted(row["cost"]),
        fee=amount(row["fee"]),
        fee_asset=listing.symbol.quote,
        at=from_seconds(row["time"]),
    )


LEDGER_KINDS = {
    "trade": EntryKind.TRADE,
    "deposit": EntryKind.DEPOSIT,
    "withdrawal": EntryKind.WITHDRAWAL,
    "transfer": EntryKind.TRANSFER,
    "custodytransfer": EntryKind.TRANSFER,
    "spend": EntryKind.CONVERSION,
    "receive": EntryKind.CONVERSION,
    "conversion": EntryKind.CONVERSION,
    "sale": EntryKind.CONVERSION,
    "nftrebate": EntryKind.REBATE,
}


def entries_of(number: str, row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    """Return a row of the ledger, and its fee, which is taken off beside its amount."""
    kind = LEDGER_KINDS.get(row["type"], EntryKind.OTHER)
    moved, fee = amount(row["amount"]), amount(row["fee"])
    for ending, why, value in (("", kind, moved), (":fee", EntryKind.FEE, MONEY.minus(fee))):
        if value:
            yield VenueEntry(
                id=f"{number}{ending}",
                kind=why,
                asset=book.asset(row["asset"]),
                amount=value,
                at=from_seconds(row["time"]),
                trade_id=FillId(row["refid"] if kind is EntryKind.TRADE else ""),
                word=row["type"],
                step=step_of(row["amount"]),
            )


def step_of(text: str) -> Decimal:
    """Return how finely an amount is written: a trade's list may have more digits of it."""
    _, _, digits = text.partition(".")
    return max(UNIT, Decimal(1).scaleb(-len(digits)))


async def history(
    errand: Errand, since: datetime, until: float | None = None
) -> dict[str, dict[str, Any]]:
    """Return every trade since then, up to and with a moment in seconds."""
    params = {"start": since_of(since), **EACH_BY_ITSELF}
    if until is not None:
        params["end"] = str(int(until) + 1)
    return await pages(errand, "TradesHistory", "trades", params, HISTORY_COST)


async def pages(
    errand: Errand, method: str, name: str, params: Mapping[str, str], cost: float = 1
) -> dict[str, dict[str, Any]]:
    """Return all rows of a list, the latest first: what comes meanwhile moves the rest on."""
    found: dict[str, dict[str, Any]] = {}
    for number in range(PAGES_MAX):
        place = {"ofs": str(number * PAGE), "without_count": "true"}
        page = (await errand.ask(private(method, {**params, **place}, cost)))[name]
        found |= page
        if len(page) < PAGE:
            return found
    raise VenueUnavailable(f"Kraken: the list {method} has no end")


async def names_of(errand: Errand, numbers: Sequence[str]) -> dict[str, str]:
    """Return our names of orders by the venue's numbers, as far as it tells them."""
    found: dict[str, str] = {}
    for part in parts(list(dict.fromkeys(numbers)), NAMED_AT_ONCE):
        try:
            rows = await errand.ask(private("QueryOrders", {"txid": ",".join(part)}))
        except KeyFailed:
            raise
        except VenueSaid as answer:
            logger.debug("kraken does not say whose orders these are: %s", answer)
            continue
        found |= {number: word(row.get("cl_ord_id") or "") for number, row in rows.items()}
    return found


# ------------------------------------------------------------------------ keys

# What a key needs, and what it must not have, by the venue's words and by those on its pages.
NEEDED = {
    "query-funds": "Query Funds",
    "query-open-trades": "Query Open Orders & Trades",
    "query-closed-trades": "Query Closed Orders & Trades",
    "modify-trades": "Create & Modify Orders",
    "close-trades": "Cancel/Close Orders",
}
LEDGER_RIGHT = ("query-ledger", "Query Ledger Entries")  # for the daily statement alone
TRADING = frozenset({"modify-trades", "close-trades"})
WITHDRAWING = frozenset({"withdraw-funds", "add-withdraw-address", "update-withdraw-address"})
ALL_DATES = "a query range without start and end date"
OTHER_PROGRAM = (
    "Kraken refuses the numbers (nonces) of this key's requests: another program uses the key, "
    "or used it, and counts otherwise. Make a key for this service alone."
)


def permissions_in(said: Mapping[str, Any]) -> frozenset[str] | None:
    """Return what a key may do, None where the venue does not tell."""
    found = said.get("permissions")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return None
    return frozenset(found)


def report_on(
    said: Mapping[str, Any], permissions: frozenset[str] | None, balances: Mapping[str, Decimal]
) -> KeyReport:
    """Return what a key may do; one that sees a part of the past only would miss orders."""
    listed, ips = permissions or frozenset(), said.get("ipAllowlist")
    missing = [title for right, title in NEEDED.items() if right not in listed]
    if any(is_set(said.get(name)) for name in ("queryFrom", "queryTo")):
        missing.append(ALL_DATES)
    until = said.get("validUntil")
    is_told = permissions is not None
    no_ledger = is_told and LEDGER_RIGHT[0] not in listed
    return KeyReport(
        can_read=NEEDED.keys() - TRADING <= listed if is_told else None,
        can_trade=listed >= TRADING if is_told else None,
        can_withdraw=not WITHDRAWING.isdisjoint(listed) if is_told else None,
        missing=tuple(missing) if is_told else (),
        advised=(LEDGER_RIGHT[1],) if no_ledger else (),
        ip_restricted=bool(ips) if isinstance(ips, list) else None,
        expires_at=from_seconds(int(until)) if until is not None and is_set(until) else None,
        balances=balances,
    )


def is_set(seconds: object) -> bool:
    """Say whether a time is given: "0" is none."""
    return str(seconds or 0) != "0"


def understood(answer: VenueSaid) -> VenueSaid:
    """Return a refusal to tell of a key itself, which needs no right, by what it must mean."""
    said = answer.said
    if said.fault is KeyFault.PERMISSION:
        fault = KeyFault.ADDRESS
        return KeyFailed("Kraken", said, fault, cure("Kraken", fault, said))
    if refuses_number(said):
        return KeyFailed("Kraken", said, KeyFault.INVALID, f"{OTHER_PROGRAM} (It said: {said})")
    return answer


# ------------------------------------------------------------------------ rows


def parts(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[at : at + size] for at in range(0, len(ids), size))


def since_of(at: datetime) -> str:
    """Return the second before a moment: what came in that very second is wanted, too."""
    return str(to_ms(at) // 1000 - 1)


def from_seconds(value: object) -> datetime:
    """Return the time of a number of seconds; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{type(value).__name__} is no time")
    return EPOCH + timedelta(seconds=value)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def shown(value: object) -> Decimal:
    """Return a number of the streams, which are no texts: up to 15 digits come through exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{type(value).__name__} is no number")
    return amount(str(value))


def price_shown(value: object) -> Decimal:
    return positive(str(shown(value)))


def bar_of(row: Sequence[Any]) -> Bar:
    opened, open_, high, low, close, _, volume = row[:7]
    return Bar(from_seconds(opened), *map(amount, (open_, high, low, close, volume)))


def bars_told(message: Mapping[str, Any]) -> Iterator[Told]:
    """Read how bars stand. Nothing says that one is closed, but that a later one is there.

    A snapshot has the latest bars of a pair: their last close is the price, and all but the
    last are closed.
    """
    at, is_first = moment(message["timestamp"]), message["type"] == "snapshot"
    rows = sorted(message["data"], key=lambda row: row["interval_begin"])
    last = {(row["symbol"], row["interval"]): row for row in rows}
    if is_first:
        for row in last.values():
            yield Traded(row["symbol"], price_shown(row["close"]), at)
    for row in rows:
        key = row["symbol"], row["interval"]
        numbers = map(shown, (row[name] for name in ("open", "high", "low", "close", "volume")))
        bar = Bar(moment(row["interval_begin"]), *numbers)
        is_closed = True if is_first and row is not last[key] else None
        yield BarTold(row["symbol"], str(row["interval"]), bar, is_closed, at)


async def open_venue(
    *,
    clock: Clock,
    pacer: Pacer,
    credentials: Callable[[Account], Awaitable[Credentials]],
    options: VenueOptions,
) -> Venue:
    """Open Kraken for all accounts of this process; nothing is asked of it yet."""
    return await open_with(
        Kraken(clock), clock=clock, pacer=pacer, credentials=credentials, options=options
    )
