"""The whole decision path of one bot, as one pure step: event in, effects out."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradefleet.domain.bot import BotMemory, BotSpec, BotStatus
from tradefleet.domain.effects import (
    CancelOrder,
    Decided,
    Effect,
    FillBooked,
    GuardChanged,
    MemoryChanged,
    Notify,
    OrderChanged,
    OrderPlaced,
    Protect,
    SendOrder,
    Topic,
    TradeClosed,
)
from tradefleet.domain.events import (
    BarClosed,
    BuyAsked,
    EntryDue,
    Event,
    ExitAsked,
    SellAsked,
    StartAsked,
    StopAsked,
    StopHit,
    TargetHit,
    TooLate,
)
from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UserId, client_order_id
from tradefleet.domain.ledger import FREE, LedgerEntry, Posting, place_of
from tradefleet.domain.limits import Denied, GuardMemory, Halt, RiskLimits
from tradefleet.domain.market import Bar, Side, Symbol, TradingRules
from tradefleet.domain.money import ONE, ZERO, money_context, to_unit
from tradefleet.domain.order import (
    CancelState,
    Fill,
    Order,
    OrderEvent,
    OrderKind,
    OrderState,
    Purpose,
    Quarantined,
    Rejected,
    Voided,
    parted,
)
from tradefleet.domain.position import Position, Trade
from tradefleet.domain.signal import Entry, Signal, TradePlan
from tradefleet.domain.values import changed
from tradefleet.engine import by_hand, exits, order_life, risk
from tradefleet.engine.by_hand import BY_HAND
from tradefleet.engine.sizing import size_entry
from tradefleet.engine.universe import Universe
from tradefleet.engine.user_guard import UserGuard

RETRY_FIRST = timedelta(seconds=5)  # after a refused exit; doubles up to RETRY_MOST
RETRY_MOST = timedelta(seconds=60)
VENUE_FIRES = timedelta(seconds=5)  # a resting stop whose price was reached is sold by us after it
REST_AGAIN = timedelta(hours=1)  # a stop the venue refused may rest at the same price after it


@dataclass(slots=True, kw_only=True)
class BotEngine:
    """Runs one bot. No I/O, no clock, no randomness: same events, same effects.

    spec, rules, plan, limits and guard are shared with other bots; order_key names its orders
    for venues, and without one (in a backtest, where no venue hears of them) they go by their
    number; entry_delay is how long a live entry waits; universe is whose purse pays. Everything
    below `cash` is what the bot remembers: `memory()` is the same for the store, `working` are its
    orders that are not final.
    """

    spec: BotSpec
    rules: TradingRules
    plan: TradePlan
    guard: UserGuard
    order_key: bytes
    entry_delay: timedelta = timedelta(0)
    limits: RiskLimits = RiskLimits()
    own_guard: UserGuard | None = None
    universe: Universe | None = None
    cash: Decimal = ZERO
    seq: int = 0
    decided_at: datetime | None = None
    position: Position | None = None
    last_price: Decimal | None = None
    last_exit_reason: str = ""
    running: bool = True
    journaled: bool = True  # False: a backtest keeps no journal, so nothing is said for one
    working: dict[OrderId, Order] = field(default_factory=dict)
    fills_seen: dict[FillId, OrderId] = field(default_factory=dict)
    retry_at: datetime | None = None
    retry_wait: timedelta = RETRY_FIRST
    stop_waits: bool = False  # for retry_at too: it was no target that the venue refused
    rests_stops: bool = False  # the venue holds a stop itself; the host watches it all the same
    unsure: AbstractSet[OrderId] = frozenset()  # CREATED, and yet the venue may have them
    doomed: dict[OrderId, str] = field(default_factory=dict)  # of these: void once that is known
    wish: Event | None = None  # what to do once the resting stop is taken back
    recalled: frozenset[OrderId] = frozenset()  # stops that were asked back
    reached_at: datetime | None = None  # when the price was first at or below the resting stop
    refused_stop: tuple[Decimal, datetime] | None = None  # where none could rest, and since when
    ended_stop: Decimal | None = None  # where one was cancelled, and not by us

    @classmethod
    def start(
        cls,
        *,
        spec: BotSpec,
        memory: BotMemory | None,
        working: Mapping[OrderId, Order],
        fills_seen: Mapping[FillId, OrderId],
        rules: TradingRules,
        plan: TradePlan,
        guard: UserGuard,
        order_key: bytes,
        entry_delay: timedelta = timedelta(0),
        rests_stops: bool = False,
        unsure: AbstractSet[OrderId] = frozenset(),
        universe: Universe | None = None,
    ) -> "BotEngine":
        """Return the engine of a new bot, or of one that goes on from what the store kept."""
        known = memory or BotMemory(bot_id=spec.id, user_id=spec.user_id, cash=spec.allocation)
        engine = cls(
            spec=spec,
            rules=rules,
            plan=plan,
            guard=guard,
            order_key=order_key,
            entry_delay=entry_delay,
            limits=spec.limits or NO_LIMITS,
            own_guard=own_guard_of(spec, known, universe),
            universe=universe,
            cash=known.cash,
            seq=known.seq,
            decided_at=known.decided_at,
            position=known.position,
            last_price=known.last_price,
            last_exit_reason=known.last_exit_reason,
            running=spec.status is BotStatus.RUNNING,
            working=dict(working),
            fills_seen=dict(fills_seen),
            rests_stops=rests_stops,
            unsure=unsure,
        )
        guard.allocate(spec.id, spec.account_id, spec.allocation)
        if universe is not None:
            universe.members[spec.id] = engine
        with money_context():
            engine.restore_guards()
        return engine

    def step(self, event: Event) -> list[Effect]:
        """Take one event and return what must be written down and done about it, in order."""
        with money_context():
            return self.decide(event)

    def decide(self, event: Event) -> list[Effect]:
        """Step, for a caller who is inside the money context already."""
        before, own = self.guard.memory, self.own_guard
        own_before = own and own.memory
        effects = HANDLERS.get(type(event), BotEngine._on_order_event)(self, event)
        if own is not None and own.memory is not own_before:
            effects += self._saved()
        if self.guard.memory is not before:
            effects.append(GuardChanged(self.guard.memory))
        return effects

    def memory(self) -> BotMemory:
        """Return all the bot remembers, as the store keeps it."""
        return BotMemory(
            bot_id=self.spec.id,
            user_id=self.spec.user_id,
            cash=self.cash,
            seq=self.seq,
            decided_at=self.decided_at,
            position=self.position,
            last_price=self.last_price,
            last_exit_reason=self.last_exit_reason,
            guard=self.own_guard.memory if self.own_guard else None,
        )

    @property
    def is_flat(self) -> bool:
        return self.position is None

    @property
    def is_engaged(self) -> bool:
        """Say whether the bot holds something or has anything under way."""
        return self.position is not None or self._is_working()

    @property
    def invested(self) -> Decimal:
        """What the position was bought for, without fees."""
        return ZERO if self.position is None else sum((p.cost for p in self.position.lots), ZERO)

    @property
    def reserved(self) -> Decimal:
        """What an entry under way may still cost, as it was reckoned when it was decided."""
        entries = (o for o in self.working.values() if o.purpose is Purpose.ENTRY and o.is_working)
        return sum((reserve_left(order) for order in entries), ZERO)

    @property
    def is_halted(self) -> bool:
        """Whether a kill switch keeps the bot from buying."""
        return self.guard.halt_for(self.spec.id, self.spec.account_id) is not Halt.RUN

    @property
    def levels(self) -> Protect:
        """The stop and target to watch now: none for what is on sale already."""
        position = self.position
        if position is None or not self._is_sellable(position.quantity - self._on_sale()):
            return NOTHING_TO_WATCH
        return Protect(position.stop, position.targets[0][0] if position.targets else None)

    def concerns(self, bar: Bar, signal: Signal | None) -> bool:
        """Say whether a bar can change anything for the bot; no step is needed for others."""
        position = self.position
        if position is None:
            return signal is not None and signal.entry is not None
        if signal is not None and signal.exit_reason:
            return True
        trailing = position.targets_done or bar.high > position.highest
        if self.plan.trails and trailing:
            return True
        return self.watched or (self.rests_stops and not self._is_working())

    def overlooks(
        self, bar: Bar, signal: Signal | None, trail: Callable[[], Decimal | None]
    ) -> bool:
        """Say whether a bar needs no step, having moved highest high and stop if it should.

        For a backtest: most steps on a bar would do no more, but have it written down. trail
        is the strategy's, asked once the stop follows.
        """
        position = self.position
        if position is None:
            return signal is None or signal.entry is None
        if self.watched or self.rests_stops or (signal is not None and signal.exit_reason):
            return False
        follows = position.targets_done > 0
        if self.plan.trails and (follows or bar.high > position.highest):
            distance = trail() if follows else None
            self.position = exits.after_bar(position, bar.high, distance, self.plan, self.rules)
            self.last_price = bar.close
        return True

    # ------------------------------------------------------- what users ask

    def _on_exit_asked(self, event: ExitAsked) -> list[Effect]:
        return self._void_held(event.reason) + self._exit_all(event.reason, event.at)

    def _on_stop_asked(self, event: StopAsked) -> list[Effect]:
        self.running = False
        return self._void_held("the bot was stopped")

    def _on_start_asked(self, event: StartAsked) -> list[Effect]:
        self.running = True
        return []

    # ------------------------------------------------ what they order by hand

    def _on_buy_asked(self, event: BuyAsked) -> list[Effect]:
        """Order what its user wants to buy, or say which guard said no; once for each request."""
        asked_at = event.asked_at
        if self._is_answered(asked_at):
            return []
        balance = max(self.spec.allocation, event.funds + self.invested)
        self.guard.allocate(self.spec.id, self.spec.account_id, balance)
        quantity = by_hand.quantity_to_buy(event, self.rules)
        if self._is_working():
            return self._declined(asked_at, by_hand.UNDER_WAY)
        if isinstance(quantity, Denied):
            return self._declined(asked_at, quantity)
        order = self._order(
            Side.BUY,
            quantity,
            Purpose.ENTRY,
            asked_at,
            BY_HAND,
            reserved=by_hand.cost_of(quantity, event.price, self.rules),
            lapses_at=asked_at + by_hand.LAPSES_AFTER,
        )
        denied = self._review_by_hand(order, event)
        if denied is not None:
            return self._declined(asked_at, denied)
        for guard in self._guards():
            guard.entry_placed(order, order.reserved, asked_at)
        return [*self._notices(self.guard.used_up(), asked_at), *self._ordered(order)]

    def _review_by_hand(self, order: Order, event: BuyAsked) -> Denied | None:
        verdict = risk.review(
            order,
            price=event.price,
            free_quote=event.funds,
            balance=event.funds + self.invested,
            limits=self.limits,
            rules=self.rules,
        )
        if isinstance(verdict, Denied):
            return verdict
        for guard in self._guards():
            verdict = guard.review(order, cost=order.reserved, at=order.decided_at)
            if isinstance(verdict, Denied):
                return verdict
        return None

    def _on_sell_asked(self, event: SellAsked) -> list[Effect]:
        """Order what its user wants to sell: nothing of ours refuses it, and nothing repeats it."""
        if self._is_answered(event.asked_at):
            return []
        quantity = by_hand.quantity_to_sell(event, self.rules)
        if self._is_working():
            return self._declined(event.asked_at, by_hand.UNDER_WAY)
        if isinstance(quantity, Denied):
            return self._declined(event.asked_at, quantity)
        return self._ordered(
            self._order(Side.SELL, quantity, Purpose.EXIT, event.asked_at, BY_HAND)
        )

    def _on_too_late(self, event: TooLate) -> list[Effect]:
        if self._is_answered(event.asked_at):
            return []
        return self._declined(event.asked_at, Denied("too_late", event.reason))

    def _is_answered(self, asked_at: datetime) -> bool:
        """Say whether a request was decided upon already, before a restart."""
        return self.decided_at is not None and asked_at <= self.decided_at

    def _ordered(self, order: Order) -> list[Effect]:
        self.seq, self.decided_at = order.seq, order.decided_at
        self.working[order.id] = order
        said = self._decided(order.decided_at, "entered", "", f"{order.side} by hand")
        return [OrderPlaced(order), *self._saved(), *said, SendOrder(order.id)]

    def _declined(self, asked_at: datetime, denied: Denied) -> list[Effect]:
        self.decided_at = asked_at
        text = f"❌ {self.spec.symbol}: not ordered. {denied.reason}"
        said = self._decided(asked_at, "denied", denied.guard, denied.reason)
        return [*self._saved(), *said, *self._notice(Topic.ORDER, text, asked_at)]

    # ---------------------------------------------------------------- bars

    def _on_bar(self, event: BarClosed) -> list[Effect]:
        if self.decided_at is not None and event.at <= self.decided_at:
            return []  # decided upon already, before a restart
        self.last_price = event.bar.close
        if self.position is not None:
            return self._hold(self.position, event)
        if event.signal is not None and event.signal.entry is not None:
            return self._consider(event.signal.entry, event)
        return []

    def _hold(self, position: Position, event: BarClosed) -> list[Effect]:
        """Trail the stop, watch the drawdown, and leave when the strategy says so."""
        effects: list[Effect] = []
        held = exits.after_bar(position, event.bar.high, event.trail, self.plan, self.rules)
        if held is not position:
            self.position = held
            effects += self._saved()
            if held.stop != position.stop:
                effects.append(self.levels)
        leaves = event.signal is not None and event.signal.exit_reason
        if self.rests_stops and not leaves:
            effects += self._rest(event.at)
        if self.watched:
            effects += self._marked(event.bar.close, event.at)
        if leaves and self._unsold(held) > ZERO:
            self.decided_at = event.at  # flat, it would enter on this bar if it saw it again
            effects += self._exit_all(leaves, event.at)
        return effects

    def _marked(self, price: Decimal, at: datetime) -> list[Effect]:
        assert self.position is not None
        unrealized = self.position.result(price)
        value = to_unit(self.position.quantity * price)
        texts: list[str] = []
        for guard in self._guards():
            guard.exposure(self.spec.id, value)
            texts += guard.marked(self.spec.id, unrealized, at)
        return self._notices(texts, at)

    # ------------------------------------------------------------- entries

    def _consider(self, entry: Entry, event: BarClosed) -> list[Effect]:
        """Turn an entry signal into a held order, or say which guard said no."""
        if not self.running or self._is_working():
            return []
        at, close = event.at, event.bar.close
        balance = self.cash if self.universe is None else self.universe.balance
        sized = size_entry(entry, free_quote=balance, close=close, rules=self.rules, plan=self.plan)
        if isinstance(sized, Denied):
            return self._denied(sized, event)
        order = self._order(
            Side.BUY,
            sized.quantity,
            Purpose.ENTRY,
            at,
            "; ".join(entry.reasons),
            reserved=sized.reserve,
            hold_until=at + self.entry_delay,
            lapses_at=at + self.spec.timeframe.delta,
            lapse_price=sized.stop,
        )
        denied = self._review(order, close, at, balance)
        if denied is not None:
            return self._denied(denied, event)
        self.seq, self.decided_at = order.seq, at
        self.working[order.id] = order
        for guard in self._guards():
            guard.entry_placed(order, sized.reserve, at)
        return [
            OrderPlaced(order),
            *self._saved(),
            *self._decided(at, "entered", "", with_rank(order.reason, event)),
            *self._notices(self.guard.used_up(), at),
        ]

    def _review(
        self, order: Order, price: Decimal, at: datetime, balance: Decimal
    ) -> Denied | None:
        verdict = risk.review(
            order,
            price=price,
            free_quote=self._free,
            balance=balance,
            limits=self.limits,
            rules=self.rules,
        )
        if isinstance(verdict, Denied):
            return verdict
        if self.universe is not None and (denied := self.universe.review(self.spec.id)):
            return denied
        for guard in self._guards():
            verdict = guard.review(order, cost=order.reserved, at=at)
            if isinstance(verdict, Denied):
                return verdict
        return None

    @property
    def _free(self) -> Decimal:
        """What the bot may spend now."""
        return self.cash if self.universe is None else self.universe.free

    def _denied(self, denied: Denied, event: BarClosed) -> list[Effect]:
        reason = with_rank(denied.reason, event)
        return self._decided(event.at, "denied", denied.guard, reason)

    def _on_entry_due(self, event: EntryDue) -> list[Effect]:
        """Send a held entry, unless the world has moved on since it was decided."""
        order = self.working.get(event.order_id)
        if order is None or order.state is not OrderState.CREATED:
            return []
        reason = self._why_void(order, event)
        if reason:
            return self._void(order, reason)
        return [SendOrder(order.id)]

    def _why_void(self, order: Order, event: EntryDue) -> str:
        if reason := self.doomed.pop(order.id, ""):
            return reason
        if not self.running and order.reason != BY_HAND:
            return "the bot was stopped"
        if self.is_halted:
            return HALTED
        for guard in self._guards():
            memory = guard.memory
            until = memory.circuit_open_until
            if memory.paused_reason or (until is not None and event.at < until):
                return f"trading was halted: {memory.paused_reason or memory.circuit_reason}"
        if (self.position is not None and order.reason != BY_HAND) or (
            len(self.working) > 1
            and any(other.is_working and other.id != order.id for other in self.working.values())
        ):
            return "the order it stands for has turned up after all"
        if order.lapses_at is not None and event.at > order.lapses_at:
            return f"the next price came at {event.at:%H:%M:%S}, after {order.lapses_at:%H:%M:%S}"
        if order.lapse_price is not None and event.price <= order.lapse_price:
            return f"the price {event.price} is at or below the stop {order.lapse_price}"
        cost = to_unit(order.quantity * event.price * (ONE + self.rules.fee))
        if cost > (free := self._free_for(order)):
            return f"{order.quantity} at {event.price} costs more than the free {free}"
        return ""

    def _free_for(self, order: Order) -> Decimal:
        """What an entry that was decided may cost: what is reserved for it is free for it."""
        if order.reason == BY_HAND:
            return to_unit(order.reserved * (ONE + by_hand.PRICE_MARGIN))
        return self.cash if self.universe is None else self.universe.free + reserve_left(order)

    def _void_held(self, reason: str) -> list[Effect]:
        held = [o for o in self.working.values() if o.state is OrderState.CREATED]
        held = [o for o in held if o.purpose is Purpose.ENTRY]
        self.doomed.update({order.id: reason for order in held if order.id in self.unsure})
        sure = [order for order in held if order.id not in self.unsure]
        return [effect for order in sure for effect in self._void(order, reason)]

    def _void(self, order: Order, reason: str) -> list[Effect]:
        effects = self._on_order_event(Voided(order.id, reason))
        return [*effects, *self._decided(order.decided_at, "void", "entry", reason)]

    # --------------------------------------------------------------- exits

    def _on_stop(self, event: StopHit) -> list[Effect]:
        position = self.position
        if position is None or event.price > position.stop:
            return []
        if self.stop_waits and self._waits(event.at):
            return []
        if self.rests_stops and self._resting():
            return self._stop_reached(position, event)
        kind = position.stop_kind
        unsold = self._unsold(position)
        return self._sell(unsold, event.at, kind, OrderKind.STOP, position.stop)

    def _on_target(self, event: TargetHit) -> list[Effect]:
        """Sell the parts of all targets the price has reached, nearest first."""
        if self.rests_stops and self._resting():
            return [] if self._waits(event.at) else self._make_way(event)
        effects: list[Effect] = []
        before = self.position
        while (position := self.position) and position.targets and not self._waits(event.at):
            level, part = position.targets[0]
            if event.price < level:
                break
            unsold = self._unsold(position)
            if unsold <= ZERO:
                break
            part = exits.part_to_sell(position, part, event.price, unsold, self.rules)
            number = len(self.plan.targets) - len(position.targets) + 1
            self.position = changed(position, targets=position.targets[1:])
            if part == ZERO:  # too small for the venue: it leaves with the last target
                self._reached(number, level)
            else:
                effects += self._sell(part, event.at, f"target_{number}", OrderKind.TARGET, level)
        if self.position is before:
            return []
        return [*effects, *self._saved(), self.levels]

    def _reached(self, number: int, level: Decimal) -> None:
        """Note that a target is behind us; from the first on, the stop stands at entry."""
        assert self.position is not None
        done = max(self.position.targets_done, number)
        held = changed(self.position, targets_done=done)
        self.position = exits.at_breakeven(held, level, self.plan, self.rules)

    def _exit_all(self, reason: str, at: datetime) -> list[Effect]:
        if self.position is None:
            return []
        if self.rests_stops and self._resting():
            self.position = exits.at_any_price(self.position, reason)  # the wish outlives a crash
            return [*self._saved(), self.levels, *self._make_way(ExitAsked(reason, at))]
        return self._sell(self._unsold(self.position), at, reason)

    def _sell(
        self,
        quantity: Decimal,
        at: datetime,
        reason: str,
        kind: OrderKind = OrderKind.MARKET,
        price: Decimal | None = None,
    ) -> list[Effect]:
        """Put quantity on sale at once: at most what is unsold. Whoever sells buys no more."""
        if quantity <= ZERO:
            return []
        stopped = self._stop_buying(reason)
        order = self._order(Side.SELL, quantity, Purpose.EXIT, at, reason, kind=kind, price=price)
        self.seq = order.seq
        self.working[order.id] = order
        placed: list[Effect] = [OrderPlaced(order), *self._saved(), SendOrder(order.id)]
        return [*stopped, *placed, *self._guarded()]

    def _stop_buying(self, reason: str) -> list[Effect]:
        """Take back what an entry has not bought yet."""
        if not self.working:
            return []
        entries = [o for o in self.working.values() if o.purpose is Purpose.ENTRY and o.is_working]
        effects: list[Effect] = self._void_held(reason) if entries else []
        sent = [order for order in entries if order.state is not OrderState.CREATED]
        return effects + [CancelOrder(order.id) for order in sent if order.cancel is NOT_CANCELED]

    def _unsold(self, position: Position) -> Decimal:
        """Return what is held and not on sale already, in whole steps of the venue."""
        return self.rules.round_quantity(position.quantity - self._on_sale())

    def _is_sellable(self, quantity: Decimal) -> bool:
        """Say whether quantity is a whole step at least: less is dust."""
        return quantity >= self.rules.quantity_step

    def _on_sale(self) -> Decimal:
        """Return how much of the position exits may still sell, unknown ones included.

        A stop that rests is no sale yet: it is taken back before anything else is sold.
        """
        if not self.working:
            return ZERO
        sells = (
            o
            for o in self.working.values()
            if o.side is Side.SELL and o.kind is not OrderKind.RESTING_STOP
        )
        return sum((order.open_quantity for order in sells), ZERO)

    def _is_working(self) -> bool:
        """Say whether anything is under way; absent orders, which are only watched, are not."""
        return any(order.is_working for order in self.working.values())

    def _waits(self, at: datetime) -> bool:
        return self.retry_at is not None and at < self.retry_at

    # ------------------------------------------------- stops at the venue

    def _resting(self) -> list[Order]:
        """Return the stops that may rest at the venue; more than one only by mishap."""
        orders = self.working.values()
        return [o for o in orders if o.kind is OrderKind.RESTING_STOP and o.is_working]

    def needs(self, stop: Order) -> bool:
        """Say whether a resting stop is the one that guards the position as it is now, alone."""
        position = self.position
        if position is None or stop.price != position.stop:
            return False
        is_alone = not any(o.is_working and o.id != stop.id for o in self.working.values())
        return is_alone and stop.open_quantity == self._unsold(position)

    def _rest(self, at: datetime) -> list[Effect]:
        """Let the position's stop rest at the venue, in place of one that rests elsewhere.

        Not while anything else is under way, nor where the venue would refuse it: then the host
        alone holds the stop.
        """
        position = self.position
        if position is None:
            return []
        if resting := self._resting():
            return [] if all(map(self.needs, resting)) else self._make_way(None)
        if self._is_working():
            return []
        stop, quantity = position.stop, self._unsold(position)
        if stop <= ZERO:
            return []  # bought by hand: its user wants none
        is_above = self.last_price is not None and self.last_price > stop
        if not is_above or self._is_refused(stop, at) or not self.rules.allows(quantity, stop):
            return []
        self.reached_at = None
        order = self._order(
            Side.SELL,
            quantity,
            Purpose.EXIT,
            at,
            position.stop_kind,
            kind=OrderKind.RESTING_STOP,
            price=stop,
        )
        self.seq = order.seq
        self.working[order.id] = order
        return [OrderPlaced(order), *self._saved(), SendOrder(order.id)]

    def _is_refused(self, stop: Decimal, at: datetime) -> bool:
        """Say whether the venue refused a stop at this price not long ago."""
        return (
            self.refused_stop is not None
            and stop == self.refused_stop[0]
            and at < self.refused_stop[1] + REST_AGAIN
        )

    def _make_way(self, wish: Event | None) -> list[Effect]:
        """Take back what rests at the venue, and do what is wished once it is gone."""
        if wish is not None:
            self.wish = wish
        return self._recall(self._resting())

    def _recall(self, stops: list[Order]) -> list[Effect]:
        """Ask stops back from the venue, each once."""
        fresh = [order.id for order in stops if order.id not in self.recalled]
        self.recalled = self.recalled.union(fresh)
        return [CancelOrder(order_id) for order_id in fresh]

    def _stop_reached(self, position: Position, event: StopHit) -> list[Effect]:
        """Leave a stop that was reached to the venue for a moment; then sell in its place."""
        at_venue = all(order.price == position.stop for order in self._resting())
        if self.reached_at is None:
            self.reached_at = event.at
        if at_venue and event.at - self.reached_at < VENUE_FIRES:
            return []
        return self._make_way(event)

    def _rest_ended(self, order: Order) -> list[Effect]:
        """Do what a resting stop was taken back for, or let it rest anew."""
        at = order.sent_at or order.decided_at
        if order.price is not None and self._is_unwelcome(order):
            self.refused_stop = order.price, at
        if self.position is None or self._resting():
            return []
        wish, self.wish, self.reached_at, self.recalled = self.wish, None, None, frozenset()
        match wish:
            case ExitAsked(reason, asked_at):
                return self._exit_all(reason, asked_at)
            case StopHit(price):
                self.last_price = price
                effects = self._on_stop(wish)
            case TargetHit(price):
                self.last_price = price
                effects = self._on_target(wish)
            case _:
                effects = []
        return effects if self._is_working() else effects + self._rest(at)

    def _is_unwelcome(self, order: Order) -> bool:
        """Say whether the venue refuses a stop: by its word, or by cancelling one after another."""
        if order.state is OrderState.REJECTED:
            return True
        if order.state is not OrderState.DONE or order.filled or order.id in self.recalled:
            return False
        again = self.ended_stop == order.price
        self.ended_stop = order.price
        return again

    # -------------------------------------------------- orders and fills

    def _on_order_event(self, event: OrderEvent) -> list[Effect]:
        order = self.working.get(event.order_id)
        if order is None:
            return []  # final already: nothing new can be said of it
        now = order_life.after(order, event)
        if now is order:
            return []
        self._keep(now)
        effects: list[Effect] = [OrderChanged(now)] if self.journaled else []
        if isinstance(event, Rejected):
            text = f"{self.spec.symbol}: the venue refused an order: {event.reason}"
            effects += self._notice(Topic.ORDER, text, order.decided_at)
        if isinstance(event, Quarantined):
            text = f"{self.spec.symbol}: what became of an order is unknown; we keep looking."
            effects += self._notice(Topic.FAULT, text, order.decided_at, priority=1)
        return effects + self._turned(order, now)

    def _turned(self, before: Order, now: Order) -> list[Effect]:
        """Draw the consequences of an order that ended, or of one that was not gone after all."""
        if before.is_final:
            there = now.is_working or now.filled > before.filled
            return self._adopted(now) if there else []
        if not now.is_final:
            return []
        return self._entry_ended(now) if now.purpose is Purpose.ENTRY else self._exit_ended(now)

    def _entry_ended(self, order: Order) -> list[Effect]:
        absent = order.state is OrderState.ABSENT
        for guard in self._guards():
            guard.entry_ended(self.spec.id, sent=order.sent_at is not None and not absent)
        if order.reason == BY_HAND:
            return self._nothing_came(order) if absent else []
        if absent:
            return self._decide_again(order)
        return self._rest(order.sent_at or order.decided_at) if self.rests_stops else []

    def _exit_ended(self, order: Order) -> list[Effect]:
        """See to it that what an exit did not sell is sold by another one."""
        if order.kind is OrderKind.RESTING_STOP:
            return self._rest_ended(order)
        if order.reason == BY_HAND:  # more than was asked for is never sold, nor sold later
            return self._nothing_came(order) if order.state is OrderState.ABSENT else []
        position, left = self.position, order.quantity - order.filled
        if position is None:
            return []
        if left == ZERO:
            return self._rest(order.sent_at or order.decided_at) if self.rests_stops else []
        absent = order.state is OrderState.ABSENT
        if absent and order.kind is OrderKind.MARKET:
            left = min(left, self._unsold(position))
            return self._sell(left, order.decided_at, order.reason)
        if not absent:
            self.retry_at = (order.sent_at or order.decided_at) + self.retry_wait
            self.retry_wait = min(2 * self.retry_wait, RETRY_MOST)
            self.stop_waits = order.kind is not OrderKind.TARGET
        if order.kind is OrderKind.MARKET:
            self.position = exits.at_any_price(position, order.reason)
        elif order.kind is OrderKind.TARGET and order.price is not None:
            targets = {**dict(position.targets), order.price: left}
            self.position = changed(position, targets=tuple(sorted(targets.items())))
        return [*self._saved(), self.levels]

    def _nothing_came(self, order: Order) -> list[Effect]:
        """Tell the user that what they ordered never reached the venue: it is theirs to repeat."""
        what = f"{order.side} {order.quantity.normalize():f}"
        text = f"❌ {order.symbol}: your order ({what}) never reached the exchange; order again."
        return self._notice(Topic.ORDER, text, order.decided_at, priority=1)

    def _adopted(self, order: Order) -> list[Effect]:
        """Keep anything from being sold twice: an absent order is there after all."""
        position = self.position
        if order.kind is OrderKind.RESTING_STOP:
            way = [] if self.needs(order) else self._recall([order])
            return [*self._saved(), self.levels, *way]
        if position is not None and order.kind is OrderKind.TARGET:
            targets = tuple(target for target in position.targets if target[0] != order.price)
            self.position = changed(position, targets=targets)
        return [*self._saved(), self.levels]

    def _decide_again(self, order: Order) -> list[Effect]:
        """Make a new order in place of an entry that provably never reached the venue.

        One intent is sent once, ever: this is a new decision on the same signal, under a new
        id, and it lapses when the first one would have.
        """
        again = self._order(
            order.side,
            order.quantity,
            Purpose.ENTRY,
            order.decided_at,
            order.reason,
            reserved=order.reserved,
            hold_until=order.hold_until,
            lapses_at=order.lapses_at,
            lapse_price=order.lapse_price,
        )
        self.seq = again.seq
        self.working[again.id] = again
        for guard in self._guards():
            guard.entry_placed(again, again.reserved, again.decided_at)
        return [OrderPlaced(again), *self._saved()]

    def _keep(self, order: Order) -> None:
        """Keep orders that may still say something: working ones, and absent ones, watched."""
        if order.is_working or order.state is OrderState.ABSENT:
            self.working[order.id] = order
            return
        del self.working[order.id]
        for fill_id in [f for f, o in self.fills_seen.items() if o == order.id]:
            del self.fills_seen[fill_id]

    def _on_fill(self, fill: Fill) -> list[Effect]:
        """Book a fill once: order, position, ledger, trade, guard."""
        order = self.working.get(fill.order_id)
        if order is None or fill.id in self.fills_seen:
            return []  # every fill of a finished order is booked; venues repeat themselves
        before, order = order, order_life.after(order, fill)
        spec, bought = self.spec, fill.side is Side.BUY
        held = ZERO if self.position is None else self.position.quantity
        ours, beyond = fill, None
        if not bought and fill.quantity > held:
            if self._is_buying():
                return []  # it may have sold what we do not know yet that we bought: look-ups go on
            ours, beyond = parted(fill, held)
        self.fills_seen[fill.id] = order.id
        self._keep(order)
        self.cash += -ours.cost if bought else ours.cost
        if ours.fee_asset == spec.symbol.quote:
            self.cash -= ours.fee
        self.last_price = fill.price
        follow = self._bought(order, ours) if bought else self._sold(order, ours)
        self._tell_exposure()
        follow += self._turned(before, order)
        if not self.journaled:
            return follow
        entry = LedgerEntry.of_fill(
            ours, user_id=spec.user_id, account_id=spec.account_id, bot_id=spec.id, beyond=beyond
        )
        if self.position is None:
            entry = self._without_dust(entry, held, ours)
        if spec.is_manual:
            entry = by_hand.with_money_free(entry, place_of(spec.id), spec.symbol.base)
        written: list[Effect] = [OrderChanged(order), FillBooked(fill, entry), *follow]
        told = self._fill_notice(order, fill) + self._beyond_notice(beyond)
        return [*written, *self._saved(), self.levels, *told]

    def _bought(self, order: Order, fill: Fill) -> list[Effect]:
        before = self.position
        position = before.after(fill) if before else Position.opened_by(fill)
        if position.targets_done == 0 and order.lapse_price is not None:
            position = exits.protected(position, order.lapse_price, self.plan, self.rules)
        self.position = position
        if self.guard.halt_for(self.spec.id, self.spec.account_id) is Halt.FLATTEN:
            return self._exit_all("kill_switch", fill.filled_at)  # it was on its way at the time
        return []

    def _sold(self, order: Order, fill: Fill) -> list[Effect]:
        """Take what an order sold off the position, if one is left: a stray one may sell, too."""
        if self.position is None:
            return []
        self.position = self.position.after(fill)
        self.last_exit_reason = order.reason
        self.retry_at, self.retry_wait = None, RETRY_FIRST
        if order.kind is OrderKind.TARGET and order.price is not None:
            self._reached(int(order.reason.removeprefix("target_")), order.price)
        return [] if self._is_sellable(self.position.quantity) else self._close(order, fill)

    def _without_dust(self, entry: LedgerEntry, held: Decimal, fill: Fill) -> LedgerEntry:
        """Give up what the last sale left of a position, less than a step: nobody can sell it."""
        base = self.spec.symbol.base
        dust = held - fill.quantity - (fill.fee if fill.fee_asset == base else ZERO)
        if dust == ZERO:
            return entry
        place = place_of(self.spec.id)
        moved = (Posting(place, base, -dust), Posting(FREE, base, dust))
        return replace(entry, postings=(*entry.postings, *moved))

    def _fill_notice(self, order: Order, fill: Fill) -> list[Effect]:
        what = f"{fill.quantity.normalize():f} at {fill.price.normalize():f}"
        if fill.side is Side.BUY:
            stop = self.position.stop if self.position else ZERO
            guarded = f", stop {stop.normalize():f}" if stop else ""
            text = f"🟢 {fill.symbol}: bought {what}{guarded}"
            return self._notice(Topic.FILL, text, fill.filled_at, priority=1)
        topic = Topic.STOP if order.kind in STOPS else Topic.FILL
        text = f"🔴 {fill.symbol}: sold {what} ({order.reason})"
        return self._notice(topic, text, fill.filled_at, priority=1)

    def _is_buying(self) -> bool:
        """Say whether an entry is under way, so that not all that was bought need be booked."""
        entries = (o for o in self.working.values() if o.side is Side.BUY and o.is_working)
        return any(order.sent_at is not None for order in entries)

    def _beyond_notice(self, beyond: Fill | None) -> list[Effect]:
        if beyond is None or self.spec.is_manual:
            return []  # by hand users sell what they had before, too
        base = self.spec.symbol.base
        what = f"{beyond.quantity.normalize():f} {base}"
        text = (
            f"⚠️ {beyond.symbol}: {what} more was sold than your bot held. It is booked"
            f" as your own, with what it brought; buy {base} back if you want it."
        )
        return self._notice(Topic.FAULT, text, beyond.filled_at, priority=1)

    def _close(self, order: Order, fill: Fill) -> list[Effect]:
        """Turn the sold-out position into a trade and let the guards judge it."""
        position, spec = self.position, self.spec
        assert position is not None
        trade = Trade(
            id=f"{spec.id}-{order.seq}",
            user_id=spec.user_id,
            account_id=spec.account_id,
            bot_id=spec.id,
            symbol=spec.symbol,
            opened_at=position.opened_at,
            closed_at=fill.filled_at,
            quantity=position.original,
            entry_price=position.entry_price,
            exit_price=position.exit_price,
            gross_pnl=position.gross_pnl,
            fees=position.fees_quote,
            exit_reason=order.reason,
        )
        left = self._recall(self._resting())  # one that rested beside the one that sold
        self.position = self.wish = self.reached_at = self.refused_stop = self.ended_stop = None
        self.recalled = frozenset()
        at = fill.filled_at
        texts = [text for guard in self._guards() for text in guard.trade_closed(trade, at)]
        return [TradeClosed(trade), *self._notices(texts, at), *left]

    # --------------------------------------------------------------- small

    @property
    def watched(self) -> bool:
        """Say that some guard wants to know what the position is worth at each bar."""
        own = self.own_guard
        return not self.guard.is_idle or (own is not None and not own.is_idle)

    def mark(self, price: Decimal) -> MemoryChanged | None:
        """Note the latest price for showing equity; None when it is nothing new."""
        if self.position is None or price == self.last_price:
            return None
        self.last_price = price
        return MemoryChanged(self.memory())

    def _guards(self) -> tuple[UserGuard, ...]:
        return (self.guard,) if self.own_guard is None else (self.own_guard, self.guard)

    def restore_guards(self) -> None:
        """Tell the guards what the bot has in the market: at its start, and for new limits."""
        position, price = self.position, self.last_price
        entries = (o for o in self.working.values() if o.purpose is Purpose.ENTRY)
        entry = next((order for order in entries if order.is_working), None)
        unrealized = position.result(price) if position and price else ZERO
        for guard in self._guards():
            guard.restore(self.spec.id, exposure=self.invested, unrealized=unrealized, entry=entry)

    def _tell_exposure(self) -> None:
        """Tell the guards what the position cost: that is its worth until a bar marks it."""
        if self.watched:
            for guard in self._guards():
                guard.exposure(self.spec.id, self.invested)

    def _order(
        self,
        side: Side,
        quantity: Decimal,
        purpose: Purpose,
        at: datetime,
        reason: str,
        **more: Any,
    ) -> Order:
        """Return the bot's next order; more are further fields of it."""
        spec, seq = self.spec, self.seq + 1
        return changed(  # many times as fast as making one from nothing
            BLANK,
            id=self._order_id(seq),
            user_id=spec.user_id,
            account_id=spec.account_id,
            bot_id=spec.id,
            seq=seq,
            symbol=spec.symbol,
            side=side,
            quantity=quantity,
            purpose=purpose,
            decided_at=at,
            reason=reason,
            **more,
        )

    def _order_id(self, seq: int) -> OrderId:
        if not self.order_key:
            return OrderId(f"{seq:032x}")
        spec = self.spec
        return client_order_id(self.order_key, spec.user_id, spec.account_id, spec.id, seq)

    def _guarded(self) -> list[Effect]:
        return [self.levels] if self.journaled else []

    def _saved(self) -> list[Effect]:
        return [MemoryChanged(self.memory())] if self.journaled else []

    def _decided(self, at: datetime, outcome: str, guard: str, reason: str) -> list[Effect]:
        if not self.journaled:
            return []
        return [Decided(self.spec.id, self.spec.user_id, at, outcome, guard, reason)]

    def _notices(self, texts: list[str], at: datetime) -> list[Effect]:
        """Tell the user what a guard did."""
        return [n for text in texts for n in self._notice(Topic.GUARD, text, at, priority=2)]

    def _notice(self, topic: Topic, text: str, at: datetime, priority: int = 5) -> list[Effect]:
        return [Notify(self.spec.user_id, topic, text, at, priority)]


