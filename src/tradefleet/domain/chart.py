"""What a picture of a market or of money is made of; how it is drawn is another's business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from tradefleet.domain.market import Bar, Timeframe


class Theme(StrEnum):
    """What a picture is looked at on."""

    DARK = "dark"
    LIGHT = "light"


class MarkKind(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"


class LevelKind(StrEnum):
    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something was bought or sold at a moment; text: what it brought, "" when nothing is known."""

    kind: MarkKind
    at: datetime
    price: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A closed trade, from its entry to its exit."""

    opened_at: datetime
    entry_price: Decimal
    closed_at: datetime
    exit_price: Decimal
    won: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A price that matters now."""

    kind: LevelKind
    price: Decimal
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleChart:
    """Bars, oldest first and at least one, with what was traded and what is waited for."""

    title: str
    subtitle: str
    timeframe: Timeframe
    bars: Sequence[Bar]
    marks: Sequence[Mark] = ()
    spans: Sequence[Span] = ()
    levels: Sequence[Level] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityChart:
    """What there was, in one quote, after each trade: at least two points, oldest first."""

    title: str
    subtitle: str
    quote: str
    points: Sequence[tuple[datetime, Decimal]]


Chart: TypeAlias = CandleChart | EquityChart
