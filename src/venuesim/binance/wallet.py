"""The wallet's part of the API (sapi): a key's rights, coins, fees, payments and the system."""

from datetime import UTC, datetime
from hashlib import sha256

from venuesim.binance.account import assets
from venuesim.binance.denials import Denied, not_authorized
from venuesim.binance.floor import Ask, Payment, Reply
from venuesim.binance.signatures import expired
from venuesim.binance.words import DAY_MS, symbol_of
from venuesim.exchange import MILLION
from venuesim.units import UNITS, short, text

Json = dict[str, object]
PAYMENTS_SPAN_MS = 90 * DAY_MS
DEPOSITED, WITHDRAWN = 1, 6  # the statuses of what is done; nothing is ever under way here
DIVIDENDS_SPAN_MS = 180 * DAY_MS


def system_status(ask: Ask) -> Reply:
    down = bool(ask.floor.place.maintenance)
    return Reply(
        body={"status": 1, "msg": "system_maintenance"} if down else {"status": 0, "msg": "normal"}
    )


def key_rights(ask: Ask) -> Reply:
    key = ask.signed_by
    trades = "trade" in key.permissions and not expired(key, ask.now_ms)
    transfers = "transfer" in key.permissions
    rights: Json = {
        "ipRestrict": bool(key.ips),
        "createTime": key.created_ms,
        "enableReading": "read" in key.permissions,
        "enableSpotAndMarginTrading": trades,
        "enableWithdrawals": "withdraw" in key.permissions,
        "enableInternalTransfer": transfers,
        "permitsUniversalTransfer": transfers,
        "enableVanillaOptions": False,
        "enableMargin": False,
        "enableFutures": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }
    if key.expires_ms is not None:
        rights["tradingAuthorityExpirationTime"] = key.expires_ms
    return Reply(body=rights)


def account_status(ask: Ask) -> Reply:
    return Reply(body={"data": "Normal"})


def trading_status(ask: Ask) -> Reply:
    return Reply(
        body={
            "data": {
                "isLocked": False,
                "plannedRecoverTime": 0,
                "triggerCondition": {"GCR": 150, "IFER": 150, "UFR": 300},
                "updateTime": ask.now_ms,
            }
        }
    )


def coins(ask: Ask) -> Reply:
    return Reply(body=[_coin(ask, asset) for asset in assets(ask)])


def _coin(ask: Ask, asset: str) -> Json:
    book = ask.account
    return {
        "coin": asset,
        "depositAllEnable": True,
        "free": text(book.free.get(asset, 0)),
        "freeze": text(0),
        "ipoable": text(0),
        "ipoing": text(0),
        "isLegalMoney": asset in ("USD", "EUR"),
        "locked": text(book.locked.get(asset, 0)),
        "name": asset,
        "networkList": [
            {
                "addressRegex": "^.{1,100}$",
                "coin": asset,
                "contractAddress": "",
                "contractAddressUrl": "",
                "depositDesc": "",
                "depositDust": text(0),
                "depositEnable": True,
                "estimatedArrivalTime": 5,
                "isDefault": True,
                "memoRegex": "",
                "minConfirm": 1,
                "name": asset,
                "network": asset,
                "resetAddressStatus": False,
                "sameAddress": False,
                "specialTips": "",
                "unLockConfirm": 0,
                "withdrawDesc": "",
                "withdrawEnable": True,
                "withdrawFee": "0.0001",
                "withdrawIntegerMultiple": text(1),
                "withdrawInternalMin": text(0),
                "withdrawMax": "1000000",
                "withdrawMin": "0.001",
                "busy": False,
            }
        ],
        "storage": text(0),
        "trading": True,
        "withdrawAllEnable": True,
        "withdrawing": text(0),
    }


def own_assets(ask: Ask) -> Reply:
    book, wanted = ask.account, ask.sent.optional("asset")
    return Reply(
        body=[
            {
                "asset": asset,
                "free": text(book.free.get(asset, 0)),
                "locked": text(book.locked.get(asset, 0)),
                "freeze": text(0),
                "withdrawing": text(0),
                "ipoable": text(0),
                "btcValuation": text(0),
            }
            for asset in assets(ask)
            if (wanted is None or asset == wanted)
            and (book.free.get(asset) or book.locked.get(asset))
        ]
    )


