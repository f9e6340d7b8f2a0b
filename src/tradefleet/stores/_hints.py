"""Hints within a process that something was recorded for a user."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from tradefleet.domain.ids import UserId

Told = Callable[[UserId], None]


class Hints:
    """Who wants to be told, and the telling: to nobody it costs nothing."""

    def __init__(self) -> None:
        self._watchers: list[Told] = []

    @contextmanager
    def watch(self, told: Told) -> Iterator[None]:
        """Have told called while this is entered."""
        self._watchers.append(told)
        try:
            yield
        finally:
            self._watchers.remove(told)

    def tell(self, user_ids: Collection[UserId]) -> None:
        """Say that something was recorded for these users."""
        for told in self._watchers:
            for user_id in user_ids:
                told(user_id)
