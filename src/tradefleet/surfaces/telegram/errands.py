"""Run a command for somebody on Telegram; whatever is foreseen becomes a reply."""

from collections.abc import Sequence
from dataclasses import dataclass

from telegram import User as Person

from tradefleet.command import AnyCommand, Reply
from tradefleet.dispatcher import Dispatcher, read_request
from tradefleet.domain.errors import (
    NeedsProof,
    OutcomeUnknown,
    Refused,
    StoreError,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role
from tradefleet.store import Store
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.proofs import Proofs


@dataclass(slots=True)
class Turn:
    """What the edge must know when one update ends badly.

    key: names the update, so that what it changes is changed once however often it is brought.
    """

    key: str = ""
    ran: bool = False  # a command was carried out to its end


@dataclass(frozen=True, slots=True)
class Errands:
    """The way from a person on Telegram to the dispatcher."""

    dispatcher: Dispatcher
    store: Store
    proofs: Proofs

    async def run(
        self, person: Person, name: str, words: Sequence[str], turn: Turn, proof: str = ""
    ) -> Reply:
        """Run a command and return its reply, or why it was not run.

        One that needs a second factor waits for its digits, which are the next message.
        """
        try:
            user = await self.store.find_user(telegram_id=person.id)
            reply = await self.dispatcher.run(
                UserId(f"tg{person.id}") if user is None else user.id,
                name,
                words,
                username=person.username or "",
                telegram_id=person.id,
                key=turn.key,
                proof=proof,
                surface="telegram",
            )
        except NeedsProof as refusal:
            self.proofs.wait(person.id, name, words)
            return refused(str(refusal))
        except Refused as refusal:
            return refused(str(refusal))
        except OutcomeUnknown:
            return refused(texts.UNKNOWN_OUTCOME)
        except VenueRejected as error:
            return refused(texts.VENUE_REFUSED.format(reason=error))
        except VenueUnavailable:
            return refused(texts.VENUE_AWAY)
        except StoreError:
            return refused(texts.STORE_AWAY)
        turn.ran = not reply.refused
        return reply

    def is_exit(self, name: str) -> bool:
        """Say whether a command only takes risk away."""
        command = self.dispatcher.find(name)
        return command is not None and command.is_exit

    async def question(self, person: Person, name: str, words: Sequence[str]) -> AnyCommand | None:
        """Return the command if it is to be confirmed first; raise Refused when it is misspelt.

        Who may not run it is not asked either: the dispatcher tells them what they may know.
        """
        command = self.dispatcher.find(name)
        if command is None or not (command.dangerous or command.dangerous_if):
            return None
        user = await self.store.find_user(telegram_id=person.id)
        if user is None or (command.role is Role.ADMIN and user.role is not Role.ADMIN):
            return None
        return command if command.asks_first(read_request(command, words)) else None


def refused(text: str) -> Reply:
    return Reply(text=text, refused=True)
