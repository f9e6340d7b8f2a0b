"""The database does not answer, or slowly.

Every order is written down before it is sent, so a slow database makes slow orders.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="database",
    metric="database_ms",
    summary="The database does not answer, or slowly",
    cure=(
        "See whether the database runs, what else uses it and whether its disk is slow, as "
        "the runbook 'Database corruption' says."
    ),
    unit="ms",
    warning=100,
    critical=500,
    rounds=2,
)
