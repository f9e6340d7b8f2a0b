"""A queue does not move. Something waits, and nothing was taken from the queue since."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="stuck_queue",
    metric="queue_stuck_s",
    summary="A queue does not move",
    cure=(
        "See in the log what its worker does and start the process again, as the runbook "
        "'Hung process' says."
    ),
    unit="s",
    warning=25,
    critical=300,
)
