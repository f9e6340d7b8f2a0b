"""Messages that hold keys are deleted before anything else is done with them."""

from tradefleet.dispatcher import Dispatcher
from tradefleet.surfaces.telegram.arrivals import Arrival, is_number, part
from tradefleet.surfaces.telegram.voice import Voice
from tradefleet.surfaces.telegram.words import Spoken, read_message


class KeyGuard:
    """Finds keys in messages, and deletes those messages."""

    def __init__(self, dispatcher: Dispatcher, voice: Voice) -> None:
        self._dispatcher = dispatcher
        self._voice = voice
        self.bot_name = ""

    async def remove(self, arrival: Arrival) -> None:
        """Delete the message if it may hold keys, and note in arrival whether that worked."""
        chat = part(arrival.message, "chat")
        chat_id, message_id = chat.get("id"), arrival.message.get("message_id")
        if self.may_hold_keys(arrival.text, in_private=chat.get("type") == "private"):
            arrival.deleted = (
                is_number(chat_id)
                and is_number(message_id)
                and await self._voice.delete(int(chat_id or 0), int(message_id or 0))
            )

    def may_hold_keys(self, text: str, *, in_private: bool) -> bool:
        """Say whether a message must go: too often rather than once too seldom."""
        spoken = read_message(text)
        if not spoken.is_command:
            return in_private and (self._is_unslashed(spoken) or spoken.like_a_key())
        if not in_private and not self.is_for_us(spoken):
            return False
        named = self._dispatcher.find(spoken.name)
        if named is not None:
            return bool(spoken.words) and named.takes_secrets
        if spoken.like_a_key():
            return in_private or self._means_secrets(spoken)
        return bool(spoken.words) and in_private and self._means_secrets(spoken)

    def is_for_us(self, spoken: Spoken) -> bool:
        """Say whether a command in a group may be meant for this bot."""
        return spoken.to in ("", self.bot_name)

    def _means_secrets(self, spoken: Spoken) -> bool:
        """Say whether a mistyped name comes close to a command that takes secrets."""
        meant = self._dispatcher.meant(spoken.name)
        return meant is not None and meant.takes_secrets

    def _is_unslashed(self, spoken: Spoken) -> bool:
        """Say whether it is such a command without its slash: "connect kraken KEY SECRET"."""
        named = self._dispatcher.find(spoken.words[0]) if len(spoken.words) > 2 else None
        return named is not None and named.takes_secrets
