"""What a user asks one bot to do, and what a bot remembers between its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradefleet.domain.ids import AccountId, BotId, UniverseId, UserId
from tradefleet.domain.limits import GuardMemory, RiskLimits
from tradefleet.domain.market import Stream, Symbol, Timeframe
from tradefleet.domain.money import to_unit
from tradefleet.domain.position import Position

MANUAL = "manual"  # the strategy of a bot that has none: its user says what to buy and sell


class BotStatus(StrEnum):
    """What should be: hosts converge to it."""

    STOPPED = "stopped"  # no new entries; an open position stays protected
    RUNNING = "running"
    SET_ASIDE = "set_aside"  # stopped by us after a fault; a human must look


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSpec:
    """One account, one symbol, one strategy, one allocation in quote.

    A bot of a universe has no allocation of its own: it spends from the universe's purse.
    """

    id: BotId
    user_id: UserId
    account_id: AccountId
    venue: str
    symbol: Symbol
    timeframe: Timeframe
    strategy: str
    allocation: Decimal
    params: Mapping[str, str] = field(default_factory=dict)
    status: BotStatus = BotStatus.STOPPED
    note: str = ""  # why it was set aside
    limits: RiskLimits | None = None  # the bot's own, on top of its user's
    universe_id: UniverseId | None = None

    @property
    def is_manual(self) -> bool:
        """Whether it only does what its user asks for, with the money no pair owns."""
        return self.strategy == MANUAL

    @property
    def stream(self) -> Stream:
        return Stream(self.venue, self.symbol, self.timeframe)

    @property
    def group(self) -> str:
        """Name what the bot follows: bots of one group share one run of the strategy."""
        params = ",".join(f"{name}={value}" for name, value in sorted(self.params.items()))
        return f"{self.stream}|{self.strategy}|{params}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotMemory:
    """All a bot remembers between steps, as it is kept in the store.

    cash: free quote, the allocation plus everything booked since, fees paid, so that a bot of a
    universe is below zero by what it took from the purse; last_price: the
    last close seen, for showing equity; decided_at: close time of the last bar that led to an
    order, so that no bar is decided upon twice; seq: number of orders made.
    """

    bot_id: BotId
    user_id: UserId
    cash: Decimal
    seq: int = 0
    decided_at: datetime | None = None
    position: Position | None = None
    last_price: Decimal | None = None
    last_exit_reason: str = ""
    guard: GuardMemory | None = None  # of the bot's own limits, when it has any

    @property
    def equity(self) -> Decimal:
        """What the bot is worth in quote: cash, and what it holds at the last price seen."""
        if self.position is None:
            return self.cash
        price = self.position.entry_price if self.last_price is None else self.last_price
        return self.cash + to_unit(self.position.quantity * price)
