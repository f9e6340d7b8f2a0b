"""What a host keeps of a user and of a bot while it runs them."""

from dataclasses import dataclass, field

from tradefleet.domain.effects import CancelOrder, Record, SendOrder
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import AccountId, BotId, UniverseId, UserId
from tradefleet.domain.user import Account
from tradefleet.engine.bot_engine import BotEngine
from tradefleet.engine.universe import Universe
from tradefleet.engine.user_guard import UserGuard
from tradefleet.runtime.account_books import AccountBooks
from tradefleet.runtime.accounts import AccountLane
from tradefleet.runtime.group_commit import Waiting
from tradefleet.runtime.signal_board import Group
from tradefleet.store import Batch, Lease


@dataclass(slots=True, eq=False)
class HostedBot:
    """One bot with its engine, its user and the group it follows; fault is why it is set aside."""

    engine: BotEngine
    user: "HostedUser"
    group: Group
    fault: str = ""

    @property
    def id(self) -> BotId:
        return self.engine.spec.id

    @property
    def epoch(self) -> int:
        return self.user.lease.epoch


@dataclass(slots=True, eq=False)
class HostedUser:
    """One user under lease. records and acts wait to be written down, then done.

    placing: the last batch that placed orders, which may still be waiting in the journal;
    books: of the accounts at real venues; rung: a venue has news that no bot here knows of;
    ready: all their bots and orders are there.
    """

    lease: Lease
    guard: UserGuard
    accounts: dict[AccountId, Account]
    bots: dict[BotId, HostedBot] = field(default_factory=dict)
    universes: dict[UniverseId, Universe] = field(default_factory=dict)
    lanes: dict[AccountId, "AccountLane[HostedBot]"] = field(default_factory=dict)
    books: dict[AccountId, AccountBooks] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    acts: list[tuple[HostedBot, SendOrder | CancelOrder]] = field(default_factory=list)
    placing: Waiting[Batch, StoreError | None] | None = None
    gone: bool = False
    is_complete: bool = True  # False: bots of a venue that was silent wait to be started
    rung: bool = False
    ready: bool = False

    @property
    def id(self) -> UserId:
        return self.lease.user_id

    @property
    def is_busy(self) -> bool:
        """Say whether something is on its way to a venue, or back."""
        return any(lane.busy for lane in self.lanes.values())
