"""Requests fail. Of the requests that were answered lately, so many failed by our fault."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="error_rate",
    metric="error_rate",
    summary="Requests fail",
    cure="Look at the error log for what they have in common, as the runbook 'High load' says.",
    unit="%",
    warning=5,
    critical=25,
)
