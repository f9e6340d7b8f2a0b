"""/support: write to whoever runs this service; it is recorded, and put before them at once."""

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
from tradefleet.domain.errors import Refused

LENGTH_MAX = 1000
NOTHING = "Say what it is about: /support My order was not filled."
TOLD = "📨 The operator has your message; the answer comes from a person."
RECORDED = (
    "📨 Your message is written down, but nobody of the operator's could be told of it just now."
)


@dataclass(frozen=True, slots=True)
class Support:
    message: str = rest_of_words(LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class SupportAsked:
    """reached: how many of the operator's people were told."""

    reached: int


async def ask(request: Support, context: Context) -> Question | None:
    """Tell the operator's people: that is nothing of the user's, nor of their transaction."""
    if not request.message.strip():
        raise Refused(NOTHING)
    tell, user = context.tell_operator, context.user
    name = user.id if user.username in ("", user.id) else f"{user.id} (@{user.username})"
    text = f"📨 {name}, {user.tier}, writes:\n{request.message.strip()}"

    async def put(desk: VenueDesk) -> int:
        return 0 if tell is None else await tell(text)

    return put


async def support(request: Support, context: Context) -> Reply:
    reached = context.answer if isinstance(context.answer, int) else 0
    return Reply(text=TOLD if reached else RECORDED, data=SupportAsked(reached))


COMMAND = CommandSpec(
    name="support",
    summary="Write to the operator of this service",
    usage="/support [message]",
    example="/support My order was not filled.",
    request=Support,
    handler=support,
    asks=ask,
    place=14,
    changes=True,
    for_banned=True,
    route=Route("POST", "/support"),
    data=SupportAsked,
)
