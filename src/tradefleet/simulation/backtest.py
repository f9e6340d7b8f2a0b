"""Run one bot over recorded bars: the very strategy and engine objects that trade live."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.domain.effects import CancelOrder, OrderPlaced, SendOrder, TradeClosed
from tradefleet.domain.errors import VenueRejected
from tradefleet.domain.events import BarClosed, EntryDue, Event, StopHit, TargetHit
from tradefleet.domain.ids import OrderId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.market import Bar
from tradefleet.domain.money import ZERO, money_context
from tradefleet.domain.order import Armed, ClosedByVenue, Fill, Purpose, Rejected
from tradefleet.domain.position import Trade
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.simulation.paper_book import Costs, PaperBook
from tradefleet.strategy import Strategy


@dataclass(slots=True, kw_only=True)
class Backtest:
    """One bot, one market, one paper account; read the results after `run`.

    holdings: (bar number, free quote, base held) from that bar on, one row per change, from
    which the equity of every bar follows.
    """

    engine: BotEngine
    strategy: Strategy
    book: PaperBook
    costs: Costs
    timeframe: timedelta
    signals: int = 0
    trades: list[Trade] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    holdings: list[tuple[int, Decimal, Decimal]] = field(default_factory=list)
    _number: int = 0  # of the bar that is played
    _held: list[OrderId] = field(default_factory=list)
    _taken: defaultdict[OrderId, Decimal] = field(  # of this bar's volume
        default_factory=lambda: defaultdict(Decimal)
    )

    @property
    def entries(self) -> list[LedgerEntry]:
        """The ledger entries of all fills."""
        spec = self.engine.spec
        user, account = spec.user_id, spec.account_id
        return [
            LedgerEntry.of_fill(fill, user_id=user, account_id=account, bot_id=spec.id)
            for fill in self.fills
        ]

    def run(self, bars: Iterable[Bar]) -> None:
        """Play the bars in order: what was decided at a close happens from the next open on."""
        self.engine.journaled = False
        with money_context():
            self._run(bars)

    def _run(self, bars: Iterable[Bar]) -> None:
        engine = self.engine
        on_bar, trail_distance = self.strategy.on_bar, self.strategy.trail_distance
        self.holdings.append((0, engine.cash, ZERO))
        for number, bar in enumerate(bars):
            if engine.working or (
                (position := engine.position) is not None
                and (
                    bar.low <= position.stop
                    or (position.targets and bar.high >= position.targets[0][0])
                )
            ):
                self._number = number
                self._play(bar)
            signal = on_bar(bar)
            if signal is not None:
                self.signals += 1
            elif engine.position is None:
                continue  # nothing was said to a bot that has nothing: the most common bar
            if not engine.overlooks(bar, signal, trail_distance):
                position = engine.position
                trails = position is not None and position.targets_done
                trail = trail_distance() if trails else None
                self._step(BarClosed(bar, bar.opened_at + self.timeframe, signal, trail))

    def equity(self, bars: Sequence[Bar]) -> list[tuple[datetime, Decimal]]:
        """Return the equity at the close of every bar that was run."""
        curve: list[tuple[datetime, Decimal]] = []
        changes = iter([*self.holdings[1:], (len(bars), ZERO, ZERO)])
        (number, cash, base), following = self.holdings[0], next(changes)
        with money_context():
            for number, bar in enumerate(bars):
                while following[0] <= number:
                    (_, cash, base), following = following, next(changes)
                curve.append((bar.opened_at + self.timeframe, cash + base * bar.close))
        return curve

    def _play(self, bar: Bar) -> None:
        """Walk the bar's path: open, down to the low, up to the high."""
        at, engine = bar.opened_at, self.engine
        self._taken.clear()
        if self._held:
            held, self._held = self._held, []
            for order_id in held:
                self._step(EntryDue(order_id, bar.open, at))
        self._touch(bar.open, at)
        self._trade(bar.open, bar)
        if (position := engine.position) is None:
            return
        if bar.open <= position.stop:  # bought here just now, at or below its stop
            self._touch(bar.open, at)
            self._trade(bar.open, bar)
        if self._falls_to_stop(bar) and (stop := engine.levels.stop) is not None:
            self._touch(stop, at)
            self._trade(stop, bar)
        while self._rises_to_target(bar) and (target := engine.levels.target) is not None:
            self._touch(target, at)
            self._trade(target, bar)
            if engine.levels.target == target:
                break  # nothing could be sold at it

    def _falls_to_stop(self, bar: Bar) -> bool:
        position = self.engine.position
        return position is not None and bar.low <= position.stop

    def _rises_to_target(self, bar: Bar) -> bool:
        position = self.engine.position
        return (
            position is not None and bool(position.targets) and bar.high >= position.targets[0][0]
        )

    def _touch(self, price: Decimal, at: datetime) -> None:
        """Fire the stop or target that price has reached."""
        position = self.engine.position
        if position is None:
            return
        if price <= position.stop:
            self._step(StopHit(price, at))
        elif position.targets and price >= position.targets[0][0]:
            self._step(TargetHit(price, at))

    def _trade(self, price: Decimal, bar: Bar) -> None:
        """Let the venue fill what waits, at price."""
        engine, share = self.engine, self.costs.volume_share
        for order_id in list(self.book.waiting):
            paper, fill = self.book.match(
                order_id,
                price=price,
                at=bar.opened_at,
                rules=engine.rules,
                costs=self.costs,
                most=None if share is None else share * bar.volume - self._taken[order_id],
            )
            if fill is not None:
                self._taken[order_id] += fill.quantity
                self._step(fill)
                self.fills.append(fill)
                position = engine.position
                base = ZERO if position is None else position.quantity
                self.holdings.append((self._number, engine.cash, base))
            elif not paper.open:
                self._step(ClosedByVenue(order_id, paper.filled))

    def _step(self, event: Event) -> None:
        for effect in self.engine.decide(event):  # the others are for a journal and for users
            if isinstance(effect, SendOrder):
                self._send(effect.order_id)
            elif isinstance(effect, OrderPlaced):
                if effect.order.purpose is Purpose.ENTRY:
                    self._held.append(effect.order.id)
            elif isinstance(effect, TradeClosed):
                self.trades.append(effect.trade)
            elif isinstance(effect, CancelOrder):
                paper = self.book.cancel(effect.order_id)
                if paper is not None:
                    self._step(ClosedByVenue(effect.order_id, paper.filled))

    def _send(self, order_id: OrderId) -> None:
        order = self.engine.working[order_id]
        self._step(Armed(order_id, 0, order.decided_at, order.decided_at))
        try:
            self.book.submit(order, self.engine.rules)
        except VenueRejected as error:
            self._step(Rejected(order_id, str(error)))  # the others are acknowledged by a fill
