"""/unban: let a banned user in again; entries are allowed again, too."""

from dataclasses import dataclass, replace

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
from tradefleet.store import find_somebody

NOBODY = "There is no such user; /users lists them."
NOTICE = "✅ You are welcome again; /status shows where everything stands."


@dataclass(frozen=True, slots=True)
class Unban:
    user: str
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Unbanned:
    user_id: str


async def ask(request: Unban, context: Context) -> Question | None:
    """Change another user: in a transaction of theirs, not of the caller's."""
    everybody, now = context.everybody, context.clock.now()

    async def put(desk: VenueDesk) -> Unbanned | None:
        found = None if everybody is None else await find_somebody(everybody, request.user)
        if everybody is None or found is None:
            return None
        if found.banned_at is None:
            raise Refused(f"{found.id} is not banned.")
        async with everybody.open(found.id) as store:
            await store.save_user(replace(found, banned_at=None, banned_because=""))
            for switch in await store.switches():
                if switch.scope is Scope.USER and switch.halt is Halt.STOP and switch.by_operator:
                    run = Switch(
                        scope=Scope.USER,
                        scope_id=found.id,
                        halt=Halt.RUN,
                        reason="no longer banned",
                        changed_at=now,
                    )
                    await store.set_switch(run)
                    await store.ask_host("switches_changed", {})
            await store.notify(Notify(found.id, Topic.SYSTEM, NOTICE, now, priority=1))
            await store.audit("unbanned", {"reason": request.reason})
        return Unbanned(found.id)

    return put


async def unban(request: Unban, context: Context) -> Reply:
    done = context.answer
    if not isinstance(done, Unbanned):
        raise NotThere(NOBODY)
    return Reply(text=f"✅ {done.user_id} is no longer banned.", data=done)


COMMAND = CommandSpec(
    name="unban",
    summary="Let a banned user in again",
    usage="/unban <user> <reason>",
    example="/unban mallory It was a mistake.",
    request=Unban,
    handler=unban,
    asks=ask,
    concerns=named_user,
    group="Operator",
    place=4,
    role=Role.ADMIN,
    changes=True,
    route=Route("DELETE", "/admin/users/{user}/ban"),
    data=Unbanned,
)
