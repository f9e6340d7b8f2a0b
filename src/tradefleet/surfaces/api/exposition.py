"""Every figure as Prometheus knows it: its name, what it tells, its labels.

Labels have few values, all known beforehand: venues, states, routes and commands as they are in the
code. No user, bot or order is ever named.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from prometheus_client import GCCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import CollectorRegistry

from tradefleet import __version__
from tradefleet.alert import Level
from tradefleet.domain.health import BY_BADNESS, HealthReport
from tradefleet.domain.order import OrderState
from tradefleet.domain.tally import Spread
from tradefleet.figures import Backlog
from tradefleet.runtime.gauges import Gauges, seconds_between
from tradefleet.webhook import Outcome

PREFIX = "tradefleet_"
NEITHER_FILLED_NOR_GONE = (OrderState.UNKNOWN, OrderState.QUARANTINED)
OUTCOMES = ("accepted", "rejected", "unsent", "unknown")
TOLD = {
    "active_users_count": "Users whose bots this process runs",
    "active_bots_count": "Bots of this process that run",
    "trades_per_second": "Trades closed per second, over the last minute",
    "api_calls_per_minute": "Requests over HTTP in the last minute",
    "error_rate": "Percent of the requests of the last five minutes that broke (5xx)",
    "average_response_time": "Seconds until an answer began, mean of the last minute",
    "memory_per_bot": "Bytes of the process's memory, per running bot",
    "cpu_per_bot": "Percent of one processor over the last minute, per running bot",
}

Labels: TypeAlias = tuple[str, ...]
LabelsT = TypeVar("LabelsT", bound=Labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known beside the process itself.

    report: the latest of health; alerts: those that are open, by rule and level; deliveries of
    alerts by receiver and outcome.
    """

    report: HealthReport | None = None
    alerts: Mapping[tuple[str, Level], int] | None = None
    deliveries: Mapping[tuple[str, Outcome], int] | None = None
    backlog: Backlog | None = None


