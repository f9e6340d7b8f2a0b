"""What the world must know of its database, whichever it is, and what it does to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from judge.evidence import Database


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as it is stored."""

    user_id: str
    bot_id: str
    symbol: str


class Keeping(Protocol):
    """A database that can be set back; base is the store that hosts reach it through."""

    base: Any

    def snapshot(self) -> Any:
        """Return all that is stored, as it stands."""

    def set_back(self, kept: Any) -> None:
        """Let everything be as it was: what was committed since is lost."""

    def sends_lost(self, kept: Any) -> Mapping[str, bool]:
        """Return the orders whose send is stored and was not kept; whether the intent was."""

    def is_settled(self) -> bool:
        """Say whether every order is over, or rests."""

    def totals(self, user: str, account: str) -> Mapping[str, Decimal]:
        """Return what an account's ledger says is in it."""

    def booked(self, user: str, account: str, order: str) -> set[str]:
        """Return the fills of an order that are stored."""

    def held(self) -> Sequence[Holding]: ...
    def troubled(self) -> Sequence[str]:
        """Return users with a switch thrown, or with a bot set aside."""

    def read(self) -> Database: ...
    async def close(self) -> None: ...
