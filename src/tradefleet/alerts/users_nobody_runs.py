"""Nobody runs some users' bots. Their stops are not watched by us."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="users_nobody_runs",
    metric="users_nobody_runs",
    summary="Nobody runs some users' bots",
    cure="See whether a host runs and has room for them, as the runbook 'Lost host' says.",
    unit="users",
    warning=1,
    rounds=2,
)
