"""Notices by Telegram: sent, put off, or given up for a reason."""

import logging
from dataclasses import replace

import pytest

from tests.surfaces.bot_api import TOKEN, BotApi, Fault
from tests.surfaces.telegram_rig import ALICE, QuickClock
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.ids import UserId
from tradefleet.domain.notices import Loudness
from tradefleet.notifier import Blocked, RetryLater
from tradefleet.notifiers.log import LogNotifier
from tradefleet.store import OutboxNotice
from tradefleet.surfaces.telegram.notifier import TelegramNotifier, Unreachable
from tradefleet.surfaces.telegram.options import TelegramOptions


def notice(text="Filled <1> BTC", telegram_id=ALICE):
    said = Notify(UserId("alice"), Topic.FILL, text, QuickClock().now())
    return OutboxNotice(id=1, notice=said, telegram_id=telegram_id, tries=0)


@pytest.fixture
async def api():
    async with BotApi().running() as it:
        yield it


@pytest.fixture
async def notifier(api):
    async with TelegramNotifier(TelegramOptions(token=TOKEN, api_url=api.url)) as it:
        yield it


async def test_a_notice_is_sent_as_it_reads(api, notifier):
    await notifier.deliver(notice())
    assert api.said(ALICE) == ["Filled <1> BTC"]


async def test_a_long_notice_comes_in_parts(api, notifier):
    await notifier.deliver(notice("word " * 1000))
    assert len(api.said(ALICE)) == 2


def test_it_reaches_who_has_a_chat(notifier):
    assert notifier.reaches(notice())
    assert not notifier.reaches(notice(telegram_id=None))


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(status=429, retry_after=9), 9),
        (Fault(status=502, page=True), 1),
        (Fault(hang_up=True), 1),
        (Fault(status=401), 60),
    ],
)
async def test_what_passes_is_put_off(api, notifier, fault, seconds):
    api.fail("sendMessage", fault)
    with pytest.raises(RetryLater) as caught:
        await notifier.deliver(notice())
    assert caught.value.seconds == seconds
    assert caught.value.everyone == (fault.status != 429)
    assert TOKEN not in f"{caught.value!r}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, description="Forbidden: bot was blocked by the user"),
        Fault(status=403, description="Forbidden: user is deactivated"),
        Fault(status=400, description="Bad Request: chat not found"),
    ],
)
async def test_who_is_there_no_more_or_blocked_us_is_left_in_peace(api, notifier, fault):
    api.fail("sendMessage", fault)
    with pytest.raises(Blocked, match=r"blocked|deactivated|not found"):
        await notifier.deliver(notice())


async def test_what_telegram_does_not_take_is_given_up(api, notifier):
    api.fail("sendMessage", Fault(status=400, description="Bad Request: text must be encoded"))
    with pytest.raises(Unreachable, match="encoded"):
        await notifier.deliver(notice())


async def test_who_wants_silence_hears_no_sound(api, notifier):
    await notifier.deliver(notice())
    await notifier.deliver(replace(notice("quiet"), loudness=Loudness.SILENT))
    assert [m["silent"] for m in api.chats[ALICE].values()] == [False, True]


async def test_users_without_a_chat_are_told_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    log = LogNotifier()
    assert log.reaches(notice(telegram_id=None))
    await log.deliver(notice(telegram_id=None))
    assert "notice to alice (fill): Filled <1> BTC" in caplog.text