class Families:
    """What one scrape is answered with, for the library that writes it down."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> list[Family]:
        return self._families


def families(gauges: Gauges, around: Around) -> Families:
    """Return everything there is to tell now."""
    return Families(
        [
            *told(gauges),
            *of_trading(gauges),
            *of_guarding(gauges),
            *of_running(gauges),
            *of_requests(gauges),
            *of_backlog(gauges, around.backlog),
            *of_health(around),
            *of_process(),
        ]
    )


def told(gauges: Gauges) -> Iterator[Family]:
    for name, value in gauges.told().items():
        yield GaugeMetricFamily(name, TOLD[name], value=value)


def of_trading(gauges: Gauges) -> Iterator[Family]:
    tally = gauges.node.host.tally
    yield counter(
        "orders",
        "Orders handed to a venue, by what became of that",
        ("venue", "outcome"),
        {(v, o): getattr(of, o) for v, of in tally.orders.items() for o in OUTCOMES},
    )
    yield histogram(
        "order_answer_seconds",
        "Seconds from handing an order to its venue, its turn included, to the venue's answer",
        "venue",
        {venue: of.answers for venue, of in tally.orders.items()},
    )
    yield counter("fills", "Fills booked", (), {(): tally.fills})
    yield counter("trades", "Trades closed", (), {(): tally.trades})
    yield counter("bot_crashes", "Bots set aside for a fault", (), {(): tally.crashes})
    working = gauges.working_orders()
    states = {(state.value,): float(number) for state, number in working.items()}
    yield gauge("working_orders", "Orders that are not final, by state", ("state",), states)
    lost = sum(working[state] for state in NEITHER_FILLED_NOR_GONE)
    yield gauge("unknown_orders", "Orders of which nobody knows what became", (), {(): lost})


def of_guarding(gauges: Gauges) -> Iterator[Family]:
    node = gauges.node
    bare, checks = node.protection, node.reconciliation
    yield gauge("unprotected_positions", "Positions nothing guards now", (), {(): len(bare.bare)})
    seconds = sum(bare.seconds.values())
    yield counter("unprotected_seconds", "Seconds positions were bare", (), {(): seconds})
    yield gauge("unprotected_longest_seconds", "The longest of them", (), {(): bare.longest})
    yield gauge(
        "accounts_not_compared",
        "Accounts that could not be held against their venue several times in a row",
        (),
        {(): checks.in_trouble},
    )
    yield gauge(
        "statements_differing",
        "Accounts whose latest daily statement differs from the venue's",
        (),
        {(): checks.statement.differing},
    )
    yield counter(
        "reconciliation_differences",
        "Differences between our books and a venue's balances that were booked, by kind",
        ("kind",),
        {(kind,): number for kind, number in node.host.tally.differences.items()},
    )
    yield counter(
        "venue_rate_limited",
        "Calls a venue said came too fast",
        ("venue",),
        {(venue,): number for venue, number in gauges.too_fast.items()},
    )


def of_running(gauges: Gauges) -> Iterator[Family]:
    node, journal = gauges.node, gauges.node.host.journal
    yield gauge("ready", "1 once every user was taken", (), {(): node.recovered.is_set()})
    yield gauge("event_loop_lag_seconds", "How late the loop was last", (), {(): node.lag})
    yield gauge("journal_queue", "Batches that wait to be written", (), {(): len(journal)})
    yield counter("journal_batches", "Batches written", (), {(): journal.items})
    yield histogram(
        "journal_write_seconds",
        "Seconds one write of a group of batches took",
        "",
        {"": node.host.tally.writes},
    )
    ages = {(venue,): age for venue, age in gauges.feed_ages().items()}
    yield gauge("feed_age_seconds", "Seconds since a venue's latest price", ("venue",), ages)
    stale = {(venue,): float(len(feed.stale)) for venue, feed in node.feeds.items()}
    help = "Symbols somebody follows of which no price comes"
    yield gauge("feed_stale_symbols", help, ("venue",), stale)


def of_requests(gauges: Gauges) -> Iterator[Family]:
    requests = gauges.requests
    yield counter(
        "http_requests",
        "Requests over HTTP, by route and the first digit of their status",
        ("method", "route", "status"),
        {
            (method, route, f"{digit}xx"): number
            for (method, route), of in requests.routes.items()
            for digit, number in of.answers.items()
        },
    )
    by_route = SummaryMetricFamily(
        f"{PREFIX}http_route_seconds",
        "Seconds until the answer of a route began",
        labels=("method", "route"),
    )
    for key, of in requests.routes.items():
        by_route.add_metric(key, count_value=sum(of.answers.values()), sum_value=of.seconds)
    yield by_route
    yield histogram(
        "http_request_seconds", "Seconds until an answer began", "", {"": requests.took}
    )
    yield counter(
        "commands",
        "Commands run, by what became of them",
        ("command", "outcome"),
        dict(gauges.commands.outcomes),
    )


def of_backlog(gauges: Gauges, backlog: Backlog | None) -> Iterator[Family]:
    """Tell what waits in the database; nothing while the database does not say."""
    if backlog is None:
        return
    yield gauge("outbox_waiting", "Notices not delivered yet", (), {(): backlog.notices})
    oldest = backlog.oldest_notice
    age = 0.0 if oldest is None else seconds_between(oldest, gauges.clock.now())
    yield gauge("outbox_oldest_seconds", "How long the oldest of them has waited", (), {(): age})
    messages = backlog.host_messages
    yield gauge("host_messages_waiting", "What commands left for hosts", (), {(): messages})
    hooks = {("failing",): backlog.webhooks_failing, ("disabled",): backlog.webhooks_disabled}
    yield gauge("webhooks", "Users' webhooks that are not well", ("state",), hooks)
    yield gauge("leases", "Users some process runs", (), {(): backlog.leases})


def of_health(around: Around) -> Iterator[Family]:
    report = around.report
    if report is not None:
        values, statuses = {}, {}
        for name, metric in report.metrics.items():
            statuses[name,] = BY_BADNESS.index(metric.status)
            if metric.value is not None:
                values[name,] = metric.value
        yield gauge("health", "What /health measures, each in its own unit", ("metric",), values)
        help = "How /health rates it: 0 healthy, 1 degraded, 2 unhealthy"
        yield gauge("health_status", help, ("metric",), statuses)
        at = report.measured_at.timestamp()
        yield gauge("health_measured_timestamp_seconds", "When that was", (), {(): at})
    if around.alerts is not None:
        open = {(rule, level.value): float(n) for (rule, level), n in around.alerts.items()}
        yield gauge("alerts_open", "Alerts that are open", ("rule", "level"), open)
    if around.deliveries is not None:
        sent = {(to, outcome.value): float(n) for (to, outcome), n in around.deliveries.items()}
        help = "Alerts given to receivers and kept, by what became of that"
        yield gauge("alert_deliveries", help, ("receiver", "outcome"), sent)


PROCESS = (ProcessCollector(registry=CollectorRegistry()), GCCollector(CollectorRegistry()))


def of_process() -> Iterator[Family]:
    """Tell processor, memory, files and garbage, by the library's own names."""
    yield InfoMetricFamily("tradefleet", "The service", value={"version": __version__})
    for collector in PROCESS:
        yield from collector.collect()


# ---- how families are made


def gauge(name: str, help: str, labels: Labels, samples: Mapping[LabelsT, float]) -> Family:
    family = GaugeMetricFamily(PREFIX + name, help, labels=labels)
    return filled(family, samples)


def counter(name: str, help: str, labels: Labels, samples: Mapping[LabelsT, float]) -> Family:
    family = CounterMetricFamily(PREFIX + name, help, labels=labels)
    return filled(family, samples)


def filled(
    family: GaugeMetricFamily | CounterMetricFamily, samples: Mapping[LabelsT, float]
) -> Family:
    for labels, value in samples.items():
        family.add_metric(labels, float(value))
    return family


def histogram(name: str, help: str, label: str, spreads: Mapping[str, Spread]) -> Family:
    """Return a histogram over one label, or over none when it is ""."""
    family = HistogramMetricFamily(PREFIX + name, help, labels=(label,) if label else ())
    for value, spread in spreads.items():
        counts, so_far = [], 0
        for bound, number in zip((*spread.bounds, "+Inf"), spread.counts, strict=True):
            so_far += number
            counts.append((str(bound), float(so_far)))
        family.add_metric((value,) if label else (), counts, spread.total)
    return family
