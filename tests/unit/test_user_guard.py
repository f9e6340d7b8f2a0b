"""A user's guard refuses entries for what all bots did, and never an exit."""

import decimal
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import START, USER, after_start, order, trade
from tradefleet.domain.limits import (
    MAINTENANCE,
    TIERS,
    Approved,
    Denied,
    GuardMemory,
    Halt,
    RiskLimits,
    Scope,
    Switch,
    Tier,
)
from tradefleet.domain.order import Purpose
from tradefleet.engine.user_guard import UserGuard

FREE = TIERS["free"]


def guard(*bots: str, tier: Tier | None = None, memory=None, switches=(), **limits) -> UserGuard:
    """Return a guard of bots with 1000 allocated to each, `a` when none is named."""
    made = UserGuard(
        limits=RiskLimits(**limits),
        tier=tier,
        memory=memory or GuardMemory(user_id=USER),
        switches=switches,
    )
    for bot in bots or ("a",):
        made.allocate(bot, "a1", Decimal(1000))
    return made


def switch(scope: Scope, scope_id: str, halt: Halt = Halt.STOP, reason: str = "a drill") -> Switch:
    return Switch(scope=scope, scope_id=scope_id, halt=halt, reason=reason, changed_at=START)


def review(made: UserGuard, bot: str = "a", cost: int = 100, at: datetime = START):
    return made.review(order(bot=bot), cost=Decimal(cost), at=at)


def denied_by(made: UserGuard, bot: str = "a", cost: int = 100, at: datetime = START) -> str:
    verdict = review(made, bot, cost, at)
    return verdict.guard if isinstance(verdict, Denied) else ""


def enter(made: UserGuard, bot: str = "a", cost: int = 100, at: datetime = START) -> None:
    made.entry_placed(order(bot=bot), Decimal(cost), at)


def lose(made: UserGuard, amount: int, at: datetime = START, bot: str = "a") -> list[str]:
    return made.trade_closed(trade(-amount, bot), at)


# ---- watching nothing


def test_without_limits_everything_passes_and_nothing_is_remembered():
    idle = guard()
    before = idle.memory
    enter(idle)
    idle.entry_ended("a", sent=False)
    idle.exposure("a", Decimal(100))

    assert idle.marked("a", Decimal(-900), START) == []
    assert lose(idle, 900) == []
    assert review(idle) == Approved()
    assert idle.memory is before
    assert idle.is_idle


def test_a_tier_alone_is_something_to_watch():
    watching = guard(tier=FREE)
    enter(watching)

    assert watching.memory.entries_today == 1
    assert not watching.is_idle


def test_memory_stays_the_same_object_while_nothing_changes():
    watching = guard(tier=FREE, drawdown_share_max=Decimal("0.15"))
    enter(watching)
    watching.marked("a", Decimal(0), START)
    before = watching.memory
    watching.marked("a", Decimal(-10), START)
    review(watching, "b")
    watching.exposure("a", Decimal(50))

    assert watching.memory is before


def test_limits_can_be_changed_while_it_runs():
    changing = guard()
    changing.set_limits(RiskLimits(position_quote_max=Decimal(50)), None)
    assert denied_by(changing) == "position_size"

    changing.set_limits(RiskLimits(), None)
    assert denied_by(changing) == ""


# ---- exits


def test_nothing_refuses_an_exit():
    closed = guard(
        tier=Tier(
            name="none",
            entries_per_day=0,
            open_positions=0,
            api_calls_per_minute=0,
            bots=0,
            signal_channels=0,
        ),
        memory=GuardMemory(
            user_id=USER, paused_reason="drawdown", circuit_open_until=after_start(hours=4)
        ),
        switches=[switch(Scope.PLATFORM, "*", Halt.FLATTEN)],
        symbols_blocked=frozenset({"BTC/USDT"}),
        position_quote_max=Decimal(0),
    )

    exit_order = order(bot="a", purpose=Purpose.EXIT)
    assert closed.review(exit_order, cost=Decimal(10**9), at=START) == Approved()
    assert denied_by(closed) == "kill_switch"


# ---- kill switches


