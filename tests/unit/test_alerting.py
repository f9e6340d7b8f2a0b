"""Alerts of all processes are judged by one, told once, and outlive restarts and the database."""

import asyncio
from datetime import timedelta

from tests.health_rig import EVERY, RULES, Ear, Ward
from tradefleet.alert import AlertBook, AlertState
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.health import Metric
from tradefleet.health import ProcessReport
from tradefleet.operations.health.alerting import Alerting, LogSink, merged
from tradefleet.operations.health.checks import Check


class Gauge:
    """A value that a test sets."""

    def __init__(self, metric: str = "disk_usage", value: float | None = 10) -> None:
        self.metric, self.value, self.detail = metric, value, ""

    def check(self) -> Check:
        async def measure() -> dict[str, Metric]:
            return {self.metric: Metric(self.value, detail=self.detail)}

        return Check(metrics=(self.metric,), measure=measure)


def ward(gauge: Gauge, **given: object) -> Ward:
    database = Gauge("database_ms", 1)
    made = Ward([database.check(), gauge.check()], **given)
    made.database = database
    return made


async def test_an_alert_is_kept_before_it_is_told_and_told_once():
    gauge = Gauge()
    one = ward(gauge)
    assert await one.round(2) == []
    gauge.value, gauge.detail = 81, "/data"
    assert await one.round(3) == ["disk fired warning"]
    (kept,) = await one.store.health.alerts(10)
    assert kept.text == "The disk fills up: 81 % (/data)"
    assert (kept.id, kept.untold, kept.cure) == (1, None, RULES["disk"].cure)
    gauge.value = 96
    assert await one.round(2) == ["disk raised critical"]
    gauge.value = 20
    assert await one.round(2) == ["disk resolved critical"]
    (kept,) = await one.store.health.alerts(10)
    assert not kept.is_open


async def test_a_restart_neither_forgets_nor_repeats():
    gauge = Gauge(value=90)
    one = ward(gauge)
    assert await one.round() == ["disk fired warning"]
    one.begin()
    assert await one.round(2) == []
    one.begin()
    gauge.value = 10
    assert await one.round() == ["disk resolved warning"]
    one.begin()
    gauge.value = 90
    assert await one.round() == [], "the cool-down goes on over a restart"
    await one.clock.pass_by(15 * 60)
    assert await one.round() == ["disk fired warning"]
    assert [each.id for each in await one.store.health.alerts(10)] == [1]


async def test_what_could_not_be_told_is_told_later_and_other_receivers_do_not_wait():
    gauge = Gauge(value=90)
    one = ward(gauge)
    one.ear.fault = StoreUnavailable("away")
    other = Ear()
    one.alerting.sinks = [one.ear, other, LogSink()]
    await one.round()
    assert other.lines() == ["disk fired warning"]
    (kept,) = await one.store.health.alerts(10)
    assert kept.untold is AlertState.FIRED
    one.begin()  # even by the next process
    one.ear.fault = None
    assert await one.round() == ["disk fired warning"]
    first, again = other.heard[0], one.ear.heard[0]
    assert (first.id, first.state, first.at) == (again.id, again.state, again.at)
    one.ear.fault = ZeroDivisionError("a bug in a receiver")
    gauge.value = 99
    assert await one.round() == []
    one.ear.fault = None
    assert await one.round() == [], "a receiver with a bug does not hold up the others for ever"


async def test_an_operator_acknowledges_and_everybody_is_told():
    gauge = Gauge(value=90)
    one = ward(gauge)
    await one.round()
    at = one.clock.now()
    await one.store.health.acknowledge(1, by="alice", note="New disk.", at=at)
    assert await one.round() == ["disk acknowledged warning"]
    assert one.ear.heard[-1].text == "alice looks after it: New disk."
    assert await one.round(3) == []
    one.begin()
    assert await one.round() == []
    gauge.value = 10
    await one.round()
    gauge.value = 90
    assert await one.round(3) == [], "it comes and goes, and somebody looks after it"
    gauge.value = 10
    await one.round(40)
    gauge.value = 90
    assert await one.round() == ["disk fired warning"], "another one, later"
    assert one.ear.heard[-1].id == 2