NO_LIMITS = RiskLimits()
STOPS = (OrderKind.STOP, OrderKind.RESTING_STOP)
BLANK = Order(
    id=OrderId(""),
    user_id=UserId(""),
    account_id=AccountId(""),
    bot_id=BotId(""),
    seq=0,
    symbol=Symbol("", ""),
    side=Side.BUY,
    quantity=ZERO,
    purpose=Purpose.ENTRY,
    decided_at=datetime.fromtimestamp(0, UTC),
    reason="",
)
NOT_CANCELED = CancelState.NONE
NOTHING_TO_WATCH = Protect(None, None)
HALTED = "trading was switched off"

# By the class of an event; one that is not here is news of an order.
HANDLERS: Mapping[type, Callable[[BotEngine, Any], list[Effect]]] = {
    BarClosed: BotEngine._on_bar,
    StopHit: BotEngine._on_stop,
    TargetHit: BotEngine._on_target,
    EntryDue: BotEngine._on_entry_due,
    Fill: BotEngine._on_fill,
    ExitAsked: BotEngine._on_exit_asked,
    StopAsked: BotEngine._on_stop_asked,
    StartAsked: BotEngine._on_start_asked,
    BuyAsked: BotEngine._on_buy_asked,
    SellAsked: BotEngine._on_sell_asked,
    TooLate: BotEngine._on_too_late,
}


def reserve_left(order: Order) -> Decimal:
    """Return how much of what was reserved for an entry it may still spend."""
    if order.filled == ZERO:
        return order.reserved
    return to_unit(order.reserved * order.open_quantity / order.quantity)


def with_rank(reason: str, event: BarClosed) -> str:
    """Say beside the reason how an entry stood among rival ones, where there were any."""
    return f"{event.rank}: {reason}" if event.rank else reason


def own_guard_of(
    spec: BotSpec, memory: BotMemory, universe: Universe | None = None
) -> UserGuard | None:
    """Return the guard of a bot's own limits, for the few bots that have any."""
    if spec.limits is None:
        return None
    known = memory.guard or GuardMemory(user_id=spec.user_id)
    guard = UserGuard(limits=spec.limits, tier=None, memory=known)
    allocation = spec.allocation if universe is None else universe.spec.allocation
    guard.allocate(spec.id, spec.account_id, allocation)
    return guard
