"""/tokens: the personal tokens of the user's own programs, without what would sign them in."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.drawing import count, moment


@dataclass(frozen=True, slots=True)
class Tokens:
    pass


@dataclass(frozen=True, slots=True)
class ValidToken:
    """One token: its name, and what whoever has it may do."""

    name: str
    rights: tuple[str, ...]
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ValidTokens:
    tokens: tuple[ValidToken, ...]


async def tokens(request: Tokens, context: Context) -> Reply:
    now = context.clock.now()
    told = tuple(
        ValidToken(
            each.name,
            tuple(right.value for right in each.rights),
            each.created_at,
            each.expires_at,
        )
        for each in await context.store.identity.tokens()
        if each.is_open(now)
    )
    data = ValidTokens(told)
    if not told:
        text = "🗝 You have no personal tokens. Make one: /token create my_script read 90"
        return Reply(text=text, data=data)
    rows = tuple(
        (each.name, " ".join(each.rights), moment(each.created_at), moment(each.expires_at))
        for each in told
    )
    return Reply(
        text=f"🗝 {count(len(told), 'token')}. Take one back: /token revoke <name>",
        columns=("Name", "Rights", "Since", "Until"),
        rows=rows,
        data=data,
    )


COMMAND = CommandSpec(
    name="tokens",
    summary="Show the tokens of your programs",
    usage="/tokens",
    example="/tokens",
    request=Tokens,
    handler=tokens,
    group="Sign-in",
    place=6,
    refreshes=True,
    in_person=True,
    route=Route("GET", "/tokens"),
    data=ValidTokens,
)
