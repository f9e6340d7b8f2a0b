"""What /buy, /sell and their neighbours share: which account, what is free, what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.command import PAPER, Context, Question, Reply, VenueDesk
from tradefleet.domain.bot import MANUAL, BotSpec
from tradefleet.domain.effects import Decided
from tradefleet.domain.errors import Conflict, NotAllowed, NotThere, Refused
from tradefleet.domain.ids import BotId
from tradefleet.domain.ledger import EXTERNAL, FREE, OUTSIDE, LedgerEntry, place_of
from tradefleet.domain.market import Side, Symbol, Timeframe
from tradefleet.domain.money import MONEY, UNIT, ZERO, round_down
from tradefleet.domain.order import Fill, Order
from tradefleet.domain.user import Account, Mode
from tradefleet.drawing import DOLLARS, account_name, money, quantity
from tradefleet.engine.by_hand import BY_HAND

DISABLED = "Trading is disabled. Set TRADING_ENABLED=True to enable."
WAIT = "Your last order by hand is still under way; wait for its end, then ask again."
LAST = "last_order_by_hand"  # among a user's settings: "<bot> <time>" of the latest one
FORGOTTEN_AFTER = timedelta(seconds=90)  # no host takes up a request that is older
PURSE = Decimal(10_000)  # what a paper account is given to trade by hand, once for each currency
ORDERS_MAX = 1000  # of one bot that are looked at
TICK = timedelta(microseconds=1)
ENVIRONMENTS = {Mode.LIVE: "production", Mode.TESTNET: "testnet", Mode.PAPER: "paper"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An order by hand: for an amount in quote, or a quantity in base, or all there is."""

    side: Side
    symbol: Symbol
    exchange: str
    amount: Decimal | None
    quantity: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAsked:
    """What was asked for; request is what /ordered calls it by."""

    request: str
    symbol: str
    side: str
    exchange: str
    environment: str
    amount: Decimal | None
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a venue said an account holds, asked at that time; None: it did not say."""

    asked_at: datetime
    balances: Mapping[str, Decimal] | None


async def ask_money(context: Context, exchange: str) -> Question | None:
    """Return the question what a real account holds now; None for one on paper."""
    question = await context.question_of_money(exchange.lower())
    if question is None:
        return None

    async def put(desk: VenueDesk) -> Holdings:
        asked_at = context.clock.now()
        found = await question(desk)
        return Holdings(asked_at, found if isinstance(found, Mapping) else None)

    return put


async def account_of(context: Context, exchange: str) -> Account:
    """Return the account to trade in; a paper one is opened for whoever has none."""
    venue = exchange.partition(":")[0].lower()
    known = context.catalog.venues.get(venue)
    if known is not None and known.needs_keys and not await context.accounts(exchange):
        mode = "testnet" if exchange.lower().endswith(":testnet") else "production"
        raise Refused(f"{venue.capitalize()} API credentials not configured for {mode} mode")
    account, _ = await context.account_for(exchange.lower())
    return account


async def account_seen(context: Context, exchange: str) -> Account | None:
    """Return the account a question is about; None: that on paper which is not opened yet."""
    if await context.accounts(exchange):
        return await account_of(context, exchange)
    venue = context.catalog.venues.get(exchange.partition(":")[0].lower() or PAPER)
    if venue is None or venue.needs_keys:
        return await account_of(context, exchange)  # which says what is missing
    return None


async def free_and_locked(
    context: Context, account: Account | None, asset: str
) -> tuple[Decimal, Decimal]:
    """Return how much of an asset is free to trade by hand, and how much pairs count on."""
    if account is None:
        return purse_of(asset), ZERO
    there, owned = await there_and_owned(context, account, asset)
    if account.mode is Mode.PAPER:
        given = {entry.id for entry in await context.store.entries(account.id)}
        if purse_id(account, asset) not in given:
            there = MONEY.add(there, purse_of(asset))
    free = max(MONEY.subtract(there, owned), ZERO)
    return free, MONEY.subtract(there, free)


def is_enabled(context: Context, account: Account) -> bool:
    """Say whether orders may be sent: the operator's switch is about real money."""
    return account.mode is not Mode.LIVE or not context.catalog.key_rules.live_ban


