"""Limits over time and across bots: quotas, exposure, breaker, drawdown, kill switches.

What the breaker does: once the loss counted for the day, or the losses in a row, reach their
limit, entries are refused for `breaker_hours`. Both counts start anew at that moment, so it
can trip again, during the cool-down too, which then begins again. Drawdown and monthly loss
pause instead, until somebody resumes; a resume starts both counts anew. The day and the month
are UTC's, and their sums start at zero.

Drawdown: equity is what is allocated plus all that was won or lost, marked to market. Money
moved in or out moves the peak in proportion, so that it neither hides a drawdown nor makes one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tradefleet.domain.ids import AccountId, BotId, UniverseId
from tradefleet.domain.limits import (
    MAINTENANCE,
    Denied,
    GuardMemory,
    Halt,
    RiskLimits,
    Scope,
    Switch,
    Tier,
    Verdict,
)
from tradefleet.domain.money import MONEY, ZERO, to_unit
from tradefleet.domain.order import Order, Purpose
from tradefleet.domain.position import Trade
from tradefleet.engine.risk import APPROVED, figure, forbidden, percent, too_large

STRENGTH = {Halt.RUN: 0, Halt.STOP: 1, Halt.FLATTEN: 2}
RUN = Halt.RUN
NO_LIMITS = RiskLimits()


@dataclass(slots=True)
class Slot:
    """What one bot has in the market: its position's value and its working entry's cost."""

    exposure: Decimal = ZERO
    pending: Decimal = ZERO
    placed_on: date | None = None


class UserGuard:
    """The guard of all bots of one user, or of one bot with limits of its own.

    `memory` is a frozen value and the same object for as long as nothing in it changes. With
    no limit and no tier a guard is idle: nothing need be counted or marked, and it costs nothing.
    """

    __slots__ = (
        "_allocated",
        "_allocations",
        "_exposed",
        "_limits",
        "_slots",
        "_switches",
        "_tier",
        "_unrealized",
        "_unrealized_total",
        "is_idle",
        "memory",
    )

    def __init__(
        self,
        *,
        limits: RiskLimits,
        tier: Tier | None,
        memory: GuardMemory,
        switches: Sequence[Switch] = (),
    ) -> None:
        self.memory = memory
        self._allocations: dict[BotId | UniverseId, Decimal] = {}
        self._allocated = ZERO
        self._slots: dict[BotId, Slot] = {}
        self._exposed = ZERO  # all slots: exposure and pending
        self._unrealized: dict[BotId, Decimal] = {}
        self._unrealized_total = ZERO
        self.set_limits(limits, tier)
        self.set_switches(switches)

    # --------------------------------------------------------------- what there is

    def set_limits(self, limits: RiskLimits, tier: Tier | None) -> None:
        """Judge by these from now on; what was lost already counts."""
        self._limits = limits
        self._tier = tier
        self.is_idle = tier is None and all(
            f.name == "breaker_hours" or getattr(limits, f.name) == getattr(NO_LIMITS, f.name)
            for f in fields(limits)
        )

    def set_switches(self, switches: Sequence[Switch]) -> None:
        """Obey these kill switches and no others."""
        self._switches = {(s.scope, s.scope_id): s for s in switches if s.halt is not Halt.RUN}

    def allocate(self, id: BotId | UniverseId, account_id: AccountId, allocation: Decimal) -> None:
        """Count what a bot or a universe was given to the balance that shares are shares of."""
        self._allocated = _moved(self._allocated, self._allocations.get(id, ZERO), allocation)
        self._allocations[id] = allocation

    def forget(self, bot_id: BotId) -> None:
        """Take a removed bot out of the balance and free its place."""
        self._settle()
        self._allocated = _moved(self._allocated, self._allocations.pop(bot_id, ZERO), ZERO)
        self._set_unrealized(bot_id, ZERO)
        self._empty_slot(bot_id)

    def restore(
        self,
        bot_id: BotId,
        *,
        exposure: Decimal = ZERO,
        unrealized: Decimal = ZERO,
        entry: Order | None = None,
    ) -> None:
        """Say what a bot has in the market as its host takes over: nothing counts or trips."""
        self._set_unrealized(bot_id, unrealized)
        pending = MONEY.subtract(entry.reserved, exposure) if entry else ZERO
        self._fill_slot(bot_id, exposure=exposure, pending=max(pending, ZERO))
        if entry is not None:
            self._slots.setdefault(bot_id, Slot()).placed_on = _utc_day(entry.decided_at)

    @property
    def equity(self) -> Decimal:
        """Allocations and all results, open ones included, in quote."""
        settled = MONEY.add(self._allocated, self.memory.realized_total)
        return MONEY.add(settled, self._unrealized_total)

    def halt_for(self, bot_id: BotId, account_id: AccountId) -> Halt:
        """Return the strongest halt of the switches that cover the bot."""
        if not self._switches:
            return RUN
        switches = self._covering(bot_id, account_id)
        return max((s.halt for s in switches), key=STRENGTH.__getitem__, default=RUN)

    # -------------------------------------------------------------------- the verdict

    def review(self, order: Order, *, cost: Decimal, at: datetime) -> Verdict:
        """Approve or deny order; cost is what it binds, in quote.

        A limit that was set below what is lost already trips here, and memory says so.
        """
        if order.purpose is Purpose.EXIT:
            return APPROVED
        if self._switches:
            for switch in self._covering(order.bot_id, order.account_id):
                because = f": {switch.reason}" if switch.reason else ""
                if switch.scope_id == MAINTENANCE:
                    return Denied("maintenance", f"Maintenance{because}. Exits go on.")
                return Denied(
                    "kill_switch", f"Trading is switched off for the {switch.scope}{because}."
                )
        memory = self.memory
        if memory.paused_reason:
            return Denied("paused", f"Trading is paused until you resume: {memory.paused_reason}.")
        until = memory.circuit_open_until
        if until is not None and at < until:
            return Denied(
                "circuit_breaker",
                f"No new entries until {_minute(until)}: {memory.circuit_reason}.",
            )
        if self.is_idle:
            return APPROVED
        self._begin_day(at)
        return self._limited(order, cost, at) or next(self._tripped(at), APPROVED)

    def _limited(self, order: Order, cost: Decimal, at: datetime) -> Denied | None:
        slot = self._slots.get(order.bot_id)
        held = ZERO if slot is None else MONEY.add(slot.exposure, slot.pending)
        return (
            self._too_often()
            or self._too_soon(at)
            or (self._too_many() if slot is None else None)
            or self._too_exposed(cost)
            or forbidden(order.symbol, self._limits)
            or too_large(MONEY.add(held, cost), self._allocated, self._limits)
        )

    def _too_often(self) -> Denied | None:
        tier, done = self._tier, self.memory.entries_today
        if tier is None or done < tier.entries_per_day:
            return None
        return Denied(
            "entries_per_day",
            f"{done} entries today; the tier {tier.name} allows {tier.entries_per_day} a day."
            f" The next day begins at 00:00 UTC.{tier.more_of('entries_per_day')}",
        )

    def _too_soon(self, at: datetime) -> Denied | None:
        gap, last = self._limits.entry_gap_seconds, self.memory.last_entry_at
        if gap is None or last is None or at >= last + timedelta(seconds=gap):
            return None
        ago = int((at - last).total_seconds())
        return Denied("entry_gap", f"The last entry was {ago} s ago; the least gap is {gap} s.")

    def _too_many(self) -> Denied | None:
        limit, tier, count = self._limits.open_positions_max, self._tier, len(self._slots)
        if limit is not None and count >= limit:
            return Denied(
                "open_positions", f"{count} positions and entries are open; the limit is {limit}."
            )
        if tier is not None and count >= tier.open_positions:
            return Denied(
                "open_positions",
                f"{count} positions and entries are open; the tier {tier.name} allows"
                f" {tier.open_positions}; a place is free when one is closed."
                f"{tier.more_of('open_positions')}",
            )
        return None

    def _too_exposed(self, cost: Decimal) -> Denied | None:
        share = self._limits.exposure_share_max
        if share is None:
            return None
        most, would = MONEY.multiply(share, self._allocated), MONEY.add(self._exposed, cost)
        if would <= most:
            return None
        return Denied(
            "exposure",
            f"{figure(would)} would be in the market; the limit is {percent(share)} of"
            f" {figure(self._allocated)}, which is {figure(most)}.",
        )

    # ------------------------------------------------------------------ what happens

    def entry_placed(self, order: Order, cost: Decimal, at: datetime) -> None:
        """Count an entry that was written down; cost is what it binds until it ends."""
        day = _utc_day(at)
        self._fill_slot(order.bot_id, pending=cost)
        self._slots.setdefault(order.bot_id, Slot()).placed_on = day
        if self.is_idle:
            return
        self._begin_day(at)
        self.memory = replace(
            self.memory, entries_today=self.memory.entries_today + 1, last_entry_at=at
        )

    def used_up(self) -> list[str]:
        """Return what to tell the user after an entry that was the day's last one."""
        tier = self._tier
        if tier is None or self.memory.entries_today != tier.entries_per_day:
            return []
        return [
            f"That was the last of {tier.entries_per_day} entries your tier {tier.name} allows a"
            f" day; the next day begins at 00:00 UTC.{tier.more_of('entries_per_day')} Exits go on."
        ]

    def entry_ended(self, bot_id: BotId, *, sent: bool) -> None:
        """Free what a final entry still bound; one that was never sent gives its quota back."""
        slot = self._slots.get(bot_id)
        if slot is None or slot.placed_on is None:
            return
        memory, day = self.memory, slot.placed_on
        slot.placed_on = None
        self._fill_slot(bot_id, pending=ZERO)
        if not sent and memory.day == day and memory.entries_today > 0:
            self.memory = replace(memory, entries_today=memory.entries_today - 1)

    def exposure(self, bot_id: BotId, value: Decimal) -> None:
        """Note the quote value of a bot's position, zero when it is flat.

        What it rises by, a working entry has bought: that much less is pending.
        """
        slot = self._slots.get(bot_id)
        if slot is None or not slot.pending or value <= slot.exposure:
            self._fill_slot(bot_id, exposure=value)
            return
        left = MONEY.subtract(MONEY.add(slot.pending, slot.exposure), value)
        self._fill_slot(bot_id, exposure=value, pending=max(left, ZERO))

    def marked(self, bot_id: BotId, unrealized: Decimal, at: datetime) -> list[str]:
        """Note what closing the bot's position now would add to its realized total.

        Return what the user must be told, when something tripped.
        """
        if self.is_idle:
            self._set_unrealized(bot_id, unrealized)
            return []
        self._settle()
        self._set_unrealized(bot_id, unrealized)
        self._raise_peak()
        return [denied.reason for denied in self._tripped(at)]

    def trade_closed(self, trade: Trade, at: datetime) -> list[str]:
        """Count a trade's result; the bot is flat now.

        Return what the user must be told, when something tripped.
        """
        if not self.is_idle:
            self._settle()
            self._begin_day(at)
            pnl, memory = trade.pnl, self.memory
            self.memory = replace(
                memory,
                realized_today=MONEY.add(memory.realized_today, pnl),
                realized_month=MONEY.add(memory.realized_month, pnl),
                realized_total=MONEY.add(memory.realized_total, pnl),
                losses_in_row=memory.losses_in_row + 1 if pnl < 0 else 0,
            )
        self._set_unrealized(trade.bot_id, ZERO)
        self._empty_slot(trade.bot_id)
        if self.is_idle:
            return []
        self._raise_peak()
        return [denied.reason for denied in self._tripped(at)]

    def resume(self, reason: str, at: datetime) -> list[str]:
        """End a pause: drawdown and monthly loss count from here. Return what to tell the user."""
        if not self.memory.paused_reason:
            return []
        self._begin_day(at)
        self.memory = replace(
            self.memory,
            paused_reason="",
            peak_equity=self.equity,
            peak_allocations=self._allocated,
            month_base=self.memory.realized_month,
        )
        return [f"Trading is resumed: {reason}."]

    def reset_breaker(self, reason: str, at: datetime) -> list[str]:
        """Close the breaker early; both its counts start anew. Return what to tell the user."""
        memory = self.memory
        if memory.circuit_open_until is None or at >= memory.circuit_open_until:
            return []
        self.memory = replace(
            memory,
            circuit_open_until=None,
            circuit_reason="",
            losses_in_row=0,
            today_base=memory.realized_today,
        )
        return [f"The circuit breaker is reset: {reason}."]

    # ----------------------------------------------------------------- what trips

    def _tripped(self, at: datetime) -> Iterator[Denied]:
        """Open the breaker or pause for each limit that is reached, and say so."""
        limits = self._limits
        memory = self.memory
        day_limit = self._loss_limit(limits.daily_loss_quote, limits.daily_loss_share)
        if day_limit is not None:
            lost = MONEY.subtract(memory.today_base, memory.realized_today)
            if lost > 0 and lost >= day_limit:
                what = f"the day's loss of {figure(lost)} reached the limit of {figure(day_limit)}"
                yield self._open_circuit("daily_loss", what, at)
        in_row, most = self.memory.losses_in_row, limits.losses_in_row_max
        if most is not None and in_row >= most and in_row > 0:
            yield self._open_circuit("losses_in_row", f"{in_row} losses in a row", at)
        if self.memory.paused_reason:
            return
        share = limits.drawdown_share_max
        if share is not None:
            equity, peak = self.equity, self._peak()
            fall = MONEY.subtract(peak, equity)
            # After losses on bots that are gone the peak says less than what is at stake now.
            if fall > 0 and fall >= MONEY.multiply(share, max(peak, self._allocated)):
                yield self._pause(
                    "drawdown",
                    f"equity {figure(equity)} is {figure(fall)} below its peak {figure(peak)};"
                    f" the limit is {percent(share)}",
                )
                return
        month_limit = self._loss_limit(None, limits.monthly_loss_share_max)
        if month_limit is not None:
            lost = MONEY.subtract(memory.month_base, memory.realized_month)
            if lost > 0 and lost >= month_limit:
                yield self._pause(
                    "monthly_loss",
                    f"the month's loss of {figure(lost)} reached the limit of"
                    f" {figure(month_limit)}",
                )

    def _loss_limit(self, quote: Decimal | None, share: Decimal | None) -> Decimal | None:
        """Return the stricter of an amount and a share of the balance."""
        if share is None:
            return quote
        part = MONEY.multiply(share, self._allocated)
        return part if quote is None else min(quote, part)

    def _open_circuit(self, guard: str, what: str, at: datetime) -> Denied:
        until = at + timedelta(seconds=int(MONEY.multiply(self._limits.breaker_hours, 3600)))
        self.memory = replace(
            self.memory,
            circuit_open_until=until,
            circuit_reason=what,
            losses_in_row=0,
            today_base=self.memory.realized_today,
        )
        text = f"Circuit breaker: {what}. No new entries until {_minute(until)}."
        return Denied(guard, f"{text} Open positions stay protected.")

    def _pause(self, guard: str, what: str) -> Denied:
        self.memory = replace(self.memory, paused_reason=what)
        text = f"Trading is paused until you resume: {what}."
        return Denied(guard, f"{text} Open positions stay protected.")

    # ---------------------------------------------------------------------- small

    def _covering(self, bot_id: BotId, account_id: AccountId) -> Iterator[Switch]:
        """Yield the switches that cover the bot, widest first."""
        for scope, scope_id in (
            (Scope.PLATFORM, "*"),
            (Scope.PLATFORM, MAINTENANCE),
            (Scope.USER, self.memory.user_id),
            (Scope.ACCOUNT, account_id),
            (Scope.BOT, bot_id),
        ):
            switch = self._switches.get((scope, scope_id))
            if switch is not None:
                yield switch

    def _begin_day(self, at: datetime) -> None:
        """Start the day's and the month's counts at zero; a clock set back changes nothing."""
        memory, day = self.memory, _utc_day(at)
        if memory.day is not None and day <= memory.day:
            return
        memory = replace(memory, day=day, entries_today=0, realized_today=ZERO, today_base=ZERO)
        month = f"{day:%Y-%m}"
        if month != memory.month:
            memory = replace(memory, month=month, realized_month=ZERO, month_base=ZERO)
        self.memory = memory

    def _peak(self) -> Decimal:
        peak = self.memory.peak_equity
        return max(self.equity, self._allocated) if peak is None else peak

    def _raise_peak(self) -> None:
        if self._limits.drawdown_share_max is None:
            return
        peak = max(self._peak(), self.equity)
        if peak != self.memory.peak_equity:
            self.memory = replace(self.memory, peak_equity=peak, peak_allocations=self._allocated)

    def _settle(self) -> None:
        """Move the peak with money moved in or out since it was seen, before equity changes."""
        memory = self.memory
        known, peak = memory.peak_allocations, memory.peak_equity
        if known is None or peak is None or known == self._allocated:
            return
        equity = self.equity
        before = MONEY.subtract(equity, MONEY.subtract(self._allocated, known))
        if before > 0 and equity > 0:
            peak = to_unit(MONEY.divide(MONEY.multiply(peak, equity), before))
        else:
            peak = equity
        self.memory = replace(memory, peak_equity=peak, peak_allocations=self._allocated)

    def _set_unrealized(self, bot_id: BotId, value: Decimal) -> None:
        old = self._unrealized.pop(bot_id, ZERO)
        if value:
            self._unrealized[bot_id] = value
        if value != old:
            self._unrealized_total = _moved(self._unrealized_total, old, value)

    def _fill_slot(
        self, bot_id: BotId, *, exposure: Decimal | None = None, pending: Decimal | None = None
    ) -> None:
        """Change a bot's slot; None leaves a part as it is. An empty slot is given up."""
        slot = self._slots.get(bot_id) or Slot()
        if exposure is not None and exposure != slot.exposure:
            self._exposed = _moved(self._exposed, slot.exposure, exposure)
            slot.exposure = exposure
        if pending is not None and pending != slot.pending:
            self._exposed = _moved(self._exposed, slot.pending, pending)
            slot.pending = pending
        if slot.exposure or slot.pending or slot.placed_on:
            self._slots[bot_id] = slot
        else:
            self._slots.pop(bot_id, None)

    def _empty_slot(self, bot_id: BotId) -> None:
        slot = self._slots.pop(bot_id, None)
        if slot is not None:
            self._exposed = _moved(self._exposed, MONEY.add(slot.exposure, slot.pending), ZERO)


def _moved(total: Decimal, old: Decimal, new: Decimal) -> Decimal:
    """Return total with old in it replaced by new."""
    return MONEY.add(total, MONEY.subtract(new, old))


def _utc_day(at: datetime) -> date:
    return at.date() if at.tzinfo is UTC else at.astimezone(UTC).date()


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
