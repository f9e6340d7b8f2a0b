"""How often one may ask on Telegram: spam is answered once, and nobody is kept from their exit."""

from dataclasses import replace

from tests.surfaces.telegram_rig import ALICE, BOB, Awkward, rig

WAIT = "Too many commands; try again in 6 s."
SPAM = 1_000


async def test_a_thousand_messages_too_many_are_answered_once():
    async with rig() as it:
        for _ in range(19):  # /start was the first
            await it.ask("/echo x")
        before = len(it.api.said(ALICE))
        for _ in range(SPAM):
            await it.api.say(ALICE, "/echo spam")
        assert await it.ask("/echo x", BOB) == "echo: x"
        assert await it.ask("/echo x", BOB) == "echo: x"
        told = it.api.said(ALICE)[before:]
        assert told == [WAIT]
        assert sum(name == "echo" for name, _, words in it.awkward.ran if words == "spam") == 0


async def test_nobody_is_kept_from_their_exit_however_much_they_asked(monkeypatch):
    made = Awkward.commands

    def with_exits(self):
        specs = made(self)
        specs["flatten"] = replace(specs["flatten"], is_exit=True)
        specs["leave"] = replace(specs["echo"], name="leave", is_exit=True)
        return specs

    monkeypatch.setattr(Awkward, "commands", with_exits)
    async with rig() as it:
        for _ in range(19):
            await it.ask("/echo x")
        assert await it.ask("/echo x") == WAIT
        for _ in range(30):
            assert await it.ask("/leave now") == "echo: now"
        assert "Are you sure?" in await it.ask("/flatten all of it")
        await it.api.send(it.api.press(ALICE, it.api.button(ALICE, "Yes")))
        await it.api.until(lambda: it.api.said(ALICE)[-1] == "flatten: all of it")
        assert ("flatten", "all of it") in [(name, words) for name, _, words in it.awkward.ran]
