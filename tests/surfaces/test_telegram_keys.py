"""Keys sent to the bot: the message goes before anything else happens, whatever happens then."""

import logging

import pytest

from tests.surfaces.bot_api import TOKEN, Fault
from tests.surfaces.telegram_rig import ALICE, BOB, KEY, SECRET, rig

GROUP = {"id": -500, "type": "supergroup", "title": "Friends"}
DELETED = "🗑 I deleted your message, because it held keys."


@pytest.fixture(autouse=True)
def nothing_leaks(caplog):
    """No test of this file may bring a key or the token into the log, at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    text = caplog.text + repr([record.__dict__ for record in caplog.records])
    for hidden in (KEY, SECRET, TOKEN):
        assert hidden not in text


@pytest.mark.parametrize("webhook", [False, True], ids=["polling", "webhook"])
async def test_the_message_is_deleted_first_and_then_the_keys_are_used(webhook):
    async with rig(webhook=webhook) as it:
        sent = await it.api.say(ALICE, f"/connect kraken {KEY} {SECRET}")
        assert (await it.api.heard(ALICE, 2))[-1] == f"{DELETED}\n\nconnected kraken"
        assert it.api.outbound() == ["deleteMessage", "sendMessage"]
        assert sent["message_id"] not in it.api.chats[ALICE]
        assert it.awkward.ran == [("connect", "tg101", "")]


@pytest.mark.parametrize(
    "text",
    [
        f"/connect crash {KEY} {SECRET}",
        f"/connect {KEY}",
        f"/connect {KEY} {SECRET} a b c d e f",
        f"/CONNECT@FleetBot kraken {KEY} {SECRET}",
        f"/connect\n{KEY}\n{SECRET}",
        f"/conect kraken {KEY} {SECRET}",
        f"  /connect kraken {KEY} {SECRET}",
        f"\u200b/connect kraken '{KEY}' \"{SECRET}\"",
        f"connect kraken {KEY} {SECRET}",
        f"connect kraken {KEY}",
        f"here is my key: {SECRET}",
        f"/help_me_please {SECRET}",
    ],
)
async def test_whatever_is_wrong_with_it_the_message_goes_first(text):
    async with rig() as it:
        answer = await it.ask(text)
        assert answer.startswith(DELETED)
        assert it.api.outbound()[0] == "deleteMessage"
        assert it.api.outbound().count("deleteMessage") == 1
        assert KEY not in answer
        assert SECRET not in answer


async def test_a_crash_tells_a_number_and_the_log_tells_no_key(caplog):
    async with rig() as it:
        answer = await it.ask(f"/connect crash {KEY} {SECRET}")
        assert "Something went wrong on our side; nothing was changed." in answer
        number = answer.split()[-1]
        (record,) = [r for r in caplog.records if number in r.getMessage()]
        assert "RuntimeError" in record.getMessage()
        assert "telegram_rig.py" in record.getMessage()


async def test_strangers_are_protected_too():
    async with rig(registered=False) as it:
        answer = await it.ask(f"/connect kraken {KEY} {SECRET}", 999)
        assert answer == f"{DELETED}\n\nYou are not registered yet; send /start first."
        assert it.api.outbound() == ["deleteMessage", "sendMessage"]


async def test_who_is_too_fast_is_protected_too():
    async with rig() as it:
        for _ in range(19):
            await it.ask("/echo x")
        await it.ask("/echo x")
        it.api.calls.clear()
        answer = await it.ask(f"/connect kraken {KEY} {SECRET}")
        assert answer == f"{DELETED}\n\nToo many commands; try again in 6 s."
        assert it.api.outbound() == ["deleteMessage", "sendMessage"]


async def test_a_slow_command_does_not_delay_the_deletion():
    async with rig() as it:
        await it.api.say(ALICE, "/slow first")
        await it.api.say(ALICE, f"/connect kraken {KEY} {SECRET}")
        await it.api.called("deleteMessage")
        assert it.api.outbound() == ["deleteMessage"]
        it.awkward.gate.set()
        assert (await it.api.heard(ALICE, 3))[1:] == [
            "slow: first",
            f"{DELETED}\n\nconnected kraken",
        ]


async def test_who_floods_is_protected_too(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.lanes.WAITING_MAX", 1)
    async with rig() as it:
        await it.api.say(ALICE, "/slow first")
        await it.api.say(ALICE, f"/connect kraken {KEY} {SECRET}")
        await it.api.called("deleteMessage")
        it.awkward.gate.set()
        await it.api.heard(ALICE, 2)
        assert [name for name, *_ in it.awkward.ran] == ["slow"]


async def test_a_replayed_message_is_deleted_again_and_not_run_again():
    async with rig(webhook=True) as it:
        update = it.api.message(ALICE, f"/connect kraken {KEY} {SECRET}")
        await it.api.send(update)
        await it.api.heard(ALICE, 2)
        await it.api.send(update)
        await it.api.called("deleteMessage", 2)
        assert await it.ask("/echo x") == "echo: x"
        assert [name for name, *_ in it.awkward.ran] == ["connect", "echo"]


async def test_deleting_is_tried_again_before_anything_is_said():
    async with rig() as it:
        it.api.fail("deleteMessage", Fault(status=429, retry_after=2), Fault(hang_up=True))
        assert (await it.ask(f"/connect kraken {KEY} {SECRET}")).startswith(DELETED)
        assert it.api.outbound() == ["deleteMessage"] * 3 + ["sendMessage"]


async def test_a_lost_answer_to_the_deletion_counts_as_deleted():
    async with rig() as it:
        it.api.fail("deleteMessage", Fault(hang_up=True, done=True))
        assert (await it.ask(f"/connect kraken {KEY} {SECRET}")).startswith(DELETED)


async def test_who_cannot_be_helped_is_told_to_revoke():
    async with rig() as it:
        it.api.undeletable = True
        answer = await it.ask(f"/connect kraken {KEY} {SECRET}")
        assert answer.startswith(
            "⚠️ I could not delete your message with the keys. Delete it yourself now, and revoke"
        )
        answer = await it.ask(f"/connect crash {KEY} {SECRET}")
        assert "revoke" in answer
        assert "Something went wrong" in answer


async def test_without_keys_there_is_nothing_to_tell():
    async with rig() as it:
        assert (await it.ask("/connect")).startswith("Usage: /connect")
        assert it.api.outbound() == ["sendMessage"]
        assert await it.ask("/connect paper") == "connected paper"
        assert await it.ask("connect me") == (
            "I understand commands, such as /status. /help lists them all."
        )


async def test_keys_written_into_an_older_message_are_deleted_too():
    async with rig() as it:
        message = await it.api.say(ALICE, "/echo x")
        await it.api.heard(ALICE, 2)
        text = f"/connect kraken {KEY} {SECRET}"
        edited = {**message, "text": text, "edit_date": 1_767_225_601}
        await it.api.send(it.api.update(edited_message=edited))
        assert (await it.api.heard(ALICE, 3))[-1] == (
            f"{DELETED}\n\nI do not run edited messages; send the command anew."
        )
        assert [name for name, *_ in it.awkward.ran] == ["echo"]


async def test_keys_below_a_picture_are_seen():
    async with rig() as it:
        answer = await it.ask("", caption=f"/connect kraken {KEY} {SECRET}", photo=[])
        assert answer == f"{DELETED}\n\nconnected kraken"


async def test_keys_in_a_group_are_deleted_and_never_used():
    async with rig() as it:
        text = f"/connect kraken {KEY} {SECRET}"
        answer = await it.ask(text, chat=GROUP)
        assert it.api.outbound() == ["deleteMessage", "sendMessage"]
        assert answer.startswith("⚠️ Never send keys to a group: others may have read them. I del")
        assert "Revoke those keys" in answer
        it.api.undeletable = True
        assert "I could not delete" in await it.ask(f"/conect {KEY} {SECRET}", BOB, chat=GROUP)
        it.api.calls.clear()
        await it.api.say(ALICE, f"/connect@OtherBot kraken {KEY} {SECRET}", chat=GROUP)
        await it.api.say(ALICE, f"look at {SECRET}", chat=GROUP)
        assert await it.ask("/echo x") == "echo: x"
        assert it.api.outbound() == ["sendMessage"]
        assert [name for name, *_ in it.awkward.ran] == ["echo"]


@pytest.mark.parametrize("chat", [GROUP, {"id": ALICE, "type": "private"}])
async def test_keys_are_deleted_even_when_nothing_else_works(chat, monkeypatch):
    async def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("tradefleet.surfaces.telegram.edge.Edge._on_message", broken)
    async with rig(registered=False) as it:
        sent = await it.api.say(ALICE, f"/connect kraken {KEY} {SECRET}", chat=chat)
        await it.api.called("deleteMessage")
        assert it.api.outbound()[0] == "deleteMessage"
        assert sent["message_id"] not in it.api.chats[chat["id"]]


async def test_the_question_before_a_dangerous_command_repeats_no_key():
    async with rig() as it:
        commands = dict(it.dispatcher.catalog.commands)
        spec = commands["connect"]
        object.__setattr__(spec, "dangerous", True)
        question = await it.ask(f"/connect kraken {KEY} {SECRET}")
        assert it.api.outbound()[0] == "deleteMessage"
        assert "/connect …" in question
        assert KEY not in question
        await it.api.send(it.api.press(ALICE, it.api.button(ALICE, "Yes")))
        assert (await it.api.heard(ALICE, 3))[-1] == "connected kraken"


async def test_a_reply_may_ask_for_the_deletion_itself():
    async with rig() as it:
        it.awkward.reply = type(it.awkward.reply)(text="kept safe", delete_request=True)
        assert await it.ask("/show my-secret") == f"{DELETED}\n\nkept safe"
        assert it.api.outbound() == ["deleteMessage", "sendMessage"]