@pytest.mark.parametrize(
    ("scope", "scope_id"),
    [(Scope.PLATFORM, "*"), (Scope.USER, "u1"), (Scope.ACCOUNT, "a1"), (Scope.BOT, "a")],
)
def test_a_switch_stops_what_it_covers(scope, scope_id):
    halted = guard("a", switches=[switch(scope, scope_id)])

    verdict = review(halted)
    assert verdict == Denied("kill_switch", f"Trading is switched off for the {scope}: a drill.")
    assert halted.halt_for("a", "a1") is Halt.STOP


def test_maintenance_is_named_as_such_and_lets_exits_through():
    closed = guard("a", switches=[switch(Scope.PLATFORM, MAINTENANCE)])

    assert review(closed) == Denied("maintenance", "Maintenance: a drill. Exits go on.")
    exit_order = order(bot="a", purpose=Purpose.EXIT)
    assert closed.review(exit_order, cost=Decimal(1), at=START) == Approved()


@pytest.mark.parametrize(
    ("scope", "scope_id"), [(Scope.USER, "u2"), (Scope.ACCOUNT, "a2"), (Scope.BOT, "b")]
)
def test_a_switch_leaves_others_alone(scope, scope_id):
    other = guard("a", switches=[switch(scope, scope_id)])

    assert review(other) == Approved()
    assert other.halt_for("a", "a1") is Halt.RUN


def test_the_strongest_switch_counts():
    halted = guard(
        switches=[switch(Scope.PLATFORM, "*"), switch(Scope.BOT, "a", Halt.FLATTEN, reason="")]
    )
    assert halted.halt_for("a", "a1") is Halt.FLATTEN
    assert halted.halt_for("b", "a1") is Halt.STOP

    halted.set_switches([switch(Scope.BOT, "a", reason=""), switch(Scope.USER, "u1", Halt.RUN)])
    assert review(halted) == Denied("kill_switch", "Trading is switched off for the bot.")
    assert halted.halt_for("b", "a1") is Halt.RUN

    halted.set_switches(())
    assert halted.halt_for("a", "a1") is Halt.RUN
    assert review(halted) == Approved()


# ---- quotas


def test_the_tier_limits_entries_of_a_utc_day():
    watching = guard(tier=FREE)
    for _ in range(5):
        assert review(watching) == Approved()
        enter(watching)
        watching.entry_ended("a", sent=True)

    verdict = review(watching, at=after_start(hours=23, minutes=59))
    assert verdict == Denied(
        "entries_per_day",
        "5 entries today; the tier free allows 5 a day. The next day begins at 00:00 UTC."
        " The tier premium has 25.",
    )
    assert review(watching, at=after_start(days=1)) == Approved()


def test_the_days_last_entry_is_told_with_what_another_tier_has():
    watching = guard(tier=FREE)
    for number in range(1, 6):
        enter(watching)
        watching.entry_ended("a", sent=True)
        assert bool(watching.used_up()) == (number == 5)
    assert watching.used_up() == [
        "That was the last of 5 entries your tier free allows a day; the next day begins at 00:00"
        " UTC. The tier premium has 25. Exits go on."
    ]
    assert guard().used_up() == []


def test_the_day_is_utcs_whatever_zone_the_time_is_given_in():
    watching = guard(tier=FREE)
    tokyo = timezone(timedelta(hours=9))
    enter(watching, at=datetime(2026, 1, 2, 8, 0, tzinfo=tokyo))

    assert watching.memory.day == START.date()


def test_an_entry_never_sent_gives_its_quota_back_once():
    watching = guard(tier=FREE)
    enter(watching)
    watching.entry_ended("a", sent=False)
    watching.entry_ended("a", sent=False)
    watching.entry_ended("never seen", sent=False)

    assert watching.memory.entries_today == 0


def test_an_entry_of_yesterday_takes_nothing_from_today():
    watching = guard("a", "b", tier=FREE)
    enter(watching, "a", at=START)
    enter(watching, "b", at=after_start(days=1))
    watching.entry_ended("a", sent=False)

    assert watching.memory.entries_today == 1


def test_a_clock_set_back_over_midnight_does_not_begin_the_day_again():
    watching = guard(tier=FREE)
    enter(watching, at=after_start(days=1))
    enter(watching, at=after_start(hours=23))

    assert (watching.memory.entries_today, watching.memory.day.day) == (2, 2)


