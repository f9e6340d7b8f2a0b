"""The processor is busy.

The processor has hardly room left, so decisions and orders come later.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="cpu",
    metric="cpu_usage",
    summary="The processor is busy",
    cure=(
        "Move users to another host or give this one a faster core, as the runbook 'High "
        "load' says."
    ),
    unit="%",
    warning=70,
    critical=90,
    rounds=2,
)
