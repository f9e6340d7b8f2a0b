"""Which bars of a stream were delivered, and which are overdue: each once, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradefleet.domain.market import Bar
from tradefleet.engine.pace import Backoff

OVERDUE = timedelta(seconds=2)  # after its close a bar that was not told is asked for
ASKING = Backoff(2.0, 2.0, 60.0)  # seconds between two times it is asked for


@dataclass(slots=True, eq=False)
class BarTracker:
    """One stream of bars since `since`: bars that closed before it were nobody's here.

    last: when the latest delivered bar opened; standing: how the open bar stands, as told.
    """

    length: timedelta
    since: datetime
    last: datetime | None = None
    standing: Bar | None = None
    asked: int = 0
    ask_at: datetime | None = None

    @property
    def reached(self) -> datetime:
        """Until when the stream is told: the close of the last bar, or the beginning."""
        return self.since if self.last is None else self.last + self.length

    def told(self, bar: Bar, is_closed: bool | None) -> Sequence[Bar]:
        """Take what a stream tells of a bar; return the bars to deliver.

        A bar that does not follow the last one is not delivered: what is between is missing
        and must be asked for first. Where a venue never says that a bar is closed (None), the
        first word of the next one does.
        """
        before, self.standing = self.standing, None if is_closed else bar
        if is_closed:
            return self._due(bar)
        if is_closed is None and before is not None and bar.opened_at > before.opened_at:
            return self._due(before)
        return ()

    def fetched(self, bars: Sequence[Bar], now: datetime) -> Sequence[Bar]:
        """Take bars that were asked for, oldest first; return those to deliver."""
        due: list[Bar] = []
        for bar in bars:
            if bar.opened_at + self.length > self.reached and bar.opened_at + self.length <= now:
                due.append(bar)
                self.last = bar.opened_at
        if due:
            self._calm()
        else:
            self.asked += 1
            self.ask_at = now + timedelta(seconds=ASKING.wait(self.asked))
        return due

    def _due(self, bar: Bar) -> Sequence[Bar]:
        if bar.opened_at + self.length <= self.reached:
            return ()  # told before
        if bar.opened_at > self.reached:
            self.hurry()
            return ()
        self.last = bar.opened_at
        self._calm()
        return (bar,)

    def began_anew(self) -> None:
        """The stream tells again after a while of silence."""
        self.standing = None
        self._calm()

    def hurry(self) -> None:
        """Something may have been missed: ask at once."""
        self.asked, self.ask_at = 0, self.since

    def _calm(self) -> None:
        self.asked, self.ask_at = 0, None

    def ask_from(self) -> datetime:
        """Return when to ask for bars that were not told."""
        return self.ask_at if self.ask_at is not None else self.reached + self.length + OVERDUE

    def missing(self, now: datetime) -> int:
        """Return how many bars have closed that were not delivered."""
        return max(0, -((self.reached - now) // self.length))
