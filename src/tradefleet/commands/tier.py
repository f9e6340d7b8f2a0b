"""/tier: put a user into another tier, or give them limits of their own in place of the tier's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    rest_of_words,
)
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.tiers import NUMBER_MAX, NUMBERS, hint
from tradefleet.domain.user import Role, User
from tradefleet.store import Store

SAME = "-"  # in place of a tier: the one they have
AS_TIER = "tier"  # in place of a number: as the tier has it


@dataclass(frozen=True, slots=True)
class SetTier:
    user: str
    tier: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTier:
    """A user's tier and own limits as they are now and as they were; changed: by this request."""

    user: str
    tier: str
    overrides: Mapping[str, int]
    tier_before: str
    overrides_before: Mapping[str, int]
    changed: bool


async def ask(request: SetTier, context: Context) -> Question | None:
    """Change the user in a transaction of their own: none may reach into another user's."""
    tiers, store, now = context.catalog.tiers, context.everybody, context.clock.now()
    wanted = "" if request.tier == SAME else request.tier.lower()
    if wanted and wanted not in tiers:
        raise Refused(f"There is no tier {request.tier[:40]!r}; there is: {', '.join(tiers)}.")
    given = {name.lower(): read(name.lower(), text) for name, text in request.overrides.items()}

    async def put(desk: VenueDesk) -> UserTier | None:
        if store is None:
            return None
        async with store.open(await found(request.user, store)) as theirs:
            user = await theirs.user()
            if user is None:
                raise NotThere(nobody(request.user))
            changed = replace(
                user, tier=wanted or user.tier, overrides=merged(user.overrides, given)
            )
            told = state_of(user, changed)
            if told.changed:
                await theirs.save_user(changed)
                await theirs.ask_host("switches_changed", {})
                await theirs.audit("tier_changed", as_detail(told))
                text = f"⭐ Your subscription changed: {said(told)}. /subscription shows it."
                await theirs.notify(Notify(user.id, Topic.SYSTEM, text, now))
        return told

    return put


async def found(name: str, store: Store) -> UserId:
    """Return the user of an id or a name."""
    plain = name.strip().removeprefix("@")
    user_id = UserId(plain.lower())
    async with store.open(user_id, reading=True) as theirs:
        if await theirs.user() is not None:
            return user_id
    user = await store.find_user(username=plain)
    if user is None:
        raise NotThere(nobody(name))
    return user.id


def nobody(name: str) -> str:
    return f"There is no user {name[:40]!r}."


def read(name: str, text: str) -> int | None:
    """Read a limit of a user's own; None: as the tier has it."""
    if name not in NUMBERS:
        raise Refused(f"There is no limit {name[:40]!r}; {hint(name, NUMBERS)}")
    word = text.strip().lower()
    if word == AS_TIER:
        return None
    if not (word.isascii() and word.isdigit() and int(word[:9]) <= NUMBER_MAX and len(word) <= 9):
        raise Refused(f"{name} must be a whole number up to {NUMBER_MAX}, or {AS_TIER}.")
    return int(word)


def merged(known: Mapping[str, int], given: Mapping[str, int | None]) -> Mapping[str, int]:
    """Return limits of a user's own with those given in place of theirs; None takes one away."""
    both = {**known, **given}
    return {name: limit for name, limit in sorted(both.items()) if limit is not None}


def state_of(before: User, after: User) -> UserTier:
    return UserTier(
        user=after.id,
        tier=after.tier,
        overrides=dict(after.overrides),
        tier_before=before.tier,
        overrides_before=dict(before.overrides),
        changed=(before.tier, dict(before.overrides)) != (after.tier, dict(after.overrides)),
    )


def as_detail(told: UserTier) -> dict[str, object]:
    """Return what the audit keeps: before and after."""
    return {
        "before": {"tier": told.tier_before, "overrides": dict(told.overrides_before)},
        "after": {"tier": told.tier, "overrides": dict(told.overrides)},
    }


def said(told: UserTier) -> str:
    own = ", ".join(f"{name} {value}" for name, value in told.overrides.items())
    return f"tier {told.tier}" + (f", with {own}" if own else "")


async def set_tier(request: SetTier, context: Context) -> Reply:
    told = context.answer
    if not isinstance(told, UserTier):
        raise Refused("Other users are not within reach here.")
    if told.changed:
        await context.store.audit("tier_set", {**as_detail(told), "user": told.user})
        text = f"✅ {told.user}: {said(told)} now (before: {said_before(told)})."
    else:
        text = f"⭐ {told.user}: {said(told)}."
    return Reply(text=text, data=told)


def said_before(told: UserTier) -> str:
    return said(replace(told, tier=told.tier_before, overrides=told.overrides_before))


async def concerns(request: SetTier, store: Store) -> UserId | None:
    return await found(request.user, store)


COMMAND = CommandSpec(
    name="tier",
    summary="Change a user's tier or limits",
    usage="/tier <user> <tier> <reason>",
    options="- for the tier they have; name=value for a limit of theirs, name=tier to take it back",
    example="/tier alice premium entries_per_day=40 Paid for it by invoice.",
    request=SetTier,
    handler=set_tier,
    asks=ask,
    concerns=concerns,
    group="Operator",
    place=2,
    role=Role.ADMIN,
    changes=True,
    route=Route("PATCH", "/users/{user}"),
    data=UserTier,
)
