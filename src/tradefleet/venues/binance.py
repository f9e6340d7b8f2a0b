"""Binance spot: its protocol in our words."""

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Credentials, KeyFault, KeyReport
from tradefleet.domain.errors import VenueUnavailable, ensure
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Bar, Side, Symbol, TradingRules
from tradefleet.domain.money import MONEY, round_to_tick
from tradefleet.domain.order import Order, OrderKind, OrderReport
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement, entries_of_trade
from tradefleet.domain.user import Account, Mode
from tradefleet.venue import Pacer, Venue, VenueOrder, VenueSpec, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.addresses import Addresses, VenueOptions
from tradefleet.venues._ccxt.amounts import (
    MILLISECOND,
    amount,
    counted,
    flag,
    from_ms,
    name_of,
    numbered,
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
from tradefleet.venues._ccxt.keys import cure
from tradefleet.venues._ccxt.listings import Listing, Listings
from tradefleet.venues._ccxt.outcomes import created_binance, read_binance
from tradefleet.venues._ccxt.venue import open_venue as open_with
from tradefleet.venues._ccxt.wire import Answer, Wire

VENUE = VenueSpec(
    name="binance",
    summary="Binance spot, live or testnet; needs an API key that may read and trade.",
    needs_keys=True,
    modes=(Mode.TESTNET, Mode.LIVE),
)

LIVE = Addresses(
    rest={
        "public": "https://api.binance.com/api/v3",
        "private": "https://api.binance.com/api/v3",
        "sapi": "https://api.binance.com/sapi/v1",
    },
    public_stream="wss://stream.binance.com:9443/stream",
    private_stream="wss://ws-api.binance.com:443/ws-api/v3",
)
TESTNET = Addresses(
    rest={
        "public": "https://testnet.binance.vision/api/v3",
        "private": "https://testnet.binance.vision/api/v3",
        "sapi": "",
    },
    public_stream="wss://stream.testnet.binance.vision/stream",
    private_stream="wss://ws-api.testnet.binance.vision/ws-api/v3",
)
RECEIVE_MS = "5000"  # the venue refuses what is older than this when it arrives
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"})
CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})
PAGE = 1000  # orders, executions or bars in one answer
DAY = timedelta(days=1)  # the longest span a list is asked for at once
CLOCKS_DIFFER = timedelta(minutes=1)  # a list goes on until then, so that nothing new is missed
ALL_SYMBOLS_FROM = 14  # symbols from which one list of all open orders is cheaper
STOP_LIMIT_SHARE = Decimal("0.9")  # of the trigger, where a stop must carry a limit
SUBSCRIBED_AT_ONCE = 200  # names of streams in one message
ONLY_A_NEW_CONNECTION_HELPS = (-2035, -2042)  # it serves the account already, or no more of them
CLIENT_ID_LENGTH = 32
LETTERS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Binance:
    """Binance's formats and codes."""

    name: str = "binance"
    title: str = "Binance"
    modes: tuple[Mode, ...] = VENUE.modes
    timing: VenueTiming = VenueTiming(visibility=timedelta(seconds=1))
    bars_page: int = PAGE
    signs_sent_at: bool = True
    counts_requests: bool = False
    topics_per_stream: int = 500  # prices and bars of each: 1,000 of the 1,024 allowed
    accounts_per_stream: int = 200  # of the 1,000 allowed, so that one connection is no crowd
    ping: str = ""

    @property
    def ccxt_options(self) -> Mapping[str, Any]:
        return {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}

    @property
    def market_costs(self) -> Mapping[str, float]:
        return {"weight": 20}

    @property
    def join_costs(self) -> Mapping[str, float]:
        return {"weight": 2}

    @property
    def timeframes(self) -> Mapping[timedelta, str]:
        return TIMEFRAMES

    # ------------------------------------------------------------- the wire

    def addresses(self, mode: Mode) -> Addresses:
        return LIVE if mode is Mode.LIVE else TESTNET

    def sign(self, call: Call, url: str, credentials: Credentials, stamp: int) -> Wire:
        """Sign what is sent, in its order: the time first, how long it is good last."""
        params = {"timestamp": str(stamp), **call.params, "recvWindow": RECEIVE_MS}
        query = signed(encoded(params), credentials)
        headers = {"X-MBX-APIKEY": credentials.api_key.reveal()}
        if call.method in ("GET", "DELETE"):
            return Wire(call.method, f"{url}{call.path}?{query}", headers)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Wire(call.method, f"{url}{call.path}", headers, query.encode())

    def read(self, answer: Answer) -> Outcome:
        return read_binance(answer)

    # --------------------------------------------------------------- public

    def listing(self, symbol: Symbol, market: Mapping[str, Any]) -> Listing:
        raw = market["info"]
        filters = {each["filterType"]: each for each in raw["filters"]}
        lots, notional = filters["LOT_SIZE"], filters.get("NOTIONAL", filters.get("MIN_NOTIONAL"))
        market_lots = filters.get("MARKET_LOT_SIZE", {})
        return Listing(
            symbol=symbol,
            id=raw["symbol"],
            stream_id=raw["symbol"].lower(),
            rules=TradingRules(
                price_tick=amount(filters["PRICE_FILTER"]["tickSize"]),
                quantity_step=max(amount(lots["stepSize"]), amount(market_lots.get("stepSize", 0))),
                quantity_min=max(amount(lots["minQty"]), amount(market_lots.get("minQty", 0))),
                notional_min=amount((notional or {}).get("minNotional", 0)),
                fee=Decimal(str(market["taker"])),
            ),
            is_active=raw["status"] == "TRADING" and raw.get("isSpotTradingAllowed", True),
            status=raw["status"],
            kinds=frozenset(raw["orderTypes"]),
        )

    def server_time(self) -> Call:
        return Call(method="GET", api="public", path="/time", signed=False)

    def time_of(self, payload: Any) -> datetime:
        return from_ms(payload["serverTime"])

    async def bars(
        self, errand: Errand, followed: Followed, until: datetime, count: int
    ) -> Sequence[Bar]:
        rows = await errand.ask(
            Call(
                method="GET",
                api="public",
                path="/klines",
                params={
                    "symbol": followed.listing.id,
                    "interval": followed.word,
                    "endTime": str(to_ms(until)),
                    "limit": str(count),
                },
                signed=False,
                costs={"weight": 2},
            )
        )
        return [bar_of(row[0], *row[1:6]) for row in rows]

    async def last_price(self, errand: Errand, listing: Listing) -> Decimal:
        call = Call(
            method="GET",
            api="public",
            path="/ticker/price",
            params={"symbol": listing.id},
            signed=False,
            costs={"weight": 2},
        )
        return counted((await errand.ask(call))["price"])

    # --------------------------------------------------------------- orders

    def create(self, order: Order, listing: Listing) -> Call:
        return Call(
            method="POST",
            api="private",
            path="/order",
            params={
                "symbol": listing.id,
                "side": order.side.upper(),
                **kind_of(order, listing),
                "quantity": plain(order.quantity),
                "newClientOrderId": order.id,
                "newOrderRespType": "ACK",
            },
            costs={"weight": 1, "orders": 1},
        )

    def created(self, payload: Any, order: Order, listing: Listing) -> str:
        return created_binance(payload, order.id, listing.id)

    def cancel(self, order: Order, listing: Listing) -> Call:
        return Call(
            method="DELETE",
            api="private",
            path="/order",
            params={"symbol": listing.id, "origClientOrderId": order.id},
        )

    async def find(self, errand: Errand, order: Order, listing: Listing) -> OrderReport | None:
        """Ask by the venue's number where it is known: a name is free again once its order filled.

        So the network can make two orders of one request, and the name would lead to the other.
        """
        number = order.venue_order_id
        asked = {"orderId": number} if number else {"origClientOrderId": order.id}
        call = Call(
            method="GET",
            api="private",
            path="/order",
            params={"symbol": listing.id, **asked},
            costs={"weight": 4},
        )
        try:
            row = await errand.ask(call)
        except VenueSaid as answer:
            if answer.said.absent:
                return None
            raise
        if row["clientOrderId"] != order.id:
            raise ValueError("about another order")
        return OrderReport(numbered(row["orderId"]), is_open(row), counted(row["executedQty"]))

    async def trades_of(
        self, errand: Errand, order: Order, listing: Listing, venue_order_id: str
    ) -> Sequence[VenueTrade]:
        params = {"symbol": listing.id, "orderId": venue_order_id}
        return [
            trade_of(row, listing, order.id)
            for row in await pages(errand, "/myTrades", params, {"weight": 5}, "fromId", "id")
        ]

    async def open_orders(
        self, errand: Errand, listings: Sequence[Listing]
    ) -> Sequence[VenueOrder]:
        by_id = {each.id: each for each in listings}
        asked: list[dict[str, str]] = [{"symbol": each} for each in by_id]
        weight = 6
        if len(asked) >= ALL_SYMBOLS_FROM:
            asked, weight = [{}], 80
        found = []
        for params in asked:
            call = Call(
                method="GET",
                api="private",
                path="/openOrders",
                params=params,
                costs={"weight": weight},
            )
            found += [
                order_of(row, by_id[row["symbol"]])
                for row in await errand.ask(call)
                if row["symbol"] in by_id
            ]
        return found

    async def orders_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueOrder]:
        return [
            order_of(row, listing)
            for listing in listings
            for row in await rows_since(errand, "/allOrders", listing, since, "orderId", "orderId")
        ]

    async def trades_since(
        self, errand: Errand, listings: Sequence[Listing], since: datetime
    ) -> Sequence[VenueTrade]:
        return [
            trade_of(row, listing, "")
            for listing in listings
            for row in await rows_since(errand, "/myTrades", listing, since, "fromId", "id")
        ]

    async def balances(self, errand: Errand) -> Mapping[str, Decimal]:
        return held(await errand.ask(ACCOUNT), errand)

    async def statement(
        self, errand: Errand, listings: Sequence[Listing], since: datetime, until: datetime
    ) -> VenueStatement:
        """Put together what its lists show: it keeps no ledger that a key for trading can read."""
        trades = await self.trades_since(errand, listings, since)
        entries = [entry for trade in trades for entry in moved_by(trade)]
        if "sapi" not in errand.apis:
            return VenueStatement(tuple(entries), (*WALLET_LISTS, *HIDDEN))
        for rows, read in (
            (await offsets(errand, DEPOSITS, since - DEPOSIT_TAKES, until), deposit_of),
            (await offsets(errand, WITHDRAWALS, since, until), withdrawal_of),
            (await dust(errand, since, until), dust_of),
            (await dividends(errand, since, until), dividend_of),
        ):
            entries += [entry for row in rows for entry in read(row, errand.book)]
        return VenueStatement(tuple(entries), HIDDEN)

    @property
    def ledger_right(self) -> str:
        return "enableReading"

    async def rights(self, errand: Errand, mode: Mode) -> KeyReport:
        """Ask for the account, which needs reading, and on the real venue for the key's rights."""
        try:
            account = await errand.ask(ACCOUNT)
        except KeyFailed as failed:
            raise await narrowed(failed, errand, mode) from None
        balances = held(account, errand)
        can_trade = account["canTrade"] is True
        if mode is not Mode.LIVE:  # the testnet does not tell of rights; a key there has all
            missing = () if can_trade else ("canTrade",)
            return KeyReport(
                can_read=True,
                can_trade=can_trade,
                can_withdraw=None,
                missing=missing,
                balances=balances,
            )
        try:
            said = await errand.ask(RESTRICTIONS)
            rights: Mapping[str, Any] = said if isinstance(said, dict) else {}
        except VenueUnavailable:
            rights = {}  # what was not said is not known: nobody may go live on it
        return report_of(rights, can_trade=can_trade, balances=balances)

    # -------------------------------------------------------------- streams

    def subscribe(self, followed: Sequence[Followed]) -> Sequence[str]:
        prices = [f"{each.listing.stream_id}@aggTrade" for each in followed]
        bars = [f"{each.listing.stream_id}@kline_{each.word}" for each in followed]
        names = list(dict.fromkeys(prices + bars))
        return [
            json.dumps(
                {"method": "SUBSCRIBE", "params": names[at : at + SUBSCRIBED_AT_ONCE], "id": at}
            )
            for at in range(0, len(names), SUBSCRIBED_AT_ONCE)
        ]

    def told(self, message: Any) -> Iterable[Told]:
        event = message.get("data", message)
        if event.get("e") == "aggTrade":
            yield Traded(event["s"].lower(), positive(event["p"]), from_ms(event["T"]))
        elif event.get("e") == "kline":
            row = event["k"]
            bar = bar_of(row["t"], row["o"], row["h"], row["l"], row["c"], row["v"])
            yield BarTold(row["s"].lower(), row["i"], bar, row["x"] is True, from_ms(event["E"]))

    async def join(
        self, errand: Errand, credentials: Credentials, tag: str, stamp: int
    ) -> Sequence[str]:
        params = {
            "apiKey": credentials.api_key.reveal(),
            "recvWindow": RECEIVE_MS,
            "timestamp": str(stamp),
        }
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        signature = signature_of(text, credentials)
        said = {
            "id": f"{tag}-join",
            "method": "userDataStream.subscribe.signature",
            "params": {
                "apiKey": params["apiKey"],
                "recvWindow": int(RECEIVE_MS),
                "timestamp": stamp,
                "signature": signature,
            },
        }
        return (json.dumps(said),)

    def leave(self, tag: str, notes: StreamNotes) -> Sequence[str]:
        numbers = [int(number) for number, owner in notes.tags.items() if owner == tag]
        return [
            json.dumps(
                {
                    "id": f"{tag}-leave",
                    "method": "userDataStream.unsubscribe",
                    "params": {"subscriptionId": number},
                }
            )
            for number in numbers
        ]

    def bell(self, message: Any, notes: StreamNotes) -> Iterable[Bell]:
        tag, _, asked = str(message.get("id", "")).partition("-")
        if asked == "join":
            if message.get("status") == 200:
                notes.tags[str(message["result"]["subscriptionId"])] = tag
                yield Joined(tag)
            else:
                error = message.get("error", {})
                code = error.get("code")
                yield Left(tag, f"{code} {error.get('msg')}", code in ONLY_A_NEW_CONNECTION_HELPS)
        event = message.get("event")
        owner = notes.tags.get(str(message.get("subscriptionId")))
        if event is None or owner is None:
            return
        if event["e"] == "executionReport":
            ids = (event.get("c"), event.get("C"))
            yield Rung(owner, tuple(OrderId(each) for each in ids if is_ours(each)))
        elif event["e"] == "eventStreamTerminated":
            del notes.tags[str(message["subscriptionId"])]
            yield Left(owner, "the venue has ended the stream")


