"""No checkpoint of the audit log was written for a while.

Lines younger than the last checkpoint can be cut off the log without a trace.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="audit_checkpoint_lag",
    metric="audit_checkpoint_lag_s",
    summary="No checkpoint of the audit log is written",
    cure=(
        "The log names the sink and why: see that AUDIT_CHECKPOINT_FILE can be written and that "
        "AUDIT_CHECKPOINT_URL answers."
    ),
    unit="s",
    warning=180,
    critical=900,
)
