"""In any order of events a guard keeps its limits, says no with a reason, and stops no exit."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.makers import ACCOUNT, START, USER, order, trade
from tests.properties.effort import hunts, tries
from tests.properties.stores import tell
from tradefleet.domain.limits import (
    Approved,
    Denied,
    GuardMemory,
    Halt,
    RiskLimits,
    Scope,
    Switch,
    Tier,
)
from tradefleet.domain.order import Order, Purpose
from tradefleet.engine import user_guard
from tradefleet.engine.user_guard import UserGuard

BOTS = ("a", "b", "c")
ALLOCATION = 1000
TIER = Tier(
    name="small",
    entries_per_day=4,
    open_positions=2,
    api_calls_per_minute=1,
    bots=9,
    signal_channels=1,
)
LIMITS = (
    RiskLimits(),
    RiskLimits(entry_gap_seconds=60, exposure_share_max=Decimal("0.3")),
    RiskLimits(daily_loss_quote=Decimal(100), losses_in_row_max=3),
    RiskLimits(drawdown_share_max=Decimal("0.1"), position_quote_max=Decimal(500)),
    RiskLimits(
        open_positions_max=1,
        monthly_loss_share_max=Decimal("0.05"),
        symbols_blocked=frozenset({"ETH/USDT"}),
    ),
)
SCOPES = {
    Scope.PLATFORM: ("*",),
    Scope.USER: (USER, "another user"),
    Scope.ACCOUNT: (ACCOUNT, "another account"),
    Scope.BOT: BOTS,
}
HALTS = (Halt.RUN, Halt.RUN, Halt.STOP, Halt.FLATTEN)
bot = st.sampled_from(BOTS)


@dataclass(slots=True)
class Busy:
    """What a bot has in the market, told by itself; entry is the working order, if there is one."""

    entry: Order | None = None
    value: int = 0
    bound: int = 0


class Guarded(RuleBasedStateMachine):
    """Three bots of a user; all is counted a second time here, by plain sums over what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START
        self.busy = {each: Busy() for each in BOTS}
        self.entries: list[tuple[datetime, str]] = []  # all that count to a day's quota
        self.last_entry: datetime | None = None
        self.results: list[tuple[datetime, int]] = []
        self.day_from = self.row_from = self.month_from = 0  # results before these count no more
        self.unrealized: Counter[str] = Counter()
        self.peak = len(BOTS) * ALLOCATION
        self.open_until = START
        self.is_paused = False
        self.switches: dict[tuple[Scope, str], Switch] = {}

    @initialize(limits=st.sampled_from(LIMITS), has_tier=st.booleans())
    def begin(self, limits: RiskLimits, has_tier: bool) -> None:
        self.limits, self.tier = limits, TIER if has_tier else None
        self.guard = self.made(GuardMemory(user_id=USER))

    def made(self, memory: GuardMemory) -> UserGuard:
        guard = UserGuard(
            limits=self.limits, tier=self.tier, memory=memory, switches=[*self.switches.values()]
        )
        for each in BOTS:
            guard.allocate(each, ACCOUNT, Decimal(ALLOCATION))
        return guard

    # ---------------------------------------------------------------- entries

    @rule(bot=bot, cost=st.sampled_from([50, 200, 450, 600]))
    def wants_to_enter(self, bot: str, cost: int) -> None:
        if self.busy[bot].entry is not None:
            return
        wanted = order(bot=bot, reserved=Decimal(cost), decided_at=self.at)
        reasons = self.reasons(bot, cost)
        verdict = self.guard.review(wanted, cost=Decimal(cost), at=self.at)
        if isinstance(verdict, Denied):
            assert verdict.guard in reasons, f"no reason for {verdict}"
            assert verdict.reason.endswith("."), verdict
            return
        assert verdict == Approved()
        assert reasons == set(), "a limit was passed over"
        self.guard.entry_placed(wanted, Decimal(cost), self.at)
        if not self.guard.is_idle:
            self.entries.append((self.at, bot))
            self.last_entry = self.at
        self.busy[bot].entry, self.busy[bot].bound = wanted, cost

    def reasons(self, bot: str, cost: int) -> set[str]:
        """Return every limit that speaks against an entry, by plain counting."""
        limits, tier, busy = self.limits, self.tier, self.busy[bot]
        taken = [each for each in self.busy.values() if each.entry or each.value]
        in_market = sum(each.value + each.bound for each in self.busy.values())
        today = [at for at, _ in self.entries if at.date() == self.at.date()]
        last = self.last_entry
        found = set()
        if any(self.covers(switch, bot) for switch in self.switches.values()):
            found.add("kill_switch")
        if self.is_paused:
            found.add("paused")
        if self.at < self.open_until:
            found.add("circuit_breaker")
        if tier is not None and len(today) >= tier.entries_per_day:
            found.add("entries_per_day")
        gap = limits.entry_gap_seconds
        if gap is not None and last is not None and self.at < last + timedelta(seconds=gap):
            found.add("entry_gap")
        most = [x for x in (limits.open_positions_max, tier and tier.open_positions) if x]
        if busy not in taken and most and len(taken) >= min(most):
            found.add("open_positions")
        allocated = len(BOTS) * ALLOCATION
        share = limits.exposure_share_max
        if share is not None and in_market + cost > share * allocated:
            found.add("exposure")
        quote = limits.position_quote_max
        if quote is not None and busy.value + busy.bound + cost > quote:
            found.add("position_size")
        return found

    @staticmethod
    def covers(switch: Switch, bot: str) -> bool:
        mine = {Scope.PLATFORM: "*", Scope.USER: USER, Scope.ACCOUNT: ACCOUNT, Scope.BOT: bot}
        return switch.halt is not Halt.RUN and mine[switch.scope] == switch.scope_id

    @rule(bot=bot, part=st.integers(1, 3))
    def buys(self, bot: str, part: int) -> None:
        """A part of a working entry is filled, at what it bound or a little more or less."""
        busy = self.busy[bot]
        if busy.entry is None or busy.bound <= 0:
            return
        bought = min(busy.bound, 100 * part)
        busy.value += bought
        busy.bound -= bought
        self.guard.exposure(bot, Decimal(busy.value))

    @rule(bot=bot, never_sent=st.booleans())
    def entry_ends(self, bot: str, never_sent: bool) -> None:
        busy = self.busy[bot]
        if busy.entry is None:
            return
        sent = not never_sent or busy.value > 0
        self.guard.entry_ended(bot, sent=sent)
        if not sent and self.entries:
            self.entries.remove(next(each for each in self.entries[::-1] if each[1] == bot))
        busy.entry, busy.bound = None, 0

    # ---------------------------------------------------------------- results

    @rule(bot=bot, unrealized=st.integers(-200, 200))
    def is_marked(self, bot: str, unrealized: int) -> None:
        if not self.busy[bot].value:
            return
        self.unrealized[bot] = unrealized
        told = self.guard.marked(bot, Decimal(unrealized), self.at)
        self.trips(told)

    @rule(bot=bot, pnl=st.sampled_from([-120, -60, -40, -1, 0, 30, 90]))
    def closes(self, bot: str, pnl: int) -> None:
        busy = self.busy[bot]
        if not busy.value:
            return
        self.unrealized[bot] = 0
        busy.entry, busy.value, busy.bound = None, 0, 0
        self.results.append((self.at, pnl))
        self.trips(self.guard.trade_closed(trade(pnl, bot), self.at))

    @rule(bot=bot, pnl=st.sampled_from([-60, -30, 90]), times=st.integers(1, 4))
    def trades(self, bot: str, pnl: int, times: int) -> None:
        """Round trips, one after the other: as many as the limits allow."""
        for _ in range(times):
            self.at += timedelta(seconds=60)
            self.wants_to_enter(bot, 50)
            self.buys(bot, 1)
            self.entry_ends(bot, never_sent=False)
            self.closes(bot, pnl)

    @property
    def equity(self) -> int:
        results = sum(pnl for _, pnl in self.results)
        return len(BOTS) * ALLOCATION + results + sum(self.unrealized.values())

    def lost(self, since: int, unit: str) -> int:
        """Return what was lost today, or this month, by results that still count."""
        counted = [pnl for at, pnl in self.results[since:] if f"{at:{unit}}" == f"{self.at:{unit}}"]
        return -sum(counted)

    def in_row(self) -> int:
        count = 0
        for _, pnl in reversed(self.results[self.row_from :]):
            if pnl >= 0:
                break
            count += 1
        return count

    def trips(self, told: list[str]) -> None:
        """What has to trip now has tripped, and nothing else; the user was told of each."""
        limits, expected = self.limits, 0
        if self.guard.is_idle:
            assert told == []
            return
        self.peak = max(self.peak, self.equity)
        daily, row = limits.daily_loss_quote, limits.losses_in_row_max
        lost = self.lost(self.day_from, "%Y%m%d")
        if daily is not None and lost > 0 and lost >= daily:
            expected += self.opens_circuit()
        if row is not None and self.in_row() >= row:
            expected += self.opens_circuit()
        if not self.is_paused:
            fall, share = self.peak - self.equity, limits.drawdown_share_max
            month, lost = limits.monthly_loss_share_max, self.lost(self.month_from, "%Y%m")
            base = max(self.peak, len(BOTS) * ALLOCATION)  # what is at stake, if that is more
            fell = share is not None and fall > 0 and fall >= share * base
            bled = month is not None and lost > 0 and lost >= month * len(BOTS) * ALLOCATION
            self.is_paused = fell or bled
            expected += self.is_paused
        assert len(told) == expected, f"told {told}"
        assert bool(self.guard.memory.paused_reason) == self.is_paused

    def opens_circuit(self) -> int:
        self.open_until = self.at + timedelta(hours=4)
        self.day_from = self.row_from = len(self.results)
        return 1

    @rule()
    @precondition(lambda self: self.is_paused)
    def resumes(self) -> None:
        assert self.guard.resume("a drill", self.at) != []
        self.is_paused = False
        self.peak = self.equity
        self.month_from = len(self.results)

    @rule()
    @precondition(lambda self: self.at < self.open_until)
    def resets(self) -> None:
        assert self.guard.reset_breaker("a drill", self.at) != []
        self.open_until = self.at
        self.day_from = self.row_from = len(self.results)

    # ------------------------------------------------------------ around them

    @rule(seconds=st.sampled_from([1, 59, 60, 3600, 4 * 3600, 20 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @rule(
        scope=st.sampled_from(list(SCOPES)), number=st.integers(0, 2), halt=st.sampled_from(HALTS)
    )
    def is_switched(self, scope: Scope, number: int, halt: Halt) -> None:
        scope_id = SCOPES[scope][number % len(SCOPES[scope])]
        self.switches[scope, scope_id] = Switch(
            scope=scope, scope_id=scope_id, halt=halt, reason="a drill", changed_at=self.at
        )
        self.guard.set_switches([*self.switches.values()])

    @rule()
    @precondition(lambda self: self.switches)
    def all_is_switched_on(self) -> None:
        self.switches.clear()
        self.guard.set_switches(())

    @rule()
    def is_taken_over(self) -> None:
        """Another host goes on from what is kept."""
        self.guard = self.made(self.guard.memory)
        for each, busy in self.busy.items():
            entry = busy.entry
            self.guard.restore(
                each,
                exposure=Decimal(busy.value),
                unrealized=Decimal(self.unrealized[each]),
                entry=entry,
            )

    # -------------------------------------------------------------- what holds

    @invariant()
    def no_exit_is_ever_stopped(self) -> None:
        if not hasattr(self, "guard"):
            return
        for each in BOTS:
            leaving = order(bot=each, purpose=Purpose.EXIT)
            verdict = self.guard.review(leaving, cost=Decimal(10**9), at=self.at)
            assert verdict == Approved(), "an exit was stopped"

    @invariant()
    def a_halt_is_the_strongest_that_covers(self) -> None:
        if not hasattr(self, "guard"):
            return
        for each in BOTS:
            halts = [s.halt for s in self.switches.values() if self.covers(s, each)]
            strongest = max(halts, key=list(Halt).index, default=Halt.RUN)
            assert self.guard.halt_for(each, ACCOUNT) is strongest

    @invariant()
    def sums_are_right(self) -> None:
        if not hasattr(self, "guard") or self.guard.is_idle:
            return
        assert self.guard.equity == self.equity
        in_market = sum(each.value + each.bound for each in self.busy.values())
        assert self.guard._exposed == in_market, "what is bound is not let go, or not held"


def test_a_guard_holds_its_limits_and_stops_no_exit():
    tell(Guarded, tries(100, steps=40))


# ------------------------------------------------------------------ is it able to fail?


def lets_more_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UserGuard, "_too_many", lambda self: None)


def forgets_the_quota(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UserGuard, "_too_often", lambda self: None)


def stops_exits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(user_guard, "Purpose", SimpleNamespace(EXIT=None))


def holds_back_what_ended(patch: pytest.MonkeyPatch) -> None:
    real = UserGuard._fill_slot

    def never_less(self, bot_id, *, exposure=None, pending=None):  # type: ignore[no-untyped-def]
        real(self, bot_id, exposure=exposure, pending=pending or None)

    patch.setattr(UserGuard, "_fill_slot", never_less)


def looks_at_narrow_switches_only(patch: pytest.MonkeyPatch) -> None:
    real = UserGuard.set_switches

    def narrow(self, switches):  # type: ignore[no-untyped-def]
        real(self, [each for each in switches if each.scope is not Scope.PLATFORM])

    patch.setattr(UserGuard, "set_switches", narrow)


def keeps_the_breaker_shut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UserGuard, "_tripped", lambda self, at: iter(()))


def says_no_for_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(user_guard, "forbidden", lambda symbol, limits: Denied("symbol", "No."))


@pytest.mark.parametrize(
    "breaks",
    [
        lets_more_in,
        forgets_the_quota,
        stops_exits,
        holds_back_what_ended,
        looks_at_narrow_switches_only,
        keeps_the_breaker_shut,
        says_no_for_nothing,
    ],
    ids=lambda each: each.__name__,
)
def test_the_story_sees_a_guard_that(breaks, monkeypatch):
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        tell(Guarded, hunts(200, steps=40))
