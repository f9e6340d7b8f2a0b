"""Whatever happens to the bots of a universe, the purse and the ledger agree; restarts, too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bot_rig import PLAIN, Rig
from tests.makers import ACCOUNT, BTC, ETH, MINUTE, START, USER, bar
from tests.unit.test_bot_engine_properties import RULES, Story
from tradefleet.domain.effects import Decided, Effect, OrderPlaced
from tradefleet.domain.events import BarClosed
from tradefleet.domain.ids import BotId, UniverseId
from tradefleet.domain.ledger import OWN, place_of
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ZERO, money_context
from tradefleet.domain.order import Purpose
from tradefleet.domain.signal import Entry, Signal
from tradefleet.domain.universe import UniverseSpec
from tradefleet.engine.universe import Universe, ranked, standing

SYMBOLS = (BTC, ETH, Symbol("SOL", "USDT"))
SPEC = UniverseSpec(
    id=UniverseId("U"),
    user_id=USER,
    account_id=ACCOUNT,
    name="main",
    asset="USDT",
    allocation=Decimal(160),
    carried=Decimal(-10),
    positions_max=2,
)


@dataclass
class Purse:
    """What the venue has of the quote of all members together."""

    quote: Decimal = SPEC.funds


@dataclass
class MemberStory(Story):
    """One bot of the universe, with its market and its orders at the venue."""

    number: int = 0
    universe: Universe = field(default_factory=lambda: Universe(SPEC))
    purse: Purse = field(default_factory=Purse)

    def __post_init__(self) -> None:
        self.rig = Rig(
            self.plan,
            rules=RULES,
            universe=self.universe,
            allocation=ZERO,
            id=BotId(f"b{self.number}"),
            symbol=SYMBOLS[self.number],
            universe_id=SPEC.id,
        )
        self.base = ZERO

    @property
    def quote(self) -> Decimal:
        return self.purse.quote

    @quote.setter
    def quote(self, amount: Decimal) -> None:
        self.purse.quote = amount

    def said(self, number: int) -> Signal | None:
        """What the strategy says: to enter with some score and size, to leave, or nothing."""
        kind = number % 5
        if kind > 2:
            return Signal(exit_reason="ema_cross", reasons=("a test",)) if kind == 3 else None
        fraction = Decimal(1 + number % 9) / 10
        entry = Entry(self.price * Decimal("0.97"), fraction, 3 + number % 3, 0.5, ("a test",))
        return Signal(entry, "", ("a test",))


class UniverseStory:
    """All members; `told` is all that any of them ever asked for."""

    def __init__(self, *, restarts: bool) -> None:
        self.restarts = restarts
        self.universe, self.purse = Universe(SPEC), Purse()
        self.told: list[list[Effect]] = []
        self.members = [
            MemberStory(PLAIN, number=n, universe=self.universe, purse=self.purse, told=self.told)
            for n in range(len(SYMBOLS))
        ]

    def play(self, moves: Sequence[tuple[str, int]]) -> "UniverseStory":
        for move, number in moves:
            now = self.members[0].rig.now + timedelta(minutes=2)
            for member in self.members:
                member.rig.now = now
            with money_context():
                if move == "bars":
                    self.bars(number)
                else:
                    member = self.members[number % len(self.members)]
                    getattr(member, move)(number // len(self.members))
            latest = max(member.rig.now for member in self.members)
            for member in self.members:
                member.rig.now = latest
            if self.restarts:
                self.restart()
            self.agree()
        return self

    def restart(self) -> None:
        self.universe = Universe(SPEC)
        for member in self.members:
            member.rig.universe = member.universe = self.universe
            member.rig.restart()

    def bars(self, number: int) -> None:
        """A bar of every member closes; entries are decided upon when all have spoken."""
        waiting: dict[Symbol, tuple[MemberStory, BarClosed]] = {}
        for member in self.members:
            member.move(number)
            minute = int((member.rig.now - START).total_seconds() // 60) - 1
            closed = bar(member.price, minute, high=member.price, low=member.price / 2)
            signal = member.said(number)
            number //= 5
            event = BarClosed(closed, closed.opened_at + MINUTE, signal, None)
            if member.rig.engine.is_flat and signal is not None and signal.entry is not None:
                waiting[member.rig.spec.symbol] = member, event
            else:
                member.take(event)
        self.decide(waiting)

    def decide(self, waiting: dict[Symbol, tuple[MemberStory, BarClosed]]) -> None:
        rivals = [(symbol, event.signal.entry) for symbol, (_, event) in waiting.items()]
        balance, denied = self.universe.balance, False
        order_of_play = ranked(rivals)
        for place, (symbol, entry) in enumerate(order_of_play):
            member, event = waiting[symbol]
            free = self.universe.free
            assert self.universe.balance == balance, "an entry changed the size of another"
            event = BarClosed(
                event.bar, event.at, event.signal, None, standing(place, order_of_play)
            )
            for effect in member.take(event):
                match effect:
                    case OrderPlaced(order):
                        assert RULES.allows(order.quantity, event.bar.close)
                        assert order.quantity <= balance * entry.fraction / event.bar.close
                        assert order.reserved <= free
                        assert self.engaged <= SPEC.positions_max
                        assert not denied, "a worse entry was taken for want of a place"
                    case Decided(outcome="denied", guard="universe_positions"):
                        assert self.engaged >= SPEC.positions_max
                        denied = True

    @property
    def engaged(self) -> int:
        return sum(member.rig.engine.is_engaged for member in self.members)

    def agree(self) -> None:
        """Compare the purse with ledger and orders, which say the same in other words."""
        with money_context():
            booked = invested = reserved = ZERO
            for member in self.members:
                rig = member.rig
                booked += rig.ledger.of(place_of(rig.spec.id), "USDT")
                invested += (
                    sum((lot.cost for lot in rig.position.lots), ZERO) if rig.position else 0
                )
                for order in rig.orders.values():
                    if order.purpose is Purpose.ENTRY and order.is_working:
                        left = order.open_quantity / order.quantity
                        reserved += (order.reserved * left).quantize(Decimal("1e-8"))
            universe = self.universe
            assert universe.cash == SPEC.funds + booked
            assert universe.balance == SPEC.funds + booked + invested
            assert universe.free == SPEC.funds + booked - reserved

    def settle(self) -> None:
        """Tell everything there is to tell: then the venue's purse and ours are the same."""
        own = ZERO
        with money_context():
            for member in self.members:
                while member.news:
                    member.hear(member.news.pop(0))
                own += member.rig.ledger.of(OWN, "USDT")
        self.agree()
        assert self.universe.cash + own == self.purse.quote


MOVES = ["bars", "bars", "bars", "goes", "goes", "works", "works", "sends", "fills_", "tells"]
MOVES += ["closes", "looks", "asks", "cancels", "turns_up"]
stories = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 10_000)), max_size=40)


@settings(max_examples=60, deadline=None)  # a busy machine is slow, not wrong
@given(stories)
def test_purse_and_ledger_agree_after_every_move_and_a_restart_changes_nothing(moves):
    told = UniverseStory(restarts=False).play(moves)
    again = UniverseStory(restarts=True).play(moves)
    assert again.told == told.told
    told.settle()
    again.settle()


def test_stories_do_trade_and_do_compete():
    """What the property says, it says of something."""
    moves = [(MOVES[n * 7 % len(MOVES)], n * n * 31 % 9973) for n in range(600)]
    story = UniverseStory(restarts=True).play(moves)
    story.settle()
    effects = [effect for said in story.told for effect in said]
    guards = {effect.guard for effect in effects if isinstance(effect, Decided)}
    assert {"universe_positions", "free_funds"} <= guards
    assert len([e for e in effects if isinstance(e, OrderPlaced)]) > 30
