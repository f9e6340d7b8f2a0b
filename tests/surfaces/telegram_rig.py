"""The real surface against the stand-in for Telegram, with commands made to be awkward."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.surfaces.bot_api import TOKEN, BotApi
from tradefleet.command import (
    AnyCommand,
    Catalog,
    CommandSpec,
    Context,
    Reply,
    rest_of_words,
    secret,
)
from tradefleet.commands.help import COMMAND as HELP
from tradefleet.commands.start import COMMAND as START
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import (
    OutcomeUnknown,
    Refused,
    StoreUnavailable,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.user import Role
from tradefleet.stores.memory import MemoryStore
from tradefleet.surfaces.telegram.options import TelegramOptions, Webhook
from tradefleet.surfaces.telegram.surface import TelegramSurface

ALICE, BOB = 101, 102
KEY, SECRET = "AKIAKEY0123456789abcdefghij", "topsecret0123456789ABCDEFGHIJKLMNOPQRSTUV"
HOOK_SECRET = "a-secret-of-the-webhook"


class QuickClock:
    """A clock whose sleeps end at once and are remembered; ids that count."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.slept: list[float] = []
        self.count = 0
        self._slept = asyncio.Event()

    async def slept_through(self, true: Callable[[], bool]) -> None:
        """Wait until something is true, looking after every sleep."""
        async with asyncio.timeout(30):
            while not true():
                self._slept.clear()
                await self._slept.wait()

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)
        self._slept.set()
        await asyncio.sleep(0)

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def new(self) -> str:
        self.count += 1
        return f"{self.count:032x}"


@dataclass(frozen=True, slots=True)
class Words:
    words: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Listed:
    words: str = ""
    limit: int = 10


@dataclass(frozen=True, slots=True)
class Target:
    words: str


@dataclass(frozen=True, slots=True)
class Keys:
    exchange: str
    api_key: str = secret()
    api_secret: str = secret()
    testnet: bool = True


class Awkward:
    """Commands that do what the tests need; ran remembers what was carried out."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str, str]] = []
        self.reply = Reply(text="all is well")
        self.gate = asyncio.Event()
        self.listed = 0
        self.errors: Mapping[str, Exception] = {
            "refused": Refused("You may not <do> that."),
            "venue": VenueUnavailable("host down"),
            "rejected": VenueRejected("too small"),
            "doubt": OutcomeUnknown("timed out"),
            "store": StoreUnavailable("disk full"),
            "bug": RuntimeError("a bug with a detail"),
        }

    async def note(self, name: str, request: Any, context: Context) -> Reply:
        words = getattr(request, "words", "")
        self.ran.append((name, context.store.user_id, words))
        if name == "list" and self.listed:
            rows = tuple((f"row {n}", str(n)) for n in range(self.listed))[: request.limit]
            older = "cursor=x" if len(rows) < self.listed else ""
            return Reply(text="a list", columns=("a", "b"), rows=rows, older=older)
        if name == "slow":
            await self.gate.wait()
        if name == "fail":
            raise self.errors[words]
        if name == "connect":
            if request.exchange == "crash":
                raise RuntimeError(f"bad key {request.api_key}")
            if request.exchange not in ("kraken", "paper"):
                raise Refused("I do not know that exchange.")
            return Reply(text=f"connected {request.exchange}")
        return self.reply if name in ("show", "status", "list") else Reply(text=f"{name}: {words}")

    def spec(self, name: str, request: type = Words, **more: Any) -> AnyCommand:
        async def handler(given: Any, context: Context) -> Reply:
            return await self.note(name, given, context)

        return CommandSpec(
            name=name,
            summary=f"Try {name}.",
            usage=f"/{name} <what>",
            example=f"/{name} it",
            request=request,
            handler=handler,
            **more,
        )

    def commands(self) -> dict[str, AnyCommand]:
        specs = [
            START,
            HELP,
            self.spec("echo"),
            self.spec("show"),
            self.spec("status", refreshes=True),
            self.spec("list", Listed, refreshes=True, limit_max=35),
            self.spec("slow"),
            self.spec("fail"),
            self.spec("connect", Keys),
            self.spec("flatten", dangerous=True, changes=True, aliases=("fl",)),
            self.spec("sellall", Target, dangerous=True),
            self.spec("killswitch", role=Role.ADMIN, dangerous=True),
        ]
        return {spec.name: spec for spec in specs}


async def no_rules(venue: str, symbol: Any) -> Any:
    raise Refused("nothing is traded here")


class Rig:
    """The service's parts around one surface; with a webhook or without."""

    def __init__(self, api: BotApi, *, webhook: bool = False, **options: Any) -> None:
        self.api = api
        self.clock = QuickClock()
        self.store = MemoryStore(self.clock)
        self.awkward = Awkward()
        catalog = Catalog(
            strategies={}, venues={}, commands=self.awkward.commands(), rules=no_rules
        )
        self.dispatcher = Dispatcher(
            catalog=catalog, store=self.store, clock=self.clock, ids=self.clock
        )
        port = free_port()
        hook = Webhook(url=f"http://127.0.0.1:{port}/hook", secret=HOOK_SECRET, port=port)
        self.options = TelegramOptions(
            **{"token": TOKEN, "api_url": api.url, "webhook": hook if webhook else None, **options}
        )
        self.surface = TelegramSurface(
            self.options,
            dispatcher=self.dispatcher,
            store=self.store,
            clock=self.clock,
            ids=self.clock,
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Rig"]:
        """Serve until the block ends."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.surface.serve())
            try:
                yield self
            finally:
                task.cancel()

    async def ready(self) -> None:
        """Wait until updates are taken."""
        way = "setWebhook" if self.options.webhook else "getUpdates"
        await self.api.called(way)
        await self.api.until(lambda: bool(self.api.menu))

    async def ask(self, text: str, person: int = ALICE, **more: Any) -> str:
        """Send a message and return the next thing the bot says in that chat."""
        chat = more.get("chat", {"id": person})["id"]
        before = len(self.api.said(chat))
        await self.api.say(person, text, **more)
        return (await self.api.heard(chat, before + 1))[before]

    async def register(self, *people: int) -> None:
        for person in people:
            assert "registered" in await self.ask("/start", person)
        self.api.calls.clear()


@asynccontextmanager
async def rig(*, webhook: bool = False, registered: bool = True) -> AsyncIterator[Rig]:
    """A surface that is up, with two people registered."""
    async with BotApi().running() as api:
        it = Rig(api, webhook=webhook)
        async with it.serving():
            await it.ready()
            if registered:
                await it.register(ALICE, BOB)
            yield it


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
