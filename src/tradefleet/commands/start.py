"""/start: register, and say what to do next."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, rest_of_words
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
    text = "👋 Welcome! You've been registered."
    if context.registered:
        text = f"👋 Welcome back! {await next_step(context)}"
    else:
        await context.store.save_user(user)
    data = Registered(user.id, user.username, user.tier, is_new=not context.registered)
    return Reply(text=text, data=data)


async def next_step(context: Context) -> str:
    """Say what a registered user would do next."""
    bots = await context.store.bots()
    if any(bot.status is BotStatus.RUNNING for bot in bots):
        return "Your pairs are trading; /status shows how they do."
    if bots:
        return "Start your pairs with /start_trading."
    if await context.store.accounts():
        return "Add a trading pair: /addpair BTC/USDT 1000"
    return "Try it without real money: /connect paper, then /addpair BTC/USDT 1000"


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
