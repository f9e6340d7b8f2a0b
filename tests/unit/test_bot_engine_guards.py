"""Guards say no to entries, never to exits, and forget nothing when a bot is taken over."""

from decimal import Decimal

import pytest

from tests.bot_rig import PLAIN, Rig, enter, leave, only
from tests.makers import START, USER, after_start
from tradefleet.domain.effects import (
    Decided,
    GuardChanged,
    MemoryChanged,
    OrderPlaced,
    SendOrder,
    Topic,
)
from tradefleet.domain.limits import TIERS, GuardMemory, Halt, RiskLimits, Scope, Switch
from tradefleet.engine.user_guard import UserGuard

D = Decimal


def switch(halt: Halt, scope: Scope = Scope.USER, scope_id: str = USER) -> Switch:
    return Switch(scope=scope, scope_id=scope_id, halt=halt, reason="a test", changed_at=START)


def remember(rig: Rig, guard: UserGuard, **what) -> None:
    """Let a guard remember something, and the store too."""
    guard.memory = GuardMemory(user_id=USER, **what)
    rig.kept_guard, rig.kept = rig.guard.memory, rig.engine.memory()


def denied_by(effects) -> str:
    [decided] = only(effects, Decided)
    assert decided.outcome == "denied"
    assert only(effects, OrderPlaced) == []
    return decided.guard


# ---- who may say no


@pytest.mark.parametrize(
    ("limits", "guard"),
    [
        (RiskLimits(position_quote_max=D(599)), "position_size"),
        (RiskLimits(position_share_max=D("0.059")), "position_size"),
        (RiskLimits(symbols_blocked=frozenset(["BTC/USDT"])), "symbol"),
        (RiskLimits(exposure_share_max=D("0.06")), "exposure"),  # the fee is bound too
    ],
    ids=lambda value: "",
)
@pytest.mark.parametrize("whose", ["bot", "user"])
def test_a_limit_of_the_bot_or_of_its_user_refuses_an_entry(limits, guard, whose):
    rig = Rig(limits=limits) if whose == "bot" else Rig(user_limits=limits)

    assert denied_by(rig.closes(100, enter())) == guard


def test_limits_that_allow_it_let_it_pass():
    limits = RiskLimits(position_quote_max=D(601), exposure_share_max=D("0.07"))
    rig = Rig(limits=limits, user_limits=limits)

    assert rig.buys().quantity == 6


def test_a_tiers_quota_counts_entries_of_the_day():
    rig = Rig(tier=TIERS["free"])
    for _ in range(5):
        rig.buys()
        rig.falls(98)
        rig.sells(98)

    assert denied_by(rig.closes(100, enter())) == "entries_per_day"


def test_an_entry_that_was_never_sent_gives_its_quota_back():
    rig = Rig(tier=TIERS["free"])
    for _ in range(6):
        rig.closes(100, enter())
        rig.due(97)

    assert rig.kept_guard.entries_today == 0


def test_an_entry_made_anew_counts_once():
    rig = Rig(tier=TIERS["free"])
    rig.closes(100, enter())
    rig.due(100)
    rig.lose()
    rig.disprove()

    assert rig.kept_guard.entries_today == 1


@pytest.mark.parametrize("halt", [Halt.STOP, Halt.FLATTEN])
def test_a_kill_switch_refuses_entries(halt):
    rig = Rig(switches=(switch(halt),))

    assert denied_by(rig.closes(100, enter())) == "kill_switch"


# ---- between the decision and the price


def reason_of_void(effects) -> str:
    assert only(effects, SendOrder) == []
    [decided] = only(effects, Decided)
    assert decided.outcome == "void"
    return decided.reason


def test_a_switch_thrown_while_an_entry_is_held_voids_it():
    rig = Rig(delay=6)
    rig.closes(100, enter())
    rig.guard.set_switches([switch(Halt.STOP)])

    assert reason_of_void(rig.due(100)) == "trading was switched off"


@pytest.mark.parametrize("whose", ["bot", "user"])
def test_a_breaker_that_opens_while_an_entry_is_held_voids_it(whose):
    """Another bot of the user loses too much within the six seconds."""
    rig = Rig(limits=RiskLimits(daily_loss_quote=D(10)), user_limits=RiskLimits())
    rig.closes(100, enter())
    guard = rig.engine.own_guard if whose == "bot" else rig.guard
    remember(rig, guard, circuit_open_until=after_start(hours=1), circuit_reason="losses")

    assert reason_of_void(rig.due(100)) == "trading was halted: losses"


def test_a_breaker_that_has_closed_again_lets_it_pass():
    rig = Rig()
    rig.closes(100, enter())
    rig.guard.memory = type(rig.guard.memory)(
        user_id=USER, circuit_open_until=after_start(minutes=1)
    )
    rig.kept_guard = rig.guard.memory

    assert rig.due(100) == [SendOrder(rig.newest.id)]


def test_a_pause_while_an_entry_is_held_voids_it():
    rig = Rig()
    rig.closes(100, enter())
    remember(rig, rig.guard, paused_reason="drawdown")

    assert reason_of_void(rig.due(100)) == "trading was halted: drawdown"


