"""The event loop is late. Whatever is to be done is done that much later, stops included.

The value is the worst since the measurement before: when a bar of thousands of bots closes, some
tenths of a second are usual.
"""

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
    warning=250,
    critical=1000,
    rounds=2,
)
