"""/audit_user: a user's audit log for the operator, who says why; or the service's own."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    by_name,
    rest_of_words,
)
from tradefleet.domain.audit import Entry, in_words
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role
from tradefleet.drawing import moment
from tradefleet.store import Store, find_somebody

LIMIT_MAX = 100
SERVICE = "*"  # in place of a user
NOBODY = "There is no such user; /users lists them."


@dataclass(frozen=True, slots=True)
class AuditUser:
    """user: whose log; * for the service's own. before: lines older than this number."""

    user: str
    limit: int = by_name(20)
    before: int = by_name(0)
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class UserAudit:
    """Lines of a log, the newest first; next is 0 on the last page."""

    user_id: str
    lines: tuple[Entry, ...]
    next: int


async def ask(request: AuditUser, context: Context) -> Question | None:
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Refused(f"Ask for 1 to {LIMIT_MAX} lines.")
    everybody, before = context.everybody, request.before or None

    async def put(desk: VenueDesk) -> UserAudit | None:
        if everybody is None:
            return None
        if request.user == SERVICE:
            lines = await everybody.audits.page(request.limit, before)
            return UserAudit(SERVICE, tuple(lines), next_of(lines))
        found = await find_somebody(everybody, request.user)
        if found is None:
            return None
        async with everybody.open(found.id, reading=True) as theirs:
            lines = await theirs.audit_page(request.limit, before)
        return UserAudit(found.id, tuple(lines), next_of(lines))

    return put


def next_of(lines: Sequence[Entry]) -> int:
    return lines[-1].number if lines and lines[-1].number > 1 else 0


async def audit_user(request: AuditUser, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, UserAudit):
        raise NotThere(NOBODY)
    whose = "the service" if found.user_id == SERVICE else found.user_id
    return Reply(
        text=f"📜 What was done to {whose}, the newest first"
        if found.lines
        else "📜 Nothing more.",
        columns=("No.", "When", "Who", "What") if found.lines else (),
        rows=tuple(map(row, found.lines)),
        older=f"before={found.next}" if found.next else "",
        data=found,
    )


def row(entry: Entry) -> tuple[str, ...]:
    who = f"{entry.actor} ({entry.surface})" if entry.surface else entry.actor
    return (str(entry.number), moment(entry.at), who, in_words(entry))


async def concerns(request: AuditUser, store: Store) -> UserId | None:
    found = None if request.user == SERVICE else await find_somebody(store, request.user)
    return None if found is None else found.id


COMMAND = CommandSpec(
    name="audit_user",
    summary="What was done in a user's name, or to the service",
    usage="/audit_user <user> <reason>",
    options="* in place of a user: the service's own log; limit=20 before=<number>",
    example="/audit_user alice She asked what stopped her bots.",
    request=AuditUser,
    handler=audit_user,
    asks=ask,
    concerns=concerns,
    group="Operator",
    place=9,
    role=Role.ADMIN,
    refreshes=True,
    limit_max=LIMIT_MAX,
    route=Route("GET", "/admin/users/{user}/audit"),
    data=UserAudit,
)
