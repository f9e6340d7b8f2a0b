"""A host is nearly full. A host takes what nobody runs, also beyond what it was sized for."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="bots_per_host",
    metric="bots_per_host",
    summary="A host is nearly full",
    cure=(
        "Add a host, or raise MAX_BOTS_PER_SERVER if its figures allow it, as the runbook "
        "'High load' says."
    ),
    unit="% of MAX_BOTS_PER_SERVER",
    warning=90,
)
