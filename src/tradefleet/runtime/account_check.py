"""Holds one account's books against its venue: fills, open orders, orphans, balances.

Nothing here books a fill of ours or changes an order: whatever is found is looked up on the
account's lane, where all news of an order come in their order. What others did in the account
is booked apart from what bots own. It remembers nothing that may not be lost: it begins again
where the ledger ends.
"""

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.domain.effects import MemoryChanged
from tradefleet.domain.ids import AccountId, FillId, OrderId
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ZERO, money_context
from tradefleet.domain.order import CancelState, Fill, Order, OrderState
from tradefleet.domain.user import Account
from tradefleet.engine import reconcile
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.reconcile import Claim, Finding
from tradefleet.runtime.account_books import AccountBooks
from tradefleet.runtime.accounts import AccountLane, Job
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot, HostedUser
from tradefleet.runtime.other_hands import OtherHands
from tradefleet.runtime.recovery import read_entries
from tradefleet.venue import VenueOrder, VenueTrade

logger = logging.getLogger(__name__)

OVERLAP = timedelta(seconds=60)  # a list may show late what happened shortly before
LOOK_BACK = timedelta(minutes=5)  # before the newest entry: what others did may be booked later
LOOK_BACK_FIRST = timedelta(hours=1)  # without any entry
LOOK_BACK_MOST = timedelta(days=7)  # venues list no more
SAME_FOR = timedelta(seconds=20)  # a difference must stay the same for so long to be believed
AGREED_KEPT = 8  # of the latest moments at which books and balances agreed
ORDERS_READ = 1000  # a user's latest orders, among which one that nobody works on is sought
SEQS_BACK, SEQS_AHEAD = 1000, 100  # a bot's orders whose names are tried

QUIET = frozenset({OrderState.CREATED, OrderState.OPEN, OrderState.ABSENT})
NOT_SEEN_YET = frozenset(
    {OrderState.CREATED, OrderState.UNKNOWN, OrderState.QUARANTINED, OrderState.ABSENT}
)
MAY_COME_BACK = frozenset({OrderState.VOID, OrderState.REJECTED, OrderState.ABSENT})

Own = tuple[HostedBot, Order]


