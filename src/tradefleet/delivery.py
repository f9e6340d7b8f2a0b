"""How an alert reaches people: one delivery for each receiver, kept until it is done or given up.

Who receives is named by a few words (slack, discord, webhook, telegram, apprise), never by an
address: addresses are secrets, and stay with whoever sends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradefleet.alert import AlertChange
from tradefleet.webhook import Outcome

WAITING_MAX = 500  # for one receiver; of more, the oldest are given up
TOO_MANY = "too many waited for this receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDelivery:
    """A change of an alert on its way to one receiver.

    tries: how often it was sent in vain, and one more when it was delivered; next_at: when to try
    again, None when that is over. error: what the latest try came to, for the operator.
    """

    id: int
    receiver: str
    change: AlertChange
    tries: int = 0
    next_at: datetime | None
    done_at: datetime | None = None
    error: str = ""
    outcome: Outcome = Outcome.RETRYING

    @property
    def is_waiting(self) -> bool:
        return self.outcome is Outcome.RETRYING


class AlertDeliveryStore(Protocol):
    """The deliveries to all receivers."""

    async def add(self, change: AlertChange, receivers: Sequence[str], now: datetime) -> None:
        """Let a change wait for each receiver; for one that was given it already nothing is done.

        Of more than WAITING_MAX that wait for a receiver, the oldest are given up.
        """

    async def waiting(self, receiver: str, limit: int) -> Sequence[AlertDelivery]:
        """Return what waits for a receiver, due or not, in the order it was added."""

    async def keep(self, deliveries: Sequence[AlertDelivery]) -> None:
        """Write down what became of deliveries that waited."""

    async def latest(self, limit: int) -> Sequence[AlertDelivery]:
        """Return what was added last, the newest first."""

    async def counts(self) -> Mapping[tuple[str, Outcome], int]:
        """Return how many deliveries there are, by receiver and outcome."""

    async def forget(self, before: datetime) -> int:
        """Forget what was done before a time; return how many those were."""
