"""/totp: a second factor for changes to live trading; its secret is shown on a page, not here."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply
from tradefleet.domain.errors import Refused
from tradefleet.identity import LINK_LIFETIME, Link, LinkUse, drawn_by, hash_of
from tradefleet.second_factor import is_on

NO_PAGES = "This service has no pages; its operator sets PUBLIC_URL."
ON = (
    "🔐 Second factor: on\nWhat changes live trading asks for the six digits of your authenticator."
    "\n/totp off takes it away."
)
OFF = (
    "🔓 Second factor: off\nWith one, whoever gets at your chat cannot change live trading."
    "\n/totp on sets one up."
)


@dataclass(frozen=True, slots=True)
class Totp:
    action: str = ""


@dataclass(frozen=True, slots=True)
class TotpState:
    """Whether there is a second factor; link: where one is set up, "" otherwise."""

    is_on: bool
    link: str = ""


async def totp(request: Totp, context: Context) -> Reply:
    there = await is_on(context.store)
    match request.action.lower():
        case "":
            return Reply(text=ON if there else OFF, data=TotpState(there))
        case "on" if there:
            raise Refused("🔐 Your second factor is on already. /totp off takes it away.")
        case "on":
            return await set_up(context)
        case "off" if not there:
            raise Refused("🔓 You have no second factor. /totp on sets one up.")
        case "off":
            await context.store.identity.drop_second_factor()
            return Reply(text="🔓 Second factor: off", data=TotpState(is_on=False))
        case _:
            raise Refused("Say /totp on or /totp off.")


async def set_up(context: Context) -> Reply:
    """Give out a link to the page that shows a fresh secret."""
    if not context.catalog.web_url:
        raise Refused(NO_PAGES)
    code, until = drawn_by(context.ids.new).reveal(), context.clock.now() + LINK_LIFETIME
    link = Link(
        hash=hash_of(code), user_id=context.user.id, use=LinkUse.SECOND_FACTOR, expires_at=until
    )
    await context.store.identity.drop_second_factor()  # one that was never confirmed
    await context.store.identity.save_link(link)
    address = f"{context.catalog.web_url}/link/second-factor?code={code}"
    text = (
        f"🔐 Set up your authenticator here, once and within 10 minutes:\n{address}\n"
        "Nothing is asked of you until you confirmed it there."
    )
    return Reply(text=text, data=TotpState(is_on=False, link=address), holds_secret=True)


async def needs_proof(request: Totp, context: Context) -> bool:
    return request.action.lower() == "off"


COMMAND = CommandSpec(
    name="totp",
    summary="Set up or take away a second factor for live trading",
    usage="/totp [on|off]",
    example="/totp on",
    request=Totp,
    handler=totp,
    group="Sign-in",
    place=3,
    changes=True,
    needs_proof=needs_proof,
    in_person=True,
    data=TotpState,
)
