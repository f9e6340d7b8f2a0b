"""What becomes of an alert: told once, told again when it is worse, and told when it is over."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.makers import START
from tradefleet import alerts
from tradefleet.alert import (
    COOL_DOWN,
    AlertBook,
    AlertSpec,
    AlertState,
    Level,
    changes_of,
    with_thresholds,
)
from tradefleet.domain.errors import Refused
from tradefleet.domain.health import HealthReport, Metric, Status, worst_of
from tradefleet.plugins import find_plugins

CPU = AlertSpec(
    name="cpu", metric="cpu_usage", summary="Busy", cure="Rest.", unit="%", warning=70, critical=90
)
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
RULES = find_plugins(alerts, "ALERT")


class Watched:
    """A rule that is held against one value after another; told is what people heard."""

    def __init__(self, rule: AlertSpec = CPU) -> None:
        self.rule = rule
        self.book = AlertBook()
        self.told: list[tuple[AlertState, Level, str]] = []
        self.now = START

    def see(self, value: float | None, *, minutes: float = 1, detail: str = "") -> list[str]:
        self.now += timedelta(minutes=minutes)
        metrics = {"cpu_usage": Metric(value, detail=detail)}
        changed = self.book.judge([self.rule], metrics, self.now)
        return self.tell(changed)

    def tell(self, changed) -> list[str]:
        heard = []
        for alert in changed:
            for change in changes_of(alert, self.rule):
                self.told.append((change.state, change.level, change.text))
                heard.append(f"{change.id} {change.state} {change.level}")
            done = alert.acknowledged_at is not None
            self.book.latest[alert.rule] = replace(alert, untold=None, ack_told=done)
        return heard


def test_an_alert_fires_is_raised_and_is_over():
    seen = Watched()
    assert seen.see(69.9) == []
    assert seen.see(70, detail="host a") == ["1 fired warning"]
    assert seen.see(75) == []
    assert seen.see(91.25) == ["1 raised critical"]
    assert seen.see(80) == []
    assert seen.book.latest["cpu"].level is Level.WARNING
    assert seen.see(50) == ["1 resolved critical"]
    assert [text for _, _, text in seen.told] == [
        "Busy: 70 % (host a)",
        "Busy: 91.2 %",
        "Busy: over after 4 min.",
    ]


def test_what_cannot_be_measured_is_critical_and_says_why():
    seen = Watched()
    assert seen.see(None, detail="no answer within 5 s") == ["1 fired critical"]
    assert seen.told[0][2] == "Busy: no answer within 5 s"
    assert Watched().see(None) == ["1 fired critical"]


def test_an_alert_that_flaps_is_told_once_in_the_cool_down_and_has_one_number():
    seen = Watched()
    heard = [seen.see(value) for value in (80, 10, 80, 10, 80)]
    assert heard == [["1 fired warning"], ["1 resolved warning"], [], [], []]
    assert seen.see(95) == ["1 fired critical"], "worse than what was told"
    assert seen.see(10) == ["1 resolved critical"]
    assert seen.see(80, minutes=10) == []
    assert seen.see(80, minutes=6) == ["1 fired warning"], "it still stands after the cool-down"


def test_an_alert_after_the_cool_down_is_another():
    seen = Watched()
    seen.see(80)
    seen.see(10)
    assert seen.see(80, minutes=20) == ["2 fired warning"]
    assert seen.book.last_id == 2


def test_an_alert_that_stands_is_not_repeated_and_falls_silently():
    seen = Watched()
    seen.see(95)
    assert [seen.see(95, minutes=60) for _ in range(3)] == [[], [], []]
    assert seen.see(75) == []
    assert seen.see(95, minutes=60) == [], "people believe it critical all the time"
    assert seen.see(10, minutes=300) == ["1 resolved critical"]
    assert seen.told[-1][2] == "Busy: over after 9 h."


def test_a_rule_may_wait_for_several_bad_rounds_but_not_for_silence():
    seen = Watched(replace(CPU, rounds=3))
    assert [seen.see(value) for value in (80, 80, 10, 80, 80)] == [[]] * 5
    assert seen.see(80) == ["1 fired warning"]
    assert seen.see(10) == ["1 resolved warning"]
    assert Watched(replace(CPU, rounds=3)).see(None) == ["1 fired critical"]


def test_below_a_threshold_may_be_what_is_bad():
    rule = replace(CPU, warning=20, critical=5, below=True)
    assert [rule.level(value) for value in (21, 20, 5)] == [None, Level.WARNING, Level.CRITICAL]
    assert rule.status(0) is Status.UNHEALTHY
    assert replace(rule, warning=None, critical=None).level(0) is None


def test_who_acknowledged_is_told_and_is_not_told_of_flapping_any_more():
    seen = Watched()
    seen.see(80)
    (alert,) = seen.book.latest.values()
    known = replace(alert, acknowledged_at=seen.now, acknowledged_by="alice", note="at it")
    seen.book.heard([known])
    assert seen.tell(seen.book.latest.values()) == ["1 acknowledged warning"]
    assert seen.told[-1][2] == "alice looks after it: at it"
    seen.see(10)
    assert [seen.see(80, minutes=1), seen.see(80, minutes=14)] == [[], []]
    assert seen.see(95) == ["1 fired critical"], "worse than what was acknowledged"
    bare = replace(known, note="", resolved_at=None, ack_told=False)
    assert changes_of(bare, CPU)[0].text == "alice looks after it."


def test_what_was_not_told_before_it_was_over_is_never_told():
    seen = Watched()
    seen.now += timedelta(minutes=1)
    seen.book.judge([CPU], {"cpu_usage": Metric(80)}, seen.now)
    assert seen.see(10) == []
    assert seen.book.latest["cpu"].untold is None
    seen = Watched()
    seen.see(80)
    seen.book.judge([CPU], {"cpu_usage": Metric(95)}, seen.now)
    assert seen.see(10) == ["1 resolved critical"], "they know that it fired"


def test_what_fired_and_was_raised_before_it_could_be_told_fired():
    seen = Watched()
    seen.book.judge([CPU], {"cpu_usage": Metric(80)}, seen.now)
    assert seen.see(95) == ["1 fired critical"]


def test_an_alert_whose_metric_or_rule_is_no_more_is_over():
    seen = Watched()
    seen.see(80)
    later = seen.now + timedelta(minutes=1)
    assert seen.book.judge([CPU], {}, later, complete=False) == []
    assert [each.resolved_at for each in seen.book.judge([CPU], {}, later)] == [later]
    assert seen.book.judge([CPU], {}, later) == []
    other = Watched()
    other.see(80)
    (alert,) = other.book.judge([], {"cpu_usage": Metric(80)}, later)
    assert not alert.is_open


def test_a_book_that_is_opened_again_neither_forgets_nor_repeats():
    seen = Watched()
    seen.see(80)
    again = Watched()
    again.now = seen.now
    old = replace(seen.book.latest["cpu"], id=7)
    again.book.heard([replace(old, id=3, level=Level.CRITICAL), old])
    again.book.heard([replace(old, id=3)])
    assert again.book.last_id == 7
    assert again.see(80) == []
    assert again.see(10) == ["7 resolved warning"]
    assert again.see(80, minutes=COOL_DOWN / timedelta(minutes=1)) == ["8 fired warning"]


# ---- thresholds


def test_thresholds_can_be_set():
    rules = with_thresholds(RULES, "cpu=60/85, disk=50 ,memory=-/99,")
    assert (rules["cpu"].warning, rules["cpu"].critical) == (60, 85)
    assert (rules["disk"].warning, rules["disk"].critical) == (50, RULES["disk"].critical)
    assert (rules["memory"].warning, rules["memory"].critical) == (None, 99)
    assert rules["queue"] == RULES["queue"]
    assert with_thresholds(RULES, "") == RULES


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("cpu", "'cpu': write name=warning/critical"),
        ("cpus=1", "there is no alert 'cpus'; did you mean cpu?"),
        ("xyzzy=1", "there is no alert 'xyzzy'; there are accounts_not_compared, "),
        ("cpu=lots/90", "cpu: 'lots' is not a number; write"),
        ("cpu=-1", "cpu: a threshold is a number from 0 on"),
        ("cpu=nan", "cpu: a threshold is a number from 0 on"),
        ("cpu=95/80", "cpu: critical must be above warning, not 80"),
    ],
)
def test_wrong_thresholds_are_refused_with_the_cure(said, why):
    with pytest.raises(Refused) as caught:
        with_thresholds(RULES, said)
    assert str(caught.value).startswith(why)


def test_critical_is_below_warning_where_low_is_bad():
    low = {"low": replace(CPU, name="low", below=True, warning=20, critical=5)}
    assert with_thresholds(low, "low=30/10")["low"].critical == 10
    with pytest.raises(Refused, match="critical must be below warning, not 30"):
        with_thresholds(low, "low=10/30")


# ---- every rule there is


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_says_what_is_wrong_and_what_to_do(rule):
    assert find_plugins(alerts, "ALERT")[rule.name] is rule
    assert rule.warning is not None or rule.critical is not None
    with_thresholds({rule.name: rule}, f"{rule.name}=0")
    assert rule.summary[0].isupper() and not rule.summary.endswith(".")
    assert rule.cure.endswith(".") and rule.cure.count(". ") == 0, "one sentence"
    named = re.search(r"runbook '([^']+)'", rule.cure)
    assert named or re.search(r"[A-Z]{3,}_", rule.cure), "a runbook, or a setting"
    page = f"{named[1].lower().replace(' ', '-')}.md" if named else "README.md"
    assert (RUNBOOKS / page).exists()


def test_no_two_rules_judge_the_same_metric():
    metrics = [rule.metric for rule in RULES.values()]
    assert len(set(metrics)) == len(metrics)


# ---- reports


def test_a_report_is_as_bad_as_its_worst_metric():
    metrics = {"a": Metric(1.005), "b": Metric(None, Status.UNHEALTHY)}
    report = HealthReport(measured_at=START, metrics=metrics)
    assert report.as_json() == {
        "overall_status": "unhealthy",
        "maintenance_mode": False,
        "timestamp": "2026-01-01T00:00:00Z",
        "metrics": {
            "a": {"value": 1.0, "status": "healthy"},
            "b": {"value": None, "status": "unhealthy"},
        },
        "active_alerts": 1,
        "critical_alerts": 1,
    }
    assert HealthReport(measured_at=START, recovered=False).overall is Status.DEGRADED
    assert worst_of(Status.DEGRADED, Status.HEALTHY) is Status.DEGRADED
