"""Telegram is not reached. Users neither hear of their trades nor can they ask."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="telegram",
    metric="telegram_silent_s",
    summary="Telegram is not reached",
    cure=(
        "See whether Telegram has an outage and whether the token still holds, as the runbook "
        "'Telegram outage' says."
    ),
    unit="s",
    warning=25,
    critical=300,
)
