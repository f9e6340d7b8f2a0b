"""What a receiver of alerts is, and how it says that it did not take one."""

from collections.abc import Sequence
from typing import Protocol

from tradefleet.alert import AlertChange


class NotTaken(Exception):
    """A receiver took nothing; the text is for the operator and names no address.

    wait: the seconds it asked for until the next try. is_refusal: it would say the same again.
    """

    def __init__(self, text: str, *, wait: float | None = None, is_refusal: bool = False) -> None:
        super().__init__(text)
        self.wait = wait
        self.is_refusal = is_refusal


class Receiver(Protocol):
    """One place alerts are sent to.

    name: a word or two that are no secret, the same at each start.
    """

    @property
    def name(self) -> str: ...

    async def send(self, changes: Sequence[AlertChange]) -> str:
        """Send changes as one message and return what was answered; raise NotTaken."""
