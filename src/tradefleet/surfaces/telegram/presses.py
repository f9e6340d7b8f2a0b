"""A button was pressed: turn a page in its place, take the next step, or answer a question."""

from dataclasses import dataclass
from html import escape
from typing import assert_never

from telegram import CallbackQuery
from telegram import User as Person

from tradefleet.clock import Clock
from tradefleet.domain.errors import StoreError
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.buttons import Look, Next, Verdict
from tradefleet.surfaces.telegram.conversation import Conversation, typed
from tradefleet.surfaces.telegram.errands import Turn
from tradefleet.surfaces.telegram.manners import Manners
from tradefleet.surfaces.telegram.questions import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """Answers buttons; each press is answered once, or its waiting sign would stay."""

    conversation: Conversation
    manners: Manners
    clock: Clock

    async def take(self, query: CallbackQuery, turn: Turn) -> None:
        person, message = query.from_user, query.message
        voice = self.conversation.voice
        if message is None or message.chat.id != person.id:
            await voice.answer(query.id, texts.NOT_YOUR_BUTTON)
            return
        pressed = self.conversation.buttons.read(person.id, query.data or "")
        wait = self.manners.seconds_to_wait(person.id)
        if isinstance(pressed, Verdict) or (
            isinstance(pressed, Next) and self.conversation.errands.is_exit(pressed.name)
        ):
            wait = 0.0  # what was asked is answered once; no limit stands before an exit
        if pressed is None or wait:
            note = texts.too_many(wait) if wait else texts.UNKNOWN_BUTTON
            await voice.answer(query.id, note)
            return
        match pressed:
            case Look():
                note = await self._look(person, message.message_id, pressed, turn)
                await voice.answer(query.id, note)
            case Next():
                await voice.answer(query.id)
                await self._go_on(person, pressed, turn)
            case Verdict():
                await self._decide(query.id, person, message.message_id, pressed, turn)
            case _:
                assert_never(pressed)

    async def _look(self, person: Person, message: int, pressed: Look, turn: Turn) -> str:
        """Put the new reply in place of the old one; return what to note beside the button."""
        reply, html, below = await self.conversation.turn_to(
            person, pressed.name, pressed.words, pressed.page, turn
        )
        if reply.refused:
            return reply.text
        await self.conversation.voice.edit(person.id, message, html[0], below)
        return ""

    async def _go_on(self, person: Person, pressed: Next, turn: Turn) -> None:
        """Run the next step; a dangerous one asks first, as if it had been typed."""
        reply = await self.conversation.run_or_ask(person, pressed.name, pressed.words, turn)
        if reply is not None:
            await self.conversation.say(person.id, reply, pressed.name, pressed.words)

    async def _decide(
        self, query: str, person: Person, message: int, verdict: Verdict, turn: Turn
    ) -> None:
        talk = self.conversation
        try:
            question = await talk.questions.take(person.id, verdict)
        except StoreError:
            await talk.voice.answer(query, texts.STORE_AWAY)
            return
        if question is None:
            await talk.voice.answer(query, texts.CLOSED)
        elif question.is_late(self.clock.now()) or not verdict.yes:
            fate = texts.CANCELLED if not verdict.yes else texts.EXPIRED
            await talk.voice.answer(query)
            await self._close(person.id, message, question, fate)
        else:
            reply = await talk.errands.run(person, question.name, question.words, turn)
            await talk.voice.answer(query)
            await self._close(person.id, message, question, texts.CONFIRMED)
            await talk.say(person.id, reply, question.name, question.words)

    async def _close(self, chat: int, message: int, question: Question, fate: str) -> None:
        """Take the buttons away and say what became of the question."""
        command = self.conversation.errands.dispatcher.find(question.name)
        shown = typed(command, question.words) if command else f"/{question.name}"
        text = escape(fate.format(command=shown), quote=False)
        await self.conversation.voice.edit(chat, message, text)
