"""Buttons on Telegram: pages, next steps and questions, and what forged ones come to."""

import pytest

from tests.surfaces.bot_api import BotApi
from tests.surfaces.telegram_rig import ALICE, BOB, Rig, rig
from tradefleet.command import Attachment, Reply, Step
from tradefleet.surfaces.telegram.buttons import Buttons, Look, Next, Verdict
from tradefleet.surfaces.telegram.questions import Questions
from tradefleet.surfaces.telegram.sheets import ITEMS, sheet_of

UNKNOWN = "I do not know this button; send the command again."


def labels(it: Rig, chat: int = ALICE) -> list[list[str]]:
    markup = it.api.last(chat).get("reply_markup", {})
    return [[button["text"] for button in row] for row in markup.get("inline_keyboard", [])]


async def press(it: Rig, label: str) -> str:
    """Press a button of the latest message; return the note beside it."""
    before = len(it.api.made("answerCallbackQuery"))
    await it.api.send(it.api.press(ALICE, it.api.button(ALICE, label)))
    calls = await it.api.called("answerCallbackQuery", before + 1)
    return str(calls[-1].params.get("text", ""))


# ---- pages


async def test_a_long_table_is_turned_page_by_page_in_its_place():
    async with rig() as it:
        it.awkward.listed = 23
        said = await it.ask("/list mine 30")
        assert said.splitlines()[-1].startswith("row 9")
        assert labels(it) == [["🔄 1/3", "▶"]]
        await press(it, "▶")
        assert it.api.said(ALICE)[-1].splitlines()[2].startswith("row 10")
        assert labels(it) == [["◀", "🔄 2/3", "▶"]]
        await press(it, "▶")
        assert it.api.said(ALICE)[-1].splitlines()[-1].startswith("row 22")
        assert labels(it) == [["◀", "🔄 3/3"]]
        it.awkward.listed = 4  # it has become shorter since
        await press(it, "🔄")
        assert it.api.said(ALICE)[-1].splitlines()[-1].startswith("row 3")
        assert labels(it) == [["🔄 Refresh"]]
        assert len(it.api.made("sendMessage")) == 1


async def test_older_ones_are_asked_for_as_far_as_the_list_goes():
    async with rig() as it:
        it.awkward.listed = 100
        await it.ask("/list")
        assert labels(it) == [["🔄 1", "▶"]]
        for page in (2, 3, 4):
            await press(it, "▶")
            assert labels(it)[0][:2] == ["◀", f"🔄 {page}"]
        text = it.api.said(ALICE)[-1]
        assert "row 34" in text  # 35 is the most it gives
        assert "Older ones: cursor=x" in text
        assert labels(it) == [["◀", "🔄 4"]]
        await press(it, "◀")
        assert it.api.said(ALICE)[-1].splitlines()[-1].startswith("row 29")


async def test_the_entries_of_a_list_are_shown_a_few_at_a_time():
    items = tuple(f"{n}. pair\n   Balance: {n}" for n in range(1, 20))
    async with rig() as it:
        text = "\n".join(["Your pairs", *items, "All is well"])
        it.awkward.reply = Reply(text=text, items=items)
        said = (await it.ask("/status")).splitlines()
        assert (said[0], said[1], said[-1]) == ("Your pairs", "1. pair", "All is well")
        assert len(said) == 2 + 2 * ITEMS
        await press(it, "▶")
        await press(it, "▶")
        said = it.api.said(ALICE)[-1].splitlines()
        assert said[1:-1:2] == ["17. pair", "18. pair", "19. pair"]
        assert said[-1] == "All is well"


async def test_what_may_not_be_asked_again_is_sent_whole():
    async with rig() as it:
        rows = tuple((f"row {n}", "x") for n in range(30))
        it.awkward.reply = Reply(text="once", columns=("a", "b"), rows=rows)
        assert "row 29" in await it.ask("/show")
        assert labels(it) == []
        command = it.dispatcher.find("show")
        assert sheet_of(it.awkward.reply, command).reply is it.awkward.reply


# ---- next steps and files


async def test_a_step_runs_as_if_it_had_been_typed():
    async with rig() as it:
        steps = (Step("Say hi", "/echo hi there"), Step("Close", "/flatten all"))
        it.awkward.reply = Reply(
            text="what now?", steps=(*steps, Step("Too long", "/echo " + "x" * 60))
        )
        await it.ask("/show")
        assert labels(it) == [["Say hi", "Close"]]
        offered = it.api.last(ALICE)
        close = it.api.button(ALICE, "Close")
        await press(it, "Say hi")
        assert (await it.api.heard(ALICE, 3))[-1] == "echo: hi there"
        await it.api.send(it.api.press(ALICE, close, on=offered))
        assert (await it.api.heard(ALICE, 4))[-1].startswith("⚠️ /flatten all\n")
        assert ("flatten", "tg101", "all") not in it.awkward.ran


