"""How a position is left: targets at shares of the original size, breakeven, trailing stop."""

from decimal import Decimal

from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import ONE, ZERO, round_to_tick
from tradefleet.domain.position import Position
from tradefleet.domain.signal import TradePlan
from tradefleet.domain.values import changed

EXIT_STOP, EXIT_BREAKEVEN, EXIT_TRAIL = "stop", "breakeven", "trail"


def protected(position: Position, stop: Decimal, plan: TradePlan, rules: TradingRules) -> Position:
    """Return a position just bought with its stop and targets: multiples of R above entry.

    R is the actual entry price minus the stop. Parts are shares of the original quantity,
    rounded down to the step; the last takes the rest. When the fill was at or below the stop
    there is no R: no targets, and the stop fires at the next price.
    """
    entry, left, tick = position.entry_price, position.original, rules.price_tick
    risk = entry - stop
    targets: list[tuple[Decimal, Decimal]] = []
    if plan.targets and risk > 0:
        *nearer, (farthest, _) = plan.targets
        for multiple, share in nearer:
            part = min(left, rules.round_quantity(position.original * share))
            targets.append((round_to_tick(entry + multiple * risk, tick), part))
            left -= part
        targets.append((round_to_tick(entry + farthest * risk, tick), left))
    return changed(
        position,
        stop=stop,
        stop_kind=EXIT_STOP,
        targets=tuple(targets),
        highest=max(position.highest, entry),
    )


def at_breakeven(
    position: Position, target: Decimal, plan: TradePlan, rules: TradingRules
) -> Position:
    """Return the position with its stop at entry, unless it is higher.

    The plan's offset puts it above the entry, but never above the target that was reached.
    """
    level = position.entry_price * (ONE + plan.breakeven_offset)
    stop = min(round_to_tick(level, rules.price_tick), target)
    if stop <= position.stop:
        return position
    return changed(position, stop=stop, stop_kind=EXIT_BREAKEVEN)


def after_bar(
    position: Position, high: Decimal, trail: Decimal | None, plan: TradePlan, rules: TradingRules
) -> Position:
    """Return the position after a bar: its highest high, and the stop trailed below it.

    The stop only tightens, and trails only once the first target is reached; a plan that
    never trails does not care for highs.
    """
    if not plan.trails:
        return position
    if high > position.highest:
        position = changed(position, highest=high)
    if not position.targets_done or trail is None:
        return position
    stop = round_to_tick(position.highest - trail, rules.price_tick)
    if stop <= position.stop:
        return position
    return changed(position, stop=stop, stop_kind=EXIT_TRAIL)


def at_any_price(position: Position, reason: str) -> Position:
    """Return the position with a stop that the next price hits: an exit has still to be made.

    An exit never lapses: one that the venue refused, or cut short, is made again as a stop.
    """
    return changed(position, stop=2 * position.highest, stop_kind=reason)


def part_to_sell(
    position: Position, part: Decimal, price: Decimal, unsold: Decimal, rules: TradingRules
) -> Decimal:
    """Return how much to sell at a target: a part too small for the venue waits (zero).

    unsold is what is held and not on sale already; when what would remain is too small to be
    sold by itself later, all of it is sold now.
    """
    last = len(position.targets) == 1
    part = unsold if last else min(part, unsold)
    if not rules.allows(part, price):
        return unsold if last else ZERO
    return part if rules.allows(unsold - part, price) else unsold
