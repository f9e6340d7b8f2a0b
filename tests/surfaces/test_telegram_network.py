"""Telegram is away, slow or angry: the surface comes back by itself and never says its token."""

import asyncio
import logging

import pytest

from tests.surfaces.bot_api import TOKEN, BotApi, Fault
from tests.surfaces.telegram_rig import ALICE, Rig, free_port, rig


@pytest.fixture(autouse=True)
def the_token_stays_hidden(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    text = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert TOKEN not in text
    assert TOKEN.partition(":")[2] not in text


AWAY = [
    Fault(status=502, page=True),
    Fault(status=500),
    Fault(hang_up=True),
    Fault(status=200, page=True),
    Fault(status=429, retry_after=90),
    Fault(status=401, description="Unauthorized"),
    Fault(status=404, page=True),
    Fault(status=302, page=True),
]


async def test_it_starts_sooner_or_later(caplog):
    async with BotApi().running() as api:
        for method in ("getMe", "deleteWebhook", "setMyCommands", "getUpdates"):
            api.fail(method, *AWAY)
        it = Rig(api)
        async with it.serving():
            await api.called("setMyCommands", len(AWAY) + 1)
            assert "registered" in await it.ask("/start")
        assert "Telegram rejects the bot token" in caplog.text
        assert 90.0 in it.clock.slept
        assert max(it.clock.slept) == 90


async def test_it_waits_for_a_server_that_is_not_there_yet(caplog):
    async with BotApi().running() as api:
        it = Rig(api, api_url=f"http://127.0.0.1:{free_port()}/")
        async with it.serving():
            await it.clock.slept_through(lambda: "cannot be reached" in caplog.text)
        assert it.clock.slept[:7] == [1, 2, 4, 8, 16, 32, 60][: len(it.clock.slept)]


async def test_a_wrong_token_is_said_and_not_shown(caplog):
    async with BotApi().running() as api:
        wrong = "654321:another-token-nobody-may-see"
        it = Rig(api, token=wrong)
        async with it.serving():
            await it.clock.slept_through(lambda: "rejects the bot token" in caplog.text)
        assert wrong not in caplog.text


async def test_updates_come_on_after_every_kind_of_failure():
    async with rig() as it:
        for fault in AWAY:
            it.api.fail("getUpdates", fault)
            await it.api.say(ALICE, f"/echo {fault.status}")
        await it.api.heard(ALICE, 1 + len(AWAY))
        assert [words for *_, words in it.awkward.ran] == [str(fault.status) for fault in AWAY]


async def test_a_lost_answer_runs_nothing_twice():
    async with rig() as it:
        it.api.fail("getUpdates", Fault(hang_up=True, done=True))
        assert await it.ask("/echo one") == "echo: one"
        assert await it.ask("/echo two") == "echo: two"
        assert [words for *_, words in it.awkward.ran] == ["one", "two"]


async def test_another_poller_is_named_as_the_cause(caplog):
    async with rig() as it:
        it.api.fail("getUpdates", Fault(status=409, description="Conflict: terminated"))
        assert await it.ask("/echo x") == "echo: x"
        await it.ask("/echo y")
        assert "another process takes this bot's updates" in caplog.text


async def test_an_update_that_cannot_be_read_is_skipped_alone(caplog):
    async with rig() as it:
        await it.api.send(it.api.update(message={"text": "/connect kraken a b", "chat": 7}))
        await it.api.send({"odd": "no id"})
        assert await it.ask("/echo x") == "echo: x"
        assert "update failed, number" in caplog.text
        assert "kraken" not in caplog.text


async def test_a_menu_that_telegram_refuses_is_done_without(caplog):
    async with BotApi().running() as api:
        api.fail("setMyCommands", Fault(status=400, description="Bad Request: NO"))
        it = Rig(api)
        async with it.serving():
            await api.called("setMyCommands")
            assert "registered" in await it.ask("/start")
        assert "the menu of commands is refused" in caplog.text


async def test_at_the_end_telegram_hears_what_was_done_and_the_last_reply_goes_out():
    async with BotApi().running() as api:
        it = Rig(api)
        async with it.serving():
            await it.ready()
            await it.ask("/start")
            await api.say(ALICE, "/slow x")
            await api.until(lambda: it.awkward.ran != [])
            asyncio.get_running_loop().call_later(0.05, it.awkward.gate.set)
        assert api.said(ALICE)[-1] == "slow: x"
        last = api.made("getUpdates")[-1]
        assert last.params["timeout"] == 0

        again = Rig(api)
        async with again.serving():
            await again.ready()
            await again.ask("/start")
            assert again.awkward.ran == []


async def test_at_the_end_nobody_is_waited_for_too_long(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.surface.PATIENCE_AT_END", 0.05)
    async with BotApi().running() as api:
        it = Rig(api)
        async with it.serving():
            await it.ready()
            await it.ask("/start")
            await api.say(ALICE, "/slow x")
            await api.until(lambda: it.awkward.ran != [])
            api.fail("getUpdates", Fault(hang_up=True))
        assert len(api.said(ALICE)) == 1


async def test_when_there_is_no_room_polling_waits(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.arrivals.BACKLOG_MAX", 2)
    async with rig() as it:
        await it.api.say(ALICE, "/slow x")
        for number in range(6):
            await it.api.say(ALICE, f"/echo {number}")
        await asyncio.sleep(0.05)
        it.awkward.gate.set()
        said = await it.api.heard(ALICE, 8)
        assert said[2:] == [f"echo: {number}" for number in range(6)]
