"""/deleteme: be erased. Keys and sign-ins end at once; a job of the service does the rest."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route, always
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import AccountState, Role
from tradefleet.drawing import count
from tradefleet.store import ErasureRequest

WHY_ENDED = "you are being erased"
STILL_OPEN = (
    "⚠️ You still have {open}. Close everything first: /emergency flatten, wait until /position "
    "shows none, then /deleteme again."
)
AN_ADMIN = "You are an admin: let another admin take that away first (tradefleet users admin)."
ON_ITS_WAY = "🗑 You are being erased; that takes a minute."
GOOD_BYE = (
    "🗑 You are being erased; that takes a minute. {done}Your trades are kept without your name, as "
    "records, and nothing else. If you no longer need your API keys, delete them at the exchanges, "
    "too. Good bye."
)


@dataclass(frozen=True, slots=True)
class DeleteMe:
    pass


@dataclass(frozen=True, slots=True)
class ErasureAsked:
    """pairs: how many were stopped; accounts: how many were disconnected."""

    pairs: int
    accounts: int


async def delete_me(request: DeleteMe, context: Context) -> Reply:
    store = context.store
    if await store.erasure() is not None:
        return Reply(text=ON_ITS_WAY, data=ErasureAsked(0, 0))
    if context.user.role is Role.ADMIN:
        raise Refused(AN_ADMIN)
    await check_closed(context)
    pairs, accounts = await stop_all(context), await disconnect_all(context)
    await store.shred_keys()
    await end_sign_ins(context)
    asked = ErasureRequest(asked_at=context.clock.now(), reason="/deleteme")
    await store.ask_erasure(asked)
    done = []
    if pairs:
        done.append(f"{count(pairs, 'pair')} stopped")
    if accounts:
        done.append(f"{count(accounts, 'account')} disconnected, keys destroyed")
    text = GOOD_BYE.format(done=f"Done already: {', '.join(done)}. " if done else "")
    return Reply(text=text, data=ErasureAsked(pairs, accounts))


async def check_closed(context: Context) -> None:
    """Refuse while anything is open: nobody would look after it any more."""
    held = sum(1 for each in (await context.store.memories()).values() if each.position)
    working = sum(1 for order in await context.store.orders() if order.is_working)
    what = []
    if held:
        what.append(count(held, "open position"))
    if working:
        what.append(count(working, "working order"))
    if what:
        raise Refused(STILL_OPEN.format(open=" and ".join(what)))


async def stop_all(context: Context) -> int:
    """Stop every pair, so that nothing begins anew."""
    stopped = 0
    for bot in [*await context.store.bots(), *await context.store.manual_bots()]:
        if bot.status is BotStatus.RUNNING:
            await context.store.save_bot(replace(bot, status=BotStatus.STOPPED))
            await context.store.ask_host("bot_changed", {"bot_id": bot.id})
            stopped += 1
    return stopped


async def disconnect_all(context: Context) -> int:
    accounts = await context.accounts()
    for account in accounts:
        gone = replace(account, state=AccountState.DISCONNECTED)
        await context.store.save_account(gone)
        await context.store.ask_host("account_changed", {"account_id": account.id})
    return len(accounts)


async def end_sign_ins(context: Context) -> None:
    """End sessions and tokens, and forget what the second factor was sealed with."""
    identity, now = context.store.identity, context.clock.now()
    for session in await identity.sessions():
        if session.is_open(now):
            ended = replace(session, revoked_at=now, revoked_because=WHY_ENDED)
            await identity.save_session(ended)
    for token in await identity.tokens():
        if token.is_open(now):
            await identity.save_token(replace(token, revoked_at=now))
    await identity.drop_second_factor()


COMMAND = CommandSpec(
    name="deleteme",
    summary="Be erased, with all that is kept of you",
    usage="/deleteme",
    example="/deleteme",
    request=DeleteMe,
    handler=delete_me,
    group="Setup",
    place=60,
    dangerous=True,
    changes=True,
    for_banned=True,
    in_person=True,
    needs_proof=always,
    route=Route("DELETE", "/me"),
    data=ErasureAsked,
)
