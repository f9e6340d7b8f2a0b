"""A venue says that we ask too much.

Who asks on while a venue is closed is banned for longer, so we wait.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="venue_rate_limit",
    metric="venue_limit_hits",
    summary="A venue says that we ask too much",
    cure=(
        "Find out what asks so much; requests wait by themselves while the venue is closed, as "
        "the runbook 'Venue outage' says."
    ),
    unit="in 5 min",
    warning=1,
    critical=10,
)
