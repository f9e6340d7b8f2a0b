"""/start_trading: let all pairs, or one, open positions from the next bar on.

A single pair, asked for or the only one, is named in the answer; of several, their number is
said: the source of these words shows both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tradefleet.command import STATUS, CommandSpec, Context, Reply, Route, Step, is_live
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import Halt
from tradefleet.domain.market import Symbol
from tradefleet.drawing import count


@dataclass(frozen=True, slots=True)
class StartTrading:
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class TradingStarted:
    """started: symbols that did not trade before; running: how many of the user's pairs do now."""

    started: tuple[str, ...]
    running: int


async def start_trading(request: StartTrading, context: Context) -> Reply:
    named = await context.bots(request.symbol)
    chosen = await connected(named, context)
    started = [bot for bot in chosen if bot.status is not BotStatus.RUNNING]
    for bot in started:
        await context.store.save_bot(replace(bot, status=BotStatus.RUNNING, note=""))
        await context.store.ask_host("bot_changed", {"bot_id": bot.id})
    running = sum(bot.status is BotStatus.RUNNING for bot in await context.store.bots())
    if not started:
        text = f"🟢 Already trading: {', '.join(str(bot.symbol) for bot in chosen)}"
    elif len(chosen) == 1:
        text = f"🚀 Trading Started: {chosen[0].symbol}"
    else:
        text = f"🚀 Trading Started\n{count(running, 'pair')} now trading."
    lines = [text]
    lines += [
        f"⚠️ {bot.symbol} had been set aside: {bot.note}"
        for bot in started
        if bot.status is BotStatus.SET_ASIDE
    ]
    if skipped := [str(bot.symbol) for bot in named if bot not in chosen]:
        lines.append(f"🔌 Not started, for its exchange is disconnected: {', '.join(skipped)}")
    if any(switch.halt is not Halt.RUN for switch in await context.store.switches()):
        lines.append("⏸️ New entries are switched off for now; /status says why.")
    data = TradingStarted(tuple(str(bot.symbol) for bot in started), running)
    return Reply(
        text="\n".join(lines),
        data=data,
        steps=(STATUS, Step(f"🤔 Why {chosen[0].symbol}", f"/why {chosen[0].symbol}")),
    )


async def connected(bots: Sequence[BotSpec], context: Context) -> Sequence[BotSpec]:
    """Return those whose account is connected; raise Refused when none is."""
    there = {account.id for account in await context.accounts()}
    found = [bot for bot in bots if bot.account_id in there]
    if not found:
        venues = " or ".join(dict.fromkeys(f"/connect {bot.venue}" for bot in bots))
        raise Refused(f"The exchange is disconnected; connect it first: {venues}")
    return found


async def needs_proof(request: StartTrading, context: Context) -> bool:
    bots = await context.bots(request.symbol)
    return await is_live({bot.account_id for bot in bots}, context)


COMMAND = CommandSpec(
    name="start_trading",
    summary="Start trading (all pairs or specific)",
    usage="/start_trading [symbol]",
    example="/start_trading BTC/USDT",
    request=StartTrading,
    handler=start_trading,
    group="Trading",
    place=1,
    changes=True,
    opens=True,
    starts_bots=True,
    needs_proof=needs_proof,
    route=Route("POST", "/bots/{symbol}/start"),
    more_routes=(Route("POST", "/trading/start"),),
    data=TradingStarted,
)
