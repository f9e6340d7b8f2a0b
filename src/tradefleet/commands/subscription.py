"""/subscription: your tier, how much of each quota is used, and when it is free again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tradefleet.command import CommandSpec, Context, Question, Reply, Route, VenueDesk
from tradefleet.counter import Count
from tradefleet.domain.limits import Tier
from tradefleet.domain.order import Purpose

ORDERS_MAX = 10_000  # of a user that are looked at for entries that still work


@dataclass(frozen=True, slots=True)
class ShowSubscription:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One quota: resets_at is when all of it is free again, None where something must end first.

    used: None where it is not counted yet.
    """

    name: str
    used: int | None
    allowed: int
    resets: str
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """overridden: quotas that the operator gave this user in place of the tier's."""

    tier: str
    quotas: tuple[Quota, ...]
    overridden: tuple[str, ...]
    advanced_signals: bool
    custom_strategies: bool
    priority: bool


async def ask(request: ShowSubscription, context: Context) -> Question | None:
    """Look at the calls of this minute, which are counted outside of the database."""
    quotas, user_id = context.quotas, context.user.id
    if quotas is None:
        return None

    async def put(desk: VenueDesk) -> Count:
        return await quotas.calls_made(user_id)

    return put


async def subscription(request: ShowSubscription, context: Context) -> Reply:
    tier = context.tier
    quotas = await used_of(tier, context)
    data = Subscription(
        tier=tier.name,
        quotas=quotas,
        overridden=tuple(sorted(context.user.overrides)),
        advanced_signals=tier.advanced_signals,
        custom_strategies=tier.custom_strategies,
        priority=tier.priority,
    )
    lines = [
        f"⭐ Your tier: {tier.name}",
        f"Advanced signals: {answer(tier.advanced_signals)}, custom strategies:"
        f" {answer(tier.custom_strategies)}, priority: {answer(tier.priority)}",
    ]
    if more := more_than(tier):
        lines.append(f"More: {more}. Ask the operator of this service to change yours.")
    lines.append("Exits and protective orders are never refused by any quota.")
    rows = tuple(
        (
            each.name,
            "-" if each.used is None else str(each.used),
            str(each.allowed),
            each.resets,
        )
        for each in quotas
    )
    columns = ("Quota", "Used", "Of", "Free again")
    return Reply(text="\n".join(lines), columns=columns, rows=rows, data=data)


def answer(has: bool) -> str:
    return "yes" if has else "no"


async def used_of(tier: Tier, context: Context) -> tuple[Quota, ...]:
    """Return each quota of the tier with what is used of it now."""
    now = context.clock.now().astimezone(UTC)
    guard = await context.store.guard()
    entries = guard.entries_today if guard is not None and guard.day == now.date() else 0
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    calls = context.answer if isinstance(context.answer, Count) else None
    per_minute = tier.api_calls_per_minute
    if context.quotas is not None:
        per_minute = context.quotas.calls_per_minute(context.user.tier, context.user.overrides)
    return (
        Quota(
            name="entries today",
            used=entries,
            allowed=tier.entries_per_day,
            resets="at 00:00 UTC",
            resets_at=tomorrow,
        ),
        Quota(
            name="open positions",
            used=await open_positions(context),
            allowed=tier.open_positions,
            resets="when one is closed",
        ),
        Quota(
            name="pairs",
            used=len(await context.store.bots()),
            allowed=tier.bots,
            resets="when one is removed",
        ),
        Quota(
            name="signal channels",
            used=None,
            allowed=tier.signal_channels,
            resets="when one is removed",
        ),
        Quota(
            name="API calls a minute",
            used=min(calls.used, per_minute) if calls else None,
            allowed=per_minute,
            resets="within a minute",
            resets_at=now + timedelta(seconds=calls.seconds_left) if calls and calls.used else None,
        ),
    )


async def open_positions(context: Context) -> int:
    """Count bots that hold something or whose entry is under way, as the guard does."""
    memories = await context.store.memories()
    busy = {id for id, memory in memories.items() if memory.position is not None}
    for order in await context.store.orders(limit=ORDERS_MAX):
        if order.is_working and order.purpose is Purpose.ENTRY:
            busy.add(order.bot_id)
    return len(busy)


def more_than(tier: Tier) -> str:
    """Name the tiers that have more, with what they have."""
    larger = [each for each in tier.larger if each.entries_per_day > tier.entries_per_day]
    return "; ".join(
        f"{each.name} has {each.entries_per_day} entries a day, {each.open_positions} open"
        f" positions, {each.bots} pairs, {each.api_calls_per_minute} API calls a minute"
        for each in sorted(larger, key=lambda each: each.entries_per_day)
    )


COMMAND = CommandSpec(
    name="subscription",
    summary="Your tier and what is used of it",
    usage="/subscription",
    example="/subscription",
    request=ShowSubscription,
    handler=subscription,
    asks=ask,
    group="Setup",
    place=20,
    route=Route("GET", "/subscription"),
    data=Subscription,
)
