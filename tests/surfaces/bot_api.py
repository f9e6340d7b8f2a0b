"""A stand-in for Telegram's Bot API, over real HTTP: it keeps chats, and fails when told to."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from typing import Any

import aiohttp
from aiohttp import web

TOKEN = "123456:a-token-that-nobody-may-see"
BOT = {"id": 123456, "is_bot": True, "first_name": "Fleet", "username": "FleetBot"}
EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z
TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler"}
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass(frozen=True)
class Call:
    """One request as it came: its parameters, decoded where they were JSON, and its files."""

    method: str
    params: dict[str, Any]
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """How to fail once: with a status, after a wait, by hanging up, or with a page that is no JSON.

    done: the request is carried out first, and only its answer is lost.
    """

    status: int = 0
    retry_after: int = 0
    slow: float = 0.0
    hang_up: bool = False
    page: bool = False
    done: bool = False
    description: str = "told to fail"


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code


class Visible(HTMLParser):
    """Reads HTML as Telegram does: known tags, each closed in its turn; keeps what is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in TAGS:
            raise Refusal(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Refusal(400, "Bad Request: can't parse entities: Unmatched end tag")

    def handle_data(self, data: str) -> None:
        self.text += data


def visible(params: dict[str, Any]) -> str:
    """Return what a user would see of a text; refuse what Telegram would."""
    text = str(params.get("text", ""))
    if params.get("parse_mode") == "HTML":
        reader = Visible()
        reader.feed(text)
        reader.close()
        if reader.open:
            raise Refusal(400, "Bad Request: can't parse entities: Can't find end tag")
        text = reader.text
    if not text.strip():
        raise Refusal(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > 4096:
        raise Refusal(400, "Bad Request: message is too long")
    return text


class BotApi:
    """The API and the people who use it."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.chats: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.webhook: dict[str, Any] = {}
        self.menu: list[dict[str, str]] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.blocked_by: set[int] = set()
        self.undeletable = False
        self.when_called: Callable[[Call], None] = lambda call: None
        self._updates: deque[dict[str, Any]] = deque()
        self._update_ids = count(1000)
        self._message_ids = count(1)
        self._polls = 0
        self._changed = asyncio.Event()

    # ---- what the tests look at

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next calls of a method fail, one fault each; "*" is any method."""
        self.faults[method].extend(faults)

    def made(self, *methods: str) -> list[Call]:
        """Return the calls made so far, all or those of some methods."""
        return [call for call in self.calls if not methods or call.method in methods]

    def outbound(self) -> list[str]:
        """Return the methods called that act in a chat, in order."""
        passive = {"getUpdates", "getMe", "setMyCommands", "deleteWebhook", "setWebhook"}
        return [call.method for call in self.calls if call.method not in passive]

    def said(self, chat: int) -> list[str]:
        """Return what the bot's messages in a chat show now, oldest first."""
        return [m["text"] for m in self.chats[chat].values() if m["from"]["is_bot"]]

    def last(self, chat: int) -> dict[str, Any]:
        """Return the bot's latest message in a chat."""
        return [m for m in self.chats[chat].values() if m["from"]["is_bot"]][-1]

    async def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something is true of the calls made."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def called(self, method: str, times: int = 1) -> list[Call]:
        """Wait for so many calls of a method."""
        await self.until(lambda: len(self.made(method)) >= times)
        return self.made(method)

    async def heard(self, chat: int, times: int = 1) -> list[str]:
        """Wait until the bot's messages in a chat are so many."""
        await self.until(lambda: len(self.said(chat)) >= times)
        return self.said(chat)

    # ---- what people do

    def message(self, person: int, text: str | None, **more: Any) -> dict[str, Any]:
        """Return the update of a message in somebody's private chat, or in more["chat"]."""
        chat = more.pop("chat", {"id": person, "type": "private", "first_name": f"P{person}"})
        message = {
            "message_id": next(self._message_ids),
            "date": EPOCH,
            "chat": chat,
            "from": someone(person),
            **({} if text is None else {"text": text}),
            **more,
        }
        self.chats[chat["id"]][message["message_id"]] = message
        return {"update_id": next(self._update_ids), "message": message}

    def press(self, person: int, data: str, *, on: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the update of a button pressed on a message (the bot's latest to that person)."""
        query = {
            "id": str(next(self._message_ids)),
            "from": someone(person),
            "chat_instance": "1",
            "data": data,
            "message": on or self.last(person),
        }
        return {"update_id": next(self._update_ids), "callback_query": query}

    def button(self, chat: int, label: str) -> str:
        """Return the data behind a button of the bot's latest message."""
        rows = self.last(chat)["reply_markup"]["inline_keyboard"]
        (data,) = [b["callback_data"] for row in rows for b in row if label in b["text"]]
        return str(data)

    def update(self, **kinds: Any) -> dict[str, Any]:
        """Return an update of any shape."""
        return {"update_id": next(self._update_ids), **kinds}

    async def send(self, update: dict[str, Any]) -> int:
        """Bring an update the way that is set: into the queue, or to the webhook."""
        if self.webhook.get("url"):
            return await self.push(update)
        self._updates.append(update)
        self._notice()
        return 200

    async def say(self, person: int, text: str, **more: Any) -> dict[str, Any]:
        """Send a message and return it."""
        update = self.message(person, text, **more)
        await self.send(update)
        return dict(update["message"])

    async def push(
        self, update: object, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> int:
        """POST to the webhook, with the secret it was set with or other headers; the status."""
        own = {SECRET_HEADER: self.webhook["secret_token"]} if headers is None else headers
        data = json.dumps(update).encode() if body is None else body
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self.webhook["url"],
                data=data,
                headers={"Content-Type": "application/json", **own},
            ) as response,
        ):
            return response.status

    # ---- the server

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BotApi"]:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != TOKEN:
            return answer(code=401, description="Unauthorized")
        call = await read_call(method, request)
        self.calls.append(call)
        self.when_called(call)
        self._notice()
        fault = self._next_fault(method)
        if fault and not fault.done:
            return await self._fail(fault, request)
        try:
            result = await self._act(call)
        except Refusal as refusal:
            return answer(code=refusal.code, description=str(refusal))
        finally:
            self._notice()
        return await self._fail(fault, request) if fault else answer(result)

    def _next_fault(self, method: str) -> Fault | None:
        for name in (method, "*"):
            if self.faults[name]:
                return self.faults[name].popleft()
        return None

    async def _fail(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(fault.slow)
        if fault.hang_up:
            assert request.transport is not None
            request.transport.abort()
        if fault.page:
            text = f"<html>no answer from {request.path}</html>"
            return web.Response(status=fault.status, text=text, content_type="text/html")
        more = {"parameters": {"retry_after": fault.retry_after}} if fault.retry_after else {}
        return answer(code=fault.status or 500, description=fault.description, **more)

    async def _act(self, call: Call) -> Any:
        act = getattr(self, f"_{call.method}", None)
        if act is None:
            raise Refusal(404, "Not Found: method not found")
        return await act(call.params)

    def _notice(self) -> None:
        self._changed.set()

    # ---- the methods

    async def _getMe(self, params: dict[str, Any]) -> Any:
        return BOT

    async def _getUpdates(self, params: dict[str, Any]) -> Any:
        if self.webhook.get("url"):
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        self._polls += 1
        mine = self._polls
        self._notice()
        offset, limit = int(params.get("offset", 0)), int(params.get("limit", 100))
        while self._updates and self._updates[0]["update_id"] < offset:
            self._updates.popleft()
        loop = asyncio.get_running_loop()
        until = loop.time() + float(params.get("timeout", 0))
        while not self._updates and (left := until - loop.time()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                break
            if self._polls != mine:
                raise Refusal(409, "Conflict: terminated by other getUpdates request")
        return [*self._updates][:limit]

    async def _setWebhook(self, params: dict[str, Any]) -> Any:
        self.webhook = params
        return True

    async def _deleteWebhook(self, params: dict[str, Any]) -> Any:
        self.webhook = {}
        return True

    async def _setMyCommands(self, params: dict[str, Any]) -> Any:
        for command in params["commands"]:
            name = command["command"]
            if not (name.isascii() and name == name.lower() and 0 < len(name) <= 32):
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 0 < len(command["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        self.menu = params["commands"]
        return True

    async def _sendMessage(self, params: dict[str, Any]) -> Any:
        chat = int(params["chat_id"])
        if chat in self.blocked_by:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        message = {
            "message_id": next(self._message_ids),
            "date": EPOCH,
            "chat": {"id": chat, "type": "private" if chat > 0 else "group"},
            "from": BOT,
            "text": visible(params),
            "silent": params.get("disable_notification", False),
            **keyboard(params),
        }
        self.chats[chat][message["message_id"]] = message
        return message

    async def _sendDocument(self, params: dict[str, Any]) -> Any:
        return await self._sendMessage({**params, "text": params.get("caption", "a file")})

    async def _sendPhoto(self, params: dict[str, Any]) -> Any:
        return await self._sendMessage({**params, "text": params.get("caption", "a picture")})

    async def _editMessageText(self, params: dict[str, Any]) -> Any:
        chat, number = int(params["chat_id"]), int(params["message_id"])
        old = self.chats[chat].get(number)
        if old is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        new = {"text": visible(params), **keyboard(params)}
        if new == {name: old[name] for name in ("text", "reply_markup") if name in old}:
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply "
                "markup are exactly the same as a current content and reply markup of the message",
            )
        old.pop("reply_markup", None)
        old.update(new)
        return old

    async def _deleteMessage(self, params: dict[str, Any]) -> Any:
        if self.undeletable:
            raise Refusal(400, "Bad Request: message can't be deleted for everyone")
        if self.chats[int(params["chat_id"])].pop(int(params["message_id"]), None) is None:
            raise Refusal(400, "Bad Request: message to delete not found")
        return True

    async def _answerCallbackQuery(self, params: dict[str, Any]) -> Any:
        if len(params.get("text", "")) > 200:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        return True


def someone(person: int) -> dict[str, Any]:
    return {"id": person, "is_bot": False, "first_name": f"P{person}", "username": f"p{person}"}


def keyboard(params: dict[str, Any]) -> dict[str, Any]:
    """Return the buttons given, if any; refuse data that is too long."""
    markup = params.get("reply_markup")
    for row in (markup or {}).get("inline_keyboard", []):
        for button in row:
            if not 0 < len(button["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": markup} if markup else {}


def answer(result: Any = None, code: int = 200, description: str = "", **more: Any) -> web.Response:
    if code == 200:
        return web.json_response({"ok": True, "result": result})
    no = {"ok": False, "error_code": code, "description": description, **more}
    return web.json_response(no, status=code)


async def read_call(method: str, request: web.Request) -> Call:
    """Read the parameters from a form, with or without files, or from the address."""
    fields = {**request.query, **(await request.post())}
    files = {
        name: (value.filename, value.file.read())
        for name, value in fields.items()
        if isinstance(value, web.FileField)
    }
    params = {name: decoded(str(v)) for name, v in fields.items() if name not in files}
    if "text" in fields:
        params["text"] = fields["text"]  # a text is never JSON, even if it looks like it
    return Call(method, params, files)


def decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
