"""Memory runs out.

What runs out of memory is killed by the machine, in the middle of whatever it does.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="memory",
    metric="memory_usage",
    summary="Memory runs out",
    cure=(
        "Move users to another host or give this one more memory, as the runbook 'High load' says."
    ),
    unit="%",
    warning=80,
    critical=95,
)
