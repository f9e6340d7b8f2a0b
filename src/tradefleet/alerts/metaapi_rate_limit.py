"""MetaApi says that we ask too much. MetaApi limits requests by its token."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="metaapi_rate_limit",
    metric="metaapi_limit_hits",
    summary="MetaApi says that we ask too much",
    cure=(
        "Wait as it says and spread accounts over several tokens, as the runbook 'Venue "
        "outage' says."
    ),
    unit="in 5 min",
    warning=1,
    critical=10,
)