def test_entries_keep_their_distance():
    watching = guard(entry_gap_seconds=60)
    assert review(watching) == Approved()
    enter(watching)

    assert review(watching, at=after_start(seconds=59)) == Denied(
        "entry_gap", "The last entry was 59 s ago; the least gap is 60 s."
    )
    assert review(watching, at=after_start(seconds=60)) == Approved()


# ---- what is open


def test_positions_and_working_entries_of_all_bots_count():
    watching = guard("a", "b", "c", open_positions_max=2)
    enter(watching, "a")
    watching.exposure("b", Decimal(100))

    assert review(watching, "c") == Denied(
        "open_positions", "2 positions and entries are open; the limit is 2."
    )
    assert denied_by(watching, "b") == ""  # it has its place already

    watching.entry_ended("a", sent=True)
    assert denied_by(watching, "c") == ""


def test_the_tier_limits_open_positions_too():
    watching = guard("a", "b", "c", tier=FREE, open_positions_max=7)
    watching.exposure("a", Decimal(1))
    watching.exposure("b", Decimal(1))

    assert review(watching, "c") == Denied(
        "open_positions",
        "2 positions and entries are open; the tier free allows 2; a place is free when one is"
        " closed. The tier premium has 5.",
    )
    watching.exposure("b", Decimal(0))
    assert denied_by(watching, "c") == ""


def test_a_closed_trade_frees_its_place_even_if_nobody_ended_the_entry():
    watching = guard("a", "b", open_positions_max=1)
    enter(watching)
    watching.exposure("a", Decimal(100))
    watching.exposure("a", Decimal(0))
    assert denied_by(watching, "b") == "open_positions"

    watching.trade_closed(trade(5, "a"), START)
    assert denied_by(watching, "b") == ""


def test_total_exposure_is_a_share_of_all_allocations():
    watching = guard("a", "b", exposure_share_max=Decimal("0.25"))
    watching.exposure("a", Decimal(300))

    assert review(watching, "b", 200) == Approved()
    assert review(watching, "b", 201) == Denied(
        "exposure", "501 would be in the market; the limit is 25% of 2000, which is 500."
    )


def test_what_a_fill_bought_is_pending_no_more():
    watching = guard("a", "b", exposure_share_max=Decimal("0.25"))
    enter(watching, "a", 300)
    watching.exposure("a", Decimal(100))
    assert denied_by(watching, "b", 200) == ""

    watching.exposure("a", Decimal(320))
    assert denied_by(watching, "b", 181) == "exposure"
    assert denied_by(watching, "b", 180) == ""

    watching.exposure("a", Decimal(20))
    assert denied_by(watching, "b", 480) == ""


def test_a_removed_bot_takes_its_allocation_and_its_place_along():
    watching = guard("a", "b", open_positions_max=1, exposure_share_max=Decimal("0.5"))
    enter(watching, "a", 400)
    watching.marked("a", Decimal(7), START)
    watching.forget("a")
    watching.forget("a")

    assert watching.equity == 1000
    assert denied_by(watching, "b", 500) == ""
    assert denied_by(watching, "b", 501) == "exposure"


def test_an_allocation_can_change():
    watching = guard("a", exposure_share_max=Decimal("0.5"))
    watching.allocate("a", "a1", Decimal(2000))

    assert denied_by(watching, "a", 1000) == ""
    assert watching.equity == 2000


def test_a_takeover_restores_places_without_counting_them():
    watching = guard(
        "a", "b", "c", tier=FREE, exposure_share_max=Decimal("0.5"), drawdown_share_max=Decimal(1)
    )
    before = watching.memory
    watching.restore("a", exposure=Decimal(500), unrealized=Decimal(-40))
    watching.restore("b", entry=order(bot="b", reserved=Decimal(200)))
    watching.restore("c")

    assert watching.memory is before
    assert watching.equity == 2960
    assert denied_by(watching, "c") == "open_positions"
    assert denied_by(watching, "a", 801) == "exposure"


def test_what_a_restored_entry_bought_already_is_pending_no_more():
    watching = guard("a", "b", exposure_share_max=Decimal("0.5"))
    watching.restore(
        "a", exposure=Decimal(150), entry=order(bot="a", reserved=Decimal(200), filled=Decimal(1))
    )

    assert denied_by(watching, "b", 800) == ""
    assert denied_by(watching, "b", 801) == "exposure"


