"""MetaApi takes no requests from us. MetaApi limits requests by its token."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="metaapi_rate_limit",
    metric="metaapi_closed_s",
    summary="MetaApi takes no requests from us",
    cure=(
        "Wait as it says and spread accounts over several tokens, as the runbook 'Venue "
        "outage' says."
    ),
    unit="s",
    warning=1,
    critical=60,
)