def trade_fees(ask: Ask) -> Reply:
    floor, sent = ask.floor, ask.sent
    chosen = (
        [floor.instrument(sent.symbol())] if sent.has("symbol") else list(floor.symbols.values())
    )
    return Reply(
        body=[
            {
                "symbol": symbol_of(one),
                "makerCommission": short(one.maker_fee * UNITS // MILLION),
                "takerCommission": short(one.taker_fee * UNITS // MILLION),
            }
            for one in chosen
        ]
    )


def deposits(ask: Ask) -> Reply:
    return Reply(
        body=[
            {
                "id": str(payment.number),
                "amount": short(payment.amount),
                "coin": payment.asset,
                "network": payment.asset,
                "status": 1,
                "address": "simulated",
                "addressTag": "",
                "txId": f"deposit-{payment.number}",
                "insertTime": payment.at_ms,
                "completeTime": payment.at_ms,
                "transferType": 0,
                "confirmTimes": "1/1",
                "unlockConfirm": 0,
                "walletType": 0,
            }
            for payment in _payments(ask, DEPOSITED)
        ]
    )


def withdrawals(ask: Ask) -> Reply:
    return Reply(
        body=[
            {
                "id": sha256(f"withdrawal {payment.number}".encode()).hexdigest()[:32],
                "amount": short(-payment.amount),
                "transactionFee": "0",
                "coin": payment.asset,
                "status": 6,
                "address": "simulated",
                "txId": f"withdrawal-{payment.number}",
                "applyTime": written(payment.at_ms),
                "completeTime": written(payment.at_ms),
                "network": payment.asset,
                "transferType": 0,
                "info": "",
                "confirmNo": 1,
                "walletType": 0,
                "txKey": "",
            }
            for payment in _payments(ask, WITHDRAWN)
        ]
    )


def written(at_ms: int) -> str:
    """Return a time as the list of withdrawals has it: UTC, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _payments(ask: Ask, done: int) -> list[Payment]:
    """Return one page of the account's deposits, or withdrawals, as asked for, latest first."""
    sent = ask.sent
    coin, status, offset = sent.optional("coin"), sent.long("status"), sent.long("offset") or 0
    start, end = _span(ask, PAYMENTS_SPAN_MS)
    found = [
        payment
        for payment in reversed(ask.floor.payments[ask.account.name])
        if (payment.amount > 0) == (done == DEPOSITED)
        and coin in (None, payment.asset)
        and status in (None, done)
        and start <= payment.at_ms <= min(end, ask.floor.visible_until_ms)
    ]
    return found[offset : offset + sent.limit(1000, 1000)]


def _span(ask: Ask, most_ms: int) -> tuple[int, int]:
    """Return the time asked for, or the latest so long; Denied when it is longer than that."""
    start, end = ask.sent.moment("startTime"), ask.sent.moment("endTime")
    if start is not None and end is not None and end - start >= most_ms:
        hours = most_ms // 3_600_000
        raise Denied(-1127, f"More than {hours} hours between startTime and endTime.")
    end = ask.now_ms if end is None else end
    return (end - most_ms if start is None else start), end


def dust(ask: Ask) -> Reply:
    """Return what was changed into BNB: nothing ever is, here."""
    _span(ask, PAYMENTS_SPAN_MS)
    return Reply(body={"total": 0, "userAssetDribblets": []})


def dividends(ask: Ask) -> Reply:
    """Return what was distributed: nothing ever is, here."""
    _span(ask, DIVIDENDS_SPAN_MS)
    ask.sent.limit(20, 500)
    return Reply(body={"rows": [], "total": 0})


def withdraw(ask: Ask) -> Reply:
    """Nobody withdraws here; that a key might is what matters."""
    raise not_authorized()


# ----------------------------------------------- what clients ask at start


def no_pairs(ask: Ask) -> Reply:
    """Return the pairs of margin trading: none."""
    return Reply(body=[])


def no_futures(ask: Ask) -> Reply:
    """Return the rules of a futures venue without symbols."""
    return Reply(
        body={
            "timezone": "UTC",
            "serverTime": ask.now_ms,
            "futuresType": "U_MARGINED",
            "rateLimits": [],
            "exchangeFilters": [],
            "assets": [],
            "symbols": [],
        }
    )
