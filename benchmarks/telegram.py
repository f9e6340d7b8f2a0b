"""Telegram as its users feel it: the whole service, polled from a stand-in for the Bot API.

The service is `tradefleet serve` in a process of its own; people and the Bot API are here. Commands
are due at times of their own, whether or not earlier ones were answered, and are measured from when
they were due until their answer reached the Bot API. Then news and fills are put into the outbox at
once, and it is measured when each kind arrives.
"""

import argparse
import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tradefleet.domain.effects import Notify, Topic
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import open_store

TOKEN = "123456:a-token-of-the-benchmark"
BOT = {"id": 123456, "is_bot": True, "first_name": "Fleet", "username": "FleetBot"}
# Of ten commands; those that change something are written down before they are answered.
CHANGES = ("/notify fill silent", "/set daily_loss_share 0.04")
MIX = (
    "/status", "/position", "/help", "/listpairs", "/balance", "/settings", "/profit", "/config",
    *CHANGES,
)  # fmt: skip
START_SECONDS = 120.0
ANSWER_SECONDS = 60.0
NEWS_EACH = 6  # low-priority notices of each chat
FILLS = 20
GOAL_COMMAND_MS, GOAL_FILL_MS = 50.0, 1000.0


class BotApi:
    """As much of the Bot API as the service uses; it answers at once."""

    def __init__(self) -> None:
        self.updates: deque[dict[str, Any]] = deque()
        self.arrived: dict[int, list[tuple[float, str]]] = defaultdict(list)
        self.ids = itertools.count(1)
        self.woken = asyncio.Event()

    def say(self, person: int, text: str) -> None:
        chat = {"id": person, "type": "private", "first_name": f"P{person}"}
        sender = {"id": person, "is_bot": False, "first_name": f"P{person}"}
        number = next(self.ids)
        message = {"message_id": number, "date": 0, "chat": chat, "from": sender, "text": text}
        self.updates.append({"update_id": number, "message": message})
        self.woken.set()

    async def serve(self, request: web.Request) -> web.Response:
        method, given = request.match_info["method"], await request.post()
        act = getattr(self, f"on_{method.lower()}", None)
        result = True if act is None else await act(given)
        return web.json_response({"ok": True, "result": result})

    async def on_getme(self, given: Any) -> Any:
        return BOT

    async def on_getupdates(self, given: Any) -> Any:
        offset, until = int(given.get("offset", 0)), time.monotonic() + float(given["timeout"])
        while self.updates and self.updates[0]["update_id"] < offset:
            self.updates.popleft()
        while not self.updates and (left := until - time.monotonic()) > 0:
            self.woken.clear()
            try:
                await asyncio.wait_for(self.woken.wait(), left)
            except TimeoutError:
                break
        return list(itertools.islice(self.updates, int(given.get("limit", 100))))

    async def on_sendmessage(self, given: Any) -> Any:
        chat = int(given["chat_id"])
        self.arrived[chat].append((time.monotonic(), str(given["text"])))
        whose = {"id": chat, "type": "private"}
        return {"message_id": next(self.ids), "date": 0, "chat": whose, "text": "said"}

    @asynccontextmanager
    async def running(self) -> Any:
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self.serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def answers(self, wanted: dict[int, int], seconds: float = ANSWER_SECONDS) -> None:
        """Wait until so many messages have arrived in each chat."""
        until = time.monotonic() + seconds
        while any(len(self.arrived[chat]) < count for chat, count in wanted.items()):
            if time.monotonic() > until:
                missing = sum(len(self.arrived[c]) < n for c, n in wanted.items())
                raise TimeoutError(f"{missing} chats got no answer within {seconds:.0f} s")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def service(api: str, folder: Path) -> Any:
    """Start the service, wait until it is ready, and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/telegram.db",
        "HTTP_PORT": str(port),
        "LOG_LEVEL": "ERROR",
        "LOG_FILE": "",
        "MAX_CONCURRENT_USERS": "100000",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": api,
    }
    command = [sys.executable, "-m", "tradefleet", "serve"]
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=folder, stdout=nothing
    )
    try:
        until = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(is_ready, port):
            if process.returncode is not None or time.monotonic() > until:
                raise TimeoutError("the service did not get ready")
            await asyncio.sleep(0.2)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(values: list[float], part: float) -> float:
    """Return what so large a part of the values stays below, in milliseconds."""
    return round(1000 * sorted(values)[min(int(len(values) * part), len(values) - 1)], 1)


async def register(api: BotApi, people: range, per_second: int) -> None:
    """Let people send what makes them users with a pair."""
    for number, text in enumerate(("/start", "/addpair BTC/USDT 1000"), 1):
        for person in people:
            api.say(person, text)
            await asyncio.sleep(1 / per_second)
        await api.answers(dict.fromkeys(people, number))


async def commands(
    api: BotApi, people: range, per_second: int, seconds: int
) -> list[tuple[str, float]]:
    """Send commands on time; return how long each took to be answered, from when it was due."""
    before = {person: len(api.arrived[person]) for person in people}
    due: dict[int, list[tuple[str, float]]] = defaultdict(list)
    began = time.monotonic() + 0.5
    for number in range(per_second * seconds):
        at = began + number / per_second
        if (wait := at - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        person = people[number % len(people)]
        text = MIX[(number // len(people) + number) % len(MIX)]
        due[person].append((text, at))
        api.say(person, text)
    await api.answers({person: before[person] + len(asked) for person, asked in due.items()})
    return [
        (text, api.arrived[person][before[person] + place][0] - at)
        for person, asked in due.items()
        for place, (text, at) in enumerate(asked)
    ]


async def notices(api: BotApi, people: range, folder: Path) -> dict[str, Any]:
    """Put news for everybody and then fills for some into the outbox; see what arrives when."""
    store = await open_store(f"sqlite:///{folder}/telegram.db")
    clock, lucky = RealClock(), people[-FILLS:]
    for person in people:
        user = await store.find_user(telegram_id=person)
        assert user is not None
        async with store.open(user.id) as own:
            for number in range(NEWS_EACH):
                text = f"news {number} of {person}"
                await own.notify(Notify(user.id, Topic.SYSTEM, text, clock.now(), priority=9))
    posted: dict[int, float] = {}
    for person in lucky:
        user = await store.find_user(telegram_id=person)
        assert user is not None
        async with store.open(user.id) as own:
            text = f"fill of {person}"
            await own.notify(Notify(user.id, Topic.FILL, text, clock.now(), priority=1))
        posted[person] = time.monotonic()

    def found(person: int, word: str) -> list[float]:
        return [at for at, text in api.arrived[person] if word in text]

    until = time.monotonic() + ANSWER_SECONDS + len(people) / 10
    while not all(found(person, f"news {NEWS_EACH - 1}") for person in people):
        if time.monotonic() > until:
            raise TimeoutError("not all news arrived")
        await asyncio.sleep(0.2)
    await store.close()
    fills = [found(person, "fill of")[0] - posted[person] for person in lucky]
    messages = [at for person in people for at in found(person, "news")]
    fills_done = max(found(person, "fill of")[0] for person in lucky)
    return {
        "fill_p50_ms": share(fills, 0.5),
        "fill_worst_ms": share(fills, 1.0),
        "floor_fill_worst_ms": GOAL_FILL_MS,
        "news": NEWS_EACH * len(people),
        "news_messages": len(messages),
        "news_messages_after_fills": sum(at > fills_done for at in messages),
        "told_twice": sum(
            len(found(person, f"news {number} of")) > 1
            for person in people
            for number in range(NEWS_EACH)
        ),
    }


async def measure(people: int, per_second: int, seconds: int) -> dict[str, Any]:
    api, crowd = BotApi(), range(1001, 1001 + people)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with api.running() as url, service(url, folder) as process:
            await register(api, crowd, per_second // 2)
            cpu = cpu_seconds(process.pid)
            answered = await commands(api, crowd, per_second, seconds)
            cpu = cpu_seconds(process.pid) - cpu
            told = await notices(api, crowd, folder)
    took = [seconds for _, seconds in answered]
    changing = [seconds for text, seconds in answered if text in CHANGES]
    looking = [seconds for text, seconds in answered if text not in CHANGES]
    return {
        "people": people,
        "commands": len(took),
        "commands_per_s": per_second,
        "command_p50_ms": share(took, 0.5),
        "command_p95_ms": share(took, 0.95),
        "command_p99_ms": share(took, 0.99),
        "floor_command_p99_ms": GOAL_COMMAND_MS,
        "looking_p99_ms": share(looking, 0.99),
        "changing_p99_ms": share(changing, 0.99),
        "command_worst_ms": share(took, 1.0),
        "cpu_ms_per_command": round(1000 * cpu / len(took), 2),
        **told,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telegram", description=__doc__)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.people, given.per_second, given.seconds))))


if __name__ == "__main__":
    main()
