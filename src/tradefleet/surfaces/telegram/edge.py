"""Where an update comes in: whatever goes wrong with it ends here, and nowhere else."""

import logging
import traceback
from typing import Any

from structlog.contextvars import bound_contextvars
from telegram import Bot, Message, Update
from telegram import User as Person
from telegram.constants import ChatType

from tradefleet.clock import Ids
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.arrivals import Arrival, part
from tradefleet.surfaces.telegram.errands import Turn
from tradefleet.surfaces.telegram.keys import KeyGuard
from tradefleet.surfaces.telegram.markup import plain_parts
from tradefleet.surfaces.telegram.presses import Presses
from tradefleet.surfaces.telegram.private_chat import PrivateChat
from tradefleet.surfaces.telegram.voice import Voice
from tradefleet.surfaces.telegram.words import read_message

logger = logging.getLogger(__name__)


class Edge:
    """Reads an update and hands it to whom it concerns."""

    def __init__(
        self,
        *,
        bot: Bot,
        keys: KeyGuard,
        private_chat: PrivateChat,
        presses: Presses,
        voice: Voice,
        ids: Ids,
    ) -> None:
        self._bot = bot
        self._keys = keys
        self._private_chat = private_chat
        self._presses = presses
        self._voice = voice
        self._ids = ids

    async def take(self, arrival: Arrival, _context: object = None) -> None:
        """Answer an update; its keys were removed before its turn came (see lanes.py)."""
        if arrival.repeated:
            return
        turn = Turn(key=f"telegram update {arrival.raw['update_id']}")
        with bound_contextvars(request=f"telegram-{arrival.raw['update_id']}"):
            try:
                await self._hand_on(arrival, turn)
            except Exception as error:  # noqa: BLE001 - the edge: nothing behind could catch this
                await self._confess(arrival, error, turn)

    async def _hand_on(self, arrival: Arrival, turn: Turn) -> None:
        update = Update.de_json(arrival.raw, self._bot)
        message = update.message or update.edited_message
        if update.callback_query is not None:
            await self._presses.take(update.callback_query, turn)
        elif message is not None and message.from_user is not None:
            await self._on_message(message, message.from_user, arrival, turn)

    async def _on_message(
        self, message: Message, person: Person, arrival: Arrival, turn: Turn
    ) -> None:
        if person.is_bot:
            return
        if message.chat.type == ChatType.PRIVATE and message.chat.id == person.id:
            await self._private_chat.take(message, person, arrival, turn)
        else:
            await self._in_group(message, person, arrival)

    async def _in_group(self, message: Message, person: Person, arrival: Arrival) -> None:
        """Say that we talk in private only, to whom speaks to us."""
        spoken = read_message(arrival.text)
        manners, dispatcher = self._private_chat.manners, self._private_chat.errands.dispatcher
        is_ours = spoken.is_command and self._keys.is_for_us(spoken)
        if arrival.deleted is not None:
            text = texts.keys_in_group(arrival.deleted)
        else:
            is_new = is_ours and message.edit_date is None
            known = spoken.to or dispatcher.find(spoken.name) is not None
            if not is_new or not known or manners.seconds_to_wait(person.id):
                return
            text = texts.IN_GROUP
        await self._voice.say(message.chat.id, plain_parts(text))

    async def _confess(self, arrival: Arrival, error: Exception, turn: Turn) -> None:
        """Tell the log what happened and the user its number."""
        number = self._ids.new()[-8:]
        log_failure(number, error, with_text=arrival.deleted is None)
        text = (texts.FAULT_AFTERWARDS if turn.ran else texts.FAULT).format(number=number)
        if arrival.deleted is not None:
            text = f"{texts.fate_of_keys(arrival.deleted)}\n\n{text}"
        chat = private_chat_of(arrival.raw)
        if chat is not None:
            await self._voice.say(chat, plain_parts(text))


def private_chat_of(raw: dict[str, Any]) -> int | None:
    """Return the private chat that an update came from, if it can be made out."""
    query = part(raw, "callback_query")
    message = part(query, "message") or part(raw, "message") or part(raw, "edited_message")
    chat = part(message, "chat").get("id")
    sender = Arrival(raw).sender
    return sender if sender == chat else None


def log_failure(number: str, error: Exception, *, with_text: bool) -> None:
    """Log where it failed; what the error says only when the message held no secret."""
    what = repr(error) if with_text else type(error).__name__
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("telegram: update failed, number %s: %s\n%s", number, what, frames)
