"""Loop G: once a day and account, our books against the venue's own ledger, to the unit.

It ends at a moment at which books and balances agreed, some time ago: by then the venue's lists
have everything. Where it ended is written into the ledger itself, so a restart goes on from there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradefleet.domain.errors import VenueError
from tradefleet.domain.ids import AccountId, FillId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.statement import VenueStatement
from tradefleet.engine import statement
from tradefleet.engine.statement import Comparison, TradeTrouble
from tradefleet.runtime.account_check import AccountCheck
from tradefleet.runtime.recovery import read_entries
from tradefleet.venue import StatementNotPossible

logger = logging.getLogger(__name__)

LISTED_AFTER = timedelta(minutes=2)  # by then the venue's lists show what happened
BEFORE = timedelta(minutes=5)  # so much earlier is asked for, too: clocks and lists differ
APART = timedelta(seconds=2)  # our clock and the venue's may differ by less
AGAIN = 60.0  # seconds, when there was no moment to end at
AFTER_A_FAULT = 1800.0
NAMED_MOST = 3  # of several troubles, so many are named to the user


@dataclass(slots=True, eq=False)
class DailyStatement:
    """share: an account's place in the day. latest: what was found last, by account."""

    latest: dict[AccountId, Comparison] = field(default_factory=dict)
    not_possible: dict[AccountId, str] = field(default_factory=dict)  # why, by account

    @property
    def differing(self) -> int:
        """How many accounts' latest statement did not agree."""
        return sum(not found.agrees for found in self.latest.values())

    async def make(self, check: AccountCheck, share: float) -> float:
        """Compare what is due and return in how many seconds to look again."""
        host, now, since = check.host, check.host.clock.now(), check.books.begun
        if since is None:
            return AGAIN
        if (due := statement.due_after(since, share)) > now:
            return (due - now).total_seconds()
        moments = [at for at in check.agreed if at > since and now - at >= LISTED_AFTER]
        if not moments:
            return AGAIN
        booked = await read_entries(host, check.user, check.account_id)
        try:
            found = await self._compare(check, booked, since, moments)
        except StatementNotPossible as why:
            self._cannot(check, str(why))
            return statement.DAY.total_seconds()
        except VenueError as fault:
            logger.warning("no statement of account %s now: %s", check.account_id, fault)
            return AFTER_A_FAULT
        if found is None or check.user.gone:
            return AGAIN
        self.not_possible.pop(check.account_id, None)
        await self._conclude(check, found)
        return (statement.due_after(found.until, share) - now).total_seconds()

    async def begin(self, check: AccountCheck) -> None:
        """Write down when the first statement is to begin: books and balances agreed then."""
        await self._write(check, Comparison.of_nothing(min(check.agreed)))

    async def _compare(
        self,
        check: AccountCheck,
        booked: Sequence[LedgerEntry],
        since: datetime,
        moments: Sequence[datetime],
    ) -> Comparison | None:
        """Return how the ledgers stand to each other; None when the moment must be another."""
        link, now = check.lane.link, check.host.clock.now()
        early = since - BEFORE
        symbols = {*check.symbols, *statement.symbols_of(booked, early)}
        told = await link.statement(sorted(symbols, key=str), early, now)
        until = statement.clear_moment(moments, times_of(told, booked), APART)
        if until is None:
            return None
        return statement.compare(
            told,
            booked,
            since=since,
            until=until,
            ours=await ours_among(check, told, booked, since, until),
        )

    def _cannot(self, check: AccountCheck, why: str) -> None:
        """Say once that there is none: the user hears of it when the key is checked."""
        if self.not_possible.get(check.account_id) != why:
            self.not_possible[check.account_id] = why
            logger.info("statement of account %s: not possible: %s", check.account_id, why)

    async def _conclude(self, check: AccountCheck, found: Comparison) -> None:
        """Tell what is wrong, then write down that it was told, and until when all is compared."""
        self.latest[check.account_id] = found
        if not found.agrees:
            await check.others.stop_entries(
                f"the daily statement disagrees with {check.account.venue}: {wrong_in(found)}",
                "Your positions stay protected. The operator of this service has been told, and "
                "looks for the cause; the books are corrected by entries of their own.",
            )
        elif found.differing:
            what = ", ".join(
                f"{each.difference.normalize():f} {each.asset}" for each in found.differing
            )
            logger.info("account %s: no list of the venue shows %s", check.account_id, what)
        await self._write(check, found)

    async def _write(self, check: AccountCheck, found: Comparison) -> None:
        if check.user.gone:
            return
        quotes = {symbol.quote for symbol in check.symbols}
        marks = statement.marks_of(
            found,
            user_id=check.user.id,
            account_id=check.account_id,
            assets={*quotes, *(line.asset for line in found.lines)},
        )
        await check.host.book(check.user, marks)


def times_of(told: VenueStatement, booked: Sequence[LedgerEntry]) -> list[datetime]:
    """Return when trades and payments were, by the venue's clock."""
    ours = (entry.booked_at for entry in booked if statement.trade_of(entry) is not None)
    return [*(entry.at for entry in told.entries), *ours]


async def ours_among(
    check: AccountCheck,
    told: VenueStatement,
    booked: Sequence[LedgerEntry],
    since: datetime,
    until: datetime,
) -> set[FillId]:
    """Return the trades of our own orders that are not booked."""
    inside = VenueStatement(tuple(entry for entry in told.entries if since < entry.at <= until))
    missing = statement.unbooked(inside, booked)
    return await check.ours_among(missing, since - BEFORE) if missing else set()


def wrong_in(found: Comparison) -> str:
    """Return what a statement found wrong, for people."""
    parts = [described(each) for each in found.troubles[:NAMED_MOST]]
    more = len(found.troubles) - NAMED_MOST
    if more > 0:
        parts.append(f"and {more} more trades")
    if not found.hidden:
        parts += [
            f"{line.asset} moved by {line.moved.normalize():f} there and by "
            f"{line.books.normalize():f} in our books"
            for line in found.differing[:NAMED_MOST]
        ]
    return "; ".join(parts)


def described(trouble: TradeTrouble) -> str:
    return f"trade {trouble.trade_id} of {trouble.at:%Y-%m-%d %H:%M} {trouble.trouble}"
