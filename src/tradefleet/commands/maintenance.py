"""/maintenance: no entries and no new pairs for anybody while the operator works; exits go on."""

from dataclasses import dataclass

from tradefleet.command import (
    CommandSpec,
    Context,
    Question,
    Reply,
    Route,
    VenueDesk,
    rest_of_words,
)
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import MAINTENANCE, Halt, Scope, Switch
from tradefleet.domain.user import Role

ON, OFF, TOGGLE = "on", "off", "toggle"
USUAL = "The service is being maintained."


@dataclass(frozen=True, slots=True)
class Maintenance:
    state: str = ""
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class MaintenanceState:
    """changed: this request changed it."""

    maintenance: bool
    reason: str
    changed: bool


async def ask(request: Maintenance, context: Context) -> Question | None:
    """Set the switch over everybody: it belongs to no user, nor to one's transaction."""
    wanted = request.state.lower()
    if wanted not in ("", ON, OFF, TOGGLE):
        raise Refused("Say /maintenance on, /maintenance off, or /maintenance alone.")
    store, now = context.everybody, context.clock.now()

    async def put(desk: VenueDesk) -> MaintenanceState | None:
        if store is None:
            return None
        known = await store.platform_switch(MAINTENANCE)
        was = known is not None and known.halt is not Halt.RUN
        turned = {ON: True, OFF: False, TOGGLE: not was}.get(wanted, was)
        reason = known.reason if known is not None and was else ""
        if turned:
            reason = request.reason or reason or USUAL
        if turned != was or (turned and request.reason):
            switch = Switch(
                scope=Scope.PLATFORM,
                scope_id=MAINTENANCE,
                halt=Halt.STOP if turned else Halt.RUN,
                reason=reason or "It is over.",
                changed_at=now,
            )
            states = {True: ON, False: OFF}
            said = {"before": states[was], "after": states[turned], "reason": switch.reason}
            await store.audits.note("maintenance", said)
            await store.set_platform_switch(switch)
        return MaintenanceState(turned, reason if turned else "", turned != was)

    return put


async def maintenance(request: Maintenance, context: Context) -> Reply:
    state = context.answer
    if not isinstance(state, MaintenanceState):
        raise Refused("The switch over everybody is not within reach here.")
    if state.maintenance:
        text = f"🛠️ Maintenance is on: {state.reason}\nNothing new is opened; exits go on."
    else:
        text = "✅ Maintenance is off: entries and new pairs are allowed."
    return Reply(text=text, data=state)


COMMAND = CommandSpec(
    name="maintenance",
    summary="Switch maintenance on or off",
    usage="/maintenance [state] [reason]",
    example="/maintenance on Back at noon.",
    request=Maintenance,
    handler=maintenance,
    asks=ask,
    group="Operator",
    place=1,
    role=Role.ADMIN,
    changes=True,
    route=Route("POST", "/admin/maintenance"),
    data=MaintenanceState,
)
