"""Begins to write the log: to stderr, and into files beside the service's work."""

import logging
import queue
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import TextIO
from urllib.parse import unquote

from pydantic import SecretStr

from tradefleet.operations.logs.berth import Berth
from tradefleet.operations.logs.log_file import Line, LogFile
from tradefleet.operations.logs.masking import Masks
from tradefleet.operations.logs.telling import formatter
from tradefleet.settings import ERROR_LOG, Settings

# Below a warning these tell of themselves, and of what goes over the wire.
NOISY = (
    "aiohttp", "aiosqlite", "alembic", "apprise", "asyncio", "asyncpg", "ccxt", "httpcore", "httpx",
    "matplotlib", "redis", "sqlalchemy", "telegram", "uvicorn", "websockets",
)  # fmt: skip
LINES_WAITING_MAX = 10_000  # for a disk that stands still; of more, the newest are lost and counted
LINES_AT_ONCE = 500
TOO_SLOW = "{count} lines are missing near here: the disk was too slow for them"
PATIENCE = 2.0  # seconds that an end waits for the disk
MIB = 1 << 20
# What telling a record may fail with: whatever is in it must not stop who wanted it told.
FAULTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NameError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Mark:
    """Stands in line to say how far the writing has come; is_last: nothing comes after it."""

    reached: Event
    is_last: bool = False


class Pen:
    """Writes lines into files in a thread of its own: no disk keeps the service waiting."""

    def __init__(
        self,
        files: Sequence[tuple[int, LogFile]],
        berth: Berth,
        note: Callable[[datetime, str], str],
    ) -> None:
        self._files = files  # each with the level from which on lines go there
        self._berth = berth
        self._note = note
        self._waiting: queue.Queue[Line | _Mark] = queue.Queue(LINES_WAITING_MAX)
        self._lost = 0
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Have a line written; nobody waits."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def flush(self) -> None:
        """Wait until what was put here is written, but not for long."""
        self._wait_for(_Mark(Event()))

    def stop(self) -> None:
        """Write what is waiting, and end; a disk that stands still is left alone."""
        self._wait_for(_Mark(Event(), is_last=True))
        self._thread.join(PATIENCE)

    def _wait_for(self, mark: _Mark) -> None:
        with suppress(queue.Full):
            self._waiting.put(mark, timeout=PATIENCE)
            mark.reached.wait(PATIENCE)

    def _run(self) -> None:
        try:
            while self._write_some():
                pass
        finally:
            for _, file in self._files:
                file.close()
            self._berth.leave()

    def _write_some(self) -> bool:
        """Write what is waiting; say whether more may come."""
        lines: list[Line] = []
        marks: list[_Mark] = []
        with suppress(queue.Empty):
            found = self._waiting.get()
            while True:
                lines.append(found) if isinstance(found, Line) else marks.append(found)
                if marks or len(lines) >= LINES_AT_ONCE:
                    break
                found = self._waiting.get_nowait()
        if self._lost and lines:
            lost, self._lost = self._lost, 0
            at, text = lines[-1].at, TOO_SLOW.format(count=lost)
            lines.append(Line(at, self._note(at, text), logging.ERROR))
        for level, file in self._files:
            file.write([line for line in lines if line.level >= level])
        for mark in marks:
            mark.reached.set()
        return not any(mark.is_last for mark in marks)


class Scribe(logging.Handler):
    """Makes a line of each record, once, and gives it to the screen and to the files."""

    def __init__(
        self,
        screen: TextIO,
        *,
        shape: logging.Formatter,
        on_screen: logging.Formatter | None = None,
        pen: Pen | None = None,
    ) -> None:
        super().__init__()
        self.screen, self.pen = screen, pen
        self._shape = shape
        self._on_screen = on_screen  # None: the same as in files

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self._shape.format(record) if self.pen or self._on_screen is None else ""
            shown = text if self._on_screen is None else self._on_screen.format(record)
        except FAULTS as error:
            text = shown = f"a line of {record.name} could not be told: {type(error).__name__}"
        tell(self.screen, shown)
        if self.pen is not None:
            at = datetime.fromtimestamp(record.created, UTC)
            self.pen.put(Line(at, text, record.levelno))

    def flush(self) -> None:
        if self.pen is not None:
            self.pen.flush()

    def close(self) -> None:
        if self.pen is not None:
            self.pen.stop()
        super().close()


