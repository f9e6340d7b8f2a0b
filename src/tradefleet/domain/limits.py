"""What a user and a bot may do: risk limits, tiers, and where trading has been switched off."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self, TypeAlias

from tradefleet.domain.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits checked before every entry, per bot or per user; None is off.

    *_share values are shares of the balance (0.05 is 5 %), *_quote amounts in quote.
    """

    position_quote_max: Decimal | None = None
    position_share_max: Decimal | None = None
    open_positions_max: int | None = None
    exposure_share_max: Decimal | None = None
    daily_loss_quote: Decimal | None = None
    daily_loss_share: Decimal | None = None
    losses_in_row_max: int | None = None
    drawdown_share_max: Decimal | None = None
    monthly_loss_share_max: Decimal | None = None
    symbols_allowed: frozenset[str] | None = None
    symbols_blocked: frozenset[str] = frozenset()
    leverage_max: Decimal | None = None
    entry_gap_seconds: int | None = None
    breaker_hours: Decimal = Decimal(4)

    @classmethod
    def default(cls) -> Self:
        """The limits a user has who never chose any."""
        return cls(
            daily_loss_share=Decimal("0.05"),
            losses_in_row_max=5,
            drawdown_share_max=Decimal("0.15"),
        )

    def overridden_by(self, other: "RiskLimits") -> "RiskLimits":
        """Return these limits with those of other that are set in their place."""
        plain = RiskLimits()
        changed = {
            f.name: getattr(other, f.name)
            for f in fields(other)
            if getattr(other, f.name) != getattr(plain, f.name)
        }
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return RiskLimits(**{**kept, **changed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What a subscription allows; entries are orders that open or add.

    larger: the other tiers there are, for saying which of them has more.
    """

    name: str
    entries_per_day: int
    open_positions: int
    api_calls_per_minute: int
    bots: int
    signal_channels: int
    advanced_signals: bool = False
    custom_strategies: bool = False
    priority: bool = False
    larger: tuple["Tier", ...] = field(default=(), repr=False, compare=False)

    def more_of(self, limit: str) -> str:
        """Say which tier has more of a limit, the smallest that has; "" when none has."""
        mine = getattr(self, limit)
        more = [(getattr(tier, limit), tier.name) for tier in self.larger]
        found = min((each for each in more if each[0] > mine), default=None)
        return "" if found is None else f" The tier {found[1]} has {found[0]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How often anybody may ask, whatever their tier; calls per minute are the tier's.

    calls_per_minute_max: a ceiling over all tiers, None: there is none.
    """

    signed_in_per_hour: int = 1000
    anonymous_per_hour: int = 100
    sign_ins_per_minute: int = 5
    bot_starts_per_minute: int = 5
    telegram_per_minute: int = 10
    telegram_burst: int = 20
    calls_per_minute_max: int | None = None


MAINTENANCE = "maintenance"  # the platform's second switch: no entries and no new bots for now


class Scope(StrEnum):
    """What a kill switch covers."""

    BOT = "bot"
    ACCOUNT = "account"
    USER = "user"
    PLATFORM = "platform"


class Halt(StrEnum):
    """What a kill switch does where it covers: nothing, forbid entries, or also close all."""

    RUN = "run"
    STOP = "stop"  # no new exposure; open positions stay protected
    FLATTEN = "flatten"  # and every position is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One kill switch as it stands; every change raises the version of what it covers."""

    scope: Scope
    scope_id: str  # bot, account or user id; "*" or MAINTENANCE for the platform
    halt: Halt
    reason: str
    changed_at: datetime
    by_operator: bool = False  # its user does not lift it


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardMemory:
    """What a user's guard remembers between orders, as it is kept in the store.

    entries_today counts orders that opened since `day` began (UTC); realized_* are net sums
    in quote; peak_equity is the highest equity seen, peak_allocations what was allocated
    then; circuit_open_until ends the breaker's cool-down; paused_reason is set until somebody
    resumes. today_base and month_base are the realized sums from which losses are counted
    anew, after the breaker tripped or somebody resumed.
    """

    user_id: UserId
    day: date | None = None
    entries_today: int = 0
    realized_today: Decimal = Decimal(0)
    month: str = ""  # "2026-11"
    realized_month: Decimal = Decimal(0)
    realized_total: Decimal = Decimal(0)
    losses_in_row: int = 0
    peak_equity: Decimal | None = None
    last_entry_at: datetime | None = None
    circuit_open_until: datetime | None = None
    circuit_reason: str = ""
    paused_reason: str = ""
    today_base: Decimal = Decimal(0)
    month_base: Decimal = Decimal(0)
    peak_allocations: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """The order may be sent."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The order may not be sent; which guard said no, and why, for people."""

    guard: str
    reason: str


Verdict: TypeAlias = Approved | Denied


def linked(tiers: Iterable[Tier]) -> Mapping[str, Tier]:
    """Return tiers by name, each of which knows the others."""
    plain = [replace(tier, larger=()) for tier in tiers]
    return {
        tier.name: replace(tier, larger=tuple(each for each in plain if each is not tier))
        for tier in plain
    }


TIERS: Mapping[str, Tier] = linked(
    (
        Tier(
            name="free",
            entries_per_day=5,
            open_positions=2,
            api_calls_per_minute=10,
            bots=3,
            signal_channels=2,
        ),
        Tier(
            name="premium",
            entries_per_day=25,
            open_positions=5,
            api_calls_per_minute=30,
            bots=10,
            signal_channels=10,
            advanced_signals=True,
            priority=True,
        ),
        Tier(
            name="enterprise",
            entries_per_day=100,
            open_positions=20,
            api_calls_per_minute=100,
            bots=50,
            signal_channels=50,
            advanced_signals=True,
            custom_strategies=True,
            priority=True,
        ),
    )
)