ACCOUNT = Call(
    method="GET",
    api="private",
    path="/account",
    params={"omitZeroBalances": "true"},
    costs={"weight": 20},
)
RESTRICTIONS = Call(method="GET", api="sapi", path="/account/apiRestrictions")
TIMEFRAMES = {
    timedelta(seconds=1): "1s",
    timedelta(minutes=1): "1m",
    timedelta(minutes=3): "3m",
    timedelta(minutes=5): "5m",
    timedelta(minutes=15): "15m",
    timedelta(minutes=30): "30m",
    timedelta(hours=1): "1h",
    timedelta(hours=2): "2h",
    timedelta(hours=4): "4h",
    timedelta(hours=6): "6h",
    timedelta(hours=8): "8h",
    timedelta(hours=12): "12h",
    timedelta(days=1): "1d",
    timedelta(days=3): "3d",
    timedelta(days=7): "1w",
}


def signature_of(text: str, credentials: Credentials) -> str:
    """Sign with a system-generated key; ValueError for one of the other kinds."""
    secret = credentials.api_secret.reveal()
    if secret.startswith("-----"):
        raise ValueError("an RSA or Ed25519 key; make a system-generated one, of kind HMAC")
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def signed(query: str, credentials: Credentials) -> str:
    return f"{query}&signature={signature_of(query, credentials)}"


