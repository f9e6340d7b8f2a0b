"""/stop_trading: no new entries for all pairs, or one; open positions stay protected."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.market import Symbol
from tradefleet.drawing import count


@dataclass(frozen=True, slots=True)
class StopTrading:
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True)
class TradingStopped:
    """stopped: symbols that traded before; open_positions: those of them that hold something."""

    stopped: tuple[str, ...]
    open_positions: tuple[str, ...]


async def stop_trading(request: StopTrading, context: Context) -> Reply:
    chosen = await context.bots(request.symbol)
    stopped = [bot for bot in chosen if bot.status is BotStatus.RUNNING]
    for bot in stopped:
        await context.store.save_bot(replace(bot, status=BotStatus.STOPPED))
        await context.store.ask_host("bot_changed", {"bot_id": bot.id})
    memories = await context.store.memories()
    holding = tuple(str(bot.symbol) for bot in chosen if memories[bot.id].position)
    if not stopped:
        text = f"🔴 Not trading: {', '.join(str(bot.symbol) for bot in chosen)}"
    elif len(chosen) == 1:
        text = f"⏸️ Trading Stopped: {chosen[0].symbol}"
    else:
        text = f"⏸️ Trading Stopped\n{count(len(stopped), 'pair')} stopped."
    for symbol in holding:
        text += f"\n{symbol} holds a position; it stays protected. /forceexit {symbol} closes it."
    data = TradingStopped(tuple(str(bot.symbol) for bot in stopped), holding)
    return Reply(text=text, data=data)


COMMAND = CommandSpec(
    name="stop_trading",
    summary="Stop trading (all pairs or specific)",
    usage="/stop_trading [symbol]",
    example="/stop_trading BTC/USDT",
    request=StopTrading,
    handler=stop_trading,
    group="Trading",
    place=2,
    changes=True,
    is_exit=True,
    route=Route("POST", "/bots/{symbol}/stop"),
    more_routes=(Route("POST", "/trading/stop"),),
    data=TradingStopped,
)
