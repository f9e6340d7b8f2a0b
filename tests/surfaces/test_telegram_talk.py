"""Conversations with the bot, through polling and webhook alike."""

import logging
from dataclasses import replace

import pytest

from tests.surfaces.bot_api import Fault
from tests.surfaces.telegram_rig import ALICE, BOB, rig
from tradefleet.command import Reply
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.user import Role
from tradefleet.surfaces.telegram.keys import KeyGuard

GROUP = {"id": -500, "type": "group", "title": "Friends"}
TABLE = Reply(
    text="📊 Two & more <pairs>",
    columns=("pair", "PnL"),
    rows=(("BTC/USDT", "$50.00"), ("ETH/USDT", "-$20.00")),
)
both_ways = pytest.mark.parametrize("webhook", [False, True], ids=["polling", "webhook"])


@both_ways
async def test_somebody_registers_and_asks(webhook):
    async with rig(webhook=webhook, registered=False) as it:
        assert await it.ask("/status") == "You are not registered yet; send /start first."
        assert await it.ask("/start") == "👋 Welcome! You've been registered."
        assert await it.ask("/start") != "👋 Welcome! You've been registered."
        assert await it.ask("/status") == "all is well"
        user = await it.store.find_user(telegram_id=ALICE)
        assert (user.id, user.username) == ("tg101", "p101")


async def test_words_arrive_as_they_were_meant():
    async with rig() as it:
        for typed, heard in [
            ("/echo one  two", "echo: one two"),
            ("/echo\none\u00a0two\nthree", "echo: one two three"),
            ("/ECHO@FleetBot one", "echo: one"),
            ('/echo "one two" it\'s «drei vier»', "echo: one two it's drei vier"),
            ('/echo an "open quote', 'echo: an "open quote'),
            ("/echo \u200bone\u2060 👩‍👩‍👧 日本", "echo: one 👩‍👩‍👧 日本"),
            ("/echo <b>&amp; \ud800!", "echo: <b>&amp; !"),
        ]:
            assert await it.ask(typed) == heard


async def test_what_is_no_command_is_answered_helpfully():
    async with rig() as it:
        for said, answer in [
            ("hello", "I understand commands, such as /status. /help lists them all."),
            ("/", "I understand commands, such as /status. /help lists them all."),
            ("/statsu", "I do not know that command. Did you mean /status? /help lists all."),
            ("/killswitches", "I do not know that command. /help lists all."),
        ]:
            assert await it.ask(said) == answer
        assert await it.ask("/echo hi", forward_origin=FORWARD) == (
            "I do not run what was forwarded; type the command yourself."
        )
        assert await it.ask("", photo=[], caption="/echo hi") == "echo: hi"
        assert it.awkward.ran == [("echo", "tg101", "hi")]


FORWARD = {"type": "hidden_user", "date": 1, "sender_user_name": "Mallory"}


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        ("refused", "You may not <do> that."),
        ("venue", "❌ The exchange cannot be reached now; nothing was changed."),
        ("rejected", "❌ The exchange refused: too small"),
        ("doubt", "⏳ The exchange has not said whether it accepted this."),
        ("store", "❌ Our database cannot be used now; nothing was changed."),
    ],
)
async def test_a_foreseen_error_is_told_in_its_own_words(error, answer):
    async with rig() as it:
        assert (await it.ask(f"/fail {error}")).startswith(answer)


async def test_a_bug_is_answered_with_a_number_that_is_in_the_log(caplog):
    async with rig() as it:
        answer = await it.ask("/fail bug")
        assert answer.startswith("❌ Something went wrong on our side; nothing was changed.")
        number = answer.split()[-1]
        (record,) = [r for r in caplog.records if number in r.getMessage()]
        assert record.levelno == logging.ERROR
        assert "a bug with a detail" in record.getMessage()
        assert await it.ask("/echo on") == "echo: on"


async def test_a_table_is_drawn_in_monospace_and_refreshed_in_its_place(caplog):
    async with rig() as it:
        it.awkward.reply = TABLE
        shown = await it.ask("/status BTC/USDT")
        assert shown.splitlines()[1:] == [
            "pair          PnL",
            "BTC/USDT   $50.00",
            "ETH/USDT  -$20.00",
        ]
        (sent,) = it.api.made("sendMessage")
        assert "<pre>pair " in sent.params["text"]
        assert "Two &amp; more &lt;pairs&gt;" in sent.params["text"]

        button = it.api.button(ALICE, "Refresh")
        await it.api.send(it.api.press(ALICE, button))  # nothing new: Telegram minds, we do not
        await it.api.called("answerCallbackQuery")
        it.awkward.reply = replace(TABLE, text="📊 None")
        await it.api.send(it.api.press(ALICE, button))
        await it.api.called("answerCallbackQuery", 2)
        assert it.api.said(ALICE)[-1].startswith("📊 None")
        assert len(it.api.made("sendMessage")) == 1
        assert it.api.button(ALICE, "Refresh") == button
        assert it.awkward.ran == [("status", "tg101", "BTC/USDT")] * 3
        assert caplog.records == []


