"""Who may write: the lease's epoch and the kill switches, compared inside the transaction."""

from collections.abc import Mapping, Sequence

from tradefleet.domain.errors import LeaseLost, StoreError
from tradefleet.domain.ids import UserId
from tradefleet.store import Batch, KillSwitched

Leases = Mapping[UserId, tuple[int, int]]  # epoch and kill version


def refusal(batch: Batch, leases: Leases) -> StoreError | None:
    """Return why the batch may not be written, or None."""
    epoch, kill_version = leases.get(batch.user_id, (0, 0))
    if epoch == 0 or epoch != batch.epoch:
        return LeaseLost(f"user {batch.user_id} is no longer ours")
    if batch.kill_version is not None and batch.kill_version != kill_version:
        return KillSwitched(f"a kill switch over user {batch.user_id} was changed")
    return None


def refusals(batches: Sequence[Batch], leases: Leases) -> list[StoreError | None]:
    return [refusal(batch, leases) for batch in batches]