def test_an_entry_restored_and_never_sent_gives_its_quota_back():
    watching = guard(tier=FREE, memory=GuardMemory(user_id=USER, day=START.date(), entries_today=3))
    watching.restore("a", entry=order(bot="a"))
    watching.entry_ended("a", sent=False)

    assert watching.memory.entries_today == 2


# ---- what may be traded


def test_lists_of_symbols_are_obeyed():
    assert denied_by(guard(symbols_blocked=frozenset({"BTC/USDT"}))) == "symbol"
    assert denied_by(guard(symbols_blocked=frozenset({"ETH/USDT"}))) == ""
    assert denied_by(guard(symbols_allowed=frozenset({"BTC/USDT"}))) == ""
    assert denied_by(guard(symbols_allowed=frozenset({"ETH/USDT"}))) == "symbol"


def test_a_position_is_limited_with_what_the_bot_holds_already():
    watching = guard("a", "b", position_quote_max=Decimal(300), position_share_max=Decimal("0.1"))
    watching.exposure("a", Decimal(150))

    assert denied_by(watching, "a", 50) == ""
    assert "10% of 2000" in review(watching, "a", 51).reason
    assert "limit is 300" in review(watching, "b", 301).reason


# ---- the breaker


def test_a_days_loss_opens_the_breaker_for_some_hours_and_says_so():
    watching = guard(daily_loss_share=Decimal("0.05"))
    at = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)

    assert lose(watching, 49, at) == []
    (text,) = lose(watching, 1, at)

    assert text == (
        "Circuit breaker: the day's loss of 50 reached the limit of 50."
        " No new entries until 2026-11-20 14:05 UTC. Open positions stay protected."
    )
    verdict = review(watching, at=at + timedelta(hours=4, seconds=-1))
    assert verdict == Denied(
        "circuit_breaker",
        "No new entries until 2026-11-20 14:05 UTC: the day's loss of 50 reached the limit of 50.",
    )


def test_after_the_cool_down_the_count_starts_anew_and_trips_again():
    watching = guard(daily_loss_quote=Decimal(50))
    lose(watching, 60)
    later = after_start(hours=4)

    assert review(watching, at=later) == Approved()
    assert lose(watching, 49, later) == []
    assert review(watching, at=later) == Approved()

    (text,) = lose(watching, 1, later)
    assert "08:00 UTC" in text
    assert denied_by(watching, at=later) == "circuit_breaker"
    assert watching.memory.realized_today == -110


def test_what_closes_during_the_cool_down_can_prolong_it():
    watching = guard(daily_loss_quote=Decimal(50))
    lose(watching, 60)
    lose(watching, 50, after_start(hours=1))

    assert watching.memory.circuit_open_until == after_start(hours=5)


def test_gains_of_the_day_come_first():
    watching = guard(daily_loss_quote=Decimal(50))
    watching.trade_closed(trade(30), START)

    assert lose(watching, 79) == []
    assert lose(watching, 1) != []


def test_a_new_day_forgives_and_a_new_month_too():
    watching = guard(daily_loss_quote=Decimal(50), monthly_loss_share_max=Decimal("0.09"))
    new_year_eve = datetime(2025, 12, 31, 23, tzinfo=UTC)
    lose(watching, 49, new_year_eve)
    assert lose(watching, 49, START) == []

    memory = watching.memory
    assert (memory.realized_today, memory.realized_month, memory.month) == (-49, -49, "2026-01")
    assert memory.realized_total == -98
    assert lose(watching, 1, after_start(days=1)) == []
    assert watching.memory.realized_month == -50


@pytest.mark.parametrize(
    ("quote", "share", "limit"), [(None, "0.05", 100), (30, "0.05", 30), (200, "0.05", 100)]
)
def test_the_stricter_of_amount_and_share_counts(quote, share, limit):
    watching = guard(
        "a",
        "b",
        daily_loss_quote=None if quote is None else Decimal(quote),
        daily_loss_share=Decimal(share),
    )
    assert lose(watching, limit - 1) == []
    assert lose(watching, 1) != []


