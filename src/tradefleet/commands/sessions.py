"""/sessions: where the user is signed in; what they do not know they end."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.drawing import count, moment


@dataclass(frozen=True, slots=True)
class Sessions:
    pass


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One sign-in that is still good."""

    id: str
    how: str
    address: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSessions:
    sessions: tuple[OpenSession, ...]


async def sessions(request: Sessions, context: Context) -> Reply:
    now = context.clock.now()
    found = [each for each in await context.store.identity.sessions() if each.is_open(now)]
    told = tuple(
        OpenSession(each.id, each.how, each.address, each.created_at, each.seen_at, each.expires_at)
        for each in found
    )
    data = OpenSessions(told)
    if not found:
        return Reply(text="🔑 You are signed in nowhere but here.", data=data)
    rows = tuple(
        (each.id[:8], each.how, each.address, moment(each.created_at), moment(each.seen_at))
        for each in told
    )
    return Reply(
        text=f"🔑 {count(len(told), 'session')}. End one: /signout <id>, or all: /signout all",
        columns=("Id", "By", "From", "Since", "Renewed"),
        rows=rows,
        data=data,
    )


COMMAND = CommandSpec(
    name="sessions",
    summary="Show where you are signed in",
    usage="/sessions",
    example="/sessions",
    request=Sessions,
    handler=sessions,
    group="Sign-in",
    place=4,
    refreshes=True,
    in_person=True,
    route=Route("GET", "/sessions"),
    data=OpenSessions,
)
