"""What a notifier is: one way to reach a user outside a conversation."""

from typing import Protocol

from tradefleet.store import OutboxNotice


class RetryLater(Exception):
    """The way is closed for now; try again after seconds. everyone: closed to all, not to one."""

    def __init__(self, seconds: float, cause: str, *, everyone: bool = False) -> None:
        super().__init__(f"{cause}; try again in {seconds:g} s")
        self.seconds = seconds
        self.everyone = everyone


class Blocked(Exception):
    """This user does not want to hear from us, or is there no more: leave them in peace."""


class Notifier(Protocol):
    """Delivers notices. One per file in notifiers/ or inside the surface it belongs to."""

    def reaches(self, notice: OutboxNotice) -> bool: ...
    async def deliver(self, notice: OutboxNotice) -> None:
        """Deliver one notice, as loud as it says.

        Raise RetryLater, Blocked, or anything else to give it up.
        """
