"""Several processes, one bot: one of them polls, another follows, and no update is run twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.surfaces.bot_api import BotApi
from tests.surfaces.telegram_rig import ALICE, BOB, Rig
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.runtime import outbox as outbox_module
from tradefleet.runtime import shift
from tradefleet.runtime.outbox import Outbox
from tradefleet.runtime.real_world import RandomIds, RealClock
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.telegram import polling
from tradefleet.surfaces.telegram.notifier import TelegramNotifier
from tradefleet.surfaces.telegram.surface import TelegramSurface


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    for module, name, seconds in [
        (shift, "TTL", 1.5),
        (shift, "LOOK", 0.1),
        (shift, "MARGIN", 0.1),
        (polling, "POLL", 1),
        (polling, "STORE_PAUSE", 0.05),
        (outbox_module, "TICK", 0.02),
        (outbox_module, "IDLE", 0.05),
    ]:
        monkeypatch.setattr(module, name, seconds)


class Replica:
    """One process of several: its own store at the same database, its own surface."""

    def __init__(self, api: BotApi, store, name: str) -> None:
        self.rig = Rig(api)
        self.store, clock = store, RealClock()
        self.rig.store = store
        self.rig.dispatcher = Dispatcher(
            catalog=self.rig.dispatcher.catalog, store=store, clock=clock, ids=RandomIds()
        )
        self.surface = TelegramSurface(
            self.rig.options,
            dispatcher=self.rig.dispatcher,
            store=store,
            clock=clock,
            ids=RandomIds(),
            owner=name,
        )
        self.outbox = Outbox(
            store=store,
            notifiers=[TelegramNotifier(self.rig.options)],
            clock=clock,
            owner=name,
        )
        self.tasks: list[asyncio.Task] = []

    @property
    def ran(self):
        return self.rig.awkward.ran

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@asynccontextmanager
async def replicas(api: BotApi, url: str) -> AsyncIterator[list[Replica]]:
    shared = MemoryStore(RealClock()) if not url else None
    stores = [shared or await open_store(url, clock=RealClock()) for _ in range(2)]
    them = [Replica(api, store, f"host{n}:{n}") for n, store in enumerate(stores)]
    try:
        yield them
    finally:
        for replica in them:
            await replica.stop()
        for store in {id(store): store for store in stores}.values():
            await store.close()


def start(replica: Replica, *works):
    replica.tasks += [asyncio.create_task(work()) for work in works]


async def holder(replica: Replica, name: str) -> str:
    return {duty.name: duty.owner for duty in await replica.store.duties.held()}.get(name, "")


async def until(true, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - another process's doing rings no bell here
            await asyncio.sleep(0.02)


@pytest.fixture
async def api():
    async with BotApi().running() as it:
        yield it


async def test_one_polls_and_the_other_follows_without_a_word_lost_or_run_twice(api, store_url):
    async with replicas(api, store_url) as (first, second):
        start(first, first.surface.serve)
        await api.called("getUpdates")
        start(second, second.surface.serve)
        await api.say(ALICE, "/start")
        await api.heard(ALICE, 1)
        for number in range(5):
            await api.say(ALICE, f"/echo {number}")
        await api.heard(ALICE, 6)
        await asyncio.sleep(1.8)  # longer than a turn: the first prolongs it
        assert second.ran == []
        await first.stop()
        for number in range(5, 10):
            await api.say(ALICE, f"/echo {number}")
        await api.until(lambda: len(api.said(ALICE)) == 11, seconds=10)
    words = [words for _, _, words in (*first.ran, *second.ran)]
    assert words == [str(number) for number in range(10)]
    assert len(second.ran) == 5
    assert [m for m in api.said(ALICE) if "echo" in m] == [f"echo: {n}" for n in range(10)]


async def test_who_stood_still_past_its_turn_works_on_nothing_more(api, store_url):
    async with replicas(api, store_url) as (first, second):
        start(first, first.surface.serve)
        await api.called("getUpdates")
        await api.say(ALICE, "/start")
        await api.heard(ALICE, 1)

        name = f"telegram updates {api_bot_id()}"
        take = first.store.duties.take

        async def cut_off(name, owner, **more):
            if owner == "host0:0":
                raise StoreUnavailable("cut off")
            return await take(name, owner, **more)

        first.store.duties.take = cut_off
        start(second, second.surface.serve)
        await until(lambda: is_held(second, name, "host1:1"))
        for number in range(5):
            await api.say(ALICE, f"/echo {number}")
        await api.until(lambda: len(api.said(ALICE)) == 6, seconds=10)
        assert [words for _, _, words in second.ran] == [str(number) for number in range(5)]
        assert [name for name, *_ in first.ran] == []


async def is_held(replica, name, owner):
    return await holder(replica, name) == owner


def api_bot_id():
    return 123456


async def test_who_cannot_be_sure_of_its_turn_asks_and_meanwhile_updates_wait(api, monkeypatch):
    monkeypatch.setattr(shift, "MARGIN", shift.TTL)  # nobody is ever sure
    async with replicas(api, "") as (first, _):
        start(first, first.surface.serve)
        await api.called("getUpdates")
        await api.say(ALICE, "/start")
        await api.heard(ALICE, 1)
        advance, refusals = first.store.duties.advance, [1, 1, 1]

        async def sometimes(duty, place):
            if refusals:
                refusals.pop()
                raise StoreUnavailable("disk full")
            return await advance(duty, place)

        first.store.duties.advance = sometimes
        await api.say(ALICE, "/echo once")
        await api.heard(ALICE, 2)
        await asyncio.sleep(0.2)
        assert [words for _, _, words in first.ran] == ["once"]
        assert refusals == []


async def test_of_two_outboxes_one_delivers_and_the_other_follows(api, store_url):
    async with replicas(api, store_url) as (first, second):
        start(first, first.surface.serve)
        await api.called("getUpdates")
        for person in (ALICE, BOB):
            await api.say(person, "/start")
            await api.heard(person, 1)
        await first.stop()
        start(first, first.outbox.run)
        await until(lambda: is_held(first, "outbox", "host0:0"))
        start(second, second.outbox.run)
        await notify(first, "one")
        await api.until(lambda: all(len(api.said(each)) == 2 for each in (ALICE, BOB)), seconds=10)
        await first.stop()
        await notify(first, "two")
        await api.until(lambda: all(len(api.said(each)) == 3 for each in (ALICE, BOB)), seconds=10)
        assert await holder(second, "outbox") == "host1:1"
    assert api.said(ALICE)[1:] == ["one", "two"]
    assert api.said(BOB)[1:] == ["one", "two"]


async def notify(replica, text):
    for person in (ALICE, BOB):
        user = await replica.store.find_user(telegram_id=person)
        async with replica.store.open(user.id) as store:
            now = RealClock().now()
            await store.notify(Notify(user.id, Topic.FILL, text, now, priority=1))
