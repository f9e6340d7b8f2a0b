"""/users: everybody who is registered, the newest first, or one of them in full."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    by_name,
    named_user,
    rest_of_words,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.user import Role
from tradefleet.drawing import count, moment
from tradefleet.store import Store, find_somebody

LIMIT_MAX = 200
OUT_OF_REACH = "Other users are not within reach here."
NOBODY = "There is no such user; name an id, a name or a Telegram id of /users."


@dataclass(frozen=True, slots=True)
class Users:
    """user: one alone. cursor: those who came before this one."""

    user: str = ""
    limit: int = by_name(20)
    cursor: str = by_name("")
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLine:
    """A user as the operator sees them; halt: what the switch over their trading says."""

    user_id: str
    username: str
    telegram_id: int | None
    tier: str
    role: str
    registered_at: datetime
    accounts: int
    pairs: int
    running: int
    positions: int
    halt: str
    banned_at: datetime | None
    banned_because: str


@dataclass(frozen=True, slots=True)
class UserList:
    """Users, the newest first, of all there are; next is "" on the last page."""

    users: tuple[UserLine, ...]
    all: int
    next: str = ""


async def ask(request: Users, context: Context) -> Question | None:
    """Look at everybody: they are no part of the caller's transaction."""
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Refused(f"Ask for 1 to {LIMIT_MAX} users.")
    store = context.everybody

    async def put(desk: VenueDesk) -> UserList | None:
        if store is None:
            return None
        ids = [*reversed(await store.user_ids())]
        if request.user:
            found = await find_somebody(store, request.user)
            return UserList((await line_of(store, found.id),) if found else (), len(ids))
        here = ids
        if request.cursor:
            here = ids[ids.index(UserId(request.cursor)) + 1 :] if request.cursor in ids else []
        shown = here[: request.limit]
        next = shown[-1] if len(here) > len(shown) else ""
        return UserList(tuple([await line_of(store, id) for id in shown]), len(ids), next)

    return put


async def line_of(store: Store, user_id: UserId) -> UserLine:
    async with store.open(user_id, reading=True) as own:
        user = await own.user()
        accounts, bots = await own.accounts(), await own.bots()
        memories, switches = await own.memories(), await own.switches()
    if user is None:
        raise NotThere(NOBODY)
    halts = [s.halt for s in switches if s.scope is Scope.USER]
    return UserLine(
        user_id=user.id,
        username=user.username,
        telegram_id=user.telegram_id,
        tier=user.tier,
        role=user.role.value,
        registered_at=user.created_at,
        accounts=sum(account.is_active for account in accounts),
        pairs=len(bots),
        running=sum(bot.status is BotStatus.RUNNING for bot in bots),
        positions=sum(memory.position is not None for memory in memories.values()),
        halt=(halts[0] if halts else Halt.RUN).value,
        banned_at=user.banned_at,
        banned_because=user.banned_because,
    )


async def users(request: Users, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, UserList):
        raise Refused(OUT_OF_REACH)
    if request.user:
        if not found.users:
            raise NotThere(NOBODY)
        return in_full(found.users[0], found)
    return Reply(
        text=f"👥 {count(found.all, 'user')}, the newest first",
        columns=("User", "Name", "Tier", "Pairs", "State"),
        rows=tuple(map(row, found.users)),
        older=f"cursor={found.next}" if found.next else "",
        data=found,
    )


def row(line: UserLine) -> tuple[str, ...]:
    pairs = f"{line.running}/{line.pairs}"
    name = "-" if line.username == line.user_id else line.username
    return (line.user_id, name, line.tier, pairs, state(line))


def state(line: UserLine) -> str:
    if line.banned_at is not None:
        return "banned"
    halted = {"stop": "stopped", "flatten": "flattened"}.get(line.halt)
    return halted or ("admin" if line.role == Role.ADMIN else "-")


def in_full(line: UserLine, data: UserList) -> Reply:
    lines = [
        f"👤 {line.user_id} ({line.username})",
        f"Telegram: {line.telegram_id or '-'}",
        f"Tier: {line.tier}, role: {line.role}",
        f"Registered: {moment(line.registered_at)}",
        f"{count(line.accounts, 'account')}, {count(line.pairs, 'pair')} ({line.running} running), "
        f"{count(line.positions, 'open position')}",
        f"Switch: {line.halt}",
    ]
    if line.banned_at is not None:
        lines.append(f"⛔ Banned {moment(line.banned_at)}: {line.banned_because}")
    return Reply(text="\n".join(lines), data=data)


COMMAND = CommandSpec(
    name="users",
    summary="Everybody who is registered",
    usage="/users [user] [reason]",
    options="limit=20 cursor=<user>",
    example="/users",
    request=Users,
    handler=users,
    asks=ask,
    concerns=named_user,
    group="Operator",
    place=2,
    role=Role.ADMIN,
    refreshes=True,
    limit_max=LIMIT_MAX,
    route=Route("GET", "/admin/users"),
    data=UserList,
)
