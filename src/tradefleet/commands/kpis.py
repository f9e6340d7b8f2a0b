"""/kpis: how the service does: who came, who stayed, what signals and speed are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradefleet.command import CommandSpec, Context, Question, Reply, Route, Step, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.figures import RETENTION_DAYS, Dealings, percentile, retention
from tradefleet.store import Census

FREE = "free"
DAYS = 30  # trades and orders of so many days count
DAY = timedelta(days=1)
NO_PRICES = (
    "Revenue per user cannot be told: tiers have no prices here, and no payments are known. "
    "Multiply the users of each tier by what you charge for it."
)
OUT_OF_REACH = "The whole service is not within reach here."


@dataclass(frozen=True, slots=True)
class Kpis:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Of how many users who came so many days ago or earlier how many are still there."""

    days: int
    came: int
    stayed: int
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Of a strategy's trades that were closed, how many made a profit after fees."""

    strategy: str
    trades: int
    won: int
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds until half, and 95 % of orders got so far; None: of none it is known."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetKpis:
    """new: users who came in the last 1, 7 and 30 days. converted: percent of users beyond free.

    sent and filled: from the decision to sending, and from sending to the venue's first fill.
    revenue_per_user is None, and revenue_note says what is lacking.
    """

    users: int
    new: tuple[int, int, int]
    active: int
    retention: tuple[Retention, ...]
    tiers: dict[str, int]
    converted: float | None
    revenue_per_user: float | None
    revenue_note: str
    accuracy: Accuracy
    by_strategy: tuple[Accuracy, ...]
    orders: int
    sent: Speed
    filled: Speed


async def ask(request: Kpis, context: Context) -> Question | None:
    store, now = context.everybody, context.clock.now()

    async def put(desk: VenueDesk) -> tuple[Dealings, Census] | None:
        if store is None:
            return None
        return await store.figures.dealings(now - DAYS * DAY), await store.census(now - DAY)

    return put


def measured(found: Dealings, census: Census, now: datetime) -> FleetKpis:
    """Return the figures of what the database knows."""
    users = found.users.values()
    number, free = sum(found.tiers.values()), found.tiers.get(FREE, 0)
    totals = [sum(each) for each in zip(*found.trades.values(), strict=True)] or [0, 0]
    strategies = sorted(found.trades.items())
    waits = [(each.sent - each.decided).total_seconds() for each in found.orders]
    fills = [(o.filled - o.sent).total_seconds() for o in found.orders if o.filled is not None]
    one, seven, thirty = (sum(u.came > now - days * DAY for u in users) for days in RETENTION_DAYS)
    return FleetKpis(
        users=number,
        new=(one, seven, thirty),
        active=census.active,
        retention=tuple(
            Retention(days=days, came=came, stayed=stayed, percent=percent(stayed, came))
            for days in RETENTION_DAYS
            for came, stayed in [retention(found.users, days, now)]
        ),
        tiers=dict(sorted(found.tiers.items())),
        converted=percent(number - free, number),
        revenue_per_user=None,
        revenue_note=NO_PRICES,
        accuracy=accuracy("all", totals[0], totals[1]),
        by_strategy=tuple(accuracy(name, trades, won) for name, (trades, won) in strategies),
        orders=len(found.orders),
        sent=speed(waits),
        filled=speed(fills),
    )


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def accuracy(name: str, trades: int, won: int) -> Accuracy:
    return Accuracy(strategy=name, trades=trades, won=won, percent=percent(won, trades))


def speed(seconds: Sequence[float]) -> Speed:
    """Return how soon; a venue's clock may be behind ours, but nothing is done before it began."""
    after = [max(0.0, each) for each in seconds]
    return Speed(p50=percentile(after, 0.5), p95=percentile(after, 0.95))


async def kpis(request: Kpis, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, tuple):
        raise Refused(OUT_OF_REACH)
    data = measured(found[0], found[1], context.clock.now())
    rows = [
        ("Users", str(data.users)),
        ("New in 1, 7 and 30 days", ", ".join(map(str, data.new))),
        ("With a running pair or a position", str(data.active)),
        *(
            (f"Still there after {plural(each.days)}", of(each.percent, each.stayed, each.came))
            for each in data.retention
        ),
        ("Tiers", ", ".join(f"{n} {name}" for name, n in data.tiers.items()) or "-"),
        ("Beyond the free tier", shown(data.converted, " %")),
        ("Revenue per user", "not known"),
        (f"Trades with profit, {DAYS} days", of_accuracy(data.accuracy)),
        *((f"- {each.strategy}", of_accuracy(each)) for each in data.by_strategy),
        (f"Orders sent, {DAYS} days", str(data.orders)),
        ("Decided to sent, median and 95 %", of_speed(data.sent)),
        ("Sent to filled, median and 95 %", of_speed(data.filled)),
    ]
    return Reply(
        text=f"📈 How the service does\n{data.revenue_note}",
        columns=("What", "Figure"),
        rows=tuple(rows),
        data=data,
        steps=(Step("🛰 Stats", "/stats"), Step("👥 Users", "/users")),
    )


def plural(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def shown(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:g}{unit}"


def of(share: float | None, part: int, whole: int) -> str:
    return "-" if share is None else f"{share:g} % ({part} of {whole})"


def of_accuracy(found: Accuracy) -> str:
    return of(found.percent, found.won, found.trades)


def of_speed(found: Speed) -> str:
    return "-" if found.p50 is None else f"{found.p50:.3g} s, {found.p95:.3g} s"


COMMAND = CommandSpec(
    name="kpis",
    summary="Who came, who stayed, and what signals and speed are worth",
    usage="/kpis",
    example="/kpis",
    request=Kpis,
    handler=kpis,
    asks=ask,
    group="Operator",
    place=10,
    role=Role.ADMIN,
    refreshes=True,
    route=Route("GET", "/admin/kpis"),
    data=FleetKpis,
)
