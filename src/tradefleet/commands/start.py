"""/start: register, and say what to do next."""

from dataclasses import dataclass

from tradefleet.command import (
    FIRST_PAIRS,
    FIRST_STEPS,
    START_ALL,
    STATUS,
    CommandSpec,
    Context,
    Reply,
    Route,
    Step,
    rest_of_words,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.consent import Consent, RiskNotice
from tradefleet.store import who_acts

GOING_ON = "By going on you agree to it; /risk shows it again."


@dataclass(frozen=True, slots=True)
class Start:
    payload: str = rest_of_words()  # of the link that brought the user here


@dataclass(frozen=True, slots=True)
class Registered:
    """The user as registered; is_new: just now."""

    user_id: str
    username: str
    tier: str
    is_new: bool
    notice: str = ""
    notice_version: int = 0


async def start(request: Start, context: Context) -> Reply:
    user = context.user
    notice = context.catalog.notice
    text, steps = "👋 Welcome! You've been registered.", FIRST_STEPS
    if context.registered:
        said, steps = await next_steps(context)
        text = f"👋 Welcome back! {said}"
    else:
        await context.store.save_user(user)
        if notice is not None:
            text += f"\n\n{notice.text}\n{GOING_ON}"
            await context.store.save_consent(consent_to(notice, context))
    data = Registered(
        user.id,
        user.username,
        user.tier,
        is_new=not context.registered,
        notice="" if notice is None else notice.text,
        notice_version=0 if notice is None else notice.version,
    )
    return Reply(text=text, data=data, steps=steps)


def consent_to(notice: RiskNotice, context: Context) -> Consent:
    """Return the record that the user was shown the notice as they registered."""
    return Consent(
        version=notice.version,
        at=context.clock.now(),
        surface=who_acts().surface,
        text_hash=notice.text_hash,
    )


async def next_steps(context: Context) -> tuple[str, tuple[Step, ...]]:
    """Say what a registered user would do next."""
    bots = await context.store.bots()
    if any(bot.status is BotStatus.RUNNING for bot in bots):
        return "Your pairs are trading; /status shows how they do.", (STATUS,)
    if bots:
        return "Start your pairs with /start_trading.", (START_ALL,)
    if await context.store.accounts():
        return "Add a trading pair: /addpair BTC/USDT 1000", FIRST_PAIRS
    text = "Try it without real money: /connect paper, then /addpair BTC/USDT 1000"
    return text, FIRST_STEPS


COMMAND = CommandSpec(
    name="start",
    summary="Register in the system",
    usage="/start",
    example="/start",
    request=Start,
    handler=start,
    group="Setup",
    place=1,
    registers=True,
    changes=True,
    route=Route("POST", "/me"),
    data=Registered,
)
