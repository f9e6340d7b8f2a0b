"""/emergency: your own kill switch: stop all entries, or close everything as well."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, Step, rest_of_words
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import Halt, Scope, Switch

STOP, FLATTEN = "stop", "flatten"
ASKED = {STOP: Halt.STOP, FLATTEN: Halt.FLATTEN}
WAYS = (
    "🚨 What is it?\n"
    "/emergency stop: nothing new is opened; open positions keep their stops and targets.\n"
    "/emergency flatten: every position is closed at the market, and nothing new is opened.\n"
    "/resume ends either."
)
CLOSING = (
    "🚨 Closing every position at the market now, and nothing new is opened. I tell you of each."
)
SAID = {
    Halt.STOP: (
        "🚨 Stopped: nothing new is opened on any pair. Open positions keep their stops and "
        "targets.\n/resume allows entries again."
    ),
    Halt.FLATTEN: f"{CLOSING}\n/resume allows entries again.",
}
STEPS = (Step("⏸ Stop entries", "/emergency stop"), Step("🛑 Close all", "/emergency flatten"))
LOOK = Step("📈 Positions", "/position")


@dataclass(frozen=True, slots=True)
class Emergency:
    action: str = ""
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class EmergencyState:
    """halt: run, stop or flatten, as it stands now; positions: how many were open."""

    halt: str
    reason: str
    positions: int


async def emergency(request: Emergency, context: Context) -> Reply:
    held = [memory for memory in (await context.store.memories()).values() if memory.position]
    if request.action.lower() == FLATTEN and (locked := await locked_by(context)):
        return await close_all(locked, len(held), context)
    known = await context.own_switch()
    if not request.action:
        halt, reason = (known.halt, known.reason) if known else (Halt.RUN, "")
        now = {Halt.RUN: "", Halt.STOP: "⏸ Entries are stopped now.\n"}
        text = now.get(halt, "🛑 Everything is being closed now.\n") + WAYS
        return Reply(text=text, data=EmergencyState(halt.value, reason, len(held)), steps=STEPS)
    halt = ASKED.get(request.action.lower(), Halt.RUN)
    if halt is Halt.RUN:
        raise Refused(WAYS)
    switch = Switch(
        scope=Scope.USER,
        scope_id=context.user.id,
        halt=halt,
        reason=request.reason or f"you said /emergency {halt.value}",
        changed_at=context.clock.now(),
    )
    await context.store.set_switch(switch)
    await context.store.ask_host("switches_changed", {})
    data = EmergencyState(halt.value, switch.reason, len(held))
    steps = (LOOK, STEPS[1]) if halt is Halt.STOP and held else (LOOK,)
    return Reply(text=SAID[halt], data=data, steps=steps)


async def locked_by(context: Context) -> Switch | None:
    """Return the operator's own switch over the user, which stays as it is."""
    for switch in await context.store.switches():
        if switch.scope is Scope.USER and switch.by_operator and switch.halt is not Halt.RUN:
            return switch
    return None


async def close_all(locked: Switch, positions: int, context: Context) -> Reply:
    """Close everything where the operator has stopped entries: exits are refused to nobody."""
    busy = {order.bot_id for order in await context.store.orders() if order.is_working}
    memories = await context.store.memories()
    for bot in [*await context.store.bots(), *await context.store.manual_bots()]:
        if bot.id in busy or memories[bot.id].position:
            await context.store.ask_host("force_exit", {"bot_id": bot.id})
    data = EmergencyState(locked.halt.value, locked.reason, positions)
    return Reply(text=f"{CLOSING}\nThe operator has stopped entries.", data=data, steps=(LOOK,))


def is_final(request: Emergency) -> bool:
    """Say whether it closes positions, which is not undone."""
    return request.action.lower() == FLATTEN


COMMAND = CommandSpec(
    name="emergency",
    summary="Stop all entries, or close everything",
    usage="/emergency [stop|flatten] [reason]",
    example="/emergency stop",
    request=Emergency,
    handler=emergency,
    group="Trading",
    place=6,
    dangerous_if=is_final,
    changes=True,
    is_exit=True,
    route=Route("POST", "/trading/emergency"),
    data=EmergencyState,
)
