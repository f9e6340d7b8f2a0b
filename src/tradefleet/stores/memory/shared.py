"""What in memory belongs to no single user: names, signals, leases, messages, notices."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from tradefleet.delivery import AlertDelivery
from tradefleet.domain.errors import Refused, ensure
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.limits import Switch
from tradefleet.domain.user import User
from tradefleet.duty import Duty
from tradefleet.identity import Failures
from tradefleet.store import HostMessage, KeyTaken, Lease, OutboxNotice, ReplayRun, SignalNote

NOBODY = ""


@dataclass(slots=True)
class Waiting:
    """A notice on its way: None is a time never to come."""

    notice: OutboxNotice
    due_at: datetime | None = None


@dataclass(slots=True)
class Shared:
    """The tables over all users."""

    usernames: dict[str, UserId] = field(default_factory=dict)
    telegram_ids: dict[int, UserId] = field(default_factory=dict)
    owners: dict[str, UserId] = field(default_factory=dict)  # of accounts and bots
    leases: dict[UserId, Lease] = field(default_factory=dict)
    messages: dict[int, HostMessage] = field(default_factory=dict)
    outbox: dict[int, Waiting] = field(default_factory=dict)
    signals: dict[str, deque[SignalNote]] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    fingerprints: dict[str, AccountId] = field(default_factory=dict)  # of sealed API keys
    runs: dict[str, ReplayRun] = field(default_factory=dict)
    spent: dict[str, datetime] = field(default_factory=dict)
    duties: dict[str, Duty] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
    platform: dict[str, Switch] = field(default_factory=dict)
    alert_deliveries: dict[int, AlertDelivery] = field(default_factory=dict)
    last_id: int = 0

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def check_names(self, user: User) -> None:
        """Raise Refused when another user has the name or the Telegram account."""
        if self.usernames.get(user.username, user.id) != user.id:
            raise Refused(f"The name {user.username} is taken.")
        if user.telegram_id is None:
            return
        if self.telegram_ids.get(user.telegram_id, user.id) != user.id:
            raise Refused("This Telegram account belongs to another user.")

    def check_fingerprint(self, fingerprint: str, account_id: AccountId) -> None:
        """Raise KeyTaken when another account has the key."""
        if self.fingerprints.get(fingerprint, account_id) != account_id:
            raise KeyTaken

    def claim(self, id: str, user_id: UserId) -> None:
        """Give an account or a bot to a user for good; it cannot be another's."""
        ensure(self.owners.setdefault(id, user_id) == user_id, f"{id} is another user's")

    def rename(self, before: User | None, after: User) -> None:
        """Let the names lead to the user as it is now."""
        if before:
            self.usernames.pop(before.username, None)
            self.telegram_ids.pop(before.telegram_id or 0, None)
        self.usernames[after.username] = after.id
        if after.telegram_id is not None:
            self.telegram_ids[after.telegram_id] = after.id

    def raise_kill_version(self, user_id: UserId) -> None:
        lease = self.leases[user_id]
        self.leases[user_id] = replace(lease, kill_version=lease.kill_version + 1)