async def test_while_the_database_is_away_it_is_told_and_all_is_kept_afterwards():
    gauge = Gauge()
    one = ward(gauge)
    await one.round()
    real, one.alerting.store = one.alerting.store, None
    one.database.value = None
    gauge.value = 90
    assert await one.round() == ["database fired critical", "disk fired warning"]
    assert await one.round(3) == []
    assert await real.health.alerts(10) == []
    one.alerting.store, one.database.value = real, 1
    assert await one.round() == ["database resolved critical"]
    assert [(each.id, each.rule, each.is_open) for each in await real.health.alerts(10)] == [
        (2, "disk", True),
        (1, "database", False),
    ]
    assert (await real.duties.held())[0].place == 2


async def test_a_database_that_does_not_answer_holds_up_nobody_for_long(monkeypatch):
    monkeypatch.setattr("tradefleet.operations.health.alerting.STORE_SECONDS", 0.01)
    gauge = Gauge()
    one = ward(gauge)
    await one.round()

    async def hangs(*args: object, **given: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(one.store.health, "report", hangs)
    monkeypatch.setattr(one.store.health, "keep_alert", hangs)
    gauge.value = 90
    assert await one.round() == ["disk fired warning"]
    monkeypatch.undo()
    assert await one.round() == []
    assert [each.rule for each in await one.store.health.alerts(10)] == ["disk"]


async def test_who_was_never_on_duty_says_nothing_while_the_database_is_away():
    one = ward(Gauge(value=90))
    one.alerting.store = None
    assert await one.round(3) == []


async def test_a_book_outlives_the_absence_of_the_database():
    """As in the waiting room: nobody could keep the alert, and the next run resolves it."""
    gauge = Gauge(value=90)
    first = ward(gauge)
    book = AlertBook()
    first.alerting.book, first.alerting.store, first.alerting.on_duty = book, None, True
    first.database.value = None
    assert await first.round() == ["database fired critical", "disk fired warning"]
    second = ward(gauge, store=first.store, clock=first.clock)
    second.alerting.book = book
    assert await second.round() == ["database resolved critical"]
    assert [each.rule for each in await second.store.health.alerts(10)] == ["disk", "database"]


async def test_processes_without_a_database_tell_of_it_under_one_number():
    """Who takes the duty afterwards resolves what the others told, and keeps it."""
    gauge = Gauge(value=90)
    a = ward(gauge)
    b = ward(Gauge(), store=a.store, clock=a.clock, owner="b")
    assert await together(a, b) == ["a: disk fired warning"]
    await together(a, b)
    kept = a.store
    for each in (a, b):  # both are in the waiting room now
        each.alerting.store, each.alerting.on_duty, each.database.value = None, True, None
    told = await together(a, b)
    assert {"a: database fired critical", "b: database fired critical"} <= {*told}
    assert [each.ear.heard[-1].id for each in (a, b)] == [2, 2]
    await a.clock.pass_by(EVERY * 3)
    for each in (b, a):
        each.alerting.store, each.alerting.on_duty, each.database.value = kept, False, 1
    assert "b: database resolved critical" in await together(b, a)
    found = {each.id: each.rule for each in await kept.health.alerts(10)}
    assert (found[1], found[2]) == ("disk", "database")


# ---- several processes


async def together(*wards: Ward) -> list[str]:
    """Let a round pass in all of them; return who told what."""
    before = [len(each.ear.heard) for each in wards]
    for each in wards:
        await each.watch.turn()
    await wards[0].clock.pass_by(EVERY)
    return [
        f"{each.owner}: {line}"
        for each, start in zip(wards, before, strict=True)
        for line in each.ear.lines()[start:]
    ]


async def test_one_process_judges_what_all_measure_and_names_whose_it_is():
    here, there = Gauge(value=50), Gauge(value=60)
    a = ward(here)
    b = ward(there, store=a.store, clock=a.clock, owner="b")
    assert await together(a, b) == []
    there.value, there.detail = 85, "/data"
    assert await together(a, b) == [], "the one on duty reads it in its next round"
    assert await together(a, b) == ["a: disk fired warning"]
    assert a.ear.heard[0].text == "The disk fills up: 85 % (b: /data)"
    assert b.alerting.on_duty is False
    there.value = 10
    await together(a, b)
    assert await together(a, b) == ["a: disk resolved warning"]


async def test_a_process_that_dies_is_missed_and_another_judges_in_its_place():
    gauge = Gauge(value=90)
    a = ward(Gauge())
    b = ward(gauge, store=a.store, clock=a.clock, owner="b")
    await together(a, b)
    assert await together(a, b) == ["a: disk fired warning"]
    heard = [line for _ in range(4) for line in await together(b)]
    assert heard == ["b: host_silent fired warning"], "what was told before is not told again"
    assert b.ear.heard[0].value >= 15 and "(a)" in b.ear.heard[0].text
    assert b.alerting.seen["host_overdue_s"].detail == "a"
    heard = [line for _ in range(6) for line in await together(b)]
    assert heard == ["b: host_silent raised critical"]
    heard = [line for _ in range(16) for line in await together(b)]
    assert heard == ["b: host_silent resolved critical"], "after ten minutes it is forgotten"
    assert [each.owner for each in await b.store.health.reports()] == ["b"]
    gauge.value = 10
    assert await together(b) == ["b: disk resolved warning"]


async def test_who_leaves_is_not_missed():
    a = ward(Gauge())
    b = ward(Gauge(), store=a.store, clock=a.clock, owner="b")
    await together(a, b)
    await a.alerting.leave()
    assert [line for _ in range(6) for line in await together(b)] == []
    assert b.alerting.on_duty


async def test_who_slept_while_another_judged_says_nothing_of_what_it_knew():
    gauge = Gauge(value=90)
    a = ward(gauge)
    b = ward(gauge, store=a.store, clock=a.clock, owner="b")
    await together(a)
    assert a.ear.lines() == ["disk fired warning"]
    await a.clock.pass_by(EVERY * 3)
    await together(b)
    gauge.value = 10
    assert "b: disk resolved warning" in await together(b, a)
    assert a.ear.lines() == ["disk fired warning"]
    assert a.alerting.book.latest == {}
    await b.alerting.leave()
    assert await together(a) == ["a: host_silent resolved critical"]
    assert a.alerting.on_duty


async def test_a_judge_that_lost_its_duty_in_the_middle_keeps_silent():
    gauge = Gauge(value=90)
    a = ward(gauge)
    taken = a.store.duties.advance

    async def lost(duty: object, place: int) -> bool:
        return False

    a.store.duties.advance = lost
    assert await a.round() == []
    assert not a.alerting.on_duty
    a.store.duties.advance = taken
    a.begin()
    assert await a.round() == ["disk fired warning"]


def test_the_worst_of_each_metric_counts():
    ward_ = ward(Gauge())
    alerting: Alerting = ward_.alerting

    def report(owner: str, **metrics: float | None) -> ProcessReport:
        return ProcessReport(
            owner=owner,
            measured_at=ward_.clock.now() - timedelta(seconds=1),
            every=EVERY,
            metrics={name: Metric(value) for name, value in metrics.items()},
        )

    found = merged(
        [
            report("a", disk_usage=50, cpu_usage=None, active_bots=3),
            report("b", disk_usage=81, cpu_usage=99, active_bots=5),
        ],
        alerting.rules,
    )
    assert {name: (metric.value, metric.detail) for name, metric in found.items()} == {
        "disk_usage": (81, "b"),
        "cpu_usage": (None, "a"),
        "active_bots": (5, "b"),
    }