def test_losses_in_a_row_open_the_breaker_and_a_win_breaks_the_row():
    watching = guard(losses_in_row_max=3)
    lose(watching, 1)
    lose(watching, 1)
    watching.trade_closed(trade(1), START)
    assert lose(watching, 1) == lose(watching, 1) == []

    (text,) = lose(watching, 1)
    assert text.startswith("Circuit breaker: 3 losses in a row. No new entries until")
    assert watching.memory.losses_in_row == 0

    later = after_start(hours=4)
    assert review(watching, at=later) == Approved()
    assert lose(watching, 1, later) == lose(watching, 1, later) == []
    assert lose(watching, 1, later) != []


def test_breaker_hours_can_be_chosen():
    watching = guard(losses_in_row_max=1, breaker_hours=Decimal("0.5"))
    lose(watching, 1)

    assert watching.memory.circuit_open_until == after_start(minutes=30)


def test_a_reset_closes_the_breaker_and_restarts_both_counts():
    watching = guard(daily_loss_quote=Decimal(50), losses_in_row_max=2)
    lose(watching, 60)

    assert watching.reset_breaker("it was a test", START) == [
        "The circuit breaker is reset: it was a test."
    ]
    assert review(watching) == Approved()
    assert lose(watching, 49) == []
    assert lose(watching, 1) != []


def test_there_is_nothing_to_reset_when_the_breaker_is_closed():
    watching = guard(losses_in_row_max=2)
    lose(watching, 1)
    before = watching.memory
    assert watching.reset_breaker("just so", START) == []

    lose(watching, 1)
    assert watching.reset_breaker("over already", after_start(hours=4)) == []
    assert before.losses_in_row == 1


@pytest.mark.parametrize(
    ("limits", "tripped"),
    [
        ({"daily_loss_quote": Decimal(10)}, "daily_loss"),
        ({"losses_in_row_max": 1}, "losses_in_row"),
        ({"drawdown_share_max": Decimal("0.01")}, "drawdown"),
        ({"monthly_loss_share_max": Decimal("0.01")}, "monthly_loss"),
    ],
)
def test_a_limit_set_below_what_is_lost_already_trips_at_the_next_entry(limits, tripped):
    changing = guard(tier=FREE)
    lose(changing, 20)
    changing.set_limits(RiskLimits(**limits), FREE)

    assert denied_by(changing) == tripped
    assert denied_by(changing) in ("circuit_breaker", "paused")


# ---- drawdown and the month


def test_drawdown_from_the_peak_pauses_until_somebody_resumes():
    watching = guard(drawdown_share_max=Decimal("0.15"))
    watching.marked("a", Decimal(200), START)
    assert watching.memory.peak_equity == 1200
    assert watching.marked("a", Decimal(21), START) == []

    (text,) = watching.marked("a", Decimal(20), START)
    assert text == (
        "Trading is paused until you resume: equity 1020 is 180 below its peak 1200;"
        " the limit is 15%. Open positions stay protected."
    )
    assert denied_by(watching, at=after_start(days=40)) == "paused"
    assert watching.marked("a", Decimal(10), START) == []  # told once

    assert watching.resume("seen it", START) == ["Trading is resumed: seen it."]
    assert watching.resume("again", START) == []
    assert review(watching) == Approved()
    assert watching.marked("a", Decimal(-142), START) != []  # counted from 1010


def test_a_loss_before_the_first_gain_is_a_drawdown_too():
    watching = guard(drawdown_share_max=Decimal("0.15"))

    assert lose(watching, 149) == []
    assert lose(watching, 1) != []


def test_closing_a_trade_does_not_count_its_loss_twice():
    watching = guard(drawdown_share_max=Decimal("0.15"))
    watching.marked("a", Decimal(-100), START)

    assert lose(watching, 100) == []
    assert watching.equity == 900


def test_the_months_loss_pauses_and_counts_anew_after_resuming():
    watching = guard(monthly_loss_share_max=Decimal("0.04"))
    assert lose(watching, 39) == []
    (text,) = lose(watching, 1)
    assert "the month's loss of 40 reached the limit of 40" in text

    watching.resume("a new plan", START)
    assert lose(watching, 39) == []
    assert lose(watching, 1) != []


def test_the_breaker_still_trips_while_paused():
    watching = guard(losses_in_row_max=1, drawdown_share_max=Decimal("0.01"))

    breaker, pause = lose(watching, 20)
    assert breaker.startswith("Circuit breaker")
    assert pause.startswith("Trading is paused")
    (again,) = lose(watching, 20)
    assert again.startswith("Circuit breaker")


