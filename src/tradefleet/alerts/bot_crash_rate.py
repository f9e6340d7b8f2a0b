"""Bots were set aside after a fault.

A bot with a fault stops deciding; its stop is still watched.
"""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="bot_crash_rate",
    metric="bot_crash_rate",
    summary="Bots were set aside after a fault",
    cure=(
        "Find the fault in the error log by the bot's id, mend it and start the bot again, as "
        "the runbook 'High load' says."
    ),
    unit="%",
    warning=1,
    critical=20,
)
