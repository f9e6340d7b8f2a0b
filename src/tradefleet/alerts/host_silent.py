"""A host is silent.

Every host says regularly how it is; one that does not has died, hangs, or has lost the database.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="host_silent",
    metric="host_overdue_s",
    summary="A host is silent",
    cure=(
        "See whether it runs and start it again; others take its users meanwhile, as the "
        "runbook 'Lost host' says."
    ),
    unit="s",
    warning=15,
    critical=120,
)