def kind_of(order: Order, listing: Listing) -> Mapping[str, str]:
    """Return the venue's kind of an order, and the prices it needs.

    A stop that may not be a market order carries a limit far below, so that it still fills.
    """
    if order.kind is not OrderKind.RESTING_STOP:
        return {"type": "MARKET"}
    ensure(order.side is Side.SELL and order.price is not None, "a resting stop sells at a price")
    trigger = round_to_tick(order.price or Decimal(0), listing.rules.price_tick)
    if "STOP_LOSS" in listing.kinds:
        return {"type": "STOP_LOSS", "stopPrice": plain(trigger)}
    limit = round_to_tick(MONEY.multiply(trigger, STOP_LIMIT_SHARE), listing.rules.price_tick)
    return {
        "type": "STOP_LOSS_LIMIT",
        "timeInForce": "GTC",
        "stopPrice": plain(trigger),
        "price": plain(limit),
    }


def is_open(row: Mapping[str, Any]) -> bool:
    """Say whether the venue may fill more of an order; ValueError for a status we do not know."""
    status = row["status"]
    if status not in OPEN | CLOSED:
        raise ValueError("an unknown status")
    return status in OPEN


def is_ours(name: object) -> bool:
    return isinstance(name, str) and len(name) == CLIENT_ID_LENGTH and LETTERS.issuperset(name)


