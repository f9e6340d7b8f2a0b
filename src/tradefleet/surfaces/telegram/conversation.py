"""One turn of a conversation in private: the question before a danger, the reply, its buttons."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from telegram import InlineKeyboardMarkup
from telegram import User as Person

from tradefleet.command import AnyCommand, Reply, Step
from tradefleet.domain.errors import Refused, StoreError
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.buttons import Buttons, Row, keyboard
from tradefleet.surfaces.telegram.errands import Errands, Turn, refused
from tradefleet.surfaces.telegram.markup import parts
from tradefleet.surfaces.telegram.questions import Questions
from tradefleet.surfaces.telegram.sheets import Sheet, sheet_of, words_for
from tradefleet.surfaces.telegram.voice import Voice
from tradefleet.surfaces.telegram.words import read_message


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Runs what a person asks for, and says what came of it."""

    errands: Errands
    voice: Voice
    questions: Questions
    buttons: Buttons

    async def run_or_ask(
        self, person: Person, name: str, words: Sequence[str], turn: Turn
    ) -> Reply | None:
        """Return the reply to a command, or None when a question was asked instead."""
        try:
            dangerous = await self.errands.question(person, name, words)
        except Refused as refusal:
            return refused(str(refusal))
        except StoreError:
            return refused(texts.STORE_AWAY)
        if dangerous is None:
            return await self.errands.run(person, name, words, turn)
        await self._ask(person.id, dangerous, tuple(words))
        return None

    async def _ask(self, chat: int, command: AnyCommand, words: tuple[str, ...]) -> None:
        token, name = self.questions.new(), command.name
        if command.takes_secrets or not self.buttons.carry(chat, token, name, words):
            self.questions.keep(token, name, words)
            rows = self.buttons.of_question(chat, token, "", ())
        else:
            rows = self.buttons.of_question(chat, token, name, words)
        question = texts.QUESTION.format(
            command=typed(command, words), summary=command.summary.rstrip(".")
        )
        await self.voice.say(chat, [escape(question, quote=False)], keyboard(rows))

    async def say(self, chat: int, reply: Reply, name: str, words: Sequence[str]) -> None:
        """Send a reply with the buttons that belong below it, and the files that come with it."""
        html, below = self.shown(chat, reply, name, words)
        await self.voice.say(chat, html, below)
        for attachment in reply.attachments:
            await self.voice.hand_over(chat, attachment)

    async def turn_to(
        self, person: Person, name: str, words: Sequence[str], page: int, turn: Turn
    ) -> tuple[Reply, list[str], InlineKeyboardMarkup | None]:
        """Run a command that only looks, for one page of its reply."""
        command = self.errands.dispatcher.find(name)
        if command is None or not command.refreshes:
            return refused(texts.UNKNOWN_BUTTON), [], None
        reply = await self.errands.run(person, name, words_for(command, words, page), turn)
        return reply, *self.shown(person.id, reply, name, words, page)

    def shown(
        self, chat: int, reply: Reply, name: str, words: Sequence[str], page: int = 0
    ) -> tuple[list[str], InlineKeyboardMarkup | None]:
        """Return a page of a reply as HTML, with its buttons."""
        command = self.errands.dispatcher.find(name)
        if command is None or reply.refused:
            return parts(reply), keyboard(self._steps(chat, reply.steps))
        sheet = sheet_of(reply, command, page)
        html = parts(sheet.reply)
        rows = self._turning(chat, command, words, sheet) if len(html) == 1 else []
        return html, keyboard([*rows, *self._steps(chat, reply.steps)])

    def _turning(
        self, chat: int, command: AnyCommand, words: Sequence[str], sheet: Sheet
    ) -> list[Row]:
        if not command.refreshes or command.takes_secrets:
            return []
        return self.buttons.of_sheet(
            chat,
            command.name,
            words,
            page=sheet.page,
            pages=sheet.pages,
            has_older=sheet.has_older,
        )

    def _steps(self, chat: int, steps: Sequence[Step]) -> list[Row]:
        read = [(step, read_message(step.message)) for step in steps]
        known = [(step, spoken.name, spoken.words) for step, spoken in read]
        return self.buttons.of_steps(chat, known)


def typed(command: AnyCommand, words: Sequence[str]) -> str:
    """Return a command as it was typed, without its secrets."""
    return f"/{command.name} …" if command.takes_secrets else " ".join([f"/{command.name}", *words])
