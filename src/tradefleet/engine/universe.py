"""Which of several entry signals comes first when there is not room for all of them."""

from collections.abc import Iterable

from tradefleet.domain.market import Symbol
from tradefleet.domain.signal import Entry


def ranked(entries: Iterable[tuple[Symbol, Entry]]) -> list[tuple[Symbol, Entry]]:
    """Return entries best first: by score, then strength, then the symbol's name.

    Sizes are taken from the balance before any of them, so the order changes no size.
    """
    return sorted(entries, key=lambda it: (-it[1].score, -it[1].strength, str(it[0])))
