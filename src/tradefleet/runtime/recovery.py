"""Start-up, crash recovery and takeover are one path: take a user from the store and go on.

Under a fresh lease: load bots, memories, orders and limits; open the accounts; put every
order that is not final where it belongs. What was never sent may still be sent or lapses by
its own rule, what may have been sent is unknown until the venue has told, and nothing is ever
sent again.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from tradefleet.domain.bot import BotMemory, BotSpec, BotStatus
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.ids import AccountId, FillId, OrderId
from tradefleet.domain.ledger import EXTERNAL, LedgerEntry
from tradefleet.domain.limits import GuardMemory, RiskLimits
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import ONE, ZERO
from tradefleet.domain.order import (
    CancelState,
    Order,
    OrderKind,
    OrderState,
    OutcomeLost,
    Purpose,
    Voided,
)
from tradefleet.domain.signal import TradePlan
from tradefleet.domain.tiers import allowed_to
from tradefleet.domain.user import Account
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.by_hand import BY_HAND, LAPSES_AFTER
from tradefleet.engine.universe import Universe
from tradefleet.engine.user_guard import UserGuard
from tradefleet.runtime.account_books import AccountBooks
from tradefleet.runtime.accounts import AccountLane, Job
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot, HostedUser
from tradefleet.runtime.signal_board import Group
from tradefleet.store import Lease, UserLoad
from tradefleet.vault import CannotOpen

logger = logging.getLogger(__name__)


async def take_user(host: Host, lease: Lease, load: UserLoad | None = None) -> HostedUser:
    """Run a user from where the store says they stand; load was read under this lease."""
    load = load or await host.store.load_user(lease.user_id)
    user = HostedUser(
        lease=lease,
        guard=UserGuard(
            limits=load.limits or RiskLimits.default(),
            tier=allowed_to(load.user, host.tiers),
            memory=load.guard or GuardMemory(user_id=lease.user_id),
            switches=load.switches,
        ),
        accounts={account.id: account for account in load.accounts},
    )
    host.users[user.id] = user
    settle_universes(user, load)
    await open_accounts(host, user, load)
    await start_missing(host, user, load)
    user.ready = True
    return user


def settle_universes(user: HostedUser, load: UserLoad) -> None:
    """Bring the user's universes in step with what is stored.

    What a bot that is gone had won or lost is the universe's by now, and no longer the bot's.
    """
    stored = {spec.id: spec for spec in load.universes}
    for gone in user.universes.keys() - stored.keys():
        account_id = user.universes.pop(gone).spec.account_id
        user.guard.allocate(gone, account_id, ZERO)
    for spec in stored.values():
        universe = user.universes.setdefault(spec.id, Universe(spec))
        universe.spec = spec
        user.guard.allocate(spec.id, spec.account_id, spec.allocation)
    there = {spec.id for spec in load.bots}
    for universe in user.universes.values():
        for bot_id in [each for each in universe.members if each not in there]:
            del universe.members[bot_id]


async def start_missing(host: Host, user: HostedUser, load: UserLoad) -> None:
    """Start the user's bots that do not run yet; those of a venue that is silent wait."""
    silent: set[str] = set()
    for spec in load.bots:
        if spec.id in user.bots or spec.account_id not in user.lanes or spec.venue in silent:
            continue
        try:
            bot = await start_bot(host, user, spec, load)
        except VenueUnavailable as error:
            logger.warning("the bots of user %s at %s wait: %s", user.id, spec.venue, error)
            silent.add(spec.venue)
            continue
        for order in load.working_orders:
            if order.bot_id == bot.id:
                resume_order(host, bot, order)
    user.is_complete = not silent
    host.flush()


async def open_accounts(host: Host, user: HostedUser, load: UserLoad) -> None:
    """Open a lane for each account whose venue this host knows, and bring its deposits up."""
    for account in load.accounts:
        venue = host.venues.get(account.venue)
        if venue is None or not account.is_active or account.id in user.lanes:
            continue
        try:
            link = await venue.link(account, partial(hear, host, user))
        except CannotOpen as fault:  # no try later would open it; the user's others go on
            leave_closed(host, user, account, str(fault))
            continue
        user.accounts[account.id] = account
        user.lanes[account.id] = AccountLane(host, link, tally=host.tally.orders[account.venue])
        entries = None if load.entries is None else load.entries.get(account.id, ())
        await fund_account(host, user, account.id, entries)


def leave_closed(host: Host, user: HostedUser, account: Account, fault: str) -> None:
    """Run a user without an account that cannot be opened, and tell them: nobody guards it."""
    logger.error("account %s cannot be opened: %s", account.id, fault)
    text = (
        f"⚠️ Your {account.venue} account cannot be opened: its bots do not run, and nobody "
        f"watches its stops. {fault}"
    )
    host.record(user, [Notify(user.id, Topic.FAULT, text, host.clock.now(), 1)])


async def fund_account(
    host: Host,
    user: HostedUser,
    account_id: AccountId,
    entries: Sequence[LedgerEntry] | None = None,
) -> None:
    """Let a paper account have what the ledger says was paid in; a real one's books are kept.

    entries: as they are written, where they are known already.
    """
    link = user.lanes[account_id].link
    if entries is None:
        entries = await read_entries(host, user, account_id)
    if link.is_simulated:
        await link.fund(deposits_of(entries))
    else:
        user.books[account_id] = AccountBooks(entries)


