"""/web: a link that signs its user in on the web, once."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply
from tradefleet.domain.errors import Refused
from tradefleet.identity import LINK_LIFETIME, Link, LinkUse, drawn_by, hash_of

NO_PAGES = "This service has no pages; its operator sets PUBLIC_URL."


@dataclass(frozen=True, slots=True)
class Web:
    pass


@dataclass(frozen=True, slots=True)
class WebLink:
    """A link that works once, until then."""

    link: str
    expires_at: datetime


async def web(request: Web, context: Context) -> Reply:
    if not context.catalog.web_url:
        raise Refused(NO_PAGES)
    code, until = drawn_by(context.ids.new).reveal(), context.clock.now() + LINK_LIFETIME
    link = Link(hash=hash_of(code), user_id=context.user.id, use=LinkUse.SIGN_IN, expires_at=until)
    await context.store.identity.save_link(link)
    address = f"{context.catalog.web_url}/link/sign-in?code={code}"
    text = (
        f"🔑 Sign in here, once and within 10 minutes:\n{address}\n"
        "Whoever has this link is you: show it to nobody."
    )
    return Reply(text=text, data=WebLink(address, until), holds_secret=True)


COMMAND = CommandSpec(
    name="web",
    summary="Get a one-time link to sign in on the web",
    usage="/web",
    example="/web",
    request=Web,
    handler=web,
    group="Sign-in",
    place=1,
    changes=True,
    in_person=True,
    data=WebLink,
)