async def order_by_hand(ask: Ask, context: Context) -> Reply:
    """Leave an order for the host, with what may be spent or sold at most."""
    if ask.amount is not None and ask.quantity is not None:
        raise Refused("Give an amount or a quantity, not both.")
    account = await account_of(context, ask.exchange)
    if not is_enabled(context, account):
        raise NotAllowed(DISABLED)
    await context.catalog.rules(account.venue, ask.symbol)
    bots = await context.store.manual_bots()
    await check_idle(context, bots)
    if account.mode is Mode.PAPER and purse_of(ask.symbol.quote):
        await fill_purse(context, account, ask.symbol.quote)
    asset = ask.symbol.quote if ask.side is Side.BUY else ask.symbol.base
    free = await free_of(context, account, asset)
    wanted = ask.amount if ask.side is Side.BUY else ask.quantity
    if free <= ZERO:
        raise Refused(f"No {asset} available for trading")
    if wanted is not None and wanted > free:
        raise Refused(
            f"Insufficient balance: {quantity(free)} {asset} is available for trading, you asked"
            f" for {quantity(wanted)}."
        )
    budget = free if ask.side is Side.BUY else ZERO
    bot = await desk_of(context, account, ask.symbol, bots, budget)
    asked_at = await next_moment(context, bot)
    most = {"funds": str(free)} if ask.side is Side.BUY else {}
    what = ask.quantity if ask.side is Side.BUY else ask.quantity or free
    payload = {
        "bot_id": bot.id,
        "account_id": account.id,
        "asked_at": asked_at.isoformat(),
        "side": ask.side.value,
        "amount": None if ask.amount is None else str(ask.amount),
        "quantity": None if what is None else str(what),
        **most,
    }
    await context.store.ask_host("trade_asked", payload)
    data = OrderAsked(
        request=request_of(bot.id, asked_at),
        symbol=str(ask.symbol),
        side=ask.side.value,
        exchange=account.venue,
        environment=ENVIRONMENTS[account.mode],
        amount=ask.amount,
        quantity=ask.quantity,
    )
    return Reply(text=said(ask, account, free), data=data)


def said(ask: Ask, account: Account, free: Decimal) -> str:
    """Say what is ordered."""
    base, quote = ask.symbol.base, ask.symbol.quote
    if ask.quantity is not None:
        what = f"{quantity(ask.quantity)} {base}"
    elif ask.amount is not None:
        what = f"{base} for {money(ask.amount, quote)}"
    else:
        what = f"{base} for all of {money(free, quote)}"
        if ask.side is Side.SELL:
            what = f"all of {quantity(free)} {base}"
    lines = [f"🧾 Ordered on {account_name(account)}: {ask.side} {what} at the market"]
    if ask.side is Side.BUY:
        lines.append(f"No stop guards it; /sell {ask.symbol} sells it again.")
    return "\n".join([*lines, "I will tell you when it is done; /ordered shows it."])


async def check_idle(context: Context, bots: Sequence[BotSpec]) -> None:
    """Refuse a second order by hand beside one that is not done, or whose money is not counted."""
    last = context.user.settings.get(LAST, "")
    bot_id, _, at = last.partition(" ")
    if at:
        asked_at, memories = datetime.fromisoformat(at), await context.store.memories()
        memory = memories.get(BotId(bot_id))
        decided = memory.decided_at if memory else None
        is_waiting = decided is None or decided < asked_at
        if is_waiting and context.clock.now() - asked_at < FORGOTTEN_AFTER:
            raise Conflict(WAIT)
        if isinstance(context.answer, Holdings) and context.answer.asked_at <= asked_at:
            raise Conflict(WAIT)
    for bot in bots:
        orders = await context.store.orders(bot.id, limit=ORDERS_MAX)
        if any(order.is_working for order in orders):
            raise Conflict(WAIT)


async def fill_purse(context: Context, account: Account, asset: str) -> None:
    """Give a paper account money to trade by hand with, once for each asset."""
    entry = LedgerEntry.of_transfer(
        id=purse_id(account, asset),
        user_id=context.user.id,
        account_id=account.id,
        kind="deposit",
        at=context.clock.now(),
        asset=asset,
        amount=purse_of(asset),
        source=EXTERNAL,
        target=FREE,
    )
    await context.store.book(entry)


def purse_id(account: Account, asset: str) -> str:
    return f"deposit:by_hand:{account.id}:{asset}"


def purse_of(asset: str) -> Decimal:
    """Return what a paper account is given of an asset; coins are not given, they are bought."""
    return PURSE if asset in DOLLARS | {"EUR", "GBP"} else ZERO


async def free_of(context: Context, account: Account, asset: str) -> Decimal:
    """Return what of an asset no pair owns: what its user may spend or sell by hand."""
    there, owned = await there_and_owned(context, account, asset)
    return round_down(max(MONEY.subtract(there, owned), ZERO), UNIT)


async def there_and_owned(
    context: Context, account: Account, asset: str
) -> tuple[Decimal, Decimal]:
    """Return what an account holds of an asset, and how much of that pairs own."""
    bots = await context.store.manual_bots()
    by_hand = {place_of(bot.id) for bot in bots}
    there = owned = ZERO
    for entry in await context.store.entries(account.id):
        for posting in entry.postings:
            if posting.asset != asset or posting.place in OUTSIDE:
                continue
            there = MONEY.add(there, posting.amount)
            pairs = posting.place.startswith(("bot:", "universe:"))
            if pairs and posting.place not in by_hand:
                owned = MONEY.add(owned, posting.amount)
    if account.key is not None:
        if not isinstance(context.answer, Holdings) or context.answer.balances is None:
            raise Refused(f"❌ {account.venue} does not say now what it holds; try again later.")
        there = context.answer.balances.get(asset, ZERO)
    return there, max(owned, ZERO)


