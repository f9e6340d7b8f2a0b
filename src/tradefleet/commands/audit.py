"""/audit: what was done in one's name and to what is one's own, by whom and from where."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, by_name
from tradefleet.domain.audit import Entry, in_words
from tradefleet.domain.errors import Refused
from tradefleet.drawing import moment

LIMIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Audit:
    """before: lines older than this number; 0: the newest."""

    limit: int = by_name(20)
    before: int = by_name(0)


@dataclass(frozen=True, slots=True)
class AuditLines:
    """Lines of one's own log, the newest first; next is 0 on the last page."""

    lines: tuple[Entry, ...]
    next: int


async def audit(request: Audit, context: Context) -> Reply:
    if not 1 <= request.limit <= LIMIT_MAX:
        raise Refused(f"Ask for 1 to {LIMIT_MAX} lines.")
    found = await context.store.audit_page(request.limit, request.before or None)
    next = found[-1].number if found and found[-1].number > 1 else 0
    return Reply(
        text="📜 What was done in your name, the newest first" if found else "📜 Nothing more.",
        columns=("No.", "When", "Who", "What") if found else (),
        rows=tuple(row(each, context.user.id) for each in found),
        older=f"before={next}" if next else "",
        data=AuditLines(tuple(found), next),
    )


def row(entry: Entry, own: str) -> tuple[str, ...]:
    who = "you" if entry.actor == own else "operator" if entry.role == "admin" else entry.actor
    if entry.surface and entry.surface != who:
        who = f"{who} ({entry.surface})"
    return (str(entry.number), moment(entry.at), who, in_words(entry))


COMMAND = CommandSpec(
    name="audit",
    summary="What was done in your name",
    usage="/audit",
    options="limit=20 before=<number>",
    example="/audit",
    request=Audit,
    handler=audit,
    group="Sign-in",
    place=60,
    for_banned=True,
    refreshes=True,
    limit_max=LIMIT_MAX,
    route=Route("GET", "/audit"),
    data=AuditLines,
)
