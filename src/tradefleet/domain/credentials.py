"""An account's keys in memory, and what a venue says that a key may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from tradefleet.domain.errors import VenueError


class Secret:
    """A text that does not show itself: not in a log, a repr, an error or a comparison's diff."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one call that needs it."""
        return self._text

    def masked(self) -> str:
        """Return what may be shown: first and last four characters and the length."""
        text = self._text
        shown = f"{text[:4]}…{text[-4:]}" if len(text) >= 16 else "…"
        return f"{shown} ({len(text)} characters)"

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What opens an account at a venue."""

    api_key: Secret
    api_secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """What a venue says of a key; None where it does not say.

    missing: rights we need and the key has not, in the venue's own words; advised: those
    without which only the daily statement is not possible. clock_offset: the venue's time less
    ours. balances: what the account has, by asset.
    """

    can_read: bool | None
    can_trade: bool | None
    can_withdraw: bool | None
    missing: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()
    ip_restricted: bool | None = None
    expires_at: datetime | None = None
    clock_offset: timedelta = timedelta(0)
    balances: Mapping[str, Decimal] = field(default_factory=dict)


class KeyFault(StrEnum):
    """Why a key could not be checked, or is of no use; each has another cure."""

    INVALID = "invalid"  # the venue does not know the key
    SIGNATURE = "signature"  # it knows the key, and the secret is wrong
    WRONG_MODE = "wrong_mode"  # a testnet key on the real venue, or the other way round
    PERMISSION = "permission"  # a right is missing
    ADDRESS = "address"  # not allowed from this address
    EXPIRED = "expired"
    CLOCK = "clock"  # our clock and the venue's differ too much
    RATE_LIMIT = "rate_limit"
    NETWORK = "network"
    MAINTENANCE = "maintenance"


class KeyRefused(VenueError):
    """A key could not be checked or is of no use; the text holds nothing of it."""

    def __init__(self, fault: KeyFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
