"""The latest backup is old.

What happened since the latest backup would be lost with the database.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="backup_age",
    metric="backup_age_h",
    summary="The latest backup is old",
    cure=(
        "See in the log why the scheduled backup failed and make one with tradefleet backup, "
        "as the runbook 'Database corruption' says."
    ),
    unit="h",
    warning=26,
    critical=50,
)
