"""/ban: let a user do no more than leave: no entries, nobody signed in, exits go on."""

from dataclasses import dataclass, replace
from datetime import datetime

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    named_user,
    rest_of_words,
)
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Role
from tradefleet.store import UserStore, find_somebody

NOBODY = "There is no such user; /users lists them."
NOT_ADMINS = "An admin is not banned; take the role away first (tradefleet users)."
NOTICE = (
    "⛔ The operator has banned you: {reason}\nNothing new is opened for you; open positions keep "
    "their stops and targets. You may close them, /export what is yours and write to /support."
)


@dataclass(frozen=True, slots=True)
class Ban:
    user: str
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Banned:
    """sessions and tokens: how many of the user's were ended."""

    user_id: str
    reason: str
    sessions: int
    tokens: int


async def ask(request: Ban, context: Context) -> Question | None:
    """Change another user: in a transaction of theirs, not of the caller's."""
    everybody, now = context.everybody, context.clock.now()
    reason = request.reason

    async def put(desk: VenueDesk) -> Banned | None:
        found = None if everybody is None else await find_somebody(everybody, request.user)
        if everybody is None or found is None:
            return None
        if found.role is Role.ADMIN:
            raise Refused(NOT_ADMINS)
        async with everybody.open(found.id) as store:
            banned = replace(found, banned_at=now, banned_because=reason)
            await store.save_user(banned)
            await halt(store, reason, now)
            sessions, tokens = await shut_out(store, now)
            text = NOTICE.format(reason=reason)
            await store.notify(Notify(found.id, Topic.SYSTEM, text, now, priority=1))
            await store.audit("banned", {"reason": reason})
        return Banned(found.id, reason, sessions, tokens)

    return put


async def halt(store: UserStore, reason: str, now: datetime) -> None:
    """Forbid entries, unless everything is being closed already."""
    for switch in await store.switches():
        if switch.scope is Scope.USER and switch.halt is Halt.FLATTEN and switch.by_operator:
            return
    stop = Switch(
        scope=Scope.USER,
        scope_id=store.user_id,
        halt=Halt.STOP,
        reason=reason,
        changed_at=now,
        by_operator=True,
    )
    await store.set_switch(stop)
    await store.ask_host("switches_changed", {})


async def shut_out(store: UserStore, now: datetime) -> tuple[int, int]:
    """End what the user is signed in with; return how many sessions and tokens that were."""
    sessions = [each for each in await store.identity.sessions() if each.is_open(now)]
    for session in sessions:
        ended = replace(session, revoked_at=now, revoked_because="you were banned")
        await store.identity.save_session(ended)
    tokens = [each for each in await store.identity.tokens() if each.is_open(now)]
    for token in tokens:
        await store.identity.save_token(replace(token, revoked_at=now))
    return len(sessions), len(tokens)


async def ban(request: Ban, context: Context) -> Reply:
    done = context.answer
    if not isinstance(done, Banned):
        raise NotThere(NOBODY)
    text = (
        f"⛔ {done.user_id} is banned: {done.reason}\nNothing new is opened; exits go on. "
        f"Ended: sessions {done.sessions}, tokens {done.tokens}."
    )
    return Reply(text=text, data=done)


COMMAND = CommandSpec(
    name="ban",
    summary="Ban a user",
    usage="/ban <user> <reason>",
    example="/ban mallory Sold our signals.",
    request=Ban,
    handler=ban,
    asks=ask,
    concerns=named_user,
    group="Operator",
    place=3,
    role=Role.ADMIN,
    dangerous=True,
    changes=True,
    route=Route("POST", "/admin/users/{user}/ban"),
    data=Banned,
)
