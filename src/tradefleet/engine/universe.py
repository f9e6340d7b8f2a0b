"""The purse several bots share, and which of their entries comes first."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from tradefleet.domain.ids import BotId
from tradefleet.domain.limits import Denied
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import MONEY
from tradefleet.domain.signal import Entry
from tradefleet.domain.universe import UniverseSpec


class Member(Protocol):
    """A bot as its universe sees it."""

    cash: Decimal  # its results, less what it has spent

    @property
    def invested(self) -> Decimal:
        """What the position it holds was bought for."""

    @property
    def reserved(self) -> Decimal:
        """What its entry under way may still cost."""

    @property
    def is_engaged(self) -> bool:
        """Say whether it holds something or has an entry under way."""


@dataclass(slots=True, eq=False)
class Universe:
    """The bots of a universe that a host runs, and what they have between them.

    It remembers nothing of its own: every figure is the sum of what its members remember, so
    that a restart changes none of them.
    """

    spec: UniverseSpec
    members: dict[BotId, Member] = field(default_factory=dict)

    @property
    def cash(self) -> Decimal:
        """What is in the purse: not spent, though some of it may be reserved."""
        return self._purse(member.cash for member in self.members.values())

    @property
    def balance(self) -> Decimal:
        """What shares are shares of: what was given to it, and all that was won or lost since.

        What is held counts as what was paid for it, so that no entry changes the size of another.
        """
        return self._purse(m.cash + m.invested for m in self.members.values())

    @property
    def free(self) -> Decimal:
        """What the next entry may cost."""
        return self._purse(m.cash - m.reserved for m in self.members.values())

    def _purse(self, amounts: Iterable[Decimal]) -> Decimal:
        total = self.spec.funds
        for amount in amounts:
            total = MONEY.add(total, amount)
        return total

    def review(self, bot_id: BotId) -> Denied | None:
        """Deny one more position than the universe may have; cash is the sizes' business."""
        most = self.spec.positions_max
        others = (m.is_engaged for id, m in self.members.items() if id != bot_id)
        if most is None or (count := sum(others)) < most:
            return None
        return Denied(
            "universe_positions",
            f"{count} positions and entries are open in the universe {self.spec.name};"
            f" the limit is {most}.",
        )


def ranked(entries: Iterable[tuple[Symbol, Entry]]) -> list[tuple[Symbol, Entry]]:
    """Return entries best first: by score, then strength, then the symbol's name.

    Sizes are taken from the balance before any of them, so the order changes no size.
    """
    return sorted(entries, key=lambda it: (-it[1].score, -it[1].strength, str(it[0])))


def standing(place: int, entries: list[tuple[Symbol, Entry]]) -> str:
    """Say how one of several ranked entries stands among them; nothing when it is the only one."""
    if len(entries) == 1:
        return ""
    entry = entries[place][1]
    before = ", ".join(str(symbol) for symbol, _ in entries[max(0, place - NAMED_MOST) : place])
    after = f", after {before}" if before else ""
    return (
        f"place {place + 1} of {len(entries)} entries of this bar"
        f" (score {entry.score}, strength {entry.strength:.2f}){after}"
    )


NAMED_MOST = 3  # of those who came before, so many are named
