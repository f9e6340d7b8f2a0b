"""Ten thousand messages and presses from a seed, against the real surface and the real commands
on SQLite: nothing breaks, and each is answered or deliberately not.

Telegram is played inside the process, without HTTP, so that so many are quick.
"""

import asyncio
import json
import logging
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from telegram.request import BaseRequest

from tests.doors import BINANCE, BYBIT, PAPER, Still, rules_of
from tests.surfaces.bot_api import BOT, EPOCH, TOKEN, Visible
from tradefleet.domain.user import Role
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.telegram import bot as telegram_bot
from tradefleet.surfaces.telegram.options import TelegramOptions
from tradefleet.surfaces.telegram.surface import TelegramSurface
from tradefleet.wiring import build_dispatcher

UPDATES = 10_000
PEOPLE = range(1, 801)  # who say some ten things each, so that nobody is too fast
REGISTERED = range(1, 121)
ADMIN = 1
SIGNS = "ab Z09/@.,:;-_=+<>&'\"\\`$%{}[]()\n\t\x00\x1f\u200b\u202e\ud800\udc00🙂日اü\u0301﷽½²٣"
ODD = ["NaN", "-1", "0", "1e9", "inf", "9" * 40, "0.000000001", "BTC/USDT", "btcusdt", "all", "*"]
ODD += ["limit=0", "limit=999999999", "cursor=AAAA", "since=0001-01-01", "since=9999-12-31", "x=y"]
ODD += [
    "true",
    "testnet=maybe",
    "kind=all",
    "'; DROP TABLE users; --",
    "../../etc/passwd",
    "👨‍👩‍👧‍👦",
]
ODD += ["on", "off", "stop", "flatten", "user", "platform", "tg1", "binance:live", "A" * 300]
HUGE = ["x" * 4096, "/" + "y" * 4000, "🙂" * 2000, "/addpair " + "B" * 4000, "\x00" * 1000]


class Patient(Still):
    """A clock that stands still, and whoever sleeps by it sleeps on."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Telegram:
    """The other side: hands out updates, and keeps what was said and which buttons it had."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.waiting: list[dict[str, Any]] = []
        self.said: Counter[int] = Counter()
        self.answered: Counter[str] = Counter()
        self.deleted: Counter[int] = Counter()
        self.texts: list[str] = []
        self.buttons: list[str] = []
        self.number = 0
        self.turn = 0
        self.more = asyncio.Event()
        self.news = asyncio.Event()

    def next(self) -> int:
        self.number += 1
        return self.number

    def play(self, method: str, given: dict[str, Any]) -> Any:
        self.news.set()
        if method == "getMe":
            return BOT
        if method in ("sendMessage", "editMessageText"):
            reader = Visible()
            reader.feed(given["text"])
            reader.close()
            assert reader.text.strip()
            assert len(reader.text.encode("utf-16-le")) // 2 <= 4096
            self.texts.append(reader.text)
            for row in given.get("reply_markup", {}).get("inline_keyboard", []):
                for button in row:
                    assert 0 < len(button["callback_data"].encode()) <= 64
                    self.buttons.append(button["callback_data"])
        if method in ("sendMessage", "sendDocument", "sendPhoto"):
            chat = int(given["chat_id"])
            self.said[chat] += 1
            kind = "private" if chat > 0 else "group"
            return {"message_id": self.next(), "date": EPOCH, "chat": {"id": chat, "type": kind}}
        if method == "answerCallbackQuery":
            assert len(given.get("text", "")) <= 200
            self.answered[str(given["callback_query_id"])] += 1
        if method == "deleteMessage":
            self.deleted[int(given["chat_id"])] += 1
        return True

    # ---- what comes

    def words(self) -> str:
        rng = self.rng
        made = []
        for _ in range(rng.randint(0, 5)):
            odd = rng.random() < 0.6
            made.append(
                rng.choice(ODD) if odd else "".join(rng.choices(SIGNS, k=rng.randint(0, 12)))
            )
        return rng.choice([" ", "  ", "\n"]).join(made)

    def text(self, commands: list[str]) -> str:
        rng, kind = self.rng, self.rng.random()
        if kind < 0.02:
            return rng.choice(HUGE)
        if kind < 0.35:
            return self.words()
        name = rng.choice(commands)
        if kind > 0.85:  # mistyped
            name = "".join(rng.sample(name, len(name)))
        return f"{rng.choice(['/', '/', '/', '//', ' /'])}{name} {self.words()}"

    def data(self) -> Any:
        """Return what a button brings back: of ours, forged from ours, or invented."""
        rng, kind = self.rng, self.rng.random()
        if self.buttons and kind < 0.4:
            return rng.choice(self.buttons[-500:])
        if self.buttons and kind < 0.7:
            made = list(rng.choice(self.buttons))
            made[rng.randrange(len(made))] = rng.choice(SIGNS)
            return "".join(made)
        return rng.choice(
            ["", "r", "y\x1f", "s\x1fstart", "\x1f" * 64, "x" * 64, self.words()[:64]]
        )

    def message(self, person: int, text: str, chat: dict[str, Any]) -> dict[str, Any]:
        sender = {"id": person, "is_bot": False, "first_name": "P", "username": f"p{person}"}
        return {
            "message_id": self.next(), "date": EPOCH, "chat": chat, "from": sender, "text": text,
        }  # fmt: skip

    def update(self, commands: list[str], people: range) -> tuple[dict[str, Any], str]:
        """Return an update, and how it is to be answered: "press", "say" or "" for perhaps not."""
        rng, person = self.rng, people[self.turn % len(people)]
        private = {"id": person, "type": "private"}
        id, kind = self.next(), rng.random()
        self.turn += 1
        if kind < 0.3:
            query = self.message(person, "old", private)
            press = {"id": str(id), "from": query["from"], "chat_instance": "1"}
            more = {"data": self.data(), "message": {**query, "from": BOT}}
            return {"update_id": id, "callback_query": {**press, **more}}, "press"
        if kind < 0.4:
            group = {"id": -rng.randint(1, 50), "type": rng.choice(["group", "supergroup"])}
            return {
                "update_id": id,
                "message": self.message(person, self.text(commands), group),
            }, ""
        message = self.message(person, self.text(commands), private)
        if kind < 0.45:
            message |= {"edit_date": EPOCH + 1}
            return {"update_id": id, "edited_message": message}, ""
        return {"update_id": id, "message": message}, "say"