async def desk_of(
    context: Context, account: Account, symbol: Symbol, bots: Sequence[BotSpec], free: Decimal
) -> BotSpec:
    """Return the bot that trades by hand here, made when there is none yet."""
    known = [bot for bot in bots if (bot.account_id, bot.symbol) == (account.id, symbol)]
    if not known:
        bot = BotSpec(
            id=BotId(context.ids.new()),
            user_id=context.user.id,
            account_id=account.id,
            venue=account.venue,
            symbol=symbol,
            timeframe=Timeframe(60),
            strategy=MANUAL,
            allocation=free,
        )
        await context.store.add_bot(bot)
        return bot
    return known[0]


async def next_moment(context: Context, bot: BotSpec) -> datetime:
    """Return the time that names a request: later than that of any before."""
    before = context.user.settings.get(LAST, "").partition(" ")[2]
    memory = (await context.store.memories())[bot.id]
    known = [datetime.fromisoformat(before)] if before else []
    known += [memory.decided_at] if memory.decided_at else []
    at = max([context.clock.now(), *(each + TICK for each in known)])
    settings = {**context.user.settings, LAST: f"{bot.id} {at.isoformat()}"}
    await context.store.save_user(replace(context.user, settings=settings))
    return at


# ------------------------------------------------------------- what became of it


def request_of(bot_id: BotId, asked_at: datetime) -> str:
    return f"{bot_id}@{asked_at.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: waiting, working, done or refused (then reason says why).

    number counts the user's orders by hand; first: it was their first one with real money.
    """

    request: str
    status: str
    symbol: str
    side: str
    environment: str
    reason: str = ""
    first: bool = False
    number: int = 0
    order_id: str = ""
    venue_order_id: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    at: datetime | None = None


async def outcome_of(request: str, context: Context) -> Outcome:
    """Return what became of a request, or of the latest one."""
    bot_id, _, at = (request or context.user.settings.get(LAST, "").replace(" ", "@")).partition(
        "@"
    )
    bots = await context.store.manual_bots()
    bot = next((each for each in bots if each.id == bot_id), None)
    try:
        asked_at = datetime.fromisoformat(at)
    except ValueError:
        bot = None
    if bot is None:
        raise NotThere("There is no such order by hand; /buy and /sell make one.")
    accounts = {account.id: account for account in await context.store.accounts()}
    mode = accounts[bot.account_id].mode
    orders = await context.store.orders(bot.id, limit=ORDERS_MAX)
    found = [each for each in orders if each.reason == BY_HAND and each.decided_at == asked_at]
    shown = Outcome(
        request=request_of(bot.id, asked_at),
        status="waiting",
        symbol=str(bot.symbol),
        side=found[-1].side.value if found else "",
        environment=ENVIRONMENTS[mode],
    )
    if not found:
        decisions = await context.store.decisions(bot.id)
        return without_order(shown, asked_at, decisions, context.clock.now())
    order = found[-1]
    fills = await context.store.fills([order.id])
    every = [o for b in bots for o in await by_hand_orders(context, b)]
    real = {b.id for b in bots if accounts[b.account_id].mode is Mode.LIVE}
    traded = [o.decided_at for o in every if o.bot_id in real and o.filled]
    shown = with_order(shown, order, fills)
    return replace(
        shown,
        number=sum(each.decided_at <= asked_at for each in every),
        first=bool(fills) and mode is Mode.LIVE and asked_at == min(traded, default=asked_at),
    )


async def by_hand_orders(context: Context, bot: BotSpec) -> list[Order]:
    orders = await context.store.orders(bot.id, limit=ORDERS_MAX)
    return [order for order in orders if order.reason == BY_HAND]


def without_order(
    shown: Outcome, asked_at: datetime, decisions: Sequence[Decided], now: datetime
) -> Outcome:
    """Say why nothing was ordered, where that is decided."""
    said = [each for each in decisions if each.at == asked_at and each.outcome == "denied"]
    if said:
        return replace(shown, status="refused", reason=said[-1].reason)
    if now - asked_at > FORGOTTEN_AFTER:
        reason = "No host took it up in time; nothing was ordered."
        return replace(shown, status="refused", reason=reason)
    return shown


def with_order(shown: Outcome, order: Order, fills: Sequence[Fill]) -> Outcome:
    filled = sum((fill.quantity for fill in fills), ZERO)
    cost = sum((fill.cost for fill in fills), ZERO)
    status, reason = "working", ""
    if order.is_final and filled == order.filled:
        status = "done" if filled else "refused"
        reason = "" if filled else order.note or f"the order is {order.state}"
    price = ZERO
    if filled:
        traded = sum((MONEY.multiply(f.quantity, f.price) for f in fills), ZERO)
        price = MONEY.divide(traded, filled)
    return replace(
        shown,
        status=status,
        reason=reason,
        order_id=order.id,
        venue_order_id=order.venue_order_id,
        quantity=filled,
        price=price,
        cost=cost,
        fee=sum((fill.fee_quote for fill in fills), ZERO),
        at=fills[-1].filled_at if fills else order.decided_at,
    )
