"""Errors are logged.

One error is told to the operator by itself; many together are trouble of their own.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="error_lines",
    metric="errors_logged",
    summary="Errors are logged",
    cure="Look at the error log for what they have in common, as the runbook 'High load' says.",
    unit="in 5 min",
    warning=10,
    critical=100,
)