async def test_only_what_looks_and_fits_has_a_refresh_button():
    async with rig() as it:
        for text in ["/echo x", "/status " + "x" * 60, "/show", "/fail refused"]:
            await it.ask(text)
            assert "reply_markup" not in it.api.last(ALICE), text
        it.awkward.reply = Reply(text="long " * 2000)
        await it.ask("/status")
        await it.api.called("sendMessage", 7)
        assert "reply_markup" not in it.api.last(ALICE)


async def test_a_refresh_that_is_refused_leaves_the_message_alone():
    async with rig() as it:
        await it.ask("/status")
        button = it.api.button(ALICE, "Refresh")
        it.awkward.reply = Reply(text="not now", refused=True)
        await it.api.send(it.api.press(ALICE, button))
        (call,) = await it.api.called("answerCallbackQuery")
        assert call.params["text"] == "not now"
        assert not it.api.made("editMessageText")


INVENTED = [
    *[
        "",
        "r",
        "y",
        "🙂",
        "r\x1f0\x1fstatus",
        "r\x1f0\x1fstatus\x1fAAAAAAAA",
        "s\x1fecho\x1fAAAAAAAA",
    ],
    *["y\x1f6955b90000a1\x1fflatten\x1fall\x1fAAAAAAAA", "q\x1fx", "\x1f" * 64, "\ud800"],
]


@pytest.mark.parametrize("data", INVENTED)
async def test_an_invented_button_does_nothing(data):
    async with rig() as it:
        await it.ask("/show")
        await it.api.send(it.api.press(ALICE, data))
        (call,) = await it.api.called("answerCallbackQuery")
        assert call.params["text"] == "I do not know this button; send the command again."
        assert len(it.awkward.ran) == 1


# ---- dangerous commands


async def test_a_dangerous_command_asks_first_and_runs_once():
    async with rig() as it:
        question = await it.ask("/fl BTC/USDT <now>")
        assert question.startswith("⚠️ /flatten BTC/USDT <now>\nTry flatten. Are you sure?")
        assert it.awkward.ran == []
        yes = it.api.button(ALICE, "Yes")
        pressed_on = it.api.last(ALICE)
        await it.api.send(it.api.press(ALICE, yes))
        said = await it.api.heard(ALICE, 3)
        assert said[1:] == ["✅ /flatten BTC/USDT <now>: confirmed.", "flatten: BTC/USDT <now>"]
        assert "reply_markup" not in pressed_on

        await it.api.send(it.api.press(ALICE, yes, on=pressed_on))
        calls = await it.api.called("answerCallbackQuery", 2)
        assert calls[-1].params["text"] == "This question is closed; send the command again."
        assert it.awkward.ran == [("flatten", "tg101", "BTC/USDT <now>")]


async def test_no_is_no():
    async with rig() as it:
        await it.ask("/flatten all")
        yes = it.api.button(ALICE, "Yes")
        await it.api.send(it.api.press(ALICE, it.api.button(ALICE, "No")))
        await it.api.called("editMessageText")
        assert it.api.said(ALICE)[-1] == "❌ /flatten all: cancelled, nothing was changed."
        await it.api.send(it.api.press(ALICE, yes))
        await it.api.called("answerCallbackQuery", 2)
        assert it.awkward.ran == []


async def test_a_question_expires_after_a_minute():
    async with rig() as it:
        await it.ask("/flatten all")
        it.clock.pass_by(60)
        await it.api.send(it.api.press(ALICE, it.api.button(ALICE, "Yes")))
        await it.api.called("editMessageText")
        assert it.api.said(ALICE)[-1].startswith("⌛ /flatten all: you did not answer within")
        assert it.awkward.ran == []