@dataclass(slots=True, eq=False)
class AccountCheck:
    """One account of a user this host owns.

    since: trades until then are taken; swept: the latest complete sweep; both None before the
    first. settled: how many changes the books had when they agreed with the venue last, -1
    before; agreed: the latest moments at which they did; told: orders that were reported.
    """

    host: Host
    user: HostedUser
    account_id: AccountId
    since: datetime | None = None
    swept: datetime | None = None
    settled: int = -1
    suspect: tuple[Finding, datetime] | None = None
    told: set[str] = field(default_factory=set)
    agreed: deque[datetime] = field(default_factory=lambda: deque(maxlen=AGREED_KEPT))

    def _begin(self) -> datetime:
        """Return from when on things may have happened here that we do not know of."""
        now, newest = self.host.clock.now(), self.books.newest
        begin = now - LOOK_BACK_FIRST if newest is None else newest - LOOK_BACK
        sent = [o.sent_at for _, o in self._orders() if o.sent_at is not None and o.is_working]
        return max(min([begin, *sent]), now - LOOK_BACK_MOST)

    # ----------------------------------------------------------- what there is

    @property
    def others(self) -> OtherHands:
        return OtherHands(self.host, self.user, self.account_id)

    @property
    def account(self) -> Account:
        return self.user.accounts[self.account_id]

    @property
    def lane(self) -> AccountLane[HostedBot]:
        return self.user.lanes[self.account_id]

    @property
    def books(self) -> AccountBooks:
        return self.user.books[self.account_id]

    @property
    def bots(self) -> list[HostedBot]:
        every = self.user.bots.values()
        return [bot for bot in every if bot.engine.spec.account_id == self.account_id]

    @property
    def symbols(self) -> list[Symbol]:
        return sorted({bot.engine.spec.symbol for bot in self.bots}, key=str)

    @property
    def is_at_stake(self) -> bool:
        """Say whether something is held or ordered here."""
        return any(
            bot.engine.position is not None
            or any(order.is_working for order in bot.engine.working.values())
            for bot in self.bots
        )

    @property
    def is_quiet(self) -> bool:
        """Say whether nothing of ours is on its way: only then balances can be compared."""
        lane = self.lane
        return not (lane.busy or lane.jobs) and all(is_at_rest(each) for _, each in self._orders())

    def _orders(self) -> Iterable[Own]:
        return [(bot, order) for bot in self.bots for order in bot.engine.working.values()]

    def _own(self, client_id: str, venue_order_id: str) -> Own | None:
        """Return the order a venue means, if a bot here works on it or watches it."""
        for bot, order in self._orders():
            if order.id == client_id or (
                order.venue_order_id and order.venue_order_id == venue_order_id
            ):
                return bot, order
        return None

    def _look_up(self, bot: HostedBot, order_id: OrderId) -> None:
        job = (Job.LOOK_UP, bot, order_id)
        if job not in self.lane.jobs and not self.user.gone:
            self.host.put(bot, Job.LOOK_UP, order_id)

    # ---------------------------------------------------------- B: fills

    async def fills(self) -> None:
        """See to it that every execution of ours is booked, and what others traded, too."""
        asked_at = self.host.clock.now()
        trades = await self.lane.link.trades_since(
            self.symbols, (self.since or self._begin()) - OVERLAP
        )
        self.lane.answered()
        await self._take_trades(trades)
        self.since = asked_at

    async def _take_trades(self, trades: Sequence[VenueTrade]) -> None:
        strange = []
        for trade in {trade.id: trade for trade in trades}.values():  # venues repeat themselves
            if trade.id in self.books.trades:
                continue
            own = self._own(trade.client_id, trade.venue_order_id)
            if own is None:
                strange.append(trade)
            elif trade.id not in own[0].engine.fills_seen:
                self._look_up(own[0], own[1].id)
        if strange and not self.user.gone:
            await self._take_strange_trades(strange)

    async def _take_strange_trades(self, trades: Sequence[VenueTrade]) -> None:
        """Sort out trades of orders that no bot works on."""
        names = await self._names_of(trades)
        kept = await self._kept(names.values(), [trade.venue_order_id for trade in trades])
        others = []
        for trade in trades:
            name = names[trade.id]
            own = self._own(name, trade.venue_order_id)
            if own is not None:
                self._look_up(own[0], own[1].id)
            elif trade.id in kept.booked:
                self.books.know(trade.id)
            elif not await self._is_revived(name, trade.venue_order_id, kept):
                others.append(trade)
                await self._ask_whose(name, trade.venue_order_id, kept, is_live=True)
        await self.others.traded(others)

    async def _names_of(self, trades: Sequence[VenueTrade]) -> dict[FillId, str]:
        """Return the client id of each trade's order, "" when it has none."""
        names = {trade.id: trade.client_id for trade in trades}
        unnamed = [trade for trade in trades if not trade.client_id]
        if unnamed:
            since = min(trade.at for trade in unnamed) - LOOK_BACK
            sent = [o.sent_at for _, o in self._orders() if o.sent_at and not o.venue_order_id]
            listed = await self.lane.link.orders_since(self.symbols, min([since, *sent]))
            by_number = {order.venue_order_id: order.client_id for order in listed}
            names |= {t.id: by_number.get(t.venue_order_id, "") for t in unnamed}
        return names

    async def ours_among(self, trade_ids: AbstractSet[FillId], since: datetime) -> set[FillId]:
        """Return which of these trades are of our orders, as far as the venue lists them."""
        listed = await self.lane.link.trades_since(self.symbols, since)
        trades = [trade for trade in listed if trade.id in trade_ids]
        names = await self._names_of(trades)
        kept = await self._kept(names.values(), [trade.venue_order_id for trade in trades])
        return {
            trade.id
            for trade in trades
            if kept.order(names[trade.id], trade.venue_order_id) is not None
            or self._is_named(names[trade.id])
        }

    # --------------------------------------------------- C: open orders, E: orphans

    async def open_orders(self) -> None:
        """Compare what is open here and there; what is missing in a list is asked for by name."""
        timing, now = self.lane.link.timing, self.host.clock.now()
        expected = [
            (bot, order)
            for bot, order in self._orders()
            if order.state is OrderState.OPEN
            and order.sent_at is not None
            and now - order.sent_at > timing.visibility
        ]
        listed = await self.lane.link.open_orders(self.symbols)
        here = {order.venue_order_id for order in listed} | {order.client_id for order in listed}
        for bot, order in expected:
            current = bot.engine.working.get(order.id)
            if current is order and not {order.id, order.venue_order_id} & here:
                self._look_up(bot, order.id)
        await self._take_orders(listed)

    async def sweep(self) -> None:
        """Look through everything placed and traded since the last sweep for what is ours."""
        asked_at, link = self.host.clock.now(), self.lane.link
        since = (self.swept or self._begin()) - OVERLAP
        placed = await link.orders_since(self.symbols, since)
        still_open = await link.open_orders(self.symbols)
        trades = await link.trades_since(self.symbols, since)
        every = {order.venue_order_id: order for order in [*placed, *still_open]}
        await self._take_orders(list(every.values()))
        await self._take_trades(trades)
        self.swept = self.since = asked_at

    async def _take_orders(self, listed: Sequence[VenueOrder]) -> None:
        strange = []
        for there in listed:
            own = self._own(there.client_id, there.venue_order_id)
            if own is None:
                if reconcile.may_be_ours(there.client_id):
                    strange.append(there)
                continue
            bot, order = own
            unseen = order.state in NOT_SEEN_YET and (there.is_open or there.filled > ZERO)
            moved = there.filled > order.filled or (
                order.state is OrderState.OPEN and not there.is_open
            )
            if unseen or moved:
                self._look_up(bot, order.id)
        if not strange or self.user.gone:
            return
        kept = await self._kept([each.client_id for each in strange], ())
        for there in strange:
            live = there.is_open or there.filled > kept.filled(there.client_id)
            if not live or await self._is_revived(there.client_id, there.venue_order_id, kept):
                continue
            if not await self._has_ended(there, kept):
                await self._ask_whose(there.client_id, there.venue_order_id, kept, is_live=live)

    async def _has_ended(self, there: VenueOrder, kept: "Kept") -> bool:
        """Ask about an order of ours that is over here: it may have been listed just before."""
        order = kept.order(there.client_id, "")
        if order is None or order.venue_order_id != there.venue_order_id:
            return False
        report = await self.lane.link.look_up(order)
        return report is None or not (report.is_open or report.filled > kept.filled(order.id))

    async def _kept(self, names: Iterable[str], numbers: Iterable[str]) -> "Kept":
        """Return what the store has of orders, by our names and the venue's."""
        wanted, numbered = {name for name in names if name}, {n for n in numbers if n}
        self.host.flush()
        await self.host.journal.flushed()
        async with self.host.store.open(self.user.id, reading=True) as store:
            every = await store.orders(limit=ORDERS_READ)
            orders = [
                order
                for order in every
                if order.account_id == self.account_id
                and (order.id in wanted or order.venue_order_id in numbered)
            ]
            ids = {OrderId(name) for name in wanted} | {order.id for order in orders}
            fills = await store.fills(sorted(ids))
        return Kept(orders, fills)

    async def _is_revived(self, name: str, number: str, kept: "Kept") -> bool:
        """Have a bot take back an order it held to be over, or never sent, and look it up."""
        order = kept.order(name, number)
        bot = self.user.bots.get(order.bot_id) if order is not None else None
        if order is None or bot is None or order.state not in MAY_COME_BACK:
            return False
        logger.error("order %s is at the venue though it is %s here", order.id, order.state)
        bot.engine.working[order.id] = order
        mine = {fill: id for fill, id in kept.booked.items() if id == order.id}
        bot.engine.fills_seen.update(mine)
        self._look_up(bot, order.id)
        return True

    async def _ask_whose(self, name: str, number: str, kept: "Kept", *, is_live: bool) -> None:
        """Report an order that bears our name and that we know nothing of; others' are theirs."""
        known = kept.order(name, "")
        bot, seq = self._named(name) if reconcile.may_be_ours(name) else (None, 0)
        if bot is None and known is None:
            return
        if bot is not None and seq > bot.engine.seq:
            bot.engine.seq = seq  # or the next order would bear the same name
            self.host.record(self.user, [MemoryChanged(bot.engine.memory())])
            self.host.flush()
        elif not is_live:
            return
        if name in self.told:
            return
        self.told.add(name)
        if known is not None and known.venue_order_id and known.venue_order_id != number:
            await self.others.stop_entries(
                f"order {name} was sent once and is there twice, as {known.venue_order_id} and"
                f" {number}",
                "What the second one trades is booked apart from what your pairs own, and no stop"
                " guards it: sell it, or keep it as your own.",
            )
            return
        await self.others.stop_entries(
            f"order {name} is ours, and our books do not have all of it",
            "What it bought or sold is booked apart from what your pairs own; look at your open"
            " orders there.",
        )

    def _is_named(self, name: str) -> bool:
        return reconcile.may_be_ours(name) and self._named(name)[0] is not None

    def _named(self, name: str) -> tuple[HostedBot | None, int]:
        """Return whose order a name stands for, and its number."""
        for bot in self.bots:
            last = bot.engine.seq
            seqs = range(max(1, last - SEQS_BACK), last + SEQS_AHEAD + 1)
            seq = reconcile.seq_named(name, bot.engine.spec, self.host.order_key, seqs)
            if seq is not None:
                return bot, seq
        return None, 0

    # ------------------------------------------------------------- D: balances

    async def balances(self) -> bool:
        """Compare the books with the venue's balances; False: look again soon.

        A difference is believed when nothing is under way and it stays the same for a while.
        """
        if not self.is_quiet:
            return False
        changes, asked_at = self.books.changes, self.host.clock.now()
        there = await self.lane.link.balances()
        if self.user.gone or not self.is_quiet or self.books.changes != changes:
            return False
        finding = self._judge(there)
        if not finding.moved:
            self.agreed.append(asked_at)
        if finding.is_clean:
            self.suspect, self.settled = None, changes
            return True
        await self.fills()  # it may be a trade that was made meanwhile
        if self.user.gone or not self.is_quiet or self.books.changes != changes:
            return False
        if self.suspect is None or self.suspect[0] != finding:
            self.suspect = finding, asked_at
            return False
        if asked_at - self.suspect[1] < SAME_FOR:
            return False
        self.user.books[self.account_id] = AccountBooks(
            await read_entries(self.host, self.user, self.account_id)
        )
        if self.user.gone or self._judge(there) != finding:
            return False  # a command has booked something meanwhile
        self.suspect = None
        await self.others.moved(finding, asked_at)
        self.settled = self.books.changes
        return True

    def _judge(self, there: Mapping[str, Decimal]) -> Finding:
        with money_context():
            claims = [claim_of(bot) for bot in self.bots]
        return reconcile.judge(self.books.balances.account_totals(), there, claims)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has of some orders, and of what was filled of them."""

    orders: Sequence[Order]
    fills: Sequence[Fill]

    @property
    def booked(self) -> dict[FillId, OrderId]:
        return {fill.id: fill.order_id for fill in self.fills}

    def order(self, name: str, number: str) -> Order | None:
        """Return an order by our name or the venue's."""
        for order in self.orders:
            if order.id == name or (number and order.venue_order_id == number):
                return order
        return None

    def filled(self, name: str) -> Decimal:
        return reconcile.total(fill.quantity for fill in self.fills if fill.order_id == name)


def is_at_rest(order: Order) -> bool:
    """Say whether nothing of an order is on its way; where none is, a cancel takes nothing back."""
    if order.state is OrderState.ABSENT:
        return True
    return order.state in QUIET and order.cancel is CancelState.NONE


def claim_of(bot: HostedBot) -> Claim:
    """Return what a bot counts on finding in its account."""
    engine = bot.engine
    held = ZERO if engine.position is None else engine.position.quantity
    return Claim(engine.spec.symbol, cash_of(engine), held)


def cash_of(engine: BotEngine) -> Decimal:
    """Return a bot's cash; what a universe shares is said once, with the first of its bots.

    One that trades by hand pays from what no pair owns, and counts on nothing.
    """
    if engine.spec.is_manual:
        return ZERO
    universe = engine.universe
    if universe is None:
        return engine.cash
    return universe.cash if next(iter(universe.members)) == engine.spec.id else ZERO
