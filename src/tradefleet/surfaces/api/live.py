"""GET /api/v1/events and the WebSocket /api/v1/ws: what happens to a user, as it happens."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response, WebSocket
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect, WebSocketState

from tradefleet.domain.errors import NotAllowed, NotSignedIn, Refused, StoreError, TooMany
from tradefleet.domain.live import (
    BotNews,
    FillNews,
    NoticeNews,
    OrderNews,
    PositionNews,
    SignInNews,
    TradeNews,
)
from tradefleet.store import Store
from tradefleet.surfaces.api.caller import Caller, Door, Right
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.live_hub import SLOW_SECONDS, Ending, Frame, LiveHub, Stream
from tradefleet.surfaces.api.live_ticket import LENGTH_MAX, TICKET_SECONDS, Tickets
from tradefleet.surfaces.api.routes import check_right
from tradefleet.surfaces.api.visits import caller_of, check_visit

logger = logging.getLogger(__name__)

PREFIX = "/api/v1"
TAG = "Live events"
NUMBER_MAX = 2**53 - 1
PAGE_MAX = 500
GREETING_SECONDS = 10.0  # in which a WebSocket says who it is
GOODBYE_SECONDS = 2.0  # in which a client takes why its stream ends
EVENT_STREAM = "text/event-stream"
RETRY_MS = 2000  # after which an EventSource comes back
NOBODY = Ending(4401, "say who you are: a header, or first a message with a token or a ticket")
CODES = {"unauthorized": 4401, "forbidden": 4403, "too_many": 4429}
AWAY = Ending(1013, "the service cannot reach its database now; try again in a minute")

Number = Annotated[int, Field(ge=0, le=NUMBER_MAX)]


class Told(BaseModel):
    """One thing that happened; numbers grow by one, so that none can be missing unnoticed."""

    id: int
    type: Literal["order", "fill", "trade", "position", "bot", "notice", "sign_in"]
    at: str
    data: OrderNews | FillNews | TradeNews | PositionNews | BotNews | NoticeNews | SignInNews


class EventPage(BaseModel):
    """Events after a number, the oldest first; last: where to go on.

    is_reset: what came right after the number is not kept any more; read everything anew.
    """

    success: Literal[True]
    events: list[Told]
    last: int
    is_reset: bool


class Ticket(BaseModel):
    """What opens one stream within so many seconds."""

    success: Literal[True]
    ticket: str
    expires_in: int


EXAMPLE = (
    "retry: 2000\n\n"
    'id: 41\nevent: hello\ndata: {"id":41,"type":"hello","at":"2026-01-31T12:00:00.000000Z",'
    '"data":{}}\n\n'
    'id: 42\nevent: notice\ndata: {"id":42,"type":"notice","at":"2026-01-31T12:00:01.000000Z",'
    '"data":{"topic":"fill","text":"Bought 0.1 BTC","priority":1,"at":"2026-01-31T12:00:01Z"}}\n\n'
)
ANSWERS: dict[int | str, dict[str, Any]] = {
    **RESPONSES,
    200: {
        "model": EventPage,
        "description": f"A page of events; or a stream of them, for who accepts {EVENT_STREAM}",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": EXAMPLE}},
    },
}
SIGNED_IN: Any = {"security": [{"bearer": []}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What streams need: who tells on, who knows callers, and the tickets of browsers."""

    store: Store
    hub: LiveHub
    door: Door
    tickets: Tickets

    async def visitor(self, request: HTTPConnection) -> Caller:
        """Return who asks, as `caller` does, unless they ask too often."""
        caller = await caller_of(request, self.door)
        check_right(caller, Right.READ)
        return caller

    async def caller(self, authorization: str, ticket: str, address: str) -> Caller:
        """Return who wants to listen; raise unless they may."""
        if ticket:
            caller = await self.tickets.take(ticket)
        else:
            caller = await self.door.caller(authorization, address)
        check_right(caller, Right.READ)
        return caller


def live_routes(live: Live) -> APIRouter:
    """Return what tells events: as pages, as server-sent events, over a WebSocket."""
    routes = APIRouter(prefix=PREFIX, tags=[TAG], redirect_slashes=False)
    add_tickets(routes, live)
    add_events(routes, live)

    # Not FastAPI's own kind of route, which keeps some KiB for as long as a client is there.
    async def listen(socket: WebSocket) -> None:
        with suppress(asyncio.CancelledError):  # the service stops, and this task with it
            await serve_socket(live, socket)

    routes.add_websocket_route(f"{PREFIX}/ws", listen)
    return routes


def add_tickets(routes: APIRouter, live: Live) -> None:
    async def who(request: Request) -> Caller:
        return await live.visitor(request)

    @routes.post(
        "/events/ticket",
        response_model=Ticket,
        operation_id="make_ticket",
        openapi_extra=SIGNED_IN,
        responses=RESPONSES,
    )
    async def make_ticket(caller: Annotated[Caller, Depends(who)]) -> Response:
        """Get a ticket for one stream of a browser, which can send no Authorization header."""
        answer = json_response(
            200,
            {
                "success": True,
                "ticket": await live.tickets.make(caller),
                "expires_in": TICKET_SECONDS,
            },
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer


def add_events(routes: APIRouter, live: Live) -> None:
    @routes.get(
        "/events",
        response_model=EventPage,
        operation_id="events",
        openapi_extra=SIGNED_IN,
        responses=ANSWERS,
    )
    async def events(
        request: Request,
        after: Annotated[
            Number | None, Query(description="The number of the last event you have.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Of a page.")] = 100,
        ticket: Annotated[
            str, Query(max_length=LENGTH_MAX, description="In place of the header, for a stream.")
        ] = "",
        last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=16)] = "",
    ) -> Response:
        """Read what happened to you; with `Accept: text/event-stream`, as it happens."""
        caller = await (live.caller("", ticket, "") if ticket else live.visitor(request))
        if EVENT_STREAM not in request.headers.get("accept", ""):
            return await page(live, caller, after, limit)
        if after is None and last_event_id.isascii() and last_event_id.isdigit():
            after = min(int(last_event_id), NUMBER_MAX)
        return await stream_of(live, caller, after)


