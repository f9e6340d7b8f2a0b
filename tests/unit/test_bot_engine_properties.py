"""Whatever a market and a venue do to a bot, its books agree, and a restart changes nothing.

A story is a list of moves, each with a number that says how it is meant. A venue of its own
decides what really happens to orders and tells the bot about it late, twice, out of order, or
at first not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.bot_rig import APEX, PLAIN, Rig, enter, leave
from tests.makers import MINUTE, START, bar
from tradefleet.domain.effects import (
    Effect,
    MemoryChanged,
    OrderPlaced,
    SendOrder,
)
from tradefleet.domain.events import BarClosed, EntryDue, Event, StopHit, TargetHit
from tradefleet.domain.ids import OrderId
from tradefleet.domain.ledger import FREE, OWN
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Side, TradingRules
from tradefleet.domain.money import ZERO, money_context
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    ClosedByVenue,
    Fill,
    NotFound,
    Order,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Purpose,
    Quarantined,
    Rejected,
)
from tradefleet.domain.signal import TradePlan

RULES = TradingRules(
    price_tick=Decimal("0.01"), quantity_step=Decimal("0.001"), notional_min=Decimal(5)
)
LIMITS = RiskLimits(losses_in_row_max=2, drawdown_share_max=Decimal("0.1"), entry_gap_seconds=60)
IN_DOUBT = (OrderState.UNKNOWN, OrderState.QUARANTINED)


@dataclass
class AtVenue:
    """An order as it really is."""

    order: Order
    arrived: bool = False
    closed: bool = False
    filled: Decimal = ZERO


@dataclass
class Story:
    """One bot, its market and its venue; `told` is all the bot ever asked for."""

    plan: TradePlan = APEX
    limits: RiskLimits | None = None
    base_fee: bool = False
    restarts: bool = False
    told: list[list[Effect]] = field(default_factory=list)
    venue: dict[OrderId, AtVenue] = field(default_factory=dict)
    news: list[Event] = field(default_factory=list)
    price: Decimal = Decimal(100)
    fills: int = 0

    def __post_init__(self) -> None:
        self.rig = Rig(
            self.plan,
            rules=RULES,
            limits=self.limits,
            user_limits=self.limits,
            allocation=Decimal(1000),
        )
        self.quote, self.base = Decimal(1000), ZERO

    def play(self, moves: Sequence[tuple[str, int]]) -> "Story":
        for move, number in moves:
            self.rig.now += timedelta(minutes=2)  # longer than any wait for a refused exit
            with money_context():
                getattr(self, move)(number)
            if self.restarts:
                before = self.rig.levels
                self.rig.restart()
                assert self.rig.levels == before
        return self

    def take(self, event: Event) -> list[Effect]:
        """Let the bot take an event, and look at what it asks for."""
        effects = self.rig.step(event)
        self.look_at(effects)
        return effects

    def look_at(self, effects: list[Effect]) -> None:
        rig, engine = self.rig, self.rig.engine
        self.told.append([_without_price(effect) for effect in effects])
        for effect in effects:
            match effect:
                case OrderPlaced(order) if order.side is Side.SELL:
                    assert 0 < order.quantity <= engine.position.quantity
                    assert engine._on_sale() <= engine.position.quantity
                    assert order.quantity % RULES.quantity_step == 0
                case SendOrder(order_id):
                    order = rig.orders[order_id]
                    assert rig.sent.count(order_id) == 1 or order.purpose is Purpose.ENTRY
                    if order.side is Side.BUY:
                        assert engine.position is None
                        assert [o for o in engine.working.values() if o.is_working] == [order]
        position = engine.position
        if position is not None and engine._unsold(position) > 0:
            assert rig.levels.stop == position.stop > 0

    # ------------------------------------------------------------- the market

    def bar(self, number: int) -> None:
        self.move(number)
        signal = [None, enter(self.price * Decimal("0.97"), "0.2"), leave(), None][number % 4]
        minute = int((self.rig.now - START).total_seconds() // 60) - 1
        closed = bar(self.price, minute, high=self.price + number % 3, low=self.price / 2)
        self.take(BarClosed(closed, closed.opened_at + MINUTE, signal, Decimal(1 + number % 5)))

    def enters(self, number: int) -> None:
        self.bar(4 * number + 1)
        self.goes(500)
        self.sends(number)

    def works(self, number: int) -> None:
        """An ordinary moment: a price, what it fires, and how that is filled."""
        self.goes(number)
        self.sends(8 * number)
        self.fills_(number)
        for _ in range(2):
            self.tells(number)

    def goes(self, number: int) -> None:
        """The price moves, and the host fires what it reaches."""
        self.move(number)
        for order in [*self.rig.engine.working.values()]:
            if order.state is OrderState.CREATED and order.purpose is Purpose.ENTRY:
                self.take(EntryDue(order.id, self.price, order.hold_until))
        levels = self.rig.levels
        if levels.stop is not None and self.price <= levels.stop:
            self.take(StopHit(self.price, self.rig.now))
        elif levels.target is not None and self.price >= levels.target:
            self.take(TargetHit(self.price, self.rig.now))

    def move(self, number: int) -> None:
        step = Decimal(number % 41 - 20) / 5
        self.price = min(max(self.price + step, Decimal(60)), Decimal(140))

    def asks(self, number: int) -> None:
        rig = self.rig
        match number % 6:
            case 0:
                self.look_at(rig.stop())
            case 1 | 2 | 3:
                self.look_at(rig.start())
            case _:
                self.look_at(rig.told())

    # -------------------------------------------------------------- the venue

    def sends(self, number: int) -> None:
        """What waits to be sent leaves; the answers are as they are."""
        for order_id in self.rig.sent:
            order = self.rig.orders[order_id]
            if order.state is not OrderState.CREATED or order_id in self.venue:
                continue
            there = self.venue[order_id] = AtVenue(order)
            now = self.rig.now
            self.take(Armed(order_id, 1, now, now + timedelta(seconds=5)))
            answer, number = number % 8, number // 8
            there.arrived = answer < 5
            if answer < 4:
                self.take(Acknowledged(order_id, f"v{order.seq}"))
                self.fills_(number)
            elif answer < 6:
                self.take(OutcomeLost(order_id, "timeout"))
            else:
                there.closed = True
                self.take(Rejected(order_id, "busy"))

    def fills_(self, number: int) -> None:
        """The venue trades a part of an order that it has, as far as the coins reach."""
        there = self.some([t for t in self.venue.values() if t.arrived and not t.closed], number)
        if there is None:
            return
        order, sells = there.order, there.order.side is Side.SELL
        amount = order.quantity - there.filled
        if number % 3 == 0:
            amount = RULES.round_quantity(amount / 2)
        if sells:  # dust that the bot gave up is not for sale
            dust = self.rig.ledger.of(FREE, "BTC")
            amount = RULES.round_quantity(min(amount, self.base - dust))
        cost = amount * self.price
        if amount <= 0 or (not sells and cost + cost / 1000 > self.quote):
            there.closed = True
            self.news.append(ClosedByVenue(order.id, there.filled))
            return
        self.fills += 1
        there.filled += amount
        there.closed = there.filled == order.quantity
        in_base = self.base_fee and not sells
        fee = amount / 1000 if in_base else cost / 1000
        self.base += -amount if sells else amount - (fee if in_base else 0)
        self.quote += (cost if sells else -cost) - (0 if in_base else fee)
        self.news.append(
            Fill(
                id=f"t{self.fills}",
                order_id=order.id,
                symbol=order.symbol,
                side=order.side,
                quantity=amount,
                price=self.price,
                cost=cost,
                fee=fee,
                fee_asset="BTC" if in_base else "USDT",
                fee_quote=cost / 1000,
                filled_at=self.rig.now,
            )
        )
        if there.closed and number % 2:
            self.news.append(ClosedByVenue(order.id, there.filled))

    def closes(self, number: int) -> None:
        """The venue gives an order up as it stands."""
        there = self.some([t for t in self.venue.values() if t.arrived and not t.closed], number)
        if there is not None:
            there.closed = True
            self.news.append(ClosedByVenue(there.order.id, there.filled))

    def cancels(self, number: int) -> None:
        """A cancel the bot asked for leaves; it may come too late, and its answer may be lost."""
        order_id = self.some(self.rig.canceled, number)
        if order_id is None or order_id not in self.rig.engine.working:
            return
        self.take(CancelSent(order_id))
        if number % 3 == 0:
            self.take(CancelLost(order_id))
        there = self.venue[order_id]
        if number % 4 and there.arrived and not there.closed:
            there.closed = True
            self.news.append(ClosedByVenue(order_id, there.filled))

    def tells(self, number: int) -> None:
        """The bot hears one of the news, in any order, perhaps not for the last time."""
        if self.news:
            place = number % len(self.news)
            self.hear(self.news[place] if number % 5 == 0 else self.news.pop(place))

    def hear(self, news: Event) -> None:
        """Pass news on; a sale of coins of whose purchase the bot has not heard waits for that."""
        self.take(news)
        order = self.rig.engine.working.get(news.order_id)
        if isinstance(news, Fill) and order is not None and news.id not in self.rig.fills:
            unheard = (n for n in self.news if not isinstance(n, Fill) or n.side is Side.BUY)
            assert next(unheard, None) is not None
            self.news.append(news)

    def looks(self, number: int) -> None:
        """An order in doubt is looked up, and sometimes given up too early."""
        doubtful = [o for o in self.rig.engine.working.values() if o.state in IN_DOUBT]
        order = self.some(doubtful, number)
        if order is None:
            return
        there = self.venue[order.id]
        if there.arrived:
            self.take(Acknowledged(order.id, f"v{order.seq}"))
        elif number % 4 == 0:
            self.take(NotFound(order.id, self.rig.now))
        elif number % 4 == 1:
            self.take(Quarantined(order.id))
        else:
            self.take(ProvenAbsent(order.id))

    def turns_up(self, number: int) -> None:
        """An order thought to be nowhere is at the venue after all."""
        there = self.some(
            [t for t in self.venue.values() if not t.arrived and not t.closed], number
        )
        if there is not None:
            there.arrived = True
            if number % 2:
                self.take(Acknowledged(there.order.id, f"v{there.order.seq}"))

    @staticmethod
    def some(choices: list, number: int):
        return choices[number % len(choices)] if choices else None

    # ---------------------------------------------------------------- the end

    def settle(self) -> None:
        """Let the venue close what it has and tell everything: then all three books agree."""
        with money_context():
            for there in self.venue.values():
                if there.arrived and not there.closed:
                    there.closed = True
                    self.news.append(ClosedByVenue(there.order.id, there.filled))
            while self.news:
                self.hear(self.news.pop(0))
            for order in [*self.rig.engine.working.values()]:
                if order.state in IN_DOUBT and not self.venue[order.id].arrived:
                    self.take(ProvenAbsent(order.id))
        position, ledger = self.rig.position, self.rig.ledger
        held = position.quantity if position else ZERO
        assert self.rig.engine.cash + ledger.of(OWN, "USDT") == self.quote
        assert held + ledger.of(FREE, "BTC") + ledger.of(OWN, "BTC") == self.base
        for there in self.venue.values():
            assert self.rig.orders[there.order.id].filled == there.filled


def _without_price(effect: Effect) -> Effect:
    if isinstance(effect, MemoryChanged):
        return MemoryChanged(replace(effect.memory, last_price=None))
    return effect


MOVES = {
    "enters": 3, "works": 6, "bar": 2, "goes": 2, "sends": 2, "fills_": 2, "tells": 2,
    "looks": 2, "closes": 1, "asks": 1, "turns_up": 1, "cancels": 1,
}  # fmt: skip
WEIGHTED = [move for move, weight in MOVES.items() for _ in range(weight)]


def script_of(seed: int) -> list[tuple[str, int]]:
    """Return fifty moves; a list that hypothesis draws itself takes minutes to shrink."""
    random = Random(seed)
    return [(random.choice(WEIGHTED), random.randrange(1000)) for _ in range(50)]


scripts = st.integers(0, 10**9).map(script_of)
plans = st.sampled_from([APEX, PLAIN])


@settings(max_examples=150, deadline=None)
@example(script_of(2346), APEX, False, False)  # a sale is heard of before its buy
@example(script_of(3760), APEX, False, False)
@given(scripts, plans, st.booleans(), st.booleans())
def test_position_ledger_store_and_venue_tell_the_same_story(script, plan, limited, base_fee):
    story = Story(plan, LIMITS if limited else None, base_fee).play(script)
    story.settle()


@settings(max_examples=75, deadline=None)
@given(scripts, plans, st.booleans())
def test_a_bot_taken_over_after_every_event_does_the_same(script, plan, limited):
    limits = LIMITS if limited else None
    through = Story(plan, limits).play(script)
    broken = Story(plan, limits, restarts=True).play(script)

    assert broken.told == through.told
    assert _without_price(MemoryChanged(broken.rig.engine.memory())) == _without_price(
        MemoryChanged(through.rig.engine.memory())
    )


@settings(max_examples=25, deadline=None)
@given(scripts)
def test_the_same_events_ask_for_the_same_twice(script):
    assert Story().play(script).told == Story().play(script).told
