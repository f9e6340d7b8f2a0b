"""Write deploy/prometheus/alerts.yml: one Prometheus rule for each level of each rule in alerts/.

What a rule compares is how the service itself rates a metric, so that ALERT_THRESHOLDS counts for
both. Only what a dead or hanging service cannot say of itself is asked for besides.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tradefleet import alerts
from tradefleet.alert import AlertSpec, Level
from tradefleet.plugins import find_plugins

FILE = Path(__file__).parents[1] / "deploy" / "prometheus" / "alerts.yml"
ROUND = 30  # seconds between two measurements, as HEALTH_SECONDS is by default
RATED = {Level.WARNING: 1, Level.CRITICAL: 2}  # as tradefleet_health_status says it
HEAD = """\
# Written by scripts/alert_rules.py from the rules in src/tradefleet/alerts: change those.
# Thresholds are the service's own (ALERT_THRESHOLDS): it rates what it measures.
groups:
  - name: tradefleet
    rules:
"""
ABSENT = """\
  # What nobody tells who is not there.
  - name: tradefleet-absent
    rules:
      - alert: TradefleetDown
        expr: up{job="tradefleet"} == 0
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.instance }} does not answer"
          description: "Look whether the process runs and what its log says last."
      - alert: TradefleetHealthOld
        expr: time() - tradefleet_health_measured_timestamp_seconds > 150
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.instance }} has not measured itself for minutes"
          description: "Its event loop hangs, or is far too busy to measure anything."
"""


def rules_text() -> str:
    """Return the whole file."""
    specs: dict[str, AlertSpec] = find_plugins(alerts, "ALERT")
    rules = (rule for name in sorted(specs) for rule in rules_of(specs[name]))
    return HEAD + "".join(rules) + ABSENT


def rules_of(spec: AlertSpec) -> Iterator[str]:
    """Yield a rule for each level; what cannot be measured is critical, whatever the thresholds."""
    for level, threshold in ((Level.WARNING, spec.warning), (Level.CRITICAL, spec.critical)):
        if threshold is None and level is Level.WARNING:
            continue
        sign = "<=" if spec.below else ">="
        unit = f" {spec.unit}" if spec.unit else ""
        by_default = "not to be measured"
        if threshold is not None:
            by_default = f"by default {sign} {threshold:g}{unit}"
        yield "\n".join(
            [
                f"      - alert: {alert_name(spec)}",
                f'        expr: tradefleet_health_status{{metric="{spec.metric}"}}'
                f" == {RATED[level]}",
                *([f"        for: {(spec.rounds - 1) * ROUND}s"] if spec.rounds > 1 else []),
                "        labels:",
                f"          severity: {level.value}",
                f"          rule: {spec.name}",
                "        annotations:",
                f"          summary: {quoted(f'{spec.summary} ({by_default})')}",
                f"          description: {quoted(spec.cure)}",
                "",
            ]
        )


def alert_name(spec: AlertSpec) -> str:
    return "Tradefleet" + "".join(word.capitalize() for word in spec.name.split("_"))


def quoted(text: str) -> str:
    """Write a text as YAML's double quotes take it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(rules_text())
    sys.stdout.write(f"{FILE}\n")