async def test_nobody_answers_a_question_asked_of_somebody_else():
    async with rig() as it:
        await it.ask("/flatten all")
        yes, hers = it.api.button(ALICE, "Yes"), it.api.last(ALICE)
        await it.ask("/echo hi", BOB)
        await it.api.send(it.api.press(BOB, yes))  # on his own message
        await it.api.send(it.api.press(BOB, yes, on=hers))
        calls = await it.api.called("answerCallbackQuery", 2)
        assert [call.params["text"] for call in calls] == [
            "I do not know this button; send the command again.",
            "This button is not for you.",
        ]
        assert len(it.awkward.ran) == 1
        await it.api.send(it.api.press(ALICE, yes))
        assert (await it.api.heard(ALICE, 3))[-1] == "flatten: all"


async def test_who_may_not_run_it_is_not_asked_and_learns_nothing():
    async with rig() as it:
        assert await it.ask("/killswitch") == "I do not know that command. /help lists all."
        assert await it.ask("/flatten x", 103) == "You are not registered yet; send /start first."
        async with it.store.open((await it.store.find_user(telegram_id=BOB)).id) as mine:
            await mine.save_user(replace(await mine.user(), role=Role.ADMIN))
        assert (await it.ask("/killswitch", BOB)).startswith("⚠️ /killswitch\n")


async def test_a_dangerous_command_that_is_misspelt_is_not_even_asked_about():
    async with rig() as it:
        assert (await it.ask("/sellall")).startswith("Usage: /sellall")
        assert (await it.ask("/sellall a b")).startswith("Usage: /sellall")
        assert (await it.ask("/sellall a")).startswith("⚠️ /sellall a\n")


@pytest.mark.parametrize("command", ["/echo x", "/flatten x"])
async def test_a_database_that_is_away_is_said(monkeypatch, command):
    async with rig() as it:

        async def away(**_):
            raise StoreUnavailable("disk full")

        monkeypatch.setattr(it.store, "find_user", away)
        assert (await it.ask(command)).startswith("❌ Our database cannot be used now;")


async def test_many_open_questions_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.questions.OPEN_MAX", 1)
    async with rig() as it:
        await it.ask(f"/flatten one {'x' * 60}")
        first = it.api.button(ALICE, "Yes")
        await it.ask(f"/flatten two {'x' * 60}")
        await it.api.send(it.api.press(ALICE, first))
        (call,) = await it.api.called("answerCallbackQuery")
        assert call.params["text"] == "This question is closed; send the command again."


# ---- groups, pace, order


async def test_a_group_is_told_to_talk_in_private_and_otherwise_left_alone():
    async with rig() as it:
        for ignored in ["hello", "/status@OtherBot", "/unknown", "/"]:
            await it.api.say(ALICE, ignored, chat=GROUP)
        answer = await it.ask("/status", chat=GROUP)
        assert answer == "Let us talk in private: open a chat with me and send /start."
        assert await it.ask("/unknown@fleetbot", chat=GROUP) == answer
        assert len(it.api.said(GROUP["id"])) == 2
        assert it.awkward.ran == []


async def test_too_many_commands_are_refused_once_with_the_time_to_wait():
    async with rig() as it:
        for _ in range(19):  # /start was the first
            await it.ask("/echo x")
        assert await it.ask("/echo x") == "Too many commands; try again in 6 s."
        for _ in range(5):
            await it.api.say(ALICE, "/echo again")
        await it.api.say(ALICE, "/echo x", chat=GROUP)
        assert await it.ask("/echo x", BOB) == "echo: x"
        await it.api.send(it.api.press(ALICE, "r\x1fstatus"))
        (call,) = await it.api.called("answerCallbackQuery")
        assert call.params["text"] == "Too many commands; try again in 6 s."
        it.clock.pass_by(6)
        assert await it.ask("/echo free") == "echo: free"
        assert await it.ask("/echo x") == "Too many commands; try again in 6 s."
        assert not it.api.said(GROUP["id"])


async def test_a_slow_user_holds_up_nobody_else_and_keeps_their_order():
    async with rig() as it:
        await it.api.say(ALICE, "/slow first")
        for number in range(5):
            await it.api.say(ALICE, f"/echo {number}")
        assert await it.ask("/echo quick", BOB) == "echo: quick"
        assert len(it.api.said(ALICE)) == 1
        it.awkward.gate.set()
        said = await it.api.heard(ALICE, 7)
        assert said[1:] == ["slow: first", *(f"echo: {number}" for number in range(5))]


