"""A venue's public side: its rules, its bars of the past, and what it tells while it trades."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Stream, Symbol, Timeframe, TradingRules
from tradefleet.engine.pace import Priority
from tradefleet.venue import BarSeen, MarketEvent
from tradefleet.venues._ccxt.amounts import understanding
from tradefleet.venues._ccxt.bars import BarTracker
from tradefleet.venues._ccxt.crew import Crew
from tradefleet.venues._ccxt.dialect import Followed
from tradefleet.venues._ccxt.environment import Asker, Environment
from tradefleet.venues._ccxt.following import Following
from tradefleet.venues._ccxt.lines import Line

logger = logging.getLogger(__name__)

HISTORY_MAX = 5000  # bars in one answer
LOOK_SECONDS = 0.5  # between two looks for overdue bars
DARK_SECONDS = 30.0  # without any stream until the reader is told
RESUMED_MAX = 50  # bars missed until a stream is begun anew: who follows it repairs the gap
MOMENT = timedelta(milliseconds=1)


@dataclass(slots=True, eq=False)
class CcxtMarket:
    """One environment's market data, for any number of readers.

    rested: which bars were delivered of streams that were followed until just now.
    """

    environment: Environment
    crew: Crew
    rested: dict[Stream, BarTracker] = field(default_factory=dict)
    _lines: int = 0

    async def rules(self, symbol: Symbol) -> TradingRules:
        return (await self.environment.tradable(symbol)).rules

    # -------------------------------------------------------------- the past

    async def history(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        word = self._word(stream.timeframe)
        listing = await self.environment.listed(stream.symbol)
        followed = Followed(listing, stream.timeframe, word)
        return await self._history(followed, before, min(count, HISTORY_MAX))

    def _word(self, timeframe: Timeframe) -> str:
        """Return the venue's name of a timeframe; Refused, naming all it has, when it has none."""
        words = self.environment.dialect.timeframes
        word = words.get(timeframe.delta)
        if word is None:
            there = ", ".join(str(Timeframe(int(each.total_seconds()))) for each in sorted(words))
            title = self.environment.dialect.title
            raise Refused(f"{title} has no bars of {timeframe}; choose one of {there}.")
        return word

    async def _history(self, followed: Followed, before: datetime, count: int) -> list[Bar]:
        """Fetch the latest closed bars that opened before `before`, page by page, backwards."""
        dialect, book = self.environment.dialect, await self.environment.book()
        asker, length = Asker(environment=self.environment), followed.timeframe.delta
        now = self.environment.now()
        until = min(before, now) - MOMENT
        found: list[Bar] = []
        while len(found) < count:
            asked = min(count - len(found) + 1, dialect.bars_page)  # one may be open still
            with understanding(dialect.title, "bars"):
                errand = asker.errand(Priority.READ, book)
                page = await dialect.bars(errand, followed, until, asked)
            page = [bar for bar in page if bar.opened_at <= until]
            found = [bar for bar in page if bar.opened_at + length <= now] + found
            if len(page) < asked:
                break
            until = page[0].opened_at - MOMENT
        return found[-count:] if count > 0 else []

    # ---------------------------------------------------------- the present

    async def events(self, streams: Sequence[Stream]) -> AsyncIterator[MarketEvent]:
        """Yield prices and closed bars, each bar once and in order, gaps filled from history.

        A stream that the venue does not have is left out, and the log says so. VenueUnavailable
        when no connection is to be had.
        """
        following = await self._follow(streams)
        clock = self.environment.clock
        tasks = [self.crew.start(line.run(), line.name) for line in following.lines]
        tasks.append(self.crew.start(self._keep_looking(following), "overdue bars"))
        lit_at = looked_at = clock.monotonic()
        try:
            while True:
                await following.inbox.waited()
                for event in following.inbox.take():
                    yield event
                if clock.monotonic() - looked_at < LOOK_SECONDS / 2:
                    continue  # prices come by the hundred, bars by the minute
                looked_at = clock.monotonic()
                for stream in following.overdue(self.environment.now()):
                    await self._fetch(following, stream)
                if not following.is_dark:
                    lit_at = clock.monotonic()
                elif following.was_never_lit or clock.monotonic() - lit_at > DARK_SECONDS:
                    raise VenueUnavailable(f"no stream of prices: {following.why}")
        finally:
            for task in tasks:
                task.cancel()
            self.rested.update(following.trackers)

    async def _keep_looking(self, following: Following) -> None:
        """Have the reader look around from time to time, though it was told nothing."""
        while True:
            await self.environment.clock.sleep(LOOK_SECONDS)
            following.inbox.wake()

    async def _fetch(self, following: Following, stream: Stream) -> None:
        """Ask for the bars of a stream that have closed and were not told.

        They stand in line behind bars that were told meanwhile, which are older.
        """
        tracker, now = following.trackers[stream], self.environment.now()
        count = min(tracker.missing(now) + 1, HISTORY_MAX)
        bars: Sequence[Bar] = ()
        try:
            bars = await self._history(following.followed[stream], now, count)
        except VenueUnavailable as error:
            logger.warning("%s: bars are overdue, and not to be had: %s", stream, error)
        for bar in tracker.fetched(bars, now):
            following.inbox.bar(BarSeen(stream, bar))

    async def _follow(self, streams: Sequence[Stream]) -> Following:
        """Prepare to follow what the venue has of these streams."""
        followed: dict[Stream, Followed] = {}
        for stream in streams:
            try:
                word = self._word(stream.timeframe)
                listing = await self.environment.listed(stream.symbol)
            except Refused as refusal:
                logger.warning("%s is not followed: %s", stream, refusal)
                continue
            followed[stream] = Followed(listing, stream.timeframe, word)
        if not followed:
            raise VenueUnavailable(f"{self.environment.dialect.title} has none of these streams")
        following = Following(followed, self._trackers(followed))
        size, wanted = self.environment.dialect.topics_per_stream, list(followed.values())
        for start in range(0, len(wanted), size):
            following.lines.append(self._line(following, wanted[start : start + size]))
        return following

    def _line(self, following: Following, wanted: Sequence[Followed]) -> Line:
        self._lines += 1
        dialect = self.environment.dialect
        return Line(
            environment=self.environment,
            url=self.environment.addresses.public_stream,
            name=f"{self.environment.name} market {self._lines}",
            greeting=partial(dialect.subscribe, wanted),
            hear=lambda message: following.hear(dialect.told(message)),
            up=following.up,
            down=following.down,
            ping=dialect.ping,
        )

    def _trackers(self, followed: Iterable[Stream]) -> dict[Stream, BarTracker]:
        """Go on where a stream was left a short while ago, and begin anew elsewhere."""
        now = self.environment.now()
        for stream, tracker in list(self.rested.items()):
            if tracker.missing(now) > RESUMED_MAX:
                del self.rested[stream]
        made = {}
        for stream in followed:
            fresh = BarTracker(stream.timeframe.delta, now)
            made[stream] = self.rested.pop(stream, fresh)
            made[stream].began_anew()
        return made