def bar_of(opened: object, *numbers: object) -> Bar:
    return Bar(from_ms(opened), *(amount(each) for each in numbers))


def order_of(row: Mapping[str, Any], listing: Listing) -> VenueOrder:
    return VenueOrder(
        venue_order_id=numbered(row["orderId"]),
        client_id=word(row["clientOrderId"]),
        symbol=listing.symbol,
        side=Side(row["side"].lower()),
        quantity=counted(row["origQty"]),
        filled=counted(row["executedQty"]),
        is_open=is_open(row),
        created_at=from_ms(row["time"]),
    )


def trade_of(row: Mapping[str, Any], listing: Listing, client_id: str) -> VenueTrade:
    """Return an execution; the venue counts them per symbol, so the symbol is part of its id."""
    return VenueTrade(
        id=FillId(f"{listing.id}-{numbered(row['id'])}"),
        venue_order_id=numbered(row["orderId"]),
        client_id=client_id,
        symbol=listing.symbol,
        side=Side.BUY if flag(row["isBuyer"]) else Side.SELL,
        quantity=positive(row["qty"]),
        price=positive(row["price"]),
        cost=counted(row["quoteQty"]),
        fee=amount(row["commission"]),
        fee_asset=name_of(row["commissionAsset"]),
        at=from_ms(row["time"]),
    )


