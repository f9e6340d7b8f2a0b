"""What happens to a user, one event after the other; after a break it goes on by itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import aiohttp

WAIT_FIRST = 1.0  # seconds before it comes back; then twice as long each time
WAIT_MAX = 30.0
SILENCE_MAX = 60.0  # seconds without even a sign of life, of which there is one every 25


class Event(TypedDict):
    """One thing that happened; type reset: read everything anew, some of it is not told."""

    id: int
    type: str
    at: str
    data: Any


class Refused(Exception):
    """The service tells this client nothing; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the service answered {status}")
        self.status = status


async def events_from(
    session: aiohttp.ClientSession, address: str, after: int | None
) -> AsyncIterator[Event]:
    """Yield events after a number, or from now on, until the session is closed."""
    wait = WAIT_FIRST
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=WAIT_MAX, sock_read=SILENCE_MAX)
    while not session.closed:
        headers = {"Accept": "text/event-stream"}
        query = {} if after is None else {"after": str(after)}
        try:
            async with session.get(
                address, params=query, headers=headers, timeout=timeout
            ) as response:
                if response.status in (400, 401, 403, 404):
                    raise Refused(response.status)
                response.raise_for_status()
                async for line in response.content:
                    if not line.startswith(b'data: {"id":'):
                        continue
                    event: Event = json.loads(line.removeprefix(b"data: "))
                    after, wait = event["id"], WAIT_FIRST
                    if event["type"] != "hello":
                        yield event
        except (aiohttp.ClientError, TimeoutError, ValueError):
            pass  # it comes back with the number of the last event it has
        await asyncio.sleep(wait)
        wait = min(WAIT_MAX, wait * 2)