async def page(live: Live, caller: Caller, after: int | None, limit: int) -> Response:
    """Answer with what happened after a number; with none, what is kept."""
    async with live.store.open(caller.user_id) as own:
        head = await own.live.listen()
        is_reset = after is not None and not head.knows(after)
        first = head.since if after is None or is_reset else after
        found = await own.live.after(first, limit)
    told = ",".join(event.json() for event in found)
    last = found[-1].number if found else first
    said = "true" if is_reset else "false"
    body = f'{{"success":true,"events":[{told}],"last":{last},"is_reset":{said}}}'
    return Response(body, media_type="application/json")


# ---- server-sent events


async def stream_of(live: Live, caller: Caller, after: int | None) -> Response:
    """Answer with an endless stream."""
    waiting = asyncio.Event()
    stream = await live.hub.open(caller, after, waiting.set)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    body = lines_of(live.hub, stream, waiting)
    return StreamingResponse(body, media_type=EVENT_STREAM, headers=headers)


async def lines_of(hub: LiveHub, stream: Stream, waiting: asyncio.Event) -> AsyncIterator[str]:
    try:
        yield f"retry: {RETRY_MS}\n\n"
        while stream.ending is None:
            await waiting.wait()
            waiting.clear()
            while stream.ending is None and (frame := stream.take()) is not None:
                yield line_of(frame)
                hub.taken(stream)
        said = orjson.dumps({"code": stream.ending.code, "reason": stream.ending.reason})
        yield f"event: end\ndata: {said.decode()}\n\n"
    finally:
        hub.close(stream)


def line_of(frame: Frame) -> str:
    """Return a frame as a server-sent event; what has no number leaves Last-Event-ID as it is."""
    if frame.kind == "beat":
        return ": beat\n\n"
    number = "" if frame.number is None else f"id: {frame.number}\n"
    return f"{number}event: {frame.kind}\ndata: {frame.json}\n\n"


# ---- WebSocket


class Writer:
    """Sends what is in a stream's queue; a task of its own only while there is something."""

    def __init__(self, hub: LiveHub, socket: WebSocket) -> None:
        self._hub = hub
        self._socket = socket
        self._busy = False
        self.stream: Stream | None = None

    def wake(self) -> None:
        if not self._busy:
            self._busy = True
            self._busy = self._hub.start(self._write())

    async def _write(self) -> None:
        stream = self.stream
        try:
            while stream is not None and stream.ending is None:
                frame = stream.take()
                if frame is None:
                    return
                await self._send(stream, frame)
            if stream is not None and stream.ending is not None:
                await say_goodbye(self._socket, stream.ending)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            if stream is not None:
                self._hub.close(stream)  # the client is gone, or takes nothing
        finally:
            self._busy = False

    async def _send(self, stream: Stream, frame: Frame) -> None:
        async with asyncio.timeout(SLOW_SECONDS):
            await self._socket.send_text(frame.json)
        self._hub.taken(stream)


async def say_goodbye(socket: WebSocket, ending: Ending) -> None:
    """Tell a client why its stream ends, if it takes that within a while."""
    if socket.application_state is not WebSocketState.DISCONNECTED:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await socket.close(ending.code, ending.reason)


async def serve_socket(live: Live, socket: WebSocket) -> None:
    await socket.accept()
    writer = Writer(live.hub, socket)
    try:
        caller, after = await greeted(live, socket)
        stream = await live.hub.open(caller, after, writer.wake)
    except WebSocketDisconnect:
        return
    except (Refused, StoreError, TimeoutError) as error:
        await say_goodbye(socket, ending_of(error))
        return
    writer.stream = stream
    writer.wake()
    socket.scope["headers"] = []  # nobody asks for them again
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass  # whatever a client says after its greeting means nothing
    finally:
        live.hub.close(stream)


async def greeted(live: Live, socket: WebSocket) -> tuple[Caller, int | None]:
    """Return who opened a WebSocket, and the number of the last event they have."""
    after = number_of(socket.query_params.get("after"))
    address = socket.client.host if socket.client else ""
    if socket.headers.get("authorization", ""):
        return await live.visitor(socket), after
    check_visit(socket)
    async with asyncio.timeout(GREETING_SECONDS):
        said = await socket.receive_text()
    try:
        told = orjson.loads(said)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise NotSignedIn(NOBODY.reason)
    token, ticket = str(told.get("token", "")), str(told.get("ticket", ""))
    if not token and not ticket:
        raise NotSignedIn(NOBODY.reason)
    caller = await live.caller(f"Bearer {token}", ticket, address)
    return caller, number_of(told.get("after", after))


def number_of(said: object) -> int | None:
    """Read an event's number; what is none is 0, which no longer is there."""
    if said is None:
        return None
    text = str(said)
    return min(int(text), NUMBER_MAX) if text.isascii() and text.isdigit() else 0


def ending_of(error: Exception) -> Ending:
    match error:
        case NotSignedIn() | NotAllowed() | TooMany():
            return Ending(CODES[error.code], str(error)[:120])
        case TimeoutError():
            return NOBODY
        case _:
            return AWAY
