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
    """A tenant; settings are preferences by name (notifications and the like)."""

    id: UserId
    username: str
    created_at: datetime
    telegram_id: int | None = None
    tier: str = "free"
    role: Role = Role.USER
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One connection of one user to one venue."""

    id: AccountId
    user_id: UserId
    venue: str
    mode: Mode
    created_at: datetime
