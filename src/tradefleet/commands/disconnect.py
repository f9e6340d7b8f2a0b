"""/disconnect: let go of an exchange account; its sealed keys are destroyed, its history stays."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route, is_live
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.user import Account, AccountState
from tradefleet.drawing import account_name
from tradefleet.engine.key_guard import released
from tradefleet.keyring import turn


@dataclass(frozen=True, slots=True)
class Disconnect:
    exchange: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The account that was let go; pairs: those that cannot trade until it is connected again."""

    account_id: str
    exchange: str
    mode: str
    pairs: tuple[str, ...]


async def disconnect(request: Disconnect, context: Context) -> Reply:
    account = await find(request.exchange, context)
    bots = [bot for bot in await context.store.bots() if bot.account_id == account.id]
    for bot in bots:
        await check_idle(bot, account, context)
    await forget(account, context)
    lines = ["🔌 Exchange Disconnected", f"Exchange: {account_name(account)}"]
    if account.key is not None:
        lines.append(
            f"Your keys were destroyed here. If you no longer need them, delete them at "
            f"{account.venue}, too."
        )
    if bots:
        pairs = ", ".join(str(bot.symbol) for bot in bots)
        lines.append(f"Not trading until it is connected again: {pairs}")
    symbols = tuple(str(bot.symbol) for bot in bots)
    data = Disconnected(account.id, account.venue, account.mode.value, symbols)
    return Reply(text="\n".join(lines), data=data)


async def find(name: str, context: Context) -> Account:
    """Return the one connected account of that name."""
    found = await context.accounts(name)
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(f"/disconnect {each.venue}:{each.mode.value}" for each in found)
        raise Refused(f"You have several accounts there; say which: {names}")
    connected = ", ".join(account_name(account) for account in await context.accounts())
    known = f"Connected: {connected}." if connected else "You are connected to none."
    raise NotThere(f"You have no such account. {known}")


async def check_idle(bot: BotSpec, account: Account, context: Context) -> None:
    """Refuse to let go of an account in which something is still going on."""
    cannot = f"⚠️ Cannot disconnect {account_name(account)} while"
    if bot.status is BotStatus.RUNNING:
        raise Refused(
            f"{cannot} trading of {bot.symbol} is active.\nUse /stop_trading {bot.symbol} first."
        )
    if (await context.store.memories())[bot.id].position:
        raise Refused(
            f"{cannot} a position in {bot.symbol} is open.\nUse /forceexit {bot.symbol} first."
        )
    if any(order.is_working for order in await context.store.orders(bot.id)):
        raise Refused(f"{cannot} an order of {bot.symbol} is on its way.\nTry again in a moment.")


async def forget(account: Account, context: Context) -> None:
    """Destroy the account's credentials, those that wait for a code too, and tell the host."""
    store = context.store
    after, switch = released(account, await store.switches(), context.clock.now())
    await store.save_account(replace(after, state=AccountState.DISCONNECTED))
    await turn(store, switch)
    await store.drop_sealed_key(account.id)
    pending = await store.pending_key()
    if pending is not None and pending.account_id == account.id:
        await store.drop_pending_key()
    await store.ask_host("account_changed", {"account_id": account.id})


async def needs_proof(request: Disconnect, context: Context) -> bool:
    return await is_live({(await find(request.exchange, context)).id}, context)


COMMAND = CommandSpec(
    name="disconnect",
    summary="Disconnect an exchange and destroy its keys here",
    usage="/disconnect <exchange>",
    example="/disconnect binance",
    request=Disconnect,
    handler=disconnect,
    group="Setup",
    place=6,
    dangerous=True,
    changes=True,
    needs_proof=needs_proof,
    route=Route("DELETE", "/accounts/{exchange}"),
    data=Disconnected,
)
