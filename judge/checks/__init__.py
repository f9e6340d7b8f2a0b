"""What is checked: each check reads the case and yields findings."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from judge.case import Case
from judge.checks import exposure, ledger, orders, promises, secrecy, tenants, trades
from judge.finding import Finding

Check: TypeAlias = Callable[[Case], Iterable[Finding]]

CHECKS: Sequence[Check] = (
    orders.broken_journals,
    exposure.exposure_violations,
    orders.duplicate_cid,
    orders.double_decision,
    orders.orphan_orders,
    orders.altered_orders,
    orders.phantom_orders,
    orders.assumed_final,
    orders.closing_mismatch,
    orders.stuck_intents,
    trades.fills_and_fees,
    ledger.ledger_diff,
    ledger.unbalanced,
    ledger.fees,
    ledger.positions,
    ledger.reservations,
    promises.kills,
    promises.fences,
    promises.protection,
    promises.venue_limits,
    tenants.cross_tenant,
    secrecy.leaks,
)
