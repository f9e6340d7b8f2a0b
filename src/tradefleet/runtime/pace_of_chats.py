"""When a message may go to a chat: one a second each, thirty over all, and as Telegram asks."""

from collections import OrderedDict
from datetime import datetime, timedelta

from tradefleet.engine.pace import Backoff, TokenBucket

PER_SECOND = 30.0  # Telegram's limit over all chats; the burst stays below it
BURST = 15
RESERVE = 5  # of the burst, kept for what is urgent
CHAT_PAUSE = 1.0  # seconds between two messages to one chat, Telegram's limit
FLOOD_CHATS = 3  # so many chats told to wait at once: it is meant for all
CLOSED = Backoff(first=1, factor=2, most=60)  # while nobody can be reached
IN_FLIGHT_MAX = 50
LEFT_IN_PEACE = timedelta(hours=1)  # whoever blocked us, before we try again
BLOCKED_MAX = 50_000  # chats remembered; of more, the oldest are tried once too often


class PaceOfChats:
    """Who may be written to now; times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._rate = TokenBucket(PER_SECOND, BURST)
        self._free_at: dict[int, float] = {}  # by chat, while it must wait
        self._told_to_wait: dict[int, float] = {}  # by chat, those of them that Telegram named
        self._busy: set[int] = set()
        self._blocked: OrderedDict[int, datetime] = OrderedDict()
        self._closed_until = 0.0
        self._failures = 0  # in a row, of the way to all

    def begin(self) -> None:
        """Forget what was under way: it was broken off."""
        self._busy.clear()

    def look(self, now: float) -> None:
        """Forget what is over."""
        self._free_at = {chat: free for chat, free in self._free_at.items() if free > now}
        self._told_to_wait = {chat: at for chat, at in self._told_to_wait.items() if at > now}

    def at_once(self) -> int:
        """Return how many messages may be under way: one, to try it out, after a failure."""
        return 1 if self._failures else IN_FLIGHT_MAX

    def is_closed(self, now: float) -> bool:
        """Say whether nobody may be written to now."""
        return now < self._closed_until

    def must_wait(self, chat: int) -> bool:
        return chat in self._busy or chat in self._free_at

    def take(self, chat: int, now: float, *, urgent: bool) -> bool:
        """Begin to write to a chat, if the rate over all allows it."""
        if self._rate.take(now, keep=0 if urgent else RESERVE) > 0:
            return False
        self._busy.add(chat)
        return True

    def done(self, chat: int, now: float, wait: float = 0.0) -> None:
        """Hear that it is done with; wait: the seconds Telegram asked for."""
        self._busy.discard(chat)
        self._free_at[chat] = now + max(CHAT_PAUSE, wait)
        if wait > 0:
            self._told_to_wait[chat] = now + wait
            if len(self._told_to_wait) >= FLOOD_CHATS:
                self._closed_until = max(self._closed_until, *self._told_to_wait.values())

    def reached(self) -> None:
        """Hear that somebody was reached, so the way is open."""
        self._failures = 0

    def close(self, now: float, wait: float) -> float:
        """Hear that nobody can be reached; return the seconds until it is tried again.

        Those who were under way together count as one failure.
        """
        if not self.is_closed(now):
            self._failures += 1
            self._closed_until = now + CLOSED.wait(self._failures)
        self._closed_until = max(self._closed_until, now + wait)
        return self._closed_until - now

    def block(self, chat: int, now: datetime) -> None:
        """Hear that a chat wants to be left in peace."""
        self._blocked[chat] = now + LEFT_IN_PEACE
        self._blocked.move_to_end(chat)
        if len(self._blocked) > BLOCKED_MAX:
            self._blocked.popitem(last=False)

    def blocked_until(self, chat: int, now: datetime) -> datetime | None:
        """Return until when a chat is left in peace, None when it is not."""
        until = self._blocked.get(chat)
        if until is not None and until <= now:
            del self._blocked[chat]
            return None
        return until
