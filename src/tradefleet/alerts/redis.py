"""Redis is not reached: nothing is refused, but each process counts requests by itself."""

from tradefleet.alert import AlertSpec

ALERT = AlertSpec(
    name="redis",
    metric="redis_silent_s",
    summary="Redis is not reached, so each process counts requests by itself",
    cure="See whether Redis runs and whether REDIS_URL is right; `tradefleet doctor` asks it.",
    unit="s",
    warning=60,
)
