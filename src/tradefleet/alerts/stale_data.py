"""A venue sends no market data. Without prices no stop is seen that only we watch."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="stale_data",
    metric="market_data_age_s",
    summary="A venue sends no market data",
    cure=(
        "See whether the venue has an outage and whether its address is reached from here, as "
        "the runbook 'Venue outage' says."
    ),
    unit="s",
    warning=30,
    critical=120,
)
