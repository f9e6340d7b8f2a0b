"""Where checkpoints go, outside of the database: into a file, to an address."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from tradefleet.clock import Clock
from tradefleet.engine.pace import Backoff
from tradefleet.operations.audit.records import Record, read_record
from tradefleet.operations.line_file import add_line
from tradefleet.operations.webhooks.courier import cause_of

TRIES = 3
RETRY = Backoff(first=2, factor=2, most=60)
POST_SECONDS = 10.0
TAIL_BYTES = 1 << 20  # of a file, in which its last record stands


class SinkFault(Exception):
    """A checkpoint could not be written, and why."""


class Sink(Protocol):
    """Takes records, one line each, for good."""

    async def last(self) -> Record | None:
        """Return the last record it took, None: none, or it does not know."""

    async def take(self, line: str) -> None:
        """Take a record; SinkFault when it did not."""


@dataclass(frozen=True, slots=True)
class FileSink:
    """Appends to a file, and has it on the disk before it goes on."""

    file: Path

    async def last(self) -> Record | None:
        return await asyncio.to_thread(last_record, self.file)

    async def take(self, line: str) -> None:
        try:
            await asyncio.to_thread(add_line, self.file, line)
        except OSError as error:
            raise SinkFault(f"{self.file}: {error.strerror}") from None


def last_record(file: Path) -> Record | None:
    """Return the last record that was written to its end."""
    try:
        with file.open("rb") as reading:
            size = reading.seek(0, os.SEEK_END)
            reading.seek(max(0, size - TAIL_BYTES))
            tail = reading.read().decode("utf-8", "replace")
    except OSError:
        return None
    records = (read_record(line) for line in reversed(tail.split("\n")) if line)
    return next((record for record in records if record is not None), None)


@dataclass(frozen=True, slots=True)
class UrlSink:
    """Posts to an address of the operator's, several times if need be."""

    url: str
    clock: Clock

    async def last(self) -> Record | None:
        return None

    async def take(self, line: str) -> None:
        fault = ""
        for tried in range(TRIES):
            if tried:
                await self.clock.sleep(RETRY.wait(tried))
            fault = await self._post(line)
            if not fault:
                return
        raise SinkFault(f"AUDIT_CHECKPOINT_URL: {fault}")

    async def _post(self, line: str) -> str:
        """Post once; return what went wrong, "" when nothing did."""
        limit = aiohttp.ClientTimeout(total=POST_SECONDS)
        headers = {"Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(
                    self.url, data=line.encode(), headers=headers, allow_redirects=False
                ) as answer,
            ):
                return "" if answer.status < 300 else f"it answered {answer.status}"
        except TimeoutError:
            return f"no answer within {POST_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return cause_of(error)
