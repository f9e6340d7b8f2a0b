"""Positions have no stop. Nothing would sell them if their price fell."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="unprotected_position",
    metric="unprotected_positions",
    summary="Positions have no stop",
    cure=(
        "See with /alerts which they are and close them by hand if they stay so, as the "
        "runbook 'Venue outage' says."
    ),
    unit="positions",
    warning=1,
)
