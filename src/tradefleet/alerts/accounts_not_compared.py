"""Accounts cannot be compared with their venue.

What cannot be compared may differ without anybody knowing.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="accounts_not_compared",
    metric="accounts_not_compared",
    summary="Accounts cannot be compared with their venue",
    cure=(
        "See whether the venue has an outage or the key was withdrawn, as the runbook 'Venue "
        "outage' says."
    ),
    unit="accounts",
    warning=1,
)
