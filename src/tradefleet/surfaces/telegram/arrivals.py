"""Updates as they arrive: seen once, counted while they are being worked on, never unbounded."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

BACKLOG_MAX = 2_000  # updates taken and not yet done; more are left to Telegram
SEEN_MAX = 10_000  # update ids remembered
KINDS = ("message", "edited_message", "callback_query")  # all that we ask Telegram for


@dataclass(slots=True)
class Arrival:
    """One update; raw is kept out of its repr because it may hold a secret.

    repeated: it came before. deleted: whether the message could be deleted, None when it did
    not need to be.
    """

    raw: dict[str, Any] = field(repr=False)
    repeated: bool = False
    deleted: bool | None = None

    @property
    def sender(self) -> int | None:
        """Return the Telegram id of who sent it."""
        for kind in KINDS:
            sender = part(part(self.raw, kind), "from").get("id")
            if isinstance(sender, int) and is_number(sender):
                return sender
        return None

    @property
    def message(self) -> dict[str, Any]:
        """Return the message it brings, or nothing when it brings none."""
        return part(self.raw, "message") or part(self.raw, "edited_message")

    @property
    def text(self) -> str:
        """Return the text of its message, or of the picture that it is."""
        text = self.message.get("text") or self.message.get("caption")
        return text if isinstance(text, str) else ""


def part(of: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside an object, empty when it is none."""
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Intake:
    """Where polling and webhook put what they get."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[object] = asyncio.Queue()  # bounded by BACKLOG_MAX, below
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._busy = 0
        self._room = asyncio.Event()
        self._room.set()

    def offer(self, raw: dict[str, Any]) -> bool:
        """Take an update (it has an id); return False, taking nothing, when there is no room."""
        if not self._room.is_set():
            return False
        self.queue.put_nowait(Arrival(raw, repeated=self._is_repeated(raw["update_id"])))
        self._count(1)
        return True

    async def put(self, raw: dict[str, Any]) -> None:
        """Take an update as soon as there is room."""
        while not self.offer(raw):
            await self._room.wait()

    def done(self) -> None:
        """Hear that one is done with."""
        self._count(-1)

    def _count(self, change: int) -> None:
        self._busy += change
        if self._busy < BACKLOG_MAX:
            self._room.set()
        else:
            self._room.clear()

    def _is_repeated(self, update_id: int) -> bool:
        if update_id in self._seen:
            return True
        self._seen[update_id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return False
