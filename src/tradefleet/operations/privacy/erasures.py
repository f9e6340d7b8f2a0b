"""Erases users who asked for it or whom the operator names, and again what a backup brings."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradefleet import second_factor
from tradefleet.clock import Clock, Ids
from tradefleet.domain.errors import NotThere, StoreError, TradefleetError
from tradefleet.domain.ids import UserId
from tradefleet.operations.privacy.erasure_list import SECRET_NAME, ErasureList, Listed, mark_of
from tradefleet.operations.privacy.log_files import blank_out
from tradefleet.operations.privacy.records import Erased, Records
from tradefleet.operations.sign_in.throttle import named
from tradefleet.store import Store

logger = logging.getLogger(__name__)

ROUND = 5.0  # seconds
LATE = 90.0  # seconds after which every host has let go of somebody who was erased
PSEUDONYM = "erased-"
PSEUDONYM_DIGITS = 16
SCRUBBED_AT_ONCE = 64 << 20  # bytes of an SQLite file: some tenths of a second for who waits
USER, OPERATOR, RESTORE = "user", "operator", "restore"


@dataclass(slots=True, kw_only=True, eq=False)
class Erasures:
    """All erasing; forget: removes what a process keeps of a user outside of the database."""

    store: Store
    records: Records
    clock: Clock
    ids: Ids
    written: ErasureList
    logs: Path | None = None
    forget: Callable[[UserId], None] = lambda user_id: None
    _told: set[UserId] = field(default_factory=set, init=False)
    _late: list[tuple[float, Sequence[str]]] = field(default_factory=list, init=False)

    async def run(self) -> None:
        """Erase who asked for it, over and over, until cancelled."""
        while True:
            await self.turn()
            await self.blank_again()
            await self.clock.sleep(ROUND)

    async def turn(self) -> int:
        """Erase who asked for it and has nothing open; return how many they were."""
        done = 0
        try:
            waiting = await self.records.requests()
        except StoreError as error:
            logger.warning("who asked to be erased is not read now: %s", error)
            return done
        for user_id, request in waiting:
            try:
                await self.erase(user_id, by_whom=USER, reason=request.reason)
                done += 1
            except NotThere:
                continue  # another process was quicker
            except TradefleetError as error:  # theirs alone: nobody else's service ends with it
                if user_id not in self._told:
                    self._told.add(user_id)
                    logger.warning("an erasure that was asked for has to wait: %s", error)
        return done

    async def erase(self, user_id: UserId, *, by_whom: str, reason: str) -> Erased:
        """Erase a user, everywhere; Refused says why that cannot be now.

        The list comes first: a copy from before that is brought back is erased by it again.
        """
        names = await self._names(user_id)
        pseudonym = UserId(PSEUDONYM + self.ids.new()[:PSEUDONYM_DIGITS])
        secret = await self.store.secret(SECRET_NAME)
        now = self.clock.now()
        await self.records.check_erasable(user_id)
        self.written.add(Listed(mark=mark_of(user_id, secret), pseudonym=pseudonym, at=now))
        try:
            done = await self._erased(user_id, pseudonym, by_whom=by_whom, reason=reason)
        except BaseException:
            self.written.withdraw(pseudonym)
            raise
        await self._forget(user_id, names)
        return done

    async def _erased(
        self, user_id: UserId, pseudonym: UserId, *, by_whom: str, reason: str
    ) -> Erased:
        # The reason may name whoever goes, so it stands in the table of erasures alone.
        said = {"user": pseudonym, "by": by_whom}
        await self.store.audits.note("erased", said)  # without which no erased line is believed
        return await self.records.erase(
            user_id, pseudonym, at=self.clock.now(), by_whom=by_whom, reason=reason
        )

    async def _names(self, user_id: UserId) -> Sequence[str]:
        async with self.store.open(user_id, reading=True) as own:
            user = await own.user()
        if user is None:
            raise NotThere(f"There is no user {user_id}.")
        telegram = "" if user.telegram_id is None else str(user.telegram_id)
        return [name for name in dict.fromkeys((user.id, user.username, telegram)) if name]

    async def _forget(self, user_id: UserId, names: Sequence[str]) -> None:
        """Let go of what is not found by the user's id; what fails is said, and stops nothing."""
        counted = [second_factor.name_of(user_id), *(named(name) for name in names)]
        try:
            for name in counted:
                await self.store.identity.forget_failures(name)
            scrubbed = await self.records.scrub(at_most=SCRUBBED_AT_ONCE)
        except StoreError as error:
            logger.warning("after an erasure not all is overwritten: %s", error)
            scrubbed = True
        self.forget(user_id)
        await self._blank(names)
        self._late.append((self.clock.monotonic() + LATE, names))
        if not scrubbed:
            logger.info("after an erasure: `tradefleet privacy scrub` in a quiet hour")

    async def _blank(self, names: Sequence[str]) -> None:
        if self.logs is not None:
            await asyncio.to_thread(blank_out, self.logs, names)  # gigabytes, maybe

    async def blank_again(self, *, at_once: bool = False) -> None:
        """Look into the logs once more: a host that had the user says so as it lets go of them."""
        now = self.clock.monotonic()
        due = [names for at, names in self._late if at_once or at <= now]
        self._late = [each for each in self._late if each[1] not in due]
        for names in due:
            await self._blank(names)

    async def again(self) -> int:
        """Erase in a database that was brought back whoever the list says was erased since.

        Return how many they were. Who came back under the same id after that is somebody new.
        """
        listed = self.written.read()
        if not listed:
            return 0
        secret = await self.store.secret(SECRET_NAME)
        marks: dict[str, list[Listed]] = {}
        for each in listed:
            marks.setdefault(each.mark, []).append(each)
        done = 0
        for user_id, since in await self.records.users():
            for each in marks.get(mark_of(user_id, secret), ()):
                if since < each.at:
                    said = {"user": each.pseudonym, "by": RESTORE}
                    await self.store.audits.note("erased", said)
                    await self.records.erase(
                        user_id, each.pseudonym, at=each.at, by_whom=RESTORE, reason="", force=True
                    )
                    done += 1
                    break
        if done:
            await self.records.scrub()
        return done
