"""A message in a private chat: a command, its question if it is dangerous, and its reply."""

from dataclasses import dataclass, replace

from telegram import Message
from telegram import User as Person

from tradefleet.command import Reply
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.arrivals import Arrival
from tradefleet.surfaces.telegram.conversation import Conversation
from tradefleet.surfaces.telegram.errands import Errands, Turn, refused
from tradefleet.surfaces.telegram.manners import Manners
from tradefleet.surfaces.telegram.proofs import digits_in
from tradefleet.surfaces.telegram.words import Spoken, read_message


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateChat:
    """Answers messages that people send to the bot alone."""

    conversation: Conversation
    manners: Manners

    @property
    def errands(self) -> Errands:
        return self.conversation.errands

    async def take(self, message: Message, person: Person, arrival: Arrival, turn: Turn) -> None:
        if message.edit_date is not None and arrival.deleted is None:
            return  # a correction of what was answered already
        spoken = read_message(arrival.text)
        wait = self.manners.seconds_to_wait(person.id)
        if spoken.is_command and self.errands.is_exit(spoken.name):
            wait = 0.0  # no limit stands between a person and their exit
        if wait and arrival.deleted is None and not self.manners.tell(person.id, wait):
            return
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
        return await self.conversation.run_or_ask(person, spoken.name, spoken.words, turn)

    async def _prove(self, person: Person, spoken: Spoken, turn: Turn) -> Reply:
        """Run what waits for digits, if these are any."""
        digits = digits_in(spoken.words)
        waiting = self.errands.proofs.take(person.id) if digits else None
        if waiting is None:
            return refused(texts.NO_COMMAND)
        return await self.errands.run(person, waiting.name, waiting.words, turn, digits)

    async def _deliver(
        self, reply: Reply, message: Message, spoken: Spoken, arrival: Arrival
    ) -> None:
        """Send a reply, having deleted what was asked to be deleted."""
        if reply.delete_request and arrival.deleted is None:
            arrival.deleted = await self.conversation.voice.delete(
                message.chat.id, message.message_id
            )
        held_keys = reply.delete_request or len(spoken.words) > 1 or spoken.like_a_key()
        if arrival.deleted is not None and held_keys:
            reply = replace(reply, text=f"{texts.fate_of_keys(arrival.deleted)}\n\n{reply.text}")
        await self.conversation.say(message.chat.id, reply, spoken.name, spoken.words)
