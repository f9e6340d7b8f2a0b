"""/connect: open an account at an exchange; keys are sealed, never repeated or written down.

Alone it gives a one-time link to a page where keys are typed. With keys the exchange is asked
first, while no transaction is open, and only a key that passes the key guard is kept. A live
account waits until its user has typed a code. Where keys are connected already, they are checked
again.
"""

from tradefleet.command import FIRST_PAIRS, CommandSpec, Context, Question, Reply, Route
from tradefleet.commands.connect.inviting import ConnectLink, invite
from tradefleet.commands.connect.keeping import Connected, confirm, look_again, take
from tradefleet.commands.connect.meaning import (
    Confirmation,
    Connect,
    Invitation,
    Keyless,
    Offer,
    Recheck,
    meaning_of,
)
from tradefleet.commands.connect.questions import answers_in, checks, stored, vault_of
from tradefleet.domain.errors import Refused
from tradefleet.identity import LinkUse
from tradefleet.vault import CannotOpen

CLOSED = "❌ This service cannot open its vault now; tell its operator. Nothing was changed."


async def ask(request: Connect, context: Context) -> Question | None:
    """Return what the exchange is to be asked before anything is kept."""
    meaning = await meaning_of(request, context)
    match meaning:
        case Offer(account, credentials):
            vault_of(context)
            return checks({account: credentials})
        case Recheck(accounts):
            return checks({account: await stored(account, context) for account in accounts})
        case Keyless() | Invitation() | Confirmation():
            return None


async def connect(request: Connect, context: Context) -> Reply:
    try:
        return await done(request, context)
    except CannotOpen:
        raise Refused(CLOSED) from None


async def done(request: Connect, context: Context) -> Reply:
    meaning = await meaning_of(request, context)
    match meaning:
        case Keyless(venue):
            account = await context.open_account(venue)
            data = Connected(account.id, account.venue, account.mode.value)
            return Reply(text="✅ Exchange Connected", data=data, steps=FIRST_PAIRS)
        case Offer():
            return await take(meaning, answers_in(context), context)
        case Recheck(accounts):
            return await look_again(accounts, answers_in(context), context)
        case Invitation(exchange):
            return await invite(exchange, context)
        case Confirmation(code):
            return await confirm(code, context)


async def needs_proof(request: Connect, context: Context) -> bool:
    """Say that the code which makes an account live needs the second factor, too."""
    return isinstance(await meaning_of(request, context), Confirmation)


COMMAND = CommandSpec(
    name="connect",
    summary="Connect exchange",
    usage="/connect <exchange> <api_key> <secret> [testnet]",
    example="/connect paper",
    request=Connect,
    handler=connect,
    asks=ask,
    group="Setup",
    place=2,
    changes=True,
    needs_proof=needs_proof,
    route=Route("POST", "/accounts"),
    data=Connected | ConnectLink,
    form=LinkUse.CONNECT,
)
