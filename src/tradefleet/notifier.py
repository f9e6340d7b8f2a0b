"""What a notifier is: one way to reach a user outside a conversation."""

from typing import Protocol

from tradefleet.store import OutboxNotice


class RetryLater(Exception):
    """The way is closed for now; try again after seconds."""

    def __init__(self, seconds: float, cause: str) -> None:
        super().__init__(f"{cause}; try again in {seconds:g} s")
        self.seconds = seconds


class Notifier(Protocol):
    """Delivers notices. One per file in notifiers/ or inside the surface it belongs to."""

    def reaches(self, notice: OutboxNotice) -> bool: ...
    async def deliver(self, notice: OutboxNotice) -> None:
        """Deliver one notice; raise RetryLater, or anything else to give it up."""
