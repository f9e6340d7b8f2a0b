"""Answers are slow.

So long takes all but the slowest twentieth of the requests of the last minutes.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="latency",
    metric="response_ms",
    summary="Answers are slow",
    cure=(
        "See which of processor, database and queues is at its limit, as the runbook 'High "
        "load' says."
    ),
    unit="ms",
    warning=2000,
    critical=10000,
)
