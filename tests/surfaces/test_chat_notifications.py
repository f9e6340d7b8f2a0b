"""How loud users are told, word for word, and that the outbox hears it."""

from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, START, Door
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.notices import ALWAYS_TOLD, DEFAULTS, MEANINGS, Loudness

CHANGES = """
> /notify fill silent
🔕 fill: told without a sound from now on.
> /notify STOP Off
🚫 stop: not told any more. Undo: /notify stop on
> /notify stop on
🔔 stop: told with a sound from now on.
> /notify all default
🔔 fill, stop, guard, fault, system, security: told with a sound from now on.
🔕 trade, order: told without a sound from now on.
> /notify all off
🚫 fill, stop, trade, order, guard, fault, system: not told any more. Undo: /notify fill on
🔐 security stays as it is: it cannot be switched off.
"""


@pytest.fixture
async def door():
    it = Door()
    for user_id in (ALICE, BOB):
        await it.ask("/start", user_id)
    return it


async def test_each_event_is_made_loud_silent_or_off(door):
    await door.talk(CHANGES)


async def test_all_events_are_listed_with_what_they_mean(door):
    await door.ask("/notify order on")
    reply = await door.ask("/notifications")
    assert reply.text.splitlines()[:2] == [
        "What you are told. /notify <event> <on|silent|off> changes it.",
        "🔔 fill (on): an order was filled",
    ]
    assert {each.event: (each.loudness, each.is_default) for each in reply.data.events} == {
        topic.value: (DEFAULTS[topic].value, True) for topic in Topic
    } | {"order": ("on", False)}
    assert set(MEANINGS) == set(Topic)


async def test_a_security_notice_can_be_silent_but_not_off(door):
    with pytest.raises(Refused, match="security cannot be switched off"):
        await door.ask("/notify security off")
    assert (await door.ask("/notify security silent")).data.events == {"security": "silent"}
    assert {Topic.SECURITY} == ALWAYS_TOLD


async def test_what_is_misspelt_is_answered_with_what_there_is(door):
    with pytest.raises(NotThere, match="There is no event 'fils'; there is: fill, stop, trade"):
        await door.ask("/notify fils on")
    with pytest.raises(Refused, match="Say how loud: on, silent, off or default, not 'quiet'"):
        await door.ask("/notify fill quiet")
    assert (await door.say("/notify")).startswith("Usage: /notify <event> <on|silent|off>")


async def test_the_choice_is_one_users_alone_and_goes_with_each_notice(door):
    await door.ask("/notify fill off")
    for user_id in (ALICE, BOB):
        async with door.store.open(user_id) as store:
            await store.notify(Notify(user_id, Topic.FILL, "filled", START))
    due = await door.store.due_notices(now=START + timedelta(seconds=1), limit=10)
    assert {each.notice.user_id: each.loudness for each in due} == {
        ALICE: Loudness.OFF,
        BOB: Loudness.ON,
    }
