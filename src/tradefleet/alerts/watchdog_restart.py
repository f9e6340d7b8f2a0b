"""The watchdog ended a process that hung.

A process that hangs watches no stop, so it is ended and starts again.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="watchdog_restart",
    metric="watchdog_restarts",
    summary="The watchdog ended a process that hung",
    cure="Look in the log for where it hung and report it, as the runbook 'Hung process' says.",
    unit="in 1 h",
    warning=1,
    critical=3,
)
