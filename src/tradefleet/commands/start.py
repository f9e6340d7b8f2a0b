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


async def start(request: Start, context: Context) -> Reply:
    user = context.user
    text, steps = "👋 Welcome! You've been registered.", FIRST_STEPS
    if context.registered:
        said, steps = await next_steps(context)
        text = f"👋 Welcome back! {said}"
    else:
        await context.store.save_user(user)
    data = Registered(user.id, user.username, user.tier, is_new=not context.registered)
    return Reply(text=text, data=data, steps=steps)


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
