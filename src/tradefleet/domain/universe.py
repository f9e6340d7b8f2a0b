"""What a user asks of several bots that share a purse."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.domain.ids import AccountId, UniverseId, UserId
from tradefleet.domain.money import MONEY, ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseSpec:
    """Several bots of one account, one per symbol, that trade from one purse in one quote.

    allocation: what was given to it; carried: what bots that have left it won or lost.
    positions_max: how many of its bots may be in the market at once, None: as many as the
    user's limits allow.
    """

    id: UniverseId
    user_id: UserId
    account_id: AccountId
    name: str
    asset: str
    allocation: Decimal
    carried: Decimal = ZERO
    positions_max: int | None = None

    @property
    def funds(self) -> Decimal:
        """What the purse holds before its bots' own cash, which may be below zero, is added."""
        return MONEY.add(self.allocation, self.carried)