async def read_entries(
    host: Host, user: HostedUser, account_id: AccountId
) -> Sequence[LedgerEntry]:
    """Return an account's entries as they are written, those under way included."""
    host.flush()
    await host.journal.flushed()
    async with host.store.open(user.id, reading=True) as store:
        return await store.entries(account_id)


def deposits_of(entries: Sequence[LedgerEntry]) -> Mapping[str, Decimal]:
    """Return what came in from outside, by asset."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        for posting in entry.postings:
            if posting.place == EXTERNAL:
                totals[posting.asset] -= posting.amount
    return dict(totals)


def hear(host: Host, user: HostedUser, order_id: OrderId) -> None:
    """The venue has news of an order: look it up."""
    for bot in user.bots.values():
        if order_id in bot.engine.working and not user.gone:
            host.put(bot, Job.LOOK_UP, order_id)
            return
    user.rung = True


async def start_bot(host: Host, user: HostedUser, spec: BotSpec, load: UserLoad) -> HostedBot:
    """Put a bot on the host; one that is set aside, or cannot be built, only guards."""
    memory = load.memories.get(spec.id)
    rules, fault = await rules_of(host, spec)
    group, fault = join_group(host, spec, memory, fault)
    plan = group.strategy.plan
    orders = {o.id: o for o in load.working_orders if o.bot_id == spec.id}
    engine = BotEngine.start(
        spec=spec,
        memory=memory,
        working=orders,
        fills_seen=known_fills(load, orders),
        rules=rules,
        plan=plan,
        guard=user.guard,
        order_key=host.order_key,
        entry_delay=timedelta(seconds=plan.entry_delay if host.live else 0),
        rests_stops=user.lanes[spec.account_id].link.rests_stops,
        unsure=user.lanes[spec.account_id].unsure,
        universe=user.universes[spec.universe_id] if spec.universe_id else None,
    )
    bot = HostedBot(engine, user, group)
    host.add(bot)
    if fault:
        host.set_aside(bot, fault)
    return bot


async def rules_of(host: Host, spec: BotSpec) -> tuple[TradingRules, str]:
    """Return the venue's rules for a bot's symbol, or none and why it may not be traded."""
    try:
        return await host.venues[spec.venue].market.rules(spec.symbol), ""
    except Refused as error:
        return TradingRules(), f"its market is closed to it: {error}"


def join_group(
    host: Host, spec: BotSpec, memory: BotMemory | None, fault: str
) -> tuple[Group, str]:
    """Return the group a bot follows, or a silent one and the fault that keeps it out."""
    if spec.is_manual and not fault:
        return host.board.guard(spec, TradePlan()), ""
    if spec.status is not BotStatus.SET_ASIDE and not fault:
        with host.catch() as caught:
            return host.board.join(spec), ""
        fault = f"its strategy cannot run: {text_of(caught[0])}"
    position = memory.position if memory else None
    parts = position.targets_done + len(position.targets) if position else 0
    plan = TradePlan(targets=((ONE, ZERO),) * parts)  # levels and parts are the position's own
    return host.board.guard(spec, plan), fault


def text_of(error: Exception) -> str:
    """Return what a refusal says, or the kind of a fault of ours."""
    return str(error) if isinstance(error, Refused) else repr(error)


def known_fills(load: UserLoad, orders: Mapping[OrderId, Order]) -> dict[FillId, OrderId]:
    return {fill_id: order for fill_id, order in load.fill_ids.items() if order in orders}


def resume_order(host: Host, bot: HostedBot, order: Order) -> None:
    """Put an order that is not final where it belongs."""
    spec = bot.engine.spec
    if order.state is OrderState.CREATED and not bot.user.lanes[spec.account_id].link.is_simulated:
        bot.user.lanes[spec.account_id].unsure.add(order.id)
        host.put(bot, Job.LOOK_UP, order.id)  # a database that lost its last commits lost a send
    match order.state:
        case OrderState.CREATED if is_stale(order, host.clock.now()):
            text = "it was asked for too long ago"
            if order.id in bot.engine.unsure:
                bot.engine.doomed[order.id] = text
                host.put(bot, Job.SEND, order.id)
            else:
                host.deliver(bot, Voided(order.id, text))
        case OrderState.CREATED if order.purpose is Purpose.ENTRY:
            host.held[spec.venue, spec.symbol][order.id] = bot  # sent, or lapses, at a price
        case OrderState.CREATED:
            host.put(bot, Job.SEND, order.id)
        case OrderState.SENDING:
            host.deliver(bot, OutcomeLost(order.id, "the host stopped while it was sent"))
            host.put(bot, Job.LOOK_UP, order.id)
        case _ if order.is_working and is_taken_back(bot, order):
            host.put(bot, Job.CANCEL, order.id)
        case _:
            host.put(bot, Job.LOOK_UP, order.id)


def is_stale(order: Order, now: datetime) -> bool:
    """Say whether its user ordered it by hand so long ago that they do not expect it any more."""
    return order.reason == BY_HAND and now > order.decided_at + LAPSES_AFTER


def is_taken_back(bot: HostedBot, order: Order) -> bool:
    """Say whether an order is to be cancelled: whoever sells buys no more.

    That a cancel was wanted need not be written down: after its entry a bot orders only exits,
    and a stop at the venue is wanted as long as it is the one that guards the position.
    """
    sells = order.purpose is Purpose.ENTRY and order.seq < bot.engine.seq
    rests = order.kind is OrderKind.RESTING_STOP and not bot.engine.needs(order)
    return sells or rests or order.cancel is not CancelState.NONE
