"""/ack: say that you look after an alert, so that others need not and it is told no more."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    rest_of_words,
)
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.user import Role

ID_MAX = 2**53  # what programs that read JSON can tell apart


@dataclass(frozen=True, slots=True)
class Ack:
    id: int
    note: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An open alert somebody looks after from now on."""

    id: int
    rule: str
    text: str
    acknowledged_by: str
    acknowledged_at: datetime
    note: str


async def ask(request: Ack, context: Context) -> Question | None:
    """Note it where all alerts are: they belong to no user, nor to one's transaction."""
    if not 1 <= request.id <= ID_MAX:
        raise NotThere("/alerts lists the alerts with their numbers.")
    everybody, who, now = context.everybody, context.user.username, context.clock.now()

    async def put(desk: VenueDesk) -> Acknowledged | None:
        if everybody is None:
            raise Refused("What processes write down is not within reach here.")
        alert = await everybody.health.acknowledge(request.id, by=who, note=request.note, at=now)
        if alert is None:
            return None
        return Acknowledged(alert.id, alert.rule, alert.text, who, now, request.note)

    return put


async def ack(request: Ack, context: Context) -> Reply:
    done = context.answer
    if not isinstance(done, Acknowledged):
        raise NotThere(f"No alert {request.id} is open; /alerts lists those that are.")
    text = f"👀 You look after alert {done.id}: {done.text}"
    return Reply(text=f"{text}\nNote: {done.note}" if done.note else text, data=done)


COMMAND = CommandSpec(
    name="ack",
    summary="Say that you look after an alert",
    usage="/ack <id> [note]",
    example="/ack 7 The disk is being enlarged.",
    request=Ack,
    handler=ack,
    asks=ask,
    group="Operator",
    place=8,
    role=Role.ADMIN,
    changes=True,
    route=Route("POST", "/admin/alerts/{id}/ack"),
    data=Acknowledged,
)
