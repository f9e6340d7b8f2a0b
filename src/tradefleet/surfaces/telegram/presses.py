"""A button was pressed: refresh a reply in its place, or answer a question."""

from dataclasses import dataclass
from html import escape

from telegram import CallbackQuery
from telegram import User as Person

from tradefleet.clock import Clock
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.buttons import Refresh, Verdict, read_button, refresh_button
from tradefleet.surfaces.telegram.errands import Errands, Turn
from tradefleet.surfaces.telegram.manners import Manners
from tradefleet.surfaces.telegram.markup import parts
from tradefleet.surfaces.telegram.private_chat import typed
from tradefleet.surfaces.telegram.questions import NotYours, Question, Questions
from tradefleet.surfaces.telegram.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """Answers buttons; each press is answered once, or its waiting sign would stay."""

    errands: Errands
    voice: Voice
    manners: Manners
    questions: Questions
    clock: Clock

    async def take(self, query: CallbackQuery, turn: Turn) -> None:
        person, message = query.from_user, query.message
        if message is None or message.chat.id != person.id:
            await self.voice.answer(query.id, texts.NOT_YOUR_BUTTON)
            return
        pressed = read_button(query.data or "")
        wait = self.manners.seconds_to_wait(person.id)
        if pressed is None or wait:
            note = texts.too_many(wait) if wait else texts.UNKNOWN_BUTTON
            await self.voice.answer(query.id, note)
        elif isinstance(pressed, Refresh):
            note = await self._refresh(person, message.message_id, pressed, turn)
            await self.voice.answer(query.id, note)
        else:
            await self._decide(query.id, person, message.message_id, pressed, turn)

    async def _refresh(self, person: Person, message: int, pressed: Refresh, turn: Turn) -> str:
        """Put the new reply in place of the old one; return what to note beside the button."""
        reply = await self.errands.run(person, pressed.name, pressed.words, turn)
        if reply.refused:
            return reply.text
        button = refresh_button(pressed.name, pressed.words)
        await self.voice.edit(person.id, message, parts(reply)[0], button)
        return ""

    async def _decide(
        self, query: str, person: Person, message: int, verdict: Verdict, turn: Turn
    ) -> None:
        try:
            question = self.questions.take(verdict.token, person.id)
        except NotYours:
            await self.voice.answer(query, texts.NOT_YOUR_BUTTON)
            return
        if question is None:
            await self.voice.answer(query, texts.CLOSED)
        elif question.is_late(self.clock.now()) or not verdict.yes:
            fate = texts.CANCELLED if not verdict.yes else texts.EXPIRED
            await self.voice.answer(query)
            await self._close(person.id, message, question, fate)
        else:
            reply = await self.errands.run(person, question.name, question.words, turn)
            await self.voice.answer(query)
            await self._close(person.id, message, question, texts.CONFIRMED)
            await self.voice.say(person.id, parts(reply))

    async def _close(self, chat: int, message: int, question: Question, fate: str) -> None:
        """Take the buttons away and say what became of the question."""
        command = self.errands.dispatcher.find(question.name)
        shown = typed(command, question.words) if command else f"/{question.name}"
        await self.voice.edit(chat, message, escape(fate.format(command=shown), quote=False))
