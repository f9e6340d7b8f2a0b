"""Writing to the disk of the data folder fails or is slow.

Nothing is traded that cannot be written down.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="disk_write",
    metric="disk_write_ms",
    summary="Writing to the disk of the data folder fails or is slow",
    cure=(
        "Free space, or see whether the disk became read-only or is dying, as the runbook "
        "'Full disk' says."
    ),
    unit="ms",
    warning=1000,
    critical=5000,
)
