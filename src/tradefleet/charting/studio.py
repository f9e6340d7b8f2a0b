"""Where pictures are ordered: one process draws them, one after the other, out of the way."""

import asyncio
import importlib.util
import logging
import pickle
import subprocess
import sys
import threading
from typing import IO

from tradefleet.charting.worker import LENGTH
from tradefleet.domain.chart import Chart, Theme
from tradefleet.domain.errors import Refused

logger = logging.getLogger(__name__)

WAITING_MAX = 20  # who come when so many wait are sent away
PATIENCE = 20.0  # seconds for one picture; a process that needs longer is ended
FAREWELL = 2.0  # seconds to end by itself
NOT_INSTALLED = (
    "No pictures here: the operator left them out. With the charts extra installed "
    "(pip install 'tradefleet[charts]') there are some."
)
BUSY = "Too many pictures are being drawn now; try again in a minute."
FAILED = "The picture could not be drawn; the operator finds the cause in the log."


class NoPicture(Refused):
    """There is no picture, and the text says why."""


class Studio:
    """Draws charts by a process that is started when needed and ends when it is not."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = asyncio.Lock()
        self._pipes = threading.Lock()  # one request at a time, also of one whose asker has gone
        self._waiting = 0

    async def draw(self, chart: Chart, theme: Theme) -> bytes:
        """Return a PNG picture; raise NoPicture."""
        if importlib.util.find_spec("matplotlib") is None:
            raise NoPicture(NOT_INSTALLED)
        if self._waiting >= WAITING_MAX:
            raise NoPicture(BUSY)
        self._waiting += 1
        try:
            async with self._turn:
                drawing = asyncio.to_thread(self._ask, pickle.dumps((chart, theme)))
                return await asyncio.shield(drawing)
        except (OSError, EOFError) as error:
            logger.warning("charts: %s: %s", type(error).__name__, error)
            raise NoPicture(FAILED) from None
        finally:
            self._waiting -= 1

    def _ask(self, request: bytes) -> bytes:
        """Send one request and wait for its answer, in a thread of its own."""
        with self._pipes:
            process = self._running()
            watch = threading.Timer(PATIENCE, process.kill)
            watch.start()
            try:
                return answer_of(process, request)
            except (OSError, EOFError):
                self.close()  # whatever it still does; the next one begins anew
                raise
            finally:
                watch.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        command = [sys.executable, "-m", "tradefleet.charting.worker"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        return self._process

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in pipes_of(process):
            try:
                stream.close()
            except OSError:
                continue
        try:
            process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answer_of(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Return the picture a process makes of a request; raise EOFError when it ends over it."""
    requests, answers = pipes_of(process)
    requests.write(len(request).to_bytes(LENGTH) + request)
    requests.flush()
    length = int.from_bytes(answers.read(LENGTH))
    picture = answers.read(length)
    if not picture or len(picture) < length:
        raise EOFError("the drawing process ended in the midst of a picture")
    return picture


def pipes_of(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise OSError("the drawing process has no pipes")
    return process.stdin, process.stdout
