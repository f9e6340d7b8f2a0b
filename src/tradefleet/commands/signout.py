"""/signout: end a session, or all of them; what was given out for it works no more."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere
from tradefleet.drawing import count

ALL = "all"
ID_MIN = 8  # letters of an id that are enough to name it


@dataclass(frozen=True, slots=True)
class SignOut:
    id: str


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The sessions that were ended."""

    ended: tuple[str, ...]


async def sign_out(request: SignOut, context: Context) -> Reply:
    now, wanted = context.clock.now(), request.id.lower()
    there = [each for each in await context.store.identity.sessions() if each.is_open(now)]
    found = [
        each
        for each in there
        if wanted == ALL or (len(wanted) >= ID_MIN and each.id.startswith(wanted))
    ]
    if not found:
        raise NotThere("You have no such session; /sessions shows them.")
    for session in found:
        ended = replace(session, revoked_at=now, revoked_because="you ended it")
        await context.store.identity.save_session(ended)
    data = SignedOut(tuple(each.id for each in found))
    return Reply(text=f"🔒 {count(len(found), 'session')} ended.", data=data)


COMMAND = CommandSpec(
    name="signout",
    summary="End a session, or all of them",
    usage="/signout <id|all>",
    example="/signout all",
    request=SignOut,
    handler=sign_out,
    group="Sign-in",
    place=5,
    changes=True,
    in_person=True,
    route=Route("DELETE", "/sessions/{id}"),
    data=SignedOut,
)
