"""The wallet's part of the API (sapi): a key's rights, coins, fees, payments and the system."""

from venuesim.binance.account import assets
from venuesim.binance.denials import not_authorized
from venuesim.binance.floor import Ask, Payment, Reply
from venuesim.binance.signatures import expired
from venuesim.binance.words import symbol_of
from venuesim.exchange import MILLION
from venuesim.units import UNITS, short, text

Json = dict[str, object]


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
            for payment in _payments(ask)
            if payment.amount > 0
        ]
    )


def withdrawals(ask: Ask) -> Reply:
    return Reply(
        body=[
            {
                "id": str(payment.number),
                "amount": short(-payment.amount),
                "transactionFee": "0",
                "coin": payment.asset,
                "status": 6,
                "address": "simulated",
                "txId": f"withdrawal-{payment.number}",
                "applyTime": payment.at_ms,
                "network": payment.asset,
                "transferType": 0,
                "confirmNo": 1,
                "walletType": 0,
            }
            for payment in _payments(ask)
            if payment.amount < 0
        ]
    )


def _payments(ask: Ask) -> list[Payment]:
    """Return the account's payments in the asset and span asked for, latest first."""
    sent = ask.sent
    coin, start, end = sent.optional("coin"), sent.moment("startTime"), sent.moment("endTime")
    return [
        payment
        for payment in reversed(ask.floor.payments[ask.account.name])
        if (coin is None or payment.asset == coin)
        and (start is None or payment.at_ms >= start)
        and (end is None or payment.at_ms <= end)
        and payment.at_ms <= ask.floor.visible_until_ms
    ][: sent.limit(1000, 1000)]


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