async def pages(
    errand: Errand,
    path: str,
    params: Mapping[str, str],
    costs: Mapping[str, float],
    cursor: str,
    number: str,
) -> list[dict[str, Any]]:
    """Return all rows of a list: where a page is full, what follows its last row is asked for."""
    found: list[dict[str, Any]] = []
    while True:
        call = Call(
            method="GET",
            api="private",
            path=path,
            params={**params, "limit": str(PAGE)},
            costs=costs,
        )
        page = await errand.ask(call)
        found += page
        if len(page) < PAGE:
            return found
        kept = {name: params[name] for name in ("symbol", "orderId") if name in params}
        params = kept | {cursor: str(int(page[-1][number]) + 1)}


async def rows_since(
    errand: Errand, path: str, listing: Listing, since: datetime, cursor: str, number: str
) -> list[dict[str, Any]]:
    """Return all rows since then, day by day; a day that fills a page is left by its last row."""
    found: dict[int, dict[str, Any]] = {}
    first_ms = to_ms(since)  # in the venue's own steps, or what came with it would be cut off
    start, last = since, errand.now + CLOCKS_DIFFER
    while start < last:
        end = start + DAY
        params = {
            "symbol": listing.id,
            "startTime": str(to_ms(start)),
            "endTime": str(to_ms(end)),
        }
        page = await pages(errand, path, params, {"weight": 20}, cursor, number)
        found |= {int(row[number]): row for row in page if int(row["time"]) >= first_ms}
        if len(page) >= PAGE:
            break  # what followed was read to its end
        start = end
    return [found[each] for each in sorted(found)]


