"""What an exchange is asked about keys, and what came of it."""

from tradefleet.command import Context, Question, VenueDesk
from tradefleet.domain.credentials import Credentials, KeyRefused
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import Account
from tradefleet.drawing import account_name
from tradefleet.engine.key_guard import KeyAnswer
from tradefleet.keyring import open_key
from tradefleet.vault import CannotOpen, Vault


def vault_of(context: Context) -> Vault:
    if context.vault is None:
        raise Refused("❌ This service cannot keep keys now; tell its operator.")
    return context.vault


async def stored(account: Account, context: Context) -> Credentials:
    """Return the credentials of a connected account."""
    try:
        return await open_key(context.store, vault_of(context), account)
    except CannotOpen:
        raise Refused(
            f"❌ The key of {account_name(account)} cannot be opened any more; send it again: "
            f"/connect {account.venue} <api_key> <secret>"
        ) from None


def checks(wanted: dict[Account, Credentials]) -> Question:
    """Return the question what keys may do."""

    async def put(desk: VenueDesk) -> dict[AccountId, KeyAnswer]:
        return {
            account.id: await answer_on(desk, account, credentials)
            for account, credentials in wanted.items()
        }

    return put


async def answer_on(desk: VenueDesk, account: Account, credentials: Credentials) -> KeyAnswer:
    try:
        return await desk.check_key(account.venue, credentials, account.mode)
    except KeyRefused as refusal:
        return without_secrets(refusal, credentials)


def without_secrets(refusal: KeyRefused, credentials: Credentials) -> KeyRefused:
    """Return a venue's refusal, without its words should they repeat what we sent."""
    said = str(refusal)
    sent = (credentials.api_key.reveal(), credentials.api_secret.reveal())
    return KeyRefused(refusal.fault, "" if any(text in said for text in sent) else said)


def answers_in(context: Context) -> dict[AccountId, KeyAnswer]:
    """Return what the exchange said, as `checks` answers it."""
    return dict(context.answer) if isinstance(context.answer, dict) else {}