class Played(BaseRequest):
    """The library's way to Telegram, without a network."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    @property
    def read_timeout(self) -> float:
        return 1.0

    async def initialize(self) -> None: ...
    async def shutdown(self) -> None: ...

    async def do_request(
        self, url: str, method: str, request_data: Any = None, *_: Any, **__: Any
    ) -> tuple[int, bytes]:
        name, telegram = url.rpartition("/")[2], self._telegram
        given = {} if request_data is None else dict(request_data.parameters)
        if name == "getUpdates":
            await telegram.more.wait()
            result, telegram.waiting = telegram.waiting[:100], telegram.waiting[100:]
            if not telegram.waiting:
                telegram.more.clear()
        else:
            result = telegram.play(name, given)
        return 200, json.dumps({"ok": True, "result": result}).encode()


@pytest.mark.parametrize("seed", [1])
async def test_ten_thousand_updates_break_nothing(seed, sqlite_url, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    telegram, clock = Telegram(seed), Patient()
    monkeypatch.setattr(telegram_bot, "AiohttpTransport", lambda *_, **__: Played(telegram))
    store = await open_store(sqlite_url, clock=clock)
    venues = {venue.name: venue for venue in (PAPER, BINANCE, BYBIT)}
    dispatcher = build_dispatcher(
        store, clock, clock, rules=rules_of, known_venues=venues, web_url="https://x.example.org"
    )
    surface = TelegramSurface(
        TelegramOptions(token=TOKEN), dispatcher=dispatcher, store=store, clock=clock, ids=clock
    )
    commands = [name for c in dispatcher.catalog.commands.values() for name in (c.name, *c.aliases)]
    serving = asyncio.create_task(surface.serve())

    async def bring(updates: list[dict[str, Any]], done) -> None:
        telegram.waiting += updates
        telegram.more.set()
        async with asyncio.timeout(60):
            while not done():
                telegram.news.clear()
                await telegram.news.wait()

    try:
        starts = [
            {
                "update_id": telegram.next(),
                "message": telegram.message(person, "/start", {"id": person, "type": "private"}),
            }
            for person in REGISTERED
        ]
        await bring(starts, lambda: telegram.said.total() == len(REGISTERED))
        admin = await store.find_user(telegram_id=ADMIN)
        async with store.open(admin.id) as own:
            await own.save_user(replace(admin, role=Role.ADMIN))
        telegram.said.clear()
        presses: list[str] = []
        spoken: Counter[int] = Counter()

        def is_done() -> bool:
            return len(telegram.answered) >= len(presses) and all(
                telegram.said[chat] >= count for chat, count in spoken.items()
            )

        for _ in range(UPDATES // 1000):
            updates = []
            for _ in range(1000):
                update, how = telegram.update(commands, PEOPLE)
                updates.append(update)
                if how == "press":
                    presses.append(str(update["callback_query"]["id"]))
                if how == "say":
                    spoken[update["message"]["chat"]["id"]] += 1
            await bring(updates, is_done)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await store.close()
    assert sum(spoken.values()) + len(presses) > UPDATES * 0.8
    assert set(telegram.answered.values()) == {1}
    assert not [text for text in telegram.texts if "Something went wrong" in text]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
