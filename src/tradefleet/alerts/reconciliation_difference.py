"""Our books and a venue's differ. Either somebody else moved money or we missed something."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="reconciliation_difference",
    metric="statements_that_disagree",
    summary="Our books and a venue's differ",
    cure=(
        "Ask the account's owner to look at /external and compare, as the runbook 'Security "
        "incident' says."
    ),
    unit="accounts",
    warning=1,
)
