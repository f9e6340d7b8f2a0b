"""Backtests of written or recorded bars: a strategy that says what it is told, and one by name."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.bot_rig import APEX, KEY
from tests.makers import Number, spec
from tradefleet import strategies
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import Effect, OrderPlaced
from tradefleet.domain.events import Event
from tradefleet.domain.ids import OrderId
from tradefleet.domain.limits import GuardMemory, RiskLimits
from tradefleet.domain.market import Bar, Symbol, Timeframe, TradingRules
from tradefleet.domain.order import Order
from tradefleet.domain.signal import Signal, TradePlan
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.user_guard import UserGuard
from tradefleet.plugins import find_plugins
from tradefleet.simulation.backtest import Backtest
from tradefleet.simulation.paper_book import Costs, PaperBook
from tradefleet.strategy import Strategy

STRATEGIES = find_plugins(strategies, "STRATEGY")
FREE_OF_CHARGE = TradingRules(fee=Decimal(0))


class Scripted:
    """Says at each bar, counted from 0, what it was told to say; its trail is always the same."""

    def __init__(
        self,
        signals: Mapping[int, Signal],
        plan: TradePlan = APEX,
        trail: Number | None = None,
    ) -> None:
        self.plan = plan
        self.said = signals
        self.trail = None if trail is None else Decimal(trail)
        self.count = 0

    def on_bar(self, bar: Bar) -> Signal | None:
        self.count += 1
        return self.said.get(self.count - 1)

    def why_not(self) -> str:
        return ""

    def trail_distance(self) -> Decimal | None:
        return self.trail


class Recording:
    """Passes on what another strategy says, and remembers it."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.plan = strategy.plan
        self.said: list[tuple[Bar, Signal | None]] = []

    def on_bar(self, bar: Bar) -> Signal | None:
        signal = self.strategy.on_bar(bar)
        self.said.append((bar, signal))
        return signal

    def why_not(self) -> str:
        return self.strategy.why_not()

    def trail_distance(self) -> Decimal | None:
        return self.strategy.trail_distance()


class Remembering(BotEngine):
    """An engine of which one can see in the end what orders it placed."""

    placed: dict[OrderId, Order]

    def decide(self, event: Event) -> list[Effect]:
        effects = super().decide(event)
        self.placed |= {e.order.id: e.order for e in effects if isinstance(e, OrderPlaced)}
        return effects


def built(name: str, **params: str) -> Strategy:
    return STRATEGIES[name].build(params)


def played(
    strategy: Strategy,
    bars: Sequence[Bar],
    *,
    balance: Number = 10,
    rules: TradingRules | None = None,
    costs: Costs | None = None,
    timeframe: str = "1m",
    symbol: str = "ETH/BTC",
    limits: RiskLimits | None = None,
) -> Backtest:
    """Return the backtest of one bot that had its balance to itself, once it has run."""
    pair, frame = Symbol.parse(symbol), Timeframe.parse(timeframe)
    bot = spec(
        symbol=pair,
        timeframe=frame,
        allocation=Decimal(balance),
        status=BotStatus.RUNNING,
    )
    book = PaperBook()
    book.credit(pair.quote, Decimal(balance))
    engine = Remembering.start(
        spec=bot,
        memory=None,
        working={},
        fills_seen={},
        rules=rules or TradingRules(),
        plan=strategy.plan,
        guard=UserGuard(
            limits=limits or RiskLimits(), tier=None, memory=GuardMemory(user_id=bot.user_id)
        ),
        order_key=KEY,
    )
    engine.placed = {}
    test = Backtest(
        engine=engine,
        strategy=strategy,
        book=book,
        costs=costs or Costs(),
        timeframe=frame.delta,
    )
    test.run(bars)
    return test


def course(test: Backtest) -> list[tuple[Any, ...]]:
    """Return of each closed trade when it was opened and closed, bought for what, left why.

    Not the mean price it was left at: that depends a little on how its parts were rounded.
    """
    return [(t.opened_at, t.closed_at, t.entry_price, t.exit_reason) for t in test.trades]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
