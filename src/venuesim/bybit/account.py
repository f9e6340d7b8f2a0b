"""What an account and its key are: balances, fees, rights and the log of its wallet."""

from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote

from venuesim.bybit.ask import DAY_MS, Ask, LogLine, Said
from venuesim.bybit.errors import Refused
from venuesim.bybit.reading import category
from venuesim.bybit.rows import Row, capital, exec_id, fee_rate, link_id, order_id, symbol
from venuesim.bybit.wallet import owned, wallet_row
from venuesim.keys import Key
from venuesim.orders import Order
from venuesim.units import short

COINS_AT_ONCE = 10
NEVER = "1970-01-01T00:00:00Z"
UNUSED = (
    "Options",
    "Derivatives",
    "CopyTrading",
    "BlockTrade",
    "NFT",
    "Affiliate",
    "Earn",
    "FiatP2P",
    "FiatConvertBroker",
    "FiatGlobalPay",
    "FiatBitPay",
    "BitCard",
    "ByXPost",
    "ContractTrade",
)


def uid(account: str) -> int:
    """Return the number the venue knows an account by; always the same one."""
    drawn = int.from_bytes(sha256(account.encode()).digest()[:6], "big")
    return 100_000_000 + drawn % 899_999_999


def wallet_balance(ask: Ask) -> Said:
    if ask.needed("accountType") != "UNIFIED":
        raise Refused(10001, text="accountType only support UNIFIED.")
    asked = [coin for coin in ask.text("coin").split(",") if coin]
    row = wallet_row(ask.memory.place.exchange, ask.account, asked or None)
    return Said(result={"list": [row]})


def account_type(ask: Ask) -> Said:
    """Say what kind of account it is: unified, 2.0 pro."""
    return Said(
        result={
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(ask.key.created_ms if ask.key else 0),
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }
    )


def settings(ask: Ask) -> Said:
    switches = ("lpaSpot", "lpaPerp", "deltaEnable", "smsef", "fmsef")
    return Said(result=dict.fromkeys(switches, False))


def fee_rates(ask: Ask) -> Said:
    word = category(ask)
    instruments = ask.memory.place.exchange.instruments.values() if word == "spot" else ()
    chosen = [ask.instrument(170121)] if ask.text("symbol") and word == "spot" else instruments
    rows = [
        {
            "symbol": symbol(one),
            "takerFeeRate": fee_rate(one, maker=False),
            "makerFeeRate": fee_rate(one, maker=True),
        }
        for one in chosen
    ]
    return Said(result={"category": word, "list": rows})


def withdrawable(ask: Ask) -> Said:
    """Say how much may be moved out of the unified account."""
    coins = ask.needed("coinName").split(",")
    free = {coin: short(ask.account.free.get(coin, 0)) for coin in coins}
    return Said(result={"availableWithdrawal": free[coins[0]], "availableWithdrawalMap": free})


def coin_balances(ask: Ask) -> Said:
    """Say what an account type has; nothing is ever in the funding account."""
    kind, coins = account_and_coins(ask)
    rows = [balance(ask, kind, coin) | {"bonus": ""} for coin in coins]
    assert ask.key is not None
    result = {"memberId": str(uid(ask.key.account)), "accountType": kind, "balance": rows}
    return Said(result=result, text="success")


def coin_balance(ask: Ask) -> Said:
    kind, coins = account_and_coins(ask)
    if not coins:
        raise Refused(10001)
    more = {"bonus": "0", "transferSafeAmount": "", "ltvTransferSafeAmount": ""}
    member = str(uid(ask.account.name))
    result = {
        "accountType": kind,
        "bizType": 1,
        "accountId": member,
        "memberId": member,
        "balance": balance(ask, kind, coins[0]) | more,
    }
    return Said(result=result, text="success")


def account_and_coins(ask: Ask) -> tuple[str, list[str]]:
    kind = ask.needed("accountType")
    coins = [coin for coin in ask.text("coin").split(",") if coin]
    if kind not in ("UNIFIED", "FUND"):
        raise Refused(131001)
    if kind == "UNIFIED" and not 0 < len(coins) <= COINS_AT_ONCE:
        raise Refused(10001)
    return kind, coins


def balance(ask: Ask, kind: str, coin: str) -> Row:
    mine = kind == "UNIFIED"
    free = ask.account.free.get(coin, 0) if mine else 0
    total = owned(ask.account, coin) if mine else 0
    return {"coin": coin, "transferBalance": short(free), "walletBalance": short(total)}


def coins(ask: Ask) -> Said:
    """Describe the coins that are traded; none can be deposited or withdrawn here."""
    instruments = ask.memory.place.exchange.instruments.values()
    names = sorted({name for one in instruments for name in (one.base, one.quote)})
    wanted = ask.text("coin")
    rows = [coin_row(name) for name in names if wanted in ("", name)]
    return Said(result={"rows": rows}, text="success")


