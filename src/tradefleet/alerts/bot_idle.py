"""A running bot has not worked when it should have.

Each bar of its market is work for a bot; this one waits for bars that are overdue.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="bot_idle",
    metric="bot_idle_s",
    summary="A running bot has not worked when it should have",
    cure=(
        "See with /alerts which bot it is and whether its market's data comes, as the runbook "
        "'Venue outage' says."
    ),
    unit="s",
    warning=300,
    critical=1800,
)