def tell(screen: TextIO, text: str) -> None:
    """Write a line to the screen, if there is one that takes it."""
    with suppress(OSError, ValueError):  # closed, or its reader is gone
        screen.write(f"{text}\n")
        screen.flush()


def write_logs(settings: Settings, screen: TextIO | None = None) -> Scribe:
    """Write everybody's log lines as the settings say; in place of what was said before."""
    scribe = scribe_of(settings, screen or sys.stderr)
    root = give_all_to(scribe)
    root.setLevel(settings.log_level)
    logging.captureWarnings(True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return scribe


def show_logs() -> None:
    """Show warnings and errors on stderr, as a command does that writes no log of its own."""
    give_all_to(Scribe(sys.stderr, shape=formatter(Masks(), as_json=False)))


def give_all_to(scribe: Scribe) -> logging.Logger:
    """Let all lines go to a scribe, in place of the one before; return the root of all loggers."""
    root = logging.getLogger()
    for before in [each for each in root.handlers if is_replaced(each)]:
        root.removeHandler(before)
        before.close()
    root.addHandler(scribe)
    return root


def is_replaced(handler: logging.Handler) -> bool:
    """Say whether a handler is ours, or a plain one that would write the same to the screen."""
    return isinstance(handler, Scribe) or type(handler) is logging.StreamHandler


def scribe_of(settings: Settings, screen: TextIO) -> Scribe:
    masks = Masks(secrets_of(settings))
    as_json = settings.log_format == "json"
    has_colors = not as_json and screen.isatty()
    shape = formatter(masks, as_json=as_json)
    return Scribe(
        screen,
        shape=shape,
        on_screen=formatter(masks, as_json=False, colors=True) if has_colors else None,
        pen=pen_of(settings, screen, shape),
    )


def pen_of(settings: Settings, screen: TextIO, shape: logging.Formatter) -> Pen | None:
    """Return what writes the files, None when LOG_FILE is empty."""
    if not settings.log_file:
        return None
    place = settings.log_dir / settings.log_file
    berth = Berth(place.parent, place.name)

    def note(at: datetime, text: str) -> str:
        given = {"name": __name__, "levelno": logging.ERROR, "levelname": "ERROR", "msg": text}
        return shape.format(logging.makeLogRecord({**given, "created": at.timestamp()}))

    def file(name: str, days: int) -> LogFile:
        return LogFile(
            berth=berth,
            name=name,
            size_max=settings.log_max_mb * MIB,
            keep=timedelta(days=days),
            say=lambda text: tell(screen, text),
            note=note,
        )

    every = (logging.NOTSET, file(place.name, settings.log_keep_days))
    errors = (logging.ERROR, file(ERROR_LOG, settings.error_log_keep_days))
    return Pen([every, errors], berth, note)


def secrets_of(settings: Settings) -> list[str]:
    """Return the secrets the settings hold, and the parts they are made of."""
    found: list[str] = []
    for name, value in settings:
        if isinstance(value, SecretStr):
            said = value.get_secret_value()
            if name in ("database_url", "redis_url"):  # of these the password alone is secret
                found += {password_of(said), unquote(password_of(said))}
                continue
            found += [part.strip() for part in said.split(",")]
    return [each for each in found if each]


def password_of(url: str) -> str:
    """Return the password in an address, "" when there is none."""
    name_and_password = url.partition("://")[2].rpartition("@")[0]
    return name_and_password.partition(":")[2]
