"""Kill -9 while notices go out: none is lost, and only what was under way may come twice."""

import asyncio
import signal
import sys
from collections import Counter
from datetime import timedelta

from tests.makers import START
from tests.surfaces.bot_api import TOKEN, BotApi
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import User
from tradefleet.runtime.pace_of_chats import BURST
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import open_store

CHATS, EACH = 40, 3
DELIVER = """
import asyncio, sys
from tradefleet.runtime import shift
from tradefleet.runtime.outbox import Outbox
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.telegram.notifier import TelegramNotifier
from tradefleet.surfaces.telegram.options import TelegramOptions

shift.TTL, shift.LOOK, shift.MARGIN = 1.0, 0.1, 0.1

async def main(database, api, token, owner):
    clock = RealClock()
    store = await open_store(database, clock=clock)
    notifier = TelegramNotifier(TelegramOptions(token=token, api_url=api))
    await Outbox(store=store, notifiers=[notifier], clock=clock, owner=owner).run()

asyncio.run(main(*sys.argv[1:]))
"""


async def fill(store) -> set[str]:
    texts = set()
    for chat in range(1, CHATS + 1):
        id = UserId(f"user{chat}")
        async with store.open(id) as own:
            await own.save_user(User(id=id, username=id, created_at=START, telegram_id=chat))
            for number in range(EACH):
                text, priority = f"fill {chat}-{number}", 1 if number else 5
                at = START + timedelta(seconds=number)
                await own.notify(Notify(id, Topic.FILL, text, at, priority))
                texts.add(text)
    return texts


async def test_no_notice_is_lost_by_a_kill_and_hardly_one_told_twice(sql_url):
    store = await open_store(sql_url, clock=RealClock())
    wanted = await fill(store)
    async with BotApi().running() as api:

        def told() -> Counter:
            return Counter(text for chat in range(1, CHATS + 1) for text in api.said(chat))

        async def deliver(number: int):
            command = [sys.executable, "-c", DELIVER, sql_url, api.url, TOKEN, f"gone:{number}"]
            return await asyncio.create_subprocess_exec(*command)

        for number, stop_at in enumerate((20, 70, 10_000)):
            process = await deliver(number)
            try:
                goal = min(stop_at, len(wanted))
                await api.until(lambda goal=goal: len(told()) >= goal, seconds=60)
                if stop_at > len(wanted):
                    await until_all_is_written(store)
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
        assert set(told()) == wanted
        twice = [text for text, times in told().items() if times > 1]
        assert len(twice) <= 2 * BURST
        assert max(told().values()) <= 2
    await store.close()


async def until_all_is_written(store):
    async with asyncio.timeout(30):
        while await store.due_notices(now=RealClock().now(), limit=1):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
