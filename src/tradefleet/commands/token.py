"""/token: make a personal token for a program of the user's own, or take one back."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Conflict, NotThere, Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import moment
from tradefleet.identity import (
    TOKEN_PREFIX,
    TOKENS_MAX,
    PersonalToken,
    Right,
    drawn_by,
    hash_of,
    rights_from,
)

NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
DAYS_MAX = 366
HOW = "Say /token create <name> [read|trade] [days], /token revoke <name> or /token list."


@dataclass(frozen=True, slots=True)
class TokenRequest:
    action: str
    name: str = ""
    rights: str = "read"
    days: int = 90


@dataclass(frozen=True, slots=True)
class TokenMade:
    """What was done; value: the token itself, told this once, "" when none was made."""

    action: str
    name: str
    value: str = ""
    rights: tuple[str, ...] = ()
    expires_at: datetime | None = None


async def token(request: TokenRequest, context: Context) -> Reply:
    match request.action.lower():
        case "create":
            return await create(request, context)
        case "revoke":
            return await revoke(request.name, context)
        case "list":
            names = [each.name for each in await valid(context)]
            text = f"🗝 {', '.join(names) or 'You have no personal tokens.'}"
            return Reply(text=text, data=TokenMade("list", ", ".join(names)))
        case _:
            raise Refused(HOW)


async def valid(context: Context) -> list[PersonalToken]:
    now = context.clock.now()
    return [each for each in await context.store.identity.tokens() if each.is_open(now)]


async def create(request: TokenRequest, context: Context) -> Reply:
    if not NAME.fullmatch(request.name):
        raise Refused(f"A token's name has 1 to 40 letters, digits, _ . or -. {HOW}")
    if not 1 <= request.days <= DAYS_MAX:
        raise Refused(f"A token is good for 1 to {DAYS_MAX} days.")
    rights = read_rights(request.rights, is_admin=context.user.role is Role.ADMIN)
    there = await valid(context)
    if any(each.name == request.name for each in there):
        raise Conflict(f"You have a token {request.name} already; revoke it first.")
    if len(there) >= TOKENS_MAX:
        raise Refused(f"You have {TOKENS_MAX} tokens, which is the most; revoke one first.")
    value, now = drawn_by(context.ids.new, TOKEN_PREFIX).reveal(), context.clock.now()
    made = PersonalToken(
        id=context.ids.new(),
        user_id=context.user.id,
        name=request.name,
        hash=hash_of(value),
        rights=rights,
        created_at=now,
        expires_at=now + timedelta(days=request.days),
    )
    await context.store.identity.save_token(made)
    words = tuple(right.value for right in rights)
    text = (
        f"🗝 Token {made.name}: {' '.join(words)}, until {moment(made.expires_at)}\n{value}\n"
        "It is shown this once. Whoever has it may do that in your name."
    )
    data = TokenMade("create", made.name, value, words, made.expires_at)
    return Reply(text=text, data=data, holds_secret=True)


def read_rights(words: str, *, is_admin: bool) -> tuple[Right, ...]:
    try:
        rights = rights_from(words)
    except ValueError:
        rights = ()
    if not rights or (Right.ADMIN in rights and not is_admin):
        choices = "read, trade or admin" if is_admin else "read or trade"
        raise Refused(f"The rights of a token are {choices}.")
    return rights


async def revoke(name: str, context: Context) -> Reply:
    found = [each for each in await valid(context) if each.name == name]
    if not found:
        raise NotThere("You have no such token; /tokens shows them.")
    for each in found:
        await context.store.identity.save_token(replace(each, revoked_at=context.clock.now()))
    return Reply(text=f"🔒 Token {name} works no more.", data=TokenMade("revoke", name))


COMMAND = CommandSpec(
    name="token",
    summary="Make a token for a program of yours, or take one back",
    usage="/token <create|revoke|list> [name] [rights] [days]",
    example="/token create my_script read 90",
    request=TokenRequest,
    handler=token,
    group="Sign-in",
    place=7,
    changes=True,
    in_person=True,
    route=Route("POST", "/tokens"),
    data=TokenMade,
)
