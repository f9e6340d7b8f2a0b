"""/password: a link to the page where a password is set; it is never typed into a chat."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply, always
from tradefleet.domain.errors import Refused
from tradefleet.identity import LINK_LIFETIME, Link, LinkUse, drawn_by, hash_of

NO_PAGES = "This service has no pages; its operator sets PUBLIC_URL."


@dataclass(frozen=True, slots=True)
class SetPassword:
    pass


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link that works once, until then; has_password: whether one is set now."""

    link: str
    expires_at: datetime
    has_password: bool


async def set_password(request: SetPassword, context: Context) -> Reply:
    if not context.catalog.web_url:
        raise Refused(NO_PAGES)
    code, until = drawn_by(context.ids.new).reveal(), context.clock.now() + LINK_LIFETIME
    link = Link(hash=hash_of(code), user_id=context.user.id, use=LinkUse.PASSWORD, expires_at=until)
    await context.store.identity.save_link(link)
    has_one = await context.store.identity.password() is not None
    address = f"{context.catalog.web_url}/link/password?code={code}"
    what = "Change your password" if has_one else "Set a password"
    text = (
        f"🔑 {what} here, once and within 10 minutes:\n{address}\n"
        f"You sign in as {context.user.id}. Never send a password to this chat."
    )
    return Reply(text=text, data=PasswordLink(address, until, has_one), holds_secret=True)


COMMAND = CommandSpec(
    name="password",
    summary="Get a one-time link to set your password",
    usage="/password",
    example="/password",
    request=SetPassword,
    handler=set_password,
    group="Sign-in",
    place=2,
    changes=True,
    needs_proof=always,
    in_person=True,
    data=PasswordLink,
)