# -------------------------------------------------------------------------- the statement

DEPOSITS, WITHDRAWALS = "/capital/deposit/hisrec", "/capital/withdraw/history"
DUST, DIVIDENDS = "/asset/dribblet", "/asset/assetDividend"
PAYMENTS_SPAN = timedelta(days=89)  # of the less than 90 days that are shown at once
DIVIDENDS_SPAN, DIVIDENDS_MOST = timedelta(days=7), 500
DUST_MOST = 100  # it shows the latest only
DEPOSIT_TAKES = timedelta(days=2)  # from when it is seen, by which it is listed, until it counts
CREDITED = (1, 6)  # a deposit that counts, may it be withdrawn again or not yet
GIVEN_BACK = (1, 3, 5)  # a withdrawal that was cancelled, refused, or failed
WALLET_LISTS = ("deposits, withdrawals, dust and distributions (the testnet does not list them)",)
HIDDEN = (
    "trades in pairs that no bot trades here",
    "Convert, Earn, Pay, P2P and fiat",
    "transfers to your other wallets, sub-accounts and other users",
)


def moved_by(trade: VenueTrade) -> Iterator[VenueEntry]:
    return entries_of_trade(
        trade_id=trade.id,
        order_id=trade.venue_order_id,
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        cost=trade.cost,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        at=trade.at,
    )


def wallet(path: str, params: Mapping[str, str], weight: float = 1) -> Call:
    return Call(method="GET", api="sapi", path=path, params=params, costs={"weight": weight})


