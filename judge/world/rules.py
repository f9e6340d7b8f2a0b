"""The four sets of rules that a direct venue can have, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tradefleet.venue import VenueTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one kind of venue behaves, as far as orders can be doubled or lost by it.

    unique_ids: among open orders, ever, or not at all. fence: what refuses an order that comes
    late: deadline (the order says until when, and the answer proves nothing), window (its signed
    time must be recent, and the answer proves that nothing was done), none. nonce_window_ms: how
    much smaller than the greatest a key's number may be; None where requests bear no number.
    says_yes_first: it acknowledges what it may refuse a moment later. forgets: what is over may
    be missing under its name (a restart there), though the lists have it. delay_max: the longest
    that a request may be late, in seconds, where nothing refuses one that is.
    """

    name: str
    unique_ids: str
    fence: str
    timing: VenueTiming
    window_ms: int = 5000
    ahead_ms: int = 1000
    nonce_window_ms: int | None = None
    says_yes_first: bool = False
    forgets: bool = False
    dedupes_requests: bool = False
    delay_max: float = 120.0


ALL: Mapping[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            name="kraken",
            unique_ids="live",
            fence="deadline",
            timing=VenueTiming(visibility=timedelta(seconds=2)),
            nonce_window_ms=10_000,
        ),
        Rules(
            name="binance",
            unique_ids="live",
            fence="window",
            timing=VenueTiming(visibility=timedelta(seconds=1)),
        ),
        Rules(
            name="bybit",
            unique_ids="ever",
            fence="window",
            timing=VenueTiming(),
            says_yes_first=True,
            forgets=True,
        ),
        Rules(
            name="mt5",
            unique_ids="none",
            fence="none",
            timing=VenueTiming(visibility=timedelta(seconds=5), grace=timedelta(seconds=180)),
            dedupes_requests=True,
        ),
    )
}
