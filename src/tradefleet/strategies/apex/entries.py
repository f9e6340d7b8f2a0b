"""What APEX proposes at an entry; written out when somebody reads it, for most are never read.

Nearly all followers of an entry signal hold a position already and only look for an exit.
"""

from typing import TypeAlias

from tradefleet.domain.money import from_float
from tradefleet.strategies.apex.parameters import ApexParameters, Sizes
from tradefleet.strategy import Entry, Signal

# Entry points are a set of bits: what they say is written down once, not at every signal.
POINT_REASONS = {
    1: "near middle EMA or VWAP",
    2: "RSI in range and moving along",
    4: "engulfing or hammer candle",
    8: "MACD histogram moving along",
    16: "volume keeps up",
}
NEAR, RSI, CANDLE, MACD, VOLUME = POINT_REASONS
REASONS = [
    tuple(reason for point, reason in POINT_REASONS.items() if points & point)
    for points in range(2 * VOLUME)
]


class Entries:
    """Sizes and words of entries, from nothing but parameters and the figures of a bar."""

    __slots__ = ("_parameters", "_sizes")

    def __init__(self, parameters: ApexParameters) -> None:
        self._parameters = parameters
        self._sizes = Sizes(parameters)

    def strength(self, adx: float, rsi: float) -> float:
        """Return the momentum score; an RSI that is not known adds nothing."""
        p = self._parameters
        far = abs(rsi - 50.0) / 50.0 if rsi == rsi else 0.0
        strong = adx / 50.0 if adx < 50.0 else 1.0
        return p.momentum_rsi * far + p.momentum_adx * strong + p.momentum_base

    def entry(self, points: int, adx: float, rsi: float, stop: float) -> Entry:
        """Return the entry on a bar with these entry points, ADX, RSI and level of the stop."""
        score, strength = points.bit_count(), self.strength(adx, rsi)
        reasons = (*REASONS[points], f"ADX {adx:.4g}, momentum score {strength:.3g}")
        return Entry(from_float(stop), self._sizes.fraction(adx, score), score, strength, reasons)


# What an entry is made of: by whom, from the arguments of `Entries.entry`.
Draft: TypeAlias = tuple[Entries, int, float, float, float]


class EntrySignal(Signal):
    """A signal with an entry; equal to a plain one that says the same.

    leave is what the bar says to those who hold a position, if anything.
    """

    __slots__ = ("_entry", "_leave")
    _entry: Entry | Draft
    _leave: Signal | None

    def __init__(self, draft: Draft, leave: Signal | None) -> None:
        _set_entry(self, draft)
        _set_leave(self, leave)

    @property
    def entry(self) -> Entry:
        entry = self._entry
        if isinstance(entry, tuple):
            entries, points, adx, rsi, stop = entry
            entry = entries.entry(points, adx, rsi, stop)
            _set_entry(self, entry)
        return entry

    @property
    def exit_reason(self) -> str:
        return "" if self._leave is None else self._leave.exit_reason

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.entry.reasons if self._leave is None else self._leave.reasons

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signal):
            return NotImplemented
        return _said(self) == _said(other)

    def __hash__(self) -> int:
        return hash(_said(self))


def _said(signal: Signal) -> tuple[Entry | None, str, tuple[str, ...]]:
    return signal.entry, signal.exit_reason, signal.reasons


# A frozen value refuses to be set; its slots do not.
_set_entry = EntrySignal.__dict__["_entry"].__set__
_set_leave = EntrySignal.__dict__["_leave"].__set__
