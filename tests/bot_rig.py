"""A bot's engine to play events to, with books kept beside it that must always agree."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.makers import MINUTE, RULES, START, Number, bar, fill, spec
from tradefleet.domain.bot import BotMemory, BotSpec, BotStatus
from tradefleet.domain.effects import (
    BotStatusChanged,
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
    TradeClosed,
)
from tradefleet.domain.events import (
    BarClosed,
    EntryDue,
    Event,
    ExitAsked,
    StartAsked,
    StopAsked,
    StopHit,
    TargetHit,
)
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.ledger import Balances, place_of
from tradefleet.domain.limits import GuardMemory, RiskLimits, Switch, Tier
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import ZERO, money_context, to_unit
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    ClosedByVenue,
    Fill,
    Order,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Rejected,
)
from tradefleet.domain.position import Position, Trade
from tradefleet.domain.signal import Entry, Signal, TradePlan
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.universe import Universe
from tradefleet.engine.user_guard import UserGuard

KEY = b"k" * 32
# APEX's plan: half at 1 R, a quarter at 2 R, the rest at 3 R; then the stop trails.
APEX = TradePlan(
    targets=((Decimal(1), Decimal("0.5")), (Decimal(2), Decimal("0.25")), (Decimal(3), Decimal(1))),
    trails=True,
)
PLAIN = TradePlan()


def enter(stop: Number = 98, fraction: Number = "0.06", exit_reason: str = "") -> Signal:
    """Return a signal to buy for a share of the balance, with a stop at a price."""
    entry = Entry(Decimal(stop), Decimal(fraction), 4, 0.5, ("a test", "of entries"))
    return Signal(entry, exit_reason, ("a test",))


def leave(reason: str = "ema_cross") -> Signal:
    return Signal(exit_reason=reason, reasons=("a test",))


class Rig:
    """A bot, the store's and the ledger's idea of it, and shorthands for what happens to it.

    Time: each bar closes one minute after the one before; `now` is the last close, prices and
    answers come a second later each. After every step the books are compared.
    """

    def __init__(
        self,
        plan: TradePlan = APEX,
        *,
        rules: TradingRules = RULES,
        user_limits: RiskLimits | None = None,
        tier: Tier | None = None,
        switches: tuple[Switch, ...] = (),
        delay: int = 0,
        rests_stops: bool = False,
        universe: Universe | None = None,
        **changes: Any,
    ) -> None:
        given = {"status": BotStatus.RUNNING, "allocation": Decimal(10_000), **changes}
        self.spec: BotSpec = spec(**given)
        self.plan, self.rules, self.tier = plan, rules, tier
        self.user_limits = user_limits or RiskLimits()
        self.switches, self.rests_stops, self.universe = switches, rests_stops, universe
        self.delay = timedelta(seconds=delay)
        self.now: datetime = START
        self.minute = 0
        self.kept: BotMemory | None = None  # what the store has
        self.kept_guard = GuardMemory(user_id=self.spec.user_id)
        self.orders: dict[OrderId, Order] = {}
        self.sent: list[OrderId] = []
        self.canceled: list[OrderId] = []
        self.fills: dict[FillId, OrderId] = {}
        self.ledger = Balances()
        self.trades: list[Trade] = []
        self.notes: list[Notify] = []
        self.decided: list[Decided] = []
        self.levels = Protect(None, None)  # what the host watches
        self.engine = self.started()

    # ---------------------------------------------------------------- the store

    def started(self) -> BotEngine:
        """Return an engine as a host makes it from what is kept."""
        working = {
            id: order
            for id, order in self.orders.items()
            if order.is_working or order.state is OrderState.ABSENT
        }
        self.guard = UserGuard(
            limits=self.user_limits,
            tier=self.tier,
            memory=self.kept_guard,
            switches=self.switches,
        )
        return BotEngine.start(
            spec=self.spec,
            memory=self.kept,
            working=working,
            fills_seen={id: order for id, order in self.fills.items() if order in working},
            rules=self.rules,
            plan=self.plan,
            guard=self.guard,
            order_key=KEY,
            entry_delay=self.delay,
            rests_stops=self.rests_stops,
            universe=self.universe,
        )

    def restart(self) -> None:
        """Crash and start again from what is kept."""
        self.engine = self.started()
        self.levels = self.engine.levels

    def step(self, event: Event) -> list[Effect]:
        effects = self.engine.step(event)
        for effect in effects:
            self.keep(effect)
        self.agree()
        return effects

    def keep(self, effect: Effect) -> None:
        match effect:
            case OrderPlaced(order):
                assert order.id not in self.orders, "an id was used twice"
                self.orders[order.id] = order
            case OrderChanged(order):
                assert order.id in self.orders
                self.orders[order.id] = order
            case SendOrder(order_id):
                assert self.orders[order_id].state is OrderState.CREATED, "sent twice"
                self.sent.append(order_id)
            case FillBooked(traded, entry):
                assert traded.id not in self.fills, "booked twice"
                self.fills[traded.id] = traded.order_id
                self.ledger.book(entry)
            case TradeClosed(trade):
                self.trades.append(trade)
            case MemoryChanged(memory):
                self.kept = memory
            case GuardChanged(memory):
                self.kept_guard = memory
            case Notify():
                self.notes.append(effect)
            case Decided():
                self.decided.append(effect)
            case Protect():
                self.levels = effect
            case CancelOrder(order_id):
                assert self.orders[order_id].is_working
                self.canceled.append(order_id)
            case BotStatusChanged():  # no engine asks for this
                raise AssertionError(effect)

    def agree(self) -> None:
        """Compare what the engine, the store, the ledger and the host believe."""
        engine, symbol = self.engine, self.spec.symbol
        place = place_of(self.spec.id)
        with money_context():
            booked = self.spec.allocation + self.ledger.of(place, symbol.quote)
            assert engine.cash == booked
            held = engine.position.quantity if engine.position else ZERO
            assert held == self.ledger.of(place, symbol.base)
            assert held == ZERO or engine.position.quantity > ZERO
            if engine.position:
                lots = engine.position.lots
                assert sum((lot.quantity for lot in lots), ZERO) == held
            assert all(total == 0 for total in self.ledger.everything().values())
        assert self.levels == engine.levels
        now, then = engine.memory(), self.kept
        if then is not None:
            assert _without_price(now) == _without_price(then), "not all is written down"
        working = {id: order for id, order in self.orders.items() if order.is_working}
        assert {i: o for i, o in engine.working.items() if o.is_working} == working
        assert self.guard.memory == self.kept_guard

    # ------------------------------------------------------------- what happens

    @property
    def position(self) -> Position | None:
        return self.engine.position

    @property
    def held(self) -> Position:
        assert self.engine.position is not None
        return self.engine.position

    @property
    def newest(self) -> Order:
        """The order made last, as it stands now."""
        return self.orders[[*self.orders][-1]]

    @property
    def soon(self) -> datetime:
        """A second later than anything before."""
        self.now += timedelta(seconds=1)
        return self.now

    def closes(
        self, close: Number = 100, signal: Signal | None = None, *, trail: Number | None = None,
        **changes: Any,
    ) -> list[Effect]:  # fmt: skip
        """Close the next bar; high and low are one around it unless given."""
        closed = bar(close, self.minute, **changes)
        self.minute += 1
        self.now = max(closed.opened_at + MINUTE, self.now)
        distance = None if trail is None else Decimal(trail)
        return self.step(BarClosed(closed, closed.opened_at + MINUTE, signal, distance))

    def due(self, price: Number = 100, order: Order | None = None) -> list[Effect]:
        """Let the held entry's wait be over at a price."""
        held = order or self.newest
        return self.step(EntryDue(held.id, Decimal(price), self.soon))

    def falls(self, price: Number) -> list[Effect]:
        return self.step(StopHit(Decimal(price), self.soon))

    def rises(self, price: Number) -> list[Effect]:
        return self.step(TargetHit(Decimal(price), self.soon))

    def told(self, reason: str = "force_exit") -> list[Effect]:
        return self.step(ExitAsked(reason, self.soon))

    def stop(self) -> list[Effect]:
        self.spec = replace(self.spec, status=BotStatus.STOPPED)
        self.engine.spec = self.spec
        return self.step(StopAsked(self.soon))

    def start(self) -> list[Effect]:
        self.spec = replace(self.spec, status=BotStatus.RUNNING)
        self.engine.spec = self.spec
        return self.step(StartAsked(self.soon))

    # ------------------------------------------------------- what the venue says

    def arm(self, order: Order | None = None) -> list[Effect]:
        sent = order or self.newest
        at = self.soon
        return self.step(Armed(sent.id, 1, at, at + timedelta(seconds=5)))

    def accept(self, order: Order | None = None) -> list[Effect]:
        """The order leaves and the venue has it."""
        sent = order or self.newest
        return self.arm(sent) + self.step(Acknowledged(sent.id, f"v-{sent.seq}"))

    def lose(self, order: Order | None = None) -> list[Effect]:
        """The order leaves and nothing is heard of it."""
        sent = order or self.newest
        return self.arm(sent) + self.step(OutcomeLost(sent.id, "timeout"))

    def refuse(self, order: Order | None = None) -> list[Effect]:
        sent = order or self.newest
        return self.arm(sent) + self.step(Rejected(sent.id, "market closed"))

    def disprove(self, order: Order | None = None) -> list[Effect]:
        """The order, sent and lost, is proven not to be there."""
        sent = order or self.newest
        return self.step(ProvenAbsent(sent.id))

    def fill(
        self, price: Number = 100, quantity: Number | None = None, order: Order | None = None,
        **changes: Any,
    ) -> list[Effect]:  # fmt: skip
        """The venue tells of a fill: of all that is open unless quantity says how much."""
        return self.step(self.traded(price, quantity, order, **changes))

    def traded(
        self, price: Number = 100, quantity: Number | None = None, order: Order | None = None,
        **changes: Any,
    ) -> Fill:  # fmt: skip
        of = self.orders[(order or self.newest).id]
        with money_context():
            amount = of.quantity - of.filled if quantity is None else Decimal(quantity)
            cost = to_unit(amount * Decimal(price))
            given = {
                "fee": to_unit(cost * self.rules.fee),
                "id": f"t{len(self.fills) + 1}",
                "at": self.soon,
                "symbol": self.spec.symbol,
                **changes,
            }
            made = fill(amount, price, of.side, order_id=of.id, **given)
        return replace(made, cost=cost)

    def end(self, filled: Number | None = None, order: Order | None = None) -> list[Effect]:
        """The venue is done with the order at its own total."""
        of = self.orders[(order or self.newest).id]
        total = of.filled if filled is None else Decimal(filled)
        return self.step(ClosedByVenue(of.id, total))

    # ---------------------------------------------------------------- shorthands

    def buys(self, price: Number = 100, stop: Number = 98, fraction: Number = "0.06") -> Position:
        """Signal, entry, fill: the bot has a position bought at price."""
        self.closes(price, enter(stop, fraction), high=price, low=price)
        self.due(price)
        self.accept()
        self.fill(price)
        return self.held

    def sells(self, price: Number) -> list[Effect]:
        """The newest order is accepted and filled at price."""
        return self.accept() + self.fill(price)


def _without_price(memory: BotMemory) -> Mapping[str, Any]:
    """All that a memory says but the last price, which is written down now and then."""
    return {**_fields(memory), "last_price": None}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def only(effects: list[Effect], kind: type) -> list[Any]:
    """Return the effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