def test_the_peak_moves_with_the_money_in_proportion():
    watching = guard("a", drawdown_share_max=Decimal("0.5"))
    watching.marked("a", Decimal(0), START)
    lose(watching, 100)
    watching.allocate("b", "a1", Decimal(900))
    watching.marked("b", Decimal(0), START)

    assert (watching.memory.peak_equity, watching.equity) == (2000, 1800)

    watching.forget("b")
    assert watching.memory.peak_equity == 2000
    watching.marked("a", Decimal(0), START)
    assert (watching.memory.peak_equity, watching.equity) == (1000, 900)


def test_when_more_went_than_was_left_the_peak_starts_anew():
    watching = guard(drawdown_share_max=Decimal("0.5"))
    watching.marked("a", Decimal(0), START)
    lose(watching, 100)
    watching.allocate("a", "a1", Decimal(50))

    assert watching.marked("a", Decimal(0), START) == []
    assert watching.memory.peak_equity == watching.equity == -50
    assert watching.marked("a", Decimal(-24), START) == []
    assert watching.marked("a", Decimal(-25), START) != []  # half of what is at stake


def test_a_peak_kept_without_its_allocations_is_taken_as_it_is():
    memory = GuardMemory(user_id=USER, peak_equity=Decimal(1200))
    watching = guard(memory=memory, drawdown_share_max=Decimal("0.15"))

    assert watching.marked("a", Decimal(0), START) != []


# ---- exactness and restarts


def test_sums_are_exact_whatever_the_global_context():
    with decimal.localcontext(prec=3):
        watching = guard("a", "b", tier=FREE, **vars_of_default())
        watching.allocate("a", "a1", Decimal("123456.78901234"))
        watching.marked("b", Decimal("0.00000001"), START)
        watching.exposure("a", Decimal("99999.99999999"))
        lose(watching, 1)
        equity = watching.equity

    assert equity == Decimal("124455.78901235")


def vars_of_default() -> dict[str, object]:
    default = RiskLimits.default()
    return {
        "daily_loss_share": default.daily_loss_share,
        "losses_in_row_max": default.losses_in_row_max,
        "drawdown_share_max": default.drawdown_share_max,
        "exposure_share_max": Decimal("0.999"),
    }


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(1, 300)),
        st.tuples(st.just("end"), st.booleans()),
        st.tuples(st.just("mark"), st.integers(-200, 200)),
        st.tuples(st.just("trade"), st.integers(-60, 60)),
        st.tuples(st.just("hours"), st.integers(1, 30)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps)
def test_a_guard_made_anew_from_its_memory_goes_on_as_if_nothing_was(steps):
    limits = {**vars_of_default(), "monthly_loss_share_max": Decimal("0.2")}
    one, two = guard(tier=FREE, **limits), guard(tier=FREE, **limits)
    at, unrealized, working = START, Decimal(0), None
    for name, value in steps:
        if name == "hours":
            at += timedelta(hours=value)
        elif name == "restart":
            two = guard(tier=FREE, memory=two.memory, **limits)
            two.restore("a", unrealized=unrealized, entry=working)
        elif name == "enter":
            working = order(bot="a", reserved=Decimal(value), decided_at=at)
        for each in (one, two):
            if name == "enter":
                each.entry_placed(working, Decimal(value), at)
            elif name == "end":
                each.entry_ended("a", sent=value)
            elif name == "mark":
                each.marked("a", Decimal(value), at)
            elif name == "trade":
                each.trade_closed(trade(value, "a"), at)
        unrealized = {"mark": value, "trade": 0}.get(name, unrealized)
        working = None if name in ("end", "trade") else working
        assert review(one, at=at) == review(two, at=at)
        assert one.memory == two.memory
        assert one.equity == two.equity


@settings(deadline=None)
@given(st.lists(st.integers(-50, 20), max_size=30))
def test_no_days_loss_goes_unseen(results):
    watching = guard(daily_loss_quote=Decimal(100), tier=FREE)
    since_trip = 0
    for pnl in results:
        since_trip += pnl
        texts = watching.trade_closed(trade(pnl), START)
        assert bool(texts) == (since_trip <= -100)
        if texts:
            since_trip = 0
    assert watching.memory.realized_today == sum(results)
