"""What a verdict is made of: the counters that must be zero, and what was found against them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Every counter, and what it counts; the page about order safety shows this table.
COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "exposure_violations": "orders and trades by which bots held or had ordered more than"
        " their strategies allow, or sold more than they held",
        "duplicate_cid": "orders accepted under a client id that was accepted before",
        "double_decision": "orders accepted for a decision that had its order already",
        "orphan_orders": "orders the venue accepted that the database does not know",
        "altered_orders": "orders accepted with another symbol, side or quantity than was decided",
        "phantom_orders": "orders live or done in the database that the venue never had",
        "lost_fills": "trades at the venue that are not booked",
        "double_fills": "fills in the books that no trade stands behind, or that stand there twice",
        "ledger_diff_units": "units (10^-8) between ledger and venue, over all accounts and assets",
        "fee_diff_units": "units between the fees booked and those the venue took",
        "position_diff_units": "units a bot says it holds beyond what its ledger place has",
        "unbalanced_tx": "ledger entries that do not sum to zero for each asset",
        "stuck_intents": "orders without an end long after the last fault",
        "unreleased_reservations": "bots that still set money apart when none of their orders is"
        " under way",
        "kill_violations": "opening orders accepted later than kill commit and deadline",
        "fence_violations": "orders accepted after their deadline, or from a host that had been"
        " overtaken for longer than the deadline",
        "cross_tenant": "orders, fills, postings or positions of one owner found at another's",
        "assumed_final": "orders that are over here and live, or traded, at the venue",
        "closing_mismatch": "orders done here with another quantity than the venue traded",
        "secret_leaks": "places outside the vault where a canary secret was found",
        "nonce_errors": "calls a venue refused for their nonce",
        "bans": "calls a venue refused for their number",
        "unprotected_seconds": "seconds by which the 99th percentile of time without a stop"
        " goes beyond 5 s",
        "broken_journals": "journals whose chain of hashes is broken",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that must not be: text is a plain sentence; amount is what it adds.

    orders: client ids, or the venue's numbers where there is none.
    """

    counter: str
    at_ms: int
    account_id: str
    text: str
    orders: tuple[str, ...] = ()
    asset: str = ""
    amount: int = 1
