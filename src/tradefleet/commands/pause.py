"""/pause: no new entries on any pair until /resume; open positions stay protected."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, rest_of_words
from tradefleet.domain.limits import Halt, Scope, Switch


@dataclass(frozen=True, slots=True)
class Pause:
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Paused:
    reason: str


async def pause(request: Pause, context: Context) -> Reply:
    await context.own_switch()  # the operator's own is not written over
    switch = Switch(
        scope=Scope.USER,
        scope_id=context.user.id,
        halt=Halt.STOP,
        reason=request.reason or "you said /pause",
        changed_at=context.clock.now(),
    )
    await context.store.set_switch(switch)
    await context.store.ask_host("switches_changed", {})
    text = (
        "⏸️ Paused: no new entries on any pair. Open positions stay protected.\n"
        "/resume allows entries again."
    )
    return Reply(text=text, data=Paused(switch.reason))


COMMAND = CommandSpec(
    name="pause",
    summary="No new entries on any pair until /resume",
    usage="/pause [reason]",
    example="/pause",
    request=Pause,
    handler=pause,
    group="Trading",
    place=3,
    changes=True,
    is_exit=True,
    route=Route("POST", "/trading/pause"),
    data=Paused,
)
