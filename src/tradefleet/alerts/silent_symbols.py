"""Prices of followed symbols stopped coming.

A symbol may be silent while its venue is not: it may have been delisted.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="silent_symbols",
    metric="stale_symbols",
    summary="Prices of followed symbols stopped coming",
    cure="See at the venue whether the symbol still trades, as the runbook 'Venue outage' says.",
    unit="symbols",
    warning=1,
)
