"""A message in a private chat: a command, its question if it is dangerous, and its reply."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from telegram import Message
from telegram import User as Person

from tradefleet.command import AnyCommand, Reply
from tradefleet.domain.errors import Refused, StoreError
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.arrivals import Arrival
from tradefleet.surfaces.telegram.buttons import refresh_button, verdict_buttons
from tradefleet.surfaces.telegram.errands import Errands, Turn, refused
from tradefleet.surfaces.telegram.manners import Manners
from tradefleet.surfaces.telegram.markup import parts
from tradefleet.surfaces.telegram.proofs import digits_in
from tradefleet.surfaces.telegram.questions import Questions
from tradefleet.surfaces.telegram.voice import Voice
from tradefleet.surfaces.telegram.words import Spoken, read_message


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateChat:
    """Answers messages that people send to the bot alone."""

    errands: Errands
    voice: Voice
    manners: Manners
    questions: Questions

    async def take(self, message: Message, person: Person, arrival: Arrival, turn: Turn) -> None:
        if message.edit_date is not None and arrival.deleted is None:
            return  # a correction of what was answered already
        wait = self.manners.seconds_to_wait(person.id)
        if wait and arrival.deleted is None and not self.manners.tell(person.id, wait):
            return
        spoken = read_message(arrival.text)
        if wait:
            reply: Reply | None = refused(texts.too_many(wait))
        elif message.edit_date is not None:
            reply = refused(texts.NOT_EDITED)
        else:
            reply = await self._answer(message, person, spoken, arrival, turn)
        if reply is not None:
            await self._deliver(reply, message, spoken, arrival)

    async def _answer(
        self, message: Message, person: Person, spoken: Spoken, arrival: Arrival, turn: Turn
    ) -> Reply | None:
        """Return the reply, or None when a question was asked instead."""
        known = self.errands.dispatcher.find(spoken.name) if spoken.is_command else None
        if known is None and arrival.deleted is not None:
            return refused(texts.LOOKED_LIKE_KEYS)
        if not spoken.is_command:
            return await self._prove(person, spoken, turn)
        if message.forward_origin is not None:
            return refused(texts.FORWARDED)
        try:
            dangerous = await self.errands.question(person, spoken.name, spoken.words)
        except Refused as refusal:
            return refused(str(refusal))
        except StoreError:
            return refused(texts.STORE_AWAY)
        if dangerous is None:
            return await self.errands.run(person, spoken.name, spoken.words, turn)
        await self._ask(message.chat.id, person, dangerous, spoken.words)
        return None

    async def _prove(self, person: Person, spoken: Spoken, turn: Turn) -> Reply:
        """Run what waits for digits, if these are any."""
        digits = digits_in(spoken.words)
        waiting = self.errands.proofs.take(person.id) if digits else None
        if waiting is None:
            return refused(texts.NO_COMMAND)
        return await self.errands.run(person, waiting.name, waiting.words, turn, digits)

    async def _ask(
        self, chat: int, person: Person, command: AnyCommand, words: Sequence[str]
    ) -> None:
        token = self.questions.ask(person.id, command.name, tuple(words))
        question = texts.QUESTION.format(
            command=typed(command, words), summary=command.summary.rstrip(".")
        )
        await self.voice.say(chat, [escape(question, quote=False)], verdict_buttons(token))

    async def _deliver(
        self, reply: Reply, message: Message, spoken: Spoken, arrival: Arrival
    ) -> None:
        """Send a reply, having deleted what was asked to be deleted."""
        if reply.delete_request and arrival.deleted is None:
            arrival.deleted = await self.voice.delete(message.chat.id, message.message_id)
        held_keys = reply.delete_request or len(spoken.words) > 1 or spoken.like_a_key()
        if arrival.deleted is not None and held_keys:
            reply = replace(reply, text=f"{texts.fate_of_keys(arrival.deleted)}\n\n{reply.text}")
        pages = parts(reply)
        command = self.errands.dispatcher.find(spoken.name)
        can_refresh = command is not None and not reply.refused and len(pages) == 1
        button = refresh_button(command.name, spoken.words) if command and can_refresh else None
        await self.voice.say(message.chat.id, pages, button)


def typed(command: AnyCommand, words: Sequence[str]) -> str:
    """Return a command as it was typed, without its secrets."""
    return f"/{command.name} …" if command.takes_secrets else " ".join([f"/{command.name}", *words])