def test_an_entry_under_way_when_all_was_flattened_is_sold_as_it_fills():
    rig = Rig()
    rig.closes(100, enter())
    rig.due(100)
    rig.accept()
    entry = rig.newest
    rig.guard.set_switches([switch(Halt.FLATTEN)])
    rig.told("kill_switch")  # nothing is held yet

    rig.fill(100, 2)
    assert (rig.newest.quantity, rig.newest.reason) == (2, "kill_switch")
    assert rig.canceled == [entry.id]
    rig.fill(100, order=entry)  # it crossed the cancel
    assert (rig.newest.quantity, rig.newest.reason) == (4, "kill_switch")


def test_an_entry_under_way_when_entries_were_stopped_is_kept_and_guarded():
    rig = Rig()
    rig.closes(100, enter())
    rig.due(100)
    rig.accept()
    rig.guard.set_switches([switch(Halt.STOP)])
    rig.fill(100)

    assert rig.levels.stop == 98


# ---- nobody says no to an exit


BLOCKED = RiskLimits(
    position_quote_max=D(1),
    open_positions_max=0,
    exposure_share_max=D("0.0001"),
    symbols_allowed=frozenset(),
    entry_gap_seconds=10**6,
    losses_in_row_max=1,
)


@pytest.mark.parametrize("how", ["stop", "target", "strategy", "user"])
def test_exits_pass_whatever_is_switched_off_or_used_up(how):
    rig = Rig(limits=RiskLimits())
    rig.buys()
    rig.stop()
    for guard in (rig.guard, rig.engine.own_guard):
        guard.set_limits(BLOCKED, TIERS["free"])
        guard.set_switches([switch(Halt.STOP), switch(Halt.STOP, Scope.PLATFORM, "*")])
        remember(
            rig,
            guard,
            day=START.date(),
            month="2026-01",
            entries_today=99,
            paused_reason="drawdown",
            circuit_open_until=after_start(days=9),
        )

    {
        "stop": lambda: rig.falls(90),
        "target": lambda: rig.rises(110),
        "strategy": lambda: rig.closes(100, leave()),
        "user": rig.told,
    }[how]()

    sells = [o for o in rig.orders.values() if o.reason != "a test; of entries"]
    assert sum(order.quantity for order in sells) == 6
    assert {order.id for order in sells} <= set(rig.sent)


# ---- what guards hear


def test_losses_in_a_row_open_the_breaker_and_the_user_is_told():
    rig = Rig(user_limits=RiskLimits(losses_in_row_max=2))
    for _ in range(2):
        rig.buys()
        rig.falls(98)
        effects = rig.sells(98)

    assert only(effects, GuardChanged) == [GuardChanged(rig.kept_guard)]
    assert rig.kept_guard.circuit_open_until is not None
    told = [note for note in rig.notes if note.topic is Topic.GUARD]
    assert [note.priority for note in told] == [2]
    assert denied_by(rig.closes(100, enter())) == "circuit_breaker"


def test_the_user_is_exposed_with_what_a_position_is_worth_at_each_close():
    rig = Rig(user_limits=RiskLimits(exposure_share_max=D("0.5")))
    rig.buys()
    rig.closes(105, high=106)

    assert rig.guard._slots["b1"].exposure == 630


def test_a_position_under_water_may_pause_its_bot():
    """90 % of 10,000 is in: at 90 that is 9 % under water, at 80 more than 15 %."""
    rig = Rig(PLAIN, limits=RiskLimits(drawdown_share_max=D("0.15")))
    rig.buys(100, 10, "0.9")
    rig.closes(90)
    assert rig.engine.own_guard.memory.paused_reason == ""

    effects = rig.closes(80)
    assert rig.notes[-1].topic is Topic.GUARD
    assert only(effects, MemoryChanged)[-1].memory.guard.paused_reason != ""


def test_a_pause_of_a_bots_own_guard_survives_a_restart():
    rig = Rig(PLAIN, limits=RiskLimits(drawdown_share_max=D("0.15")))
    rig.buys(100, 10, "0.9")
    rig.closes(80)

    rig.restart()
    rig.told()
    rig.sells(80)
    assert denied_by(rig.closes(80, enter(70))) == "paused"


def test_what_a_refusal_makes_a_bots_own_guard_remember_is_written_down():
    rig = Rig(limits=RiskLimits(open_positions_max=0))

    effects = rig.closes(100, enter())
    assert denied_by(effects) == "open_positions"
    assert only(effects, MemoryChanged)[-1].memory.guard == rig.engine.own_guard.memory


def test_a_bot_taken_over_tells_the_guards_what_is_in_the_market():
    rig = Rig(user_limits=RiskLimits(open_positions_max=1))
    rig.buys()
    rig.closes(105, high=106)
    rig.restart()

    slot = rig.guard._slots["b1"]
    assert (slot.exposure, slot.pending) == (600, 0)
    assert rig.guard.equity == 10_030 - D("0.6")


def test_an_entry_taken_over_goes_on_binding_what_it_has_not_bought():
    rig = Rig(user_limits=RiskLimits(open_positions_max=1))
    rig.closes(100, enter())
    rig.due(100)
    rig.accept()
    rig.fill(100, 2)
    before = rig.guard._slots["b1"]
    rig.restart()

    slot = rig.guard._slots["b1"]
    assert (slot.exposure, slot.pending) == (200, D("400.6"))
    assert (before.exposure, before.pending) == (slot.exposure, slot.pending)
