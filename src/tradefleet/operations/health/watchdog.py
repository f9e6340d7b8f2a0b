"""Sees from outside of the event loop that it hangs: a thread that waits for the loop to tick.

First it writes to the log where the loop hangs: names of functions and lines, no values. When it
hangs on, the process is ended, for one that watches no stop is worse than one that starts again.
What ended it is kept in a file, so that the next process tells of it.
"""

import asyncio
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tradefleet.clock import Clock
from tradefleet.domain.health import Metric

logger = logging.getLogger(__name__)

FILE = "watchdog.jsonl"  # in the data folder
LINES_MAX = 100
OVER = timedelta(hours=1)  # restarts that count
FRAMES_MAX = 40  # of the stack, the innermost
EXIT_CODE = 70  # what "software error" is to a supervisor
PAUSED_FROM = 1.0  # seconds by which a look is late that was held up itself
TICKS = 4  # looks in the shorter of the two times


@dataclass(slots=True, kw_only=True, eq=False)
class Watchdog:
    """told_after and ended_after: seconds without a tick until it is told, and until the end."""

    clock: Clock
    folder: Path
    told_after: float
    ended_after: float
    end: Callable[[int], None] = os._exit
    _ticked_at: float = 0.0
    _looked_at: float = 0.0
    _told: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        """Tick until cancelled; the thread lives as long."""
        self._ticked_at = self._looked_at = self.clock.monotonic()
        self._over.clear()
        loop_thread = threading.get_ident()
        thread = threading.Thread(
            target=self._watch, args=(loop_thread,), name="watchdog", daemon=True
        )
        thread.start()
        try:
            while True:
                self._ticked_at = self.clock.monotonic()
                await self.clock.sleep(self._look_every)
        finally:
            self._over.set()

    @property
    def _look_every(self) -> float:
        return min(self.told_after, self.ended_after) / TICKS

    def _watch(self, loop_thread: int) -> None:
        """Look again and again, in the thread."""
        while not self._over.wait(self._look_every):
            self.look(loop_thread)

    def look(self, loop_thread: int) -> None:
        """Tell that the loop hangs, and end the process when it does for too long."""
        now = self.clock.monotonic()
        missed = now - self._looked_at - self._look_every
        self._looked_at = now
        if missed > PAUSED_FROM:
            self._ticked_at += missed  # all stood still, this thread too: the machine slept
        silent = now - self._ticked_at
        if silent < self.told_after:
            if self._told:
                logger.warning("the event loop goes on")
                self._told = False
            return
        if not self._told:
            self._told = True
            where = stack_of(loop_thread)
            logger.critical("the event loop hangs for %.0f s now, in: %s", silent, where)
        if silent >= self.ended_after:
            where = stack_of(loop_thread)
            logger.critical("the event loop hung for %.0f s: the process ends", silent)
            self._note(where)
            self.end(EXIT_CODE)

    def _note(self, where: str) -> None:
        """Write down what ended the process; a disk that is full does not keep it alive."""
        file = self.folder / FILE
        line = json.dumps({"at": self.clock.now().isoformat(), "pid": os.getpid(), "in": where})
        try:
            known = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            text = "\n".join([*known, line][-LINES_MAX:])
            file.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            logger.critical("%s cannot be written: %s", file, error.strerror)

    async def measure(self) -> dict[str, Metric]:
        """Return how often it ended a process lately."""
        ends = await asyncio.to_thread(latest_ends, self.folder / FILE, self.clock.now() - OVER)
        return {"watchdog_restarts": Metric(len(ends), detail=ends[-1] if ends else "")}


def latest_ends(file: Path, since: datetime) -> list[str]:
    """Return where processes hung that were ended since then."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            known = json.loads(line)
            at = datetime.fromisoformat(known["at"]).astimezone(UTC)
        except (ValueError, KeyError, TypeError):
            continue  # the rest of a line that was being written
        if at >= since:
            found.append(str(known.get("in", "")))
    return found


def stack_of(thread: int) -> str:
    """Return where a thread is, from the outside in: functions and lines, and no values."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "a thread that is no more"
    steps = [
        f"{Path(step.f_code.co_filename).name}:{number} {step.f_code.co_name}"
        for step, number in traceback.walk_stack(frame)
    ]
    return " > ".join(reversed(steps[:FRAMES_MAX]))
