"""/broadcast: tell every user something, each through their own outbox."""

from dataclasses import dataclass

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    rest_of_words,
)
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import count

LENGTH_MAX = 2000
NOTHING = "Say what to tell: /broadcast We are back."


@dataclass(frozen=True, slots=True)
class Broadcast:
    text: str = rest_of_words(LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class BroadcastSent:
    """users: for how many it waits in the outbox now."""

    users: int


async def ask(request: Broadcast, context: Context) -> Question | None:
    """Write to everybody's outbox: it is no part of the caller's transaction."""
    if not request.text.strip():
        raise Refused(NOTHING)
    store, now = context.everybody, context.clock.now()
    text = f"📣 {request.text.strip()}"

    async def put(desk: VenueDesk) -> int | None:
        if store is None:
            return None
        await store.audits.note("broadcast", {"text": text})
        return await store.notify_everybody(Topic.SYSTEM, text, now)

    return put


async def broadcast(request: Broadcast, context: Context) -> Reply:
    if not isinstance(context.answer, int):
        raise Refused("Other users are not within reach here.")
    text = f"📣 On its way to {count(context.answer, 'user')}; Telegram takes 30 a second."
    return Reply(text=text, data=BroadcastSent(context.answer))


COMMAND = CommandSpec(
    name="broadcast",
    summary="Tell every user something",
    usage="/broadcast [text]",
    example="/broadcast We are back.",
    request=Broadcast,
    handler=broadcast,
    asks=ask,
    group="Operator",
    place=5,
    role=Role.ADMIN,
    dangerous=True,
    changes=True,
    route=Route("POST", "/admin/broadcast"),
    data=BroadcastSent,
)
