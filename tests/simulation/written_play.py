"""The rules of play written a second time, naively: what a bot should do with bars and signals.

STRATEGIES.md rules 13 to 23 and 25 to 27, in their order, with one position as a plain dict. It
shares no code with the engine but the bars and the signals themselves.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from tradefleet.domain.market import Bar, TradingRules
from tradefleet.domain.signal import Signal, TradePlan

CENT = Decimal("1e-8")


def play(
    bars: Sequence[Bar],
    signals: Mapping[int, Signal],
    plan: TradePlan,
    trail: Decimal | None,
    rules: TradingRules,
    balance: Decimal,
    timeframe: timedelta,
) -> tuple[list[tuple[Any, ...]], Decimal, Decimal]:
    """Return the closed trades, the free quote and the base still held."""
    with localcontext(prec=60):
        return _play(bars, signals, plan, trail, rules, balance, timeframe)


def _play(bars, signals, plan, trail, rules, cash, timeframe):
    def booked(amount):
        return amount.quantize(CENT, ROUND_HALF_EVEN)

    def down(quantity):
        return (quantity / rules.quantity_step).to_integral_value(ROUND_DOWN) * rules.quantity_step

    def tick(price):
        return (price / rules.price_tick).to_integral_value(ROUND_HALF_EVEN) * rules.price_tick

    def sell(quantity, price, reason):
        nonlocal cash, held
        cost = booked(quantity * price)
        fee = booked(cost * rules.fee)
        cash += cost - fee
        held["left"] -= quantity
        held["sold"] += cost
        held["weighted"] += quantity * price
        held["fees"] += fee
        if held["left"] == 0:
            trades.append((
                held["at"], bar.opened_at, held["quantity"], held["entry"],
                held["sold"] - held["bought"], held["fees"], reason,
                held["weighted"] / held["quantity"],
            ))  # fmt: skip
            held = None

    def sell_targets(reached, at_once):
        """Sell the parts of the targets that were reached, at once there or each at its price."""
        while held and held["targets"] and held["targets"][0][0] <= reached:
            level, part = held["targets"][0]
            price = reached if at_once else level
            number = len(plan.targets) - len(held["targets"]) + 1
            held["targets"].pop(0)
            last = not held["targets"]
            part = held["left"] if last else min(part, held["left"])
            if not last and part * price < rules.notional_min:
                part = Decimal(0)  # it leaves with the third
            rest = held["left"] - part
            if part and rest and rest * price < rules.notional_min:
                part = held["left"]
            held["done"] = True
            if held["entry"] > held["stop"]:
                held["stop"], held["kind"] = tick(held["entry"]), "breakeven"
            if part:
                sell(part, price, f"target_{number}")

    trades, held, order = [], None, None
    for number, bar in enumerate(bars):
        # (a) what was decided at the last close
        if order and order[0] == "buy":
            _, quantity, stop, due = order
            cost = booked(quantity * bar.open)
            fee = booked(cost * rules.fee)
            in_time = bar.opened_at <= due + timeframe
            if in_time and bar.open > stop and cost + fee <= cash:
                cash -= cost + fee
                risk = bar.open - stop
                parts = [down(quantity * share) for _, share in plan.targets[:-1]]
                parts.append(quantity - sum(parts))
                levels = [tick(bar.open + multiple * risk) for multiple, _ in plan.targets]
                held = {
                    "at": bar.opened_at, "quantity": quantity, "left": quantity, "bought": cost,
                    "sold": Decimal(0), "weighted": Decimal(0), "fees": fee, "entry": bar.open,
                    "stop": stop, "kind": "stop", "done": False, "highest": bar.open,
                    "targets": list(zip(levels, parts, strict=True)) if plan.targets else [],
                }  # fmt: skip
        elif order:
            sell(held["left"], bar.open, order[1])
        order = None
        # (b) the open, (c) down to the low, (d) up to the high
        if held and bar.open <= held["stop"]:
            sell(held["left"], bar.open, held["kind"])
        sell_targets(bar.open, at_once=True)
        if held and bar.low <= held["stop"]:
            sell(held["left"], held["stop"], held["kind"])
        sell_targets(bar.high, at_once=False)
        # (e) the close
        if held:
            held["highest"] = max(held["highest"], bar.high)
            if plan.trails and held["done"] and trail is not None:
                trailed = tick(held["highest"] - trail)
                if trailed > held["stop"]:
                    held["stop"], held["kind"] = trailed, "trail"
        # (f) the strategy
        signal = signals.get(number)
        if signal is None:
            continue
        if held:
            if signal.exit_reason:
                order = ("sell", signal.exit_reason)
        elif signal.entry:
            stop = tick(signal.entry.stop)
            quantity = down(cash * signal.entry.fraction / bar.close)
            worth = quantity * bar.close
            payable = booked(worth) + booked(booked(worth) * rules.fee) <= cash
            if 0 < stop < bar.close and quantity and worth >= rules.notional_min and payable:
                order = ("buy", quantity, stop, bar.opened_at + timeframe)
    return trades, cash, held["left"] if held else Decimal(0)
