"""A position has been without a stop for long.

A moment between two orders is normal, so long is not.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="unprotected_long",
    metric="unprotected_s",
    summary="A position has been without a stop for long",
    cure="Close it by hand at the venue, as the runbook 'Venue outage' says.",
    unit="s",
    warning=30,
    critical=60,
)
