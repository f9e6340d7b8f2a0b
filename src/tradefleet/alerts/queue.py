"""A queue is long. More comes in than is worked off."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="queue",
    metric="queue_length",
    summary="A queue is long",
    cure=(
        "See in /alerts which queue it is and refuse new entries with /maintenance until it "
        "is short, as the runbook 'High load' says."
    ),
    unit="waiting",
    warning=1000,
    critical=5000,
)
