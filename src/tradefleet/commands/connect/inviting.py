"""How to bring keys: a one-time link to a page for them, and what to send instead."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import FIRST_STEPS, Context, Reply
from tradefleet.commands.connect.meaning import HOW
from tradefleet.domain.errors import Refused
from tradefleet.identity import LINK_LIFETIME, Link, LinkUse, drawn_by, hash_of

INVITATION = (
    "🔐 Type your keys on this page; it is yours alone, works once and for 10 minutes:\n"
    "{address}\n"
    "Make a key at the exchange that may read and trade but not withdraw. I keep it encrypted.\n"
    "Without the page, send: /connect {exchange} <api_key> <secret> [testnet=true], and I delete "
    "your message."
)


@dataclass(frozen=True, slots=True)
class ConnectLink:
    """A link to the page for keys that works once, until then."""

    link: str
    expires_at: datetime


async def invite(exchange: str, context: Context) -> Reply:
    """Give a link; Refused says how to do without where there are no pages."""
    shown = exchange or "<exchange>"
    if not context.catalog.web_url:
        raise Refused(HOW.format(exchange=shown))
    code, until = drawn_by(context.ids.new).reveal(), context.clock.now() + LINK_LIFETIME
    link = Link(hash=hash_of(code), user_id=context.user.id, use=LinkUse.CONNECT, expires_at=until)
    await context.store.identity.save_link(link)
    chosen = f"&exchange={exchange}" if exchange else ""
    address = f"{context.catalog.web_url}/link/connect?code={code}{chosen}"
    return Reply(
        text=INVITATION.format(address=address, exchange=shown),
        data=ConnectLink(address, until),
        holds_secret=True,
        steps=FIRST_STEPS[:1],
    )
