"""How requests travel to the Bot API: over aiohttp, and never saying the token.

The token is part of every address, so no error that holds an address may leave this file.
"""

import json
from typing import Any, TypeAlias

import aiohttp
from telegram.error import NetworkError, TelegramError, TimedOut
from telegram.request import BaseRequest, RequestData

CONNECTIONS = 64
ANSWER_MAX = 8 * 1024 * 1024  # bytes
CONNECT_TIMEOUT = 5.0  # seconds, as all of these
POOL_TIMEOUT = 30.0
READ_TIMEOUT = 10.0
WRITE_TIMEOUT = 20.0

Timeout: TypeAlias = Any  # seconds, None, or the library's mark for "not given"


class AiohttpTransport(BaseRequest):
    """Sends parameters as a form, and files as its parts.

    The session is opened at the first use, so that it belongs to the loop that uses it.
    """

    def __init__(self, token: str, *, connections: int = CONNECTIONS) -> None:
        self._token = token.partition(":")[2].encode() or token.encode()  # its secret half
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return READ_TIMEOUT

    async def initialize(self) -> None:
        self._open()

    async def shutdown(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Timeout = BaseRequest.DEFAULT_NONE,
        write_timeout: Timeout = BaseRequest.DEFAULT_NONE,
        connect_timeout: Timeout = BaseRequest.DEFAULT_NONE,
        pool_timeout: Timeout = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Send one request and return its status and body; raise NetworkError or TimedOut."""
        read = seconds(read_timeout, READ_TIMEOUT)
        connect = seconds(connect_timeout, CONNECT_TIMEOUT)
        write = seconds(write_timeout, WRITE_TIMEOUT)
        pool = seconds(pool_timeout, POOL_TIMEOUT)
        timeout = aiohttp.ClientTimeout(
            total=together(pool, connect, write, read),
            connect=together(pool, connect),
            sock_connect=connect,
            sock_read=read,
        )
        problem: TelegramError
        try:
            async with self._open().request(
                method, url, data=form(request_data), timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, await self._read(response, is_file=method == "GET")
        except TimeoutError:
            problem = TimedOut("Telegram did not answer in time")
        except (aiohttp.ClientError, OSError) as error:
            problem = NetworkError(f"Telegram cannot be reached ({type(error).__name__})")
        raise problem  # here, where no other error is at hand that could tell the address

    async def _read(self, response: aiohttp.ClientResponse, *, is_file: bool) -> bytes:
        """Return the body; an error's body that is not Telegram's own says nothing."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > ANSWER_MAX:
                raise aiohttp.ClientPayloadError("too long")
        succeeded = 200 <= response.status < 300
        if is_file and succeeded:
            return bytes(body)
        if not succeeded and not isinstance(decoded(bytes(body)), dict):
            return b"{}"  # a proxy's page, which may repeat the address
        return bytes(body).replace(self._token, b"<token>")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
            )
        return self._session

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Return the answer; unlike the library's own, never log one, as it may hold messages."""
        answer = decoded(payload)
        if not isinstance(answer, dict) or (answer.get("ok") is True and "result" not in answer):
            raise NetworkError("Telegram's answer cannot be read")
        return answer


def seconds(given: Timeout, default: float) -> float | None:
    """Return a timeout, or the default where none was given (None means: forever)."""
    return default if given is BaseRequest.DEFAULT_NONE else given


def together(*waits: float | None) -> float | None:
    """Return the sum, None as soon as one may last forever."""
    known = [wait for wait in waits if wait is not None]
    return sum(known) if len(known) == len(waits) else None


def decoded(payload: bytes) -> object:
    """Return the JSON, or None when it is none."""
    try:
        return json.loads(payload)
    except ValueError:
        return None


def form(data: RequestData | None) -> aiohttp.FormData | None:
    """Return the parameters as form fields; text that no encoding can carry is replaced."""
    if data is None:
        return None
    fields = aiohttp.FormData(default_to_multipart=data.contains_files)
    for name, value in data.json_parameters.items():
        fields.add_field(name, value.encode("utf-8", "replace").decode())
    for name, (filename, content, content_type) in data.multipart_data.items():
        fields.add_field(name, content, filename=filename, content_type=content_type)
    return fields
