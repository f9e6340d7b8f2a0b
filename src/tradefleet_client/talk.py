"""How the client speaks: one request each, reads again when nothing came back, writes never."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import aiohttp

from tradefleet_client.events import Event, Refused, events_from

Data = TypeVar("Data")
READ_TRIES = 3
WAIT_FIRST = 0.5  # seconds before the second try of a read; then twice as long each time
WAIT_MAX = 30.0  # longer than this nobody waits: the error says how long it would be
TIMEOUT = 60.0
LATER = frozenset({429, 502, 503, 504})  # a read may be asked again


@dataclass(frozen=True, slots=True)
class Answer(Generic[Data]):
    """What was done: the text a person would read, and the same as data."""

    text: str
    data: Data


class RequestFailed(Exception):
    """Nothing was done, or nobody knows: status 0 means that no answer came.

    code is the service's word for it ("refused", "not_found", "conflict", "too_many",
    "unauthorized", "forbidden", …; "no_answer" when none came). key: under which a write was
    asked; asked again under the same key, it is done once. retry_after: seconds, when said.
    """

    def __init__(
        self, text: str, *, status: int, code: str, key: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.key = key
        self.retry_after = retry_after


class Talk:
    """One connection pool to one service, for one token."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def events(self, after: int | None = None) -> AsyncIterator[Event]:
        """Yield what happens, after an event's number or from now on; RequestFailed if refused."""
        if self._session is None:
            raise RuntimeError("write `async with Client(…) as client`")
        address = f"{self._url}/api/v1/events"
        try:
            async for event in events_from(self._session, address, after):
                yield event
        except Refused as error:
            raise RequestFailed(str(error), status=error.status, code="refused") from None

    async def _read(self, command: str, /, **given: Any) -> Answer[Any]:
        """Ask for something; again, a little later, when no answer comes or none can be given."""
        wait = WAIT_FIRST
        for left in reversed(range(READ_TRIES)):
            try:
                return await self._ask(command, given)
            except RequestFailed as failure:
                wait = max(wait, failure.retry_after or 0.0)
                again = failure.status == 0 or failure.status in LATER
                if not left or not again or wait > WAIT_MAX:
                    raise
            await asyncio.sleep(wait)
            wait *= 2
        raise AssertionError("the last try returns or raises")

    async def _write(self, command: str, key: str | None, /, **given: Any) -> Answer[Any]:
        """Ask that something be done, once: under a key of its own, or under the one given."""
        return await self._ask(command, given, key or token_hex(16))

    async def _ask(self, command: str, given: Mapping[str, Any], key: str = "") -> Answer[Any]:
        if self._session is None:
            raise RuntimeError("write `async with Client(…) as client`")
        body = {name: value for name, value in given.items() if value is not None}
        headers = {"Idempotency-Key": key} if key else {}
        address = f"{self._url}/api/v1/commands/{command}"
        try:
            async with self._session.post(address, json=body, headers=headers) as response:
                status, after = response.status, response.headers.get("Retry-After", "")
                told = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            text = f"no answer came: {type(error).__name__}"
            raise RequestFailed(text, status=0, code="no_answer", key=key) from error
        if isinstance(told, dict) and told.get("success") is True:
            return Answer(told["text"], told["data"])
        known = told if isinstance(told, dict) else {}
        raise RequestFailed(
            str(known.get("error", f"the service answered {status}")),
            status=status,
            code=str(known.get("code", "unknown")),
            key=key,
            retry_after=float(after) if after.isdigit() else None,
        )
