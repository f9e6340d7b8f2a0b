"""A venue takes no requests from us.

Who asks on while a venue is closed is banned for longer, so we wait.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="venue_rate_limit",
    metric="venue_closed_s",
    summary="A venue takes no requests from us",
    cure="Wait until it opens and find out what asks so much, as the runbook 'Venue outage' says.",
    unit="s",
    warning=1,
    critical=60,
)