async def test_a_file_and_a_picture_come_with_a_reply():
    async with rig() as it:
        files = (Attachment("a.csv", "text/csv", b"x,y"), Attachment("a.png", "image/png", b"png"))
        it.awkward.reply = Reply(text="here", attachments=files)
        await it.ask("/show")
        (call,) = await it.api.called("sendDocument")
        assert call.files == {"document": ("a.csv", b"x,y")}
        (call,) = await it.api.called("sendPhoto")
        assert call.files == {"photo": ("a.png", b"png")}


# ---- questions


async def test_a_question_outlives_the_process_that_asked_it():
    async with BotApi().running() as api:
        it = Rig(api)
        async with it.serving():
            await it.ready()
            await it.register(ALICE)
            await it.ask("/flatten all")
        again = Rig(api)
        again.store, again.dispatcher, again.awkward = it.store, it.dispatcher, it.awkward
        again.surface = type(it.surface)(
            it.options, dispatcher=it.dispatcher, store=it.store, clock=it.clock, ids=it.clock
        )
        api.calls.clear()
        async with again.serving():
            await again.ready()
            yes = api.button(ALICE, "Yes")
            question = api.last(ALICE)
            await api.send(api.press(ALICE, yes))
            assert (await api.heard(ALICE, 3))[-1] == "flatten: all"
            await api.send(api.press(ALICE, yes, on=question))
            calls = await api.called("answerCallbackQuery", 2)
            assert calls[-1].params["text"].startswith("This question is closed")
        assert [name for name, *_ in it.awkward.ran] == ["flatten"]


async def test_two_presses_of_yes_at_once_run_it_once():
    async with rig(webhook=True) as it:
        await it.ask("/flatten all")
        yes, on = it.api.button(ALICE, "Yes"), it.api.last(ALICE)
        for _ in range(5):
            await it.api.send(it.api.press(ALICE, yes, on=on))
        await it.api.called("answerCallbackQuery", 5)
        assert [name for name, *_ in it.awkward.ran] == ["flatten"]


async def test_a_long_question_is_kept_and_answered():
    async with rig() as it:
        words = f"all {'x' * 80}"
        await it.ask(f"/flatten {words}")
        await press(it, "Yes")
        assert (await it.api.heard(ALICE, 3))[-1] == f"flatten: {words}"


async def test_questions_of_one_moment_do_not_share_a_token():
    async with rig() as it:
        questions = Questions(it.clock, it.clock, it.store.identity)
        assert questions.new() != questions.new()


# ---- what a button may hold


@pytest.mark.parametrize("chat", [ALICE, -5, 2**62])
def test_a_button_brings_back_what_it_was_made_of(chat):
    buttons = Buttons(b"key")
    (row,) = buttons.of_sheet(chat, "list", ("a b",), page=1, pages="2", has_older=True)
    assert [buttons.read(chat, str(b.callback_data)) for b in row] == [
        Look(page, "list", ("a b",)) for page in (0, 1, 2)
    ]
    ((step,),) = buttons.of_steps(chat, [(Step("x", "/a b"), "a", ("b",))])
    assert buttons.read(chat, str(step.callback_data)) == Next("a", ("b",))
    ((yes, no),) = buttons.of_question(chat, "abc", "flatten", ("all",))
    assert buttons.read(chat, str(yes.callback_data)) == Verdict(True, "abc", "flatten", ("all",))
    assert buttons.read(chat, str(no.callback_data)) == Verdict(False, "abc", "flatten", ("all",))


def test_a_button_of_another_chat_or_service_is_none_of_ours():
    made = Buttons(b"key")
    ((step,),) = made.of_steps(ALICE, [(Step("x", "/a b"), "a", ("b",))])
    data = str(step.callback_data)
    assert made.read(BOB, data) is None
    assert Buttons(b"other").read(ALICE, data) is None
    for at in range(len(data)):
        for letter in "\x1fsA0":
            changed = data[:at] + letter + data[at + 1 :]
            assert changed == data or made.read(ALICE, changed) is None


def test_what_does_not_fit_or_would_be_read_otherwise_has_no_button():
    buttons = Buttons(b"key")
    assert buttons.of_steps(1, [(Step("x", ""), "a", ("é" * 30,))]) == []
    assert buttons.of_steps(1, [(Step("x", ""), "a", ("b\x1fc",))]) == []
    assert buttons.of_sheet(1, "a", ("x" * 60,), page=0, pages="", has_older=False) == []
    assert not buttons.carry(1, "t", "a", ("x" * 60,))


async def test_a_page_of_a_command_that_changes_something_is_not_run():
    async with rig() as it:
        await it.ask("/show")
        secret = await it.store.secret("telegram_buttons")
        ((button,),) = Buttons(secret).of_sheet(
            ALICE, "flatten", ("all",), page=0, pages="", has_older=False
        )
        await it.api.send(it.api.press(ALICE, str(button.callback_data)))
        (call,) = await it.api.called("answerCallbackQuery")
        assert call.params["text"] == UNKNOWN
        assert [name for name, *_ in it.awkward.ran] == ["show"]