def spans(since: datetime, until: datetime, most: timedelta) -> Iterator[Mapping[str, str]]:
    """Return the parameters for all of a time, in parts that do not overlap."""
    start, last = to_ms(since), to_ms(until)
    while start <= last:
        end = min(start + most // MILLISECOND, last)
        yield {"startTime": str(start), "endTime": str(end)}
        start = end + 1


async def offsets(errand: Errand, path: str, since: datetime, until: datetime) -> list[Any]:
    """Return all rows of a list that counts from the latest on."""
    found: list[Any] = []
    for span in spans(since, until, PAYMENTS_SPAN):
        page: list[Any] = [None] * PAGE
        begin = len(found)
        while len(page) == PAGE:
            place = {"offset": str(len(found) - begin), "limit": str(PAGE)}
            page = await errand.ask(wallet(path, {**span, **place}))
            found += page
    return found


async def dust(errand: Errand, since: datetime, until: datetime) -> list[Any]:
    """Return each small amount that was changed into BNB; VenueUnavailable when some are lost."""
    (span,) = spans(since, until, until - since)
    groups = (await errand.ask(wallet(DUST, span)))["userAssetDribblets"]
    if len(groups) >= DUST_MOST:
        raise VenueUnavailable("Binance: there was more dust than its list shows")
    return [row for group in groups for row in group["userAssetDribbletDetails"]]


async def dividends(errand: Errand, since: datetime, until: datetime) -> list[Any]:
    found: list[Any] = []
    for span in spans(since, until, DIVIDENDS_SPAN):
        asked = {**span, "limit": str(DIVIDENDS_MOST)}
        rows = (await errand.ask(wallet(DIVIDENDS, asked, 10)))["rows"]
        if len(rows) >= DIVIDENDS_MOST:
            raise VenueUnavailable("Binance: there were more distributions than its list shows")
        found += rows
    return found


def entry_of(
    kind: EntryKind, id: str, asset: str, value: Decimal, at: datetime, word: str
) -> Iterator[VenueEntry]:
    if value:
        yield VenueEntry(id=id, kind=kind, asset=asset, amount=value, at=at, word=word)


def deposit_of(row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    """Return a deposit once it counts, dated when it began to."""
    if row["status"] in CREDITED:
        at = from_ms(row.get("completeTime") or row["insertTime"])
        name, asset = f"deposit:{row['id']}", book.asset(row["coin"])
        yield from entry_of(EntryKind.DEPOSIT, name, asset, amount(row["amount"]), at, "deposit")


def withdrawal_of(row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    """Return a withdrawal from when it was asked for: the money is set apart at once."""
    if row["status"] in GIVEN_BACK:
        return
    at = datetime.fromisoformat(row["applyTime"]).replace(tzinfo=UTC)
    name, asset, kind = f"withdrawal:{row['id']}", book.asset(row["coin"]), EntryKind.WITHDRAWAL
    out, fee = MONEY.minus(amount(row["amount"])), MONEY.minus(amount(row["transactionFee"]))
    yield from entry_of(kind, name, asset, out, at, "withdrawal")
    yield from entry_of(EntryKind.FEE, f"{name}:fee", asset, fee, at, "withdrawal")


def dust_of(row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    """Return what was given and what came for it, which is after the fee."""
    at, kind = from_ms(row["operateTime"]), EntryKind.CONVERSION
    asset = book.asset(row["fromAsset"])
    name = f"dust:{row['transId']}:{asset}"
    yield from entry_of(kind, name, asset, MONEY.minus(amount(row["amount"])), at, "dust")
    got = amount(row["transferedAmount"])
    yield from entry_of(kind, f"{name}:got", book.asset("BNB"), got, at, "dust")


def dividend_of(row: Mapping[str, Any], book: Listings) -> Iterator[VenueEntry]:
    at, asset = from_ms(row["divTime"]), book.asset(row["asset"])
    name = f"dividend:{row['id']}"
    yield from entry_of(EntryKind.REBATE, name, asset, amount(row["amount"]), at, row["enInfo"])


def held(account: Mapping[str, Any], errand: Errand) -> dict[str, Decimal]:
    """Return what an account has of each asset, what is locked in orders too."""
    return {
        errand.book.asset(name_of(row["asset"])): MONEY.add(
            amount(row["free"]), amount(row["locked"])
        )
        for row in account["balances"]
    }


def report_of(
    rights: Mapping[str, Any], *, can_trade: bool, balances: Mapping[str, Decimal]
) -> KeyReport:
    """Return what a key may do by the venue's list of its rights."""
    reads, trades = rights.get("enableReading"), rights.get("enableSpotAndMarginTrading")
    moves = [rights.get(name) for name in WITHDRAWING]
    expires = rights.get("tradingAuthorityExpirationTime")
    if True in moves:
        can_withdraw: bool | None = True
    else:
        can_withdraw = False if all(each is False for each in moves) else None
    restricted = rights.get("ipRestrict")
    missing = [name for name in NEEDED if rights.get(name) is False]
    return KeyReport(
        can_read=reads if isinstance(reads, bool) else True,
        can_trade=trades is True and can_trade if isinstance(trades, bool) else None,
        can_withdraw=can_withdraw,
        missing=tuple(missing) or (() if can_trade else ("canTrade",)),
        ip_restricted=restricted if isinstance(restricted, bool) else None,
        expires_at=from_ms(expires) if expires else None,
        balances=balances,
    )


async def narrowed(failed: KeyFailed, errand: Errand, mode: Mode) -> KeyFailed:
    """Find out which of three things "invalid key, address, or right" means this time."""
    if failed.said.code != "-2015" or mode is not Mode.LIVE:
        return failed
    try:
        await errand.ask(RESTRICTIONS)  # every key may ask this from an address it is allowed from
    except KeyFailed as again:
        fault = KeyFault.ADDRESS if "request ip" in again.said.text else KeyFault.INVALID
    except VenueUnavailable:
        return failed
    else:
        fault = KeyFault.PERMISSION
    return KeyFailed("Binance", failed.said, fault, cure("Binance", fault, failed.said))


WITHDRAWING = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
NEEDED = ("enableReading", "enableSpotAndMarginTrading")


async def open_venue(
    *,
    clock: Clock,
    pacer: Pacer,
    credentials: Callable[[Account], Awaitable[Credentials]],
    options: VenueOptions,
) -> Venue:
    """Open Binance for all accounts of this process; nothing is asked of it yet."""
    return await open_with(
        Binance(), clock=clock, pacer=pacer, credentials=credentials, options=options
    )