def coin_row(name: str) -> Row:
    chain = {
        "chainType": name,
        "confirmation": "1",
        "withdrawFee": "0",
        "depositMin": "0",
        "withdrawMin": "0",
        "chain": name,
        "chainDeposit": "0",
        "chainWithdraw": "0",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
        "contractAddress": "",
        "safeConfirmNumber": "1",
        "withdrawMax": "-1",
    }
    return {"name": name, "coin": name, "remainAmount": "10000000", "chains": [chain]}


def key_rights(ask: Ask) -> Said:
    """Say what a key may do, from where, and for how many days still."""
    key = ask.key
    assert key is not None
    number = uid(key.account)
    result = {
        "id": str(int.from_bytes(sha256(key.api_key.encode()).digest()[:3], "big")),
        "note": key.label,
        "apiKey": key.api_key,
        "readOnly": int(is_read_only(key)),
        "secret": "",
        "permissions": permissions(key),
        "ips": list(key.ips) or ["*"],
        "type": 1,
        "deadlineDay": days_left(key, ask.memory.now_ms),
        "expiredAt": day(key.expires_ms) if key.expires_ms is not None else NEVER,
        "createdAt": day(key.created_ms),
        "unified": 0,
        "uta": 1,
        "userID": number,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
        "userIDInt64": str(number),
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }
    return Said(result=result, text="")


def is_read_only(key: Key) -> bool:
    return not key.permissions & {"trade", "withdraw", "transfer"}


def permissions(key: Key) -> dict[str, list[str]]:
    """Return a key's rights by the venue's words; a read-only key reads what it names."""
    reads = is_read_only(key)
    wallet = [
        word
        for word, right in (
            ("AccountTransfer", "transfer"),
            ("SubMemberTransfer", "transfer"),
            ("Withdraw", "withdraw"),
        )
        if right in key.permissions
    ]
    return {
        "Spot": ["SpotTrade"] if reads or "trade" in key.permissions else [],
        "Wallet": wallet,
        "Exchange": ["ExchangeHistory"] if reads else [],
        **{name: [] for name in UNUSED},
    }


def days_left(key: Key, now_ms: int) -> int:
    return -2 if key.expires_ms is None else max(0, (key.expires_ms - now_ms) // DAY_MS)


def day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def transaction_log(ask: Ask) -> Said:
    """Show what changed the wallet, the latest first."""
    start, end = ask.window(DAY_MS)
    coin, kind = ask.text("currency"), ask.text("type")
    if ask.text("category") not in ("", "spot"):
        return Said(result={"nextPageCursor": "", "list": []})
    name = ask.account.name
    lines = [
        line
        for line in reversed(ask.memory.log[name])
        if start <= line.at_ms <= end and coin in ("", line.asset) and kind in ("", line.kind)
    ]
    after = unquote(ask.text("cursor")).rpartition(",")[2].partition(":")[0]
    if after:
        lines = [line for line in lines if line.number < int(after or 0)]
    page = lines[: ask.limit(20, 50)]
    cursor = quote(f"{page[0].number}:1,{page[-1].number}:1", safe="") if page else ""
    rows = [log_row(name, ask.account.orders.get(line.order_id), line) for line in page]
    return Said(result={"nextPageCursor": cursor, "list": rows})


def log_row(account: str, order: Order | None, line: LogLine) -> Row:
    pair = symbol(order.instrument) if order is not None else ""
    trade = None
    if order is not None:
        trade = next((one for one in order.trades if one.id == line.trade_id), None)
    rate = fee_rate(order.instrument, maker=trade.maker) if order and trade and line.fee else "0"
    return {
        "id": f"{uid(account)}_{pair}_{line.number}",
        "symbol": pair,
        "category": "spot" if order is not None else "",
        "side": capital(order.side.value) if order is not None else "None",
        "transactionTime": str(line.at_ms),
        "type": line.kind,
        "transSubType": "",
        "qty": short(line.flow),
        "size": short(line.balance),
        "currency": line.asset,
        "tradePrice": short(trade.price) if trade is not None else "",
        "funding": "",
        "fee": short(line.fee),
        "cashFlow": short(line.flow),
        "change": short(line.flow - line.fee),
        "cashBalance": short(line.balance),
        "feeRate": rate,
        "bonusChange": "",
        "tradeId": exec_id(line.trade_id) if trade is not None else "",
        "orderId": order_id(order.id) if order is not None else "",
        "orderLinkId": link_id(order) if order is not None else "",
        "extraFees": "",
    }
