"""/killswitch: stop entries, or flatten, over one bot, account or user, or over everybody."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    is_called,
    rest_of_words,
)
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Account, Role
from tradefleet.store import Store, UserStore, find_somebody

EVERYBODY = "*"
WHERE = {
    Scope.PLATFORM: "everybody",
    Scope.USER: "the user",
    Scope.ACCOUNT: "the account",
    Scope.BOT: "the pair",
}
DONE = {
    Halt.RUN: "✅ Entries are allowed again for {what}.",
    Halt.STOP: "⏸ Stopped for {what}: nothing new is opened; open positions keep their stops.",
    Halt.FLATTEN: "🛑 Flattening {what}: every position is closed, and nothing new is opened.",
}
TOLD = {
    Halt.RUN: "✅ The operator allows entries again ({what}).",
    Halt.STOP: "⏸ The operator has stopped entries ({what}): {reason}. Your stops stay.",
    Halt.FLATTEN: "🛑 The operator is closing your positions ({what}): {reason}.",
}
HOW = (
    "Say where and what: /killswitch platform stop, /killswitch user stop alice, "
    "/killswitch account flatten alice:binance, /killswitch bot stop alice:BTC/USDT; run ends it."
)
NOBODY = "There is no such {scope}; write alice, alice:binance or alice:BTC/USDT (/users)."


@dataclass(frozen=True, slots=True)
class KillSwitch:
    scope: str = ""
    state: str = ""
    target: str = ""
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class SwitchSet:
    """A switch as it stands now; user_id: whose, "" for everybody's."""

    scope: str
    id: str
    user_id: str
    state: str
    reason: str


async def ask(request: KillSwitch, context: Context) -> Question | None:
    """Set the switch: it belongs to somebody else or to nobody, nor to the caller's transaction."""
    scope, halt = meant(request)
    everybody, now = context.everybody, context.clock.now()

    async def put(desk: VenueDesk) -> SwitchSet | None:
        if everybody is None:
            return None
        if scope is Scope.PLATFORM:
            reason = " ".join(filter(None, [request.target, request.reason]))
            switch = made(scope, EVERYBODY, halt, reason, now)
            before = await everybody.platform_switch()
            was = (before.halt if before else Halt.RUN).value
            said = {"before": was, "after": halt.value, "reason": switch.reason}
            await everybody.audits.note("kill_switch", said)
            await everybody.set_platform_switch(switch)
            return SwitchSet(scope.value, EVERYBODY, "", halt.value, switch.reason)
        found = await whose(everybody, scope, request.target)
        if found is None:
            raise NotThere(NOBODY.format(scope=scope.value))
        user_id, id = found
        switch = made(scope, id, halt, request.reason, now)
        async with everybody.open(user_id) as store:
            await store.set_switch(switch)
            await store.ask_host("switches_changed", {})
            reason = switch.reason.rstrip(".")  # our sentence ends with one
            text = TOLD[halt].format(what=WHERE[scope], reason=reason)
            await store.notify(Notify(user_id, Topic.SYSTEM, text, now, priority=1))
            detail = {"scope": scope.value, "id": id, "state": halt.value}
            await store.audit("switched", {**detail, "reason": switch.reason})
        return SwitchSet(scope.value, id, user_id, halt.value, switch.reason)

    return put


def meant(request: KillSwitch) -> tuple[Scope, Halt]:
    """Return where and what; Refused says how to write it."""
    try:
        scope, halt = Scope(request.scope.lower()), Halt(request.state.lower())
    except ValueError:
        raise Refused(HOW) from None
    if scope is not Scope.PLATFORM and not request.target:
        raise Refused(HOW)
    return scope, halt


def made(scope: Scope, id: str, halt: Halt, reason: str, now: datetime) -> Switch:
    return Switch(
        scope=scope,
        scope_id=id,
        halt=halt,
        reason=reason or "the operator said so",
        changed_at=now,
        by_operator=halt is not Halt.RUN,
    )


async def whose(everybody: Store, scope: Scope, target: str) -> tuple[UserId, str] | None:
    """Return the user and the id that a target names: alice, alice:binance, alice:BTC/USDT."""
    if scope is Scope.USER:
        found = await find_somebody(everybody, target)
        return None if found is None else (found.id, found.id)
    for at in [n for n, letter in enumerate(target) if letter == ":"]:  # a user's id may hold one
        found = await find_somebody(everybody, target[:at])
        if found is None:
            continue
        async with everybody.open(found.id, reading=True) as store:
            ids = await ids_in(store, scope, target, target[at + 1 :])
        if len(ids) == 1:
            return found.id, ids[0]
        if ids:
            raise Refused(f"That names several: {', '.join(ids)}; write {found.id}:<one of them>.")
    return None


async def ids_in(store: UserStore, scope: Scope, target: str, name: str) -> list[str]:
    """Return the user's accounts, or bots, of that name or id."""
    accounts: list[Account] = [each for each in await store.accounts() if each.is_active]
    if scope is Scope.ACCOUNT:
        whole = [each.id for each in accounts if each.id == target]
        return [*whole] or [each.id for each in accounts if name and is_called(each, name)]
    bots: list[BotSpec] = [*await store.bots(), *await store.manual_bots()]
    exact = [bot.id for bot in bots if bot.id == name]
    return [*exact] or [bot.id for bot in bots if str(bot.symbol) == name.upper()]


async def kill_switch(request: KillSwitch, context: Context) -> Reply:
    done = context.answer
    if not isinstance(done, SwitchSet):
        raise Refused("The switches over others are not within reach here.")
    scope = Scope(done.scope)
    what = WHERE[scope] if scope is Scope.PLATFORM else f"{WHERE[scope]} {done.id}"
    text = DONE[Halt(done.state)].format(what=what)
    if done.state != Halt.RUN:
        text += f"\nReason: {done.reason}"
    return Reply(text=text, data=done)


async def concerns(request: KillSwitch, store: Store) -> UserId | None:
    scope, _ = meant(request)
    found = None if scope is Scope.PLATFORM else await whose(store, scope, request.target)
    return None if found is None else found[0]


COMMAND = CommandSpec(
    name="killswitch",
    summary="Stop or flatten a bot, an account, a user or everybody",
    usage="/killswitch <platform|user|account|bot> <run|stop|flatten> [target] [reason]",
    example="/killswitch platform stop The venue answers oddly.",
    request=KillSwitch,
    handler=kill_switch,
    asks=ask,
    concerns=concerns,
    group="Operator",
    place=8,
    role=Role.ADMIN,
    dangerous=True,
    changes=True,
    is_exit=True,  # whoever has to stop everybody is not told to wait a minute
    route=Route("POST", "/admin/killswitch"),
    data=SwitchSet,
)
