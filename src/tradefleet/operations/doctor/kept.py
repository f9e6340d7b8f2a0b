"""What the database keeps of users' business: is anything stuck, or waiting for a human?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradefleet.alert import Alert, AlertSpec, Level
from tradefleet.figures import Backlog
from tradefleet.operations.doctor.finding import Finding, by_rule, judged, ok, problem, warning

NOTICE_AGE = timedelta(minutes=5)
NOTICE_AGE_MOST = timedelta(hours=1)
UNSURE_AGE = timedelta(minutes=10)  # in which an order is found or proven absent
NAMED_MAX = 5
ALERTS_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Unsure:
    """An order nobody knows the fate of, and since when."""

    order_id: str
    user_id: str
    state: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The users a process holds leases of, and when the last of them runs out."""

    owner: str
    users: int
    expires_at: datetime


def orders(unsure: Sequence[Unsure], now: datetime) -> Iterator[Finding]:
    """Tell of orders whose outcome is not known for longer than it takes to find out."""
    late = [each for each in unsure if now - each.since > UNSURE_AGE or each.state == "quarantined"]
    if not late:
        yield ok("orders", f"{len(unsure)} orders are being looked up" if unsure else "none unsure")
        return
    named = ", ".join(f"{each.order_id} of {each.user_id}" for each in late[:NAMED_MAX])
    more = f" and {len(late) - NAMED_MAX} more" if len(late) > NAMED_MAX else ""
    yield problem(
        "orders",
        f"what became of {len(late)} orders is not known: {named}{more}",
        "look at the order in the account at its exchange (`/order <id>` names it), and see that "
        "the exchange is reached; the service goes on asking",
    )


def set_aside(bots: int) -> Iterator[Finding]:
    """Tell of bots that were stopped after a fault."""
    yield judged(
        "bots",
        f"{bots} bots were set aside after a fault" if bots else "none was set aside after a fault",
        "grep 'is set aside' logs/error.log says why; mend it, then /resume for their users",
        warns=bots > 0,
        fails=False,
    )


def halted(reason: str | None) -> Iterator[Finding]:
    """Tell of a switch over everybody."""
    if reason is not None:
        yield warning(
            "kill switch",
            f"everybody is stopped: {reason or 'no reason is written'}",
            "when the reason is gone: /killswitch platform run",
        )
    else:
        yield ok("kill switch", "the platform's is not thrown")


def leases(
    held: Sequence[Held], dead: Sequence[str], now: datetime, *, machine: str, is_sqlite: bool
) -> Iterator[Finding]:
    """Tell who runs users, and who only seems to; dead: this machine's owners that are no more."""
    found = False
    for each in held:
        late = each.expires_at < now
        if each.owner in dead or late:
            found = True
            why = "is no more" if each.owner in dead else f"let them run out at {each.expires_at}"
            yield warning(
                "leases",
                f"{each.users} users are held by {each.owner}, which {why}",
                "start the service: it takes them at once; or wait for one that runs",
            )
        name = each.owner.partition(":")[0]
        if is_sqlite and not late and name != machine:
            found = True
            yield problem(
                "leases",
                f"{each.owner} is a process of another machine, and the database is SQLite",
                "a SQLite file must not be shared over a network: move to PostgreSQL "
                "(`tradefleet db move`), and stop one of the two until then",
            )
    if not found:
        told = ", ".join(f"{each.owner}: {each.users} users" for each in held)
        yield ok("leases", told or "nobody is run now")


def backlog(found: Backlog, now: datetime, queue: AlertSpec) -> Iterator[Finding]:
    """Tell what waits for longer than it should; queue: how much may wait."""
    age = now - found.oldest_notice if found.oldest_notice else timedelta(0)
    yield judged(
        "outbox",
        f"{found.notices} notices wait, the oldest for {int(age.total_seconds())} s"
        if found.notices
        else "no notice waits",
        "see that the service runs and that Telegram is reached (TELEGRAM_BOT_TOKEN); "
        "grep outbox logs/bot.log says what it answers",
        warns=age > NOTICE_AGE,
        fails=age > NOTICE_AGE_MOST,
    )
    yield by_rule(
        queue,
        found.host_messages,
        "messages",
        f"{found.host_messages} messages wait for hosts",
        "they are read by the process that holds the user's lease: see that one runs",
    )
    hooks = found.webhooks_failing + found.webhooks_disabled
    yield judged(
        "webhooks",
        f"{found.webhooks_failing} fail now, {found.webhooks_disabled} were given up"
        if hooks
        else "none fails",
        "they are their users' own: /webhooks shows them what their server answered",
        warns=hooks > 0,
        fails=False,
    )


def alerts(open_ones: Sequence[Alert]) -> Iterator[Finding]:
    """Tell which alerts are open; one that was acknowledged is in somebody's hands."""
    for each in open_ones:
        text = f"{each.rule} since {each.fired_at:%Y-%m-%d %H:%M} UTC"
        if each.acknowledged_at is not None:
            yield ok("alerts", f"{text}, acknowledged by {each.acknowledged_by}")
        else:
            yield judged(
                "alerts",
                text,
                f"{each.cure}; /ack {each.id} takes it in hand",
                warns=True,
                fails=each.level is Level.CRITICAL,
            )
    if not open_ones:
        yield ok("alerts", "none is open")
