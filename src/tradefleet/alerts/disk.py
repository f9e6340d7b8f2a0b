"""The disk fills up. A database that cannot grow stops the service."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="disk",
    metric="disk_usage",
    summary="The disk fills up",
    cure="Remove old logs and backups or enlarge the disk, as the runbook 'Full disk' says.",
    unit="%",
    warning=80,
    critical=95,
)