async def test_one_who_floods_is_cut_off(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.lanes.WAITING_MAX", 3)
    async with rig() as it:
        await it.api.say(ALICE, "/slow first")
        for number in range(10):
            await it.api.say(ALICE, f"/echo {number}")
        assert await it.ask("/echo quick", BOB) == "echo: quick"
        it.awkward.gate.set()
        assert (await it.api.heard(ALICE, 4))[1:] == ["slow: first", "echo: 0", "echo: 1"]
        assert await it.ask("/echo later") == "echo: later"


async def test_a_long_reply_comes_in_several_whole_messages():
    async with rig() as it:
        rows = tuple((f"row <{n}>", "& " * 10) for n in range(300))
        it.awkward.reply = Reply(text="🙂 " * 3000, columns=("a", "b"), rows=rows)
        await it.ask("/show")
        await it.api.until(lambda: "row <299>" in it.api.said(ALICE)[-1])
        said = "\n".join(it.api.said(ALICE))
        assert said.count("🙂") == 3000
        assert all(f"row <{n}>" in said for n in range(300))


async def test_the_menu_offers_what_everybody_may_use():
    async with rig(registered=False) as it:
        names = [entry["command"] for entry in it.api.menu]
        assert "status" in names
        assert "killswitch" not in names
        (call,) = it.api.made("setMyCommands")
        assert call.params["scope"] == {"type": "all_private_chats"}


async def test_a_message_that_cannot_be_sent_is_tried_again():
    async with rig() as it:
        it.api.fail(
            "sendMessage",
            Fault(status=429, retry_after=3),
            Fault(status=502, page=True),
            Fault(hang_up=True),
        )
        assert await it.ask("/echo x") == "echo: x"
        assert it.clock.slept[-3:] == [3.0, 2.0, 4.0]
        it.api.fail("sendMessage", Fault(status=429, retry_after=600))
        await it.api.say(ALICE, "/echo lost")
        assert await it.ask("/echo y") == "echo: y"


async def test_a_user_who_blocked_the_bot_is_left_alone(caplog):
    async with rig() as it:
        it.api.blocked_by.add(ALICE)
        await it.api.say(ALICE, "/echo x")
        await it.api.called("sendMessage")
        it.api.blocked_by.clear()
        assert await it.ask("/echo y") == "echo: y"
        assert len(it.api.made("sendMessage")) == 2
        assert "could not send: Forbidden: bot was blocked by the user" in caplog.text


async def test_a_reply_that_cannot_be_drawn_does_not_say_that_nothing_was_changed():
    async with rig() as it:
        it.awkward.reply = Reply(text="ok", columns=("a",), rows=(("1", "2"),))
        assert (await it.ask("/show")).startswith("❌ Your command was carried out, but")


async def test_a_fault_outside_the_edge_loses_one_update_only(monkeypatch, caplog):
    async with rig() as it:
        broken = KeyGuard.may_hold_keys

        def may_hold_keys(self, text, *, in_private):
            if "boom" in text:
                raise RuntimeError(text)
            return broken(self, text, in_private=in_private)

        monkeypatch.setattr(KeyGuard, "may_hold_keys", may_hold_keys)
        await it.api.say(ALICE, "/echo boom")
        assert await it.ask("/echo on") == "echo: on"
        assert "an update was lost" in caplog.text
        assert "boom" not in caplog.text


async def test_of_many_people_the_silent_ones_are_forgotten(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.manners.KNOWN_MAX", 1)
    async with rig() as it:
        for _ in range(25):
            assert await it.ask("/echo x") == "echo: x"
            assert await it.ask("/echo x", BOB) == "echo: x"


async def test_edits_and_other_bots_are_ignored():
    async with rig() as it:
        message = await it.api.say(ALICE, "/echo one")
        await it.api.heard(ALICE, 2)
        edited = {**message, "text": "/echo two", "edit_date": 1_767_225_601}
        await it.api.send(it.api.update(edited_message=edited))
        robot = it.api.message(ALICE, "/echo robot")
        robot["message"]["from"]["is_bot"] = True
        await it.api.send(robot)
        assert await it.ask("/echo three") == "echo: three"
        assert [words for _, _, words in it.awkward.ran] == ["one", "three"]


@both_ways
async def test_the_same_update_twice_is_run_once(webhook):
    async with rig(webhook=webhook) as it:
        update = it.api.message(ALICE, "/echo one")
        await it.api.send(update)
        await it.api.heard(ALICE, 2)
        await it.api.send(update)
        assert await it.ask("/echo two") == "echo: two"
        assert [words for _, _, words in it.awkward.ran] == ["one", "two"]
