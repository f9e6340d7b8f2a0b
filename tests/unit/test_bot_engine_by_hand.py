"""What a bot does when its user orders by hand: once, never more, and with nothing repeated."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import RULES, START, bar
from tradefleet.domain.bot import MANUAL, BotSpec
from tradefleet.domain.effects import Decided, FillBooked, Notify, OrderPlaced, SendOrder
from tradefleet.domain.events import BarClosed, BuyAsked, EntryDue, SellAsked, TooLate
from tradefleet.domain.ids import AccountId, BotId, FillId, UserId
from tradefleet.domain.ledger import FREE, OWN, Balances
from tradefleet.domain.limits import GuardMemory, Halt, RiskLimits, Scope, Switch
from tradefleet.domain.market import Side, Symbol, Timeframe
from tradefleet.domain.order import (
    Acknowledged,
    Armed,
    ClosedByVenue,
    Fill,
    Order,
    OutcomeLost,
    ProvenAbsent,
    Rejected,
)
from tradefleet.domain.signal import TradePlan
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.user_guard import UserGuard

BTC = Symbol("BTC", "USDC")
SECOND = timedelta(seconds=1)


def desk(rests_stops: bool = False, switches: tuple[Switch, ...] = ()) -> BotEngine:
    spec = BotSpec(
        id=BotId("b1"),
        user_id=UserId("alice"),
        account_id=AccountId("a1"),
        venue="paper",
        symbol=BTC,
        timeframe=Timeframe(60),
        strategy=MANUAL,
        allocation=Decimal(1000),
    )
    guard = UserGuard(
        limits=RiskLimits.default(),
        tier=None,
        memory=GuardMemory(user_id=spec.user_id),
        switches=switches,
    )
    return BotEngine.start(
        spec=spec,
        memory=None,
        working={},
        fills_seen={},
        rules=RULES,
        plan=TradePlan(),
        guard=guard,
        order_key=b"k" * 32,
        rests_stops=rests_stops,
    )


def buy(number: int = 1, price="100", funds="1000", amount=None, quantity=None) -> BuyAsked:
    at = START + number * SECOND
    return BuyAsked(
        asked_at=at,
        at=at,
        price=Decimal(price),
        funds=Decimal(funds),
        amount=None if amount is None else Decimal(amount),
        quantity=None if quantity is None else Decimal(quantity),
    )


def sell(quantity, number: int = 2, price="100") -> SellAsked:
    at = START + number * SECOND
    return SellAsked(asked_at=at, at=at, price=Decimal(price), quantity=Decimal(quantity))


def ordered(effects) -> list[Order]:
    return [effect.order for effect in effects if isinstance(effect, OrderPlaced)]


def denials(effects) -> list[str]:
    return [e.guard for e in effects if isinstance(e, Decided) and e.outcome == "denied"]


def execute(engine: BotEngine, order: Order, price="100", quantity=None) -> list:
    """Let the venue take an order and fill it, or a part of it, and be done with it."""
    filled = order.quantity if quantity is None else Decimal(quantity)
    cost = filled * Decimal(price)
    fill = Fill(
        id=FillId(f"f{order.seq}"),
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        quantity=filled,
        price=Decimal(price),
        cost=cost,
        fee=cost / 1000,
        fee_asset="USDC",
        fee_quote=cost / 1000,
        filled_at=order.decided_at,
    )
    at = order.decided_at
    engine.step(Armed(order.id, 1, at, at + 5 * SECOND))
    effects = engine.step(Acknowledged(order.id, "V1"))
    effects += engine.step(ClosedByVenue(order.id, filled))
    return effects + (engine.step(fill) if filled else [])


@given(
    amount=st.decimals("0.01", "900", places=8),
    price=st.decimals("0.01", "200000", places=2),
    rise=st.decimals("0", "0.0019", places=4),
)
def test_a_buy_by_amount_never_costs_more_than_that(amount, price, rise):
    orders = ordered(desk().step(buy(price=price, amount=amount)))
    for order in orders:
        assert order.quantity % RULES.quantity_step == 0
        paid = order.quantity * price * (1 + rise) * (1 + RULES.fee)
        assert paid <= amount


@given(quantity=st.decimals("0.00001", "9", places=8))
def test_a_buy_or_a_sale_by_quantity_is_never_for_more(quantity):
    for order in ordered(desk().step(buy(quantity=quantity))) + ordered(
        desk().step(sell(quantity))
    ):
        assert 0 < order.quantity <= quantity


def test_the_same_request_is_ordered_once():
    engine = desk()
    effects = engine.step(buy(amount=30))
    (order,) = ordered(effects)
    assert SendOrder(order.id) in effects
    assert order.decided_at == START + SECOND
    assert engine.step(buy(amount=30)) == []
    execute(engine, order)
    assert engine.step(buy(amount=30)) == []
    assert len(ordered(engine.step(buy(2, amount=30)))) == 1


def test_a_buy_that_has_not_left_yet_leaves_at_a_price_it_can_pay_and_at_no_other():
    for price, is_sent in (("100.1", True), ("101", False)):
        engine = desk()
        (order,) = ordered(engine.step(buy(amount=30)))
        effects = engine.step(EntryDue(order.id, Decimal(price), START + 2 * SECOND))
        assert (SendOrder(order.id) in effects) is is_sent
        assert (order.id in engine.working) is is_sent


def test_a_second_order_waits_for_the_end_of_the_first():
    engine = desk()
    engine.step(buy(amount=30))
    assert denials(engine.step(buy(2, amount=30))) == ["under_way"]
    assert denials(engine.step(sell("0.1", 3))) == ["under_way"]


def test_what_cannot_be_paid_or_is_too_small_is_denied_with_the_reason():
    engine = desk()
    assert denials(engine.step(buy(1, quantity=11))) == ["free_funds"]
    assert denials(engine.step(buy(2, amount="4"))) == ["notional_min"]
    assert denials(engine.step(buy(3, amount="0.0001"))) == ["quantity_min"]
    assert denials(engine.step(sell("0.000001", 4))) == ["quantity_min"]
    effects = engine.step(TooLate(START + 5 * SECOND, "No price came."))
    assert denials(effects) == ["too_late"]
    assert [e.text for e in effects if isinstance(e, Notify)] == [
        "❌ BTC/USDC: not ordered. No price came."
    ]


def test_buys_add_up_to_lots_and_money_comes_from_what_no_pair_owns():
    engine, books = desk(), Balances()
    for number, price in ((1, "100"), (2, "110")):
        (order,) = ordered(engine.step(buy(number, price=price, quantity=1)))
        for effect in execute(engine, order, price):
            if isinstance(effect, FillBooked):
                books.book(effect.entry)
    assert [(lot.quantity, lot.cost) for lot in engine.position.lots] == [(1, 100), (1, 110)]
    assert books.of("bot:b1", "BTC") == 2
    assert books.of("bot:b1", "USDC") == 0
    assert books.of(FREE, "USDC") == Decimal("-210.21")


def test_a_sale_of_part_keeps_the_rest_and_a_later_one_closes_the_trade():
    engine = desk()
    (order,) = ordered(engine.step(buy(1, quantity=2)))
    execute(engine, order)
    (order,) = ordered(engine.step(sell("0.5", 2)))
    execute(engine, order, "120")
    assert engine.position.quantity == Decimal("1.5")
    (order,) = ordered(engine.step(sell("1.5", 3)))
    effects = execute(engine, order, "120")
    assert engine.position is None
    (trade,) = [e.trade for e in effects if hasattr(e, "trade")]
    assert (trade.quantity, trade.gross_pnl, trade.exit_reason) == (2, 40, "manual")


def test_selling_more_than_was_bought_here_keeps_both_apart_and_warns_of_nothing():
    engine, books = desk(), Balances()
    (order,) = ordered(engine.step(buy(1, quantity=1)))
    execute(engine, order)
    (order,) = ordered(engine.step(sell("3", 2)))
    effects = execute(engine, order, "110")
    for effect in effects:
        if isinstance(effect, FillBooked):
            books.book(effect.entry)
    assert books.of("bot:b1", "BTC") == -1
    assert books.of(OWN, "BTC") == -2
    (trade,) = [e.trade for e in effects if hasattr(e, "trade")]
    assert (trade.quantity, trade.gross_pnl) == (1, 10)
    assert not [e for e in effects if isinstance(e, Notify) and "⚠️" in e.text]


def test_a_refused_or_part_filled_sale_is_never_repeated():
    engine = desk()
    (order,) = ordered(engine.step(buy(1, quantity=2)))
    execute(engine, order)
    (order,) = ordered(engine.step(sell("1", 2)))
    at = order.decided_at
    engine.step(Armed(order.id, 1, at, at + 5 * SECOND))
    assert not ordered(engine.step(Rejected(order.id, "no funds")))
    assert engine.position.stop == 0
    (order,) = ordered(engine.step(sell("1", 3)))
    assert not ordered(execute(engine, order, "120", "0.4"))
    assert engine.position.quantity == Decimal("1.6")
    assert engine.position.stop == 0
    assert not engine.is_halted


def test_no_stop_rests_at_a_venue_for_what_was_bought_by_hand():
    engine = desk(rests_stops=True)
    (order,) = ordered(engine.step(buy(1, quantity=2)))
    assert not ordered(execute(engine, order))
    assert order.side is Side.BUY


def test_a_bots_own_limits_hold_for_what_is_bought_by_hand():
    engine = desk()
    engine.limits = RiskLimits(position_quote_max=Decimal(10))
    assert denials(engine.step(buy(amount=30))) == ["position_size"]


def test_a_sale_is_answered_once_and_worth_no_more_than_was_asked():
    engine = desk()
    asked = replace(sell("3"), amount=Decimal(50))
    (order,) = ordered(engine.step(asked))
    assert order.quantity == Decimal("0.5")
    execute(engine, order)
    assert engine.step(asked) == []
    late = TooLate(START + 5 * SECOND, "No price came.")
    assert denials(engine.step(late)) == ["too_late"]
    assert engine.step(late) == []


def test_no_stop_rests_for_what_was_bought_by_hand_when_a_bar_closes():
    engine = desk(rests_stops=True)
    (order,) = ordered(engine.step(buy(1, quantity=2)))
    execute(engine, order)
    effects = engine.step(BarClosed(bar(100), START + timedelta(minutes=1), None, None))
    assert not ordered(effects)


def test_a_switch_keeps_its_user_from_buying_by_hand_and_never_from_selling():
    switch = Switch(
        scope=Scope.USER, scope_id="alice", halt=Halt.STOP, reason="a drill", changed_at=START
    )
    engine = desk(switches=(switch,))
    assert denials(engine.step(buy(amount=30))) == ["kill_switch"]
    assert len(ordered(engine.step(sell("1")))) == 1


@pytest.mark.parametrize("asked", [buy(quantity=2), sell("2")])
def test_an_order_that_never_reached_the_venue_is_told_and_not_repeated(asked):
    engine = desk()
    (order,) = ordered(engine.step(asked))
    at = order.decided_at
    engine.step(Armed(order.id, 1, at, at + 5 * SECOND))
    engine.step(OutcomeLost(order.id, "no answer"))
    effects = engine.step(ProvenAbsent(order.id))
    assert not ordered(effects)
    assert [e.text for e in effects if isinstance(e, Notify)] == [
        f"❌ BTC/USDC: your order ({order.side} 2) never reached the exchange; order again."
    ]
