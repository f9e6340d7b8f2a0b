"""The event loop is late. Whatever is to be done is done that much later, stops included."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="event_loop_lag",
    metric="event_loop_lag_ms",
    summary="The event loop is late",
    cure=(
        "Look for what the watchdog wrote to the log and move users to another host, as the "
        "runbook 'Hung process' says."
    ),
    unit="ms",
    warning=100,
    critical=1000,
    rounds=2,
)
