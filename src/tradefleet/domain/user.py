"""Who uses the service, and the venue accounts they own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tradefleet.domain.ids import AccountId, UserId


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


class Mode(StrEnum):
    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A tenant; settings are preferences by name (notifications and the like).

    overrides: limits by name that the operator gave this user in place of the tier's.
    banned_at: since when they may do no more than leave, None: they may; and why.
    """

    id: UserId
    username: str
    created_at: datetime
    telegram_id: int | None = None
    tier: str = "free"
    role: Role = Role.USER
    settings: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, int] = field(default_factory=dict)
    banned_at: datetime | None = None
    banned_because: str = ""


class AccountState(StrEnum):
    ACTIVE = "active"
    DISCONNECTED = "disconnected"  # its keys are gone; what was done in it is kept


class ExternalChanges(StrEnum):
    """What is done about trades and deposits of an account that are not ours."""

    IGNORE = "ignore"
    ADOPT = "adopt"
    ASK = "ask"  # no entries until the user has said what they are


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """What is known of an account's key without opening it; None where the venue does not say.

    fault: what the latest check found wrong, for people, "" when nothing. stopped: the reason
    of the account's switch as long as it stands because of the key or of the operator's rules.
    """

    masked: str
    connected_at: datetime
    checked_at: datetime
    can_read: bool | None = None
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    ip_restricted: bool | None = None
    expires_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    fault: str = ""
    stopped: str = ""
    numbers_ahead: int = 0  # of the clock, in microseconds, where requests bear numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One connection of one user to one venue; at most one per mode. key is None on paper."""

    id: AccountId
    user_id: UserId
    venue: str
    mode: Mode
    created_at: datetime
    state: AccountState = AccountState.ACTIVE
    external_changes: ExternalChanges = ExternalChanges.IGNORE
    key: AccountKey | None = None

    @property
    def is_active(self) -> bool:
        return self.state is AccountState.ACTIVE
