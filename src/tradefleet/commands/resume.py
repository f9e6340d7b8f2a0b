"""/resume: allow entries again after /pause, a halt of the guard, or one of an account."""

from collections.abc import Sequence
from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, is_live, rest_of_words
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Account
from tradefleet.drawing import account_name, halt_texts


@dataclass(frozen=True, slots=True)
class Resume:
    reason: str = rest_of_words()


@dataclass(frozen=True, slots=True)
class Resumed:
    """lifted: what had forbidden entries until now; still_halted: why the operator still does."""

    lifted: tuple[str, ...]
    still_halted: str


async def resume(request: Resume, context: Context) -> Reply:
    now = context.clock.now()
    await context.own_switch()  # what the operator stopped is the operator's to lift
    switches = await context.store.switches()
    reason = request.reason or "you said /resume"
    lifted = [
        f"Pause: {switch.reason}"
        for switch in switches
        if switch.scope is Scope.USER and switch.halt is not Halt.RUN
    ]
    lifted += halt_texts(await context.store.guard(), now)
    for account, switch in halted(await context.store.accounts(), switches):
        lifted.append(f"{account_name(account)}: {switch.reason}")
        on = Switch(
            scope=Scope.ACCOUNT,
            scope_id=account.id,
            halt=Halt.RUN,
            reason=reason,
            changed_at=now,
        )
        await context.store.set_switch(on)
    switch = Switch(
        scope=Scope.USER, scope_id=context.user.id, halt=Halt.RUN, reason=reason, changed_at=now
    )
    await context.store.set_switch(switch)
    await context.store.ask_host("switches_changed", {})
    await context.store.ask_host("resume", {"reason": reason})
    platform = [s.reason for s in switches if s.scope is Scope.PLATFORM and s.halt is not Halt.RUN]
    lines = ["▶️ Resumed: new entries are allowed again."]
    if not lifted:
        lines = ["▶️ Nothing was paused."]
    lines += [f"Lifted: {text}" for text in lifted]
    lines += [f"⚠️ The operator has stopped all trading: {text}" for text in platform]
    return Reply(text="\n".join(lines), data=Resumed(tuple(lifted), "; ".join(platform)))


def halted(accounts: Sequence[Account], switches: Sequence[Switch]) -> list[tuple[Account, Switch]]:
    """Return the accounts that take no entries, but for those whose key is at fault.

    What the operator flattens is not its user's to resume either.
    """
    found = []
    for account in accounts:
        because_of_key = account.key.stopped if account.key is not None else ""
        found += [
            (account, switch)
            for switch in switches
            if switch.scope is Scope.ACCOUNT
            and switch.scope_id == account.id
            and switch.halt is Halt.STOP
            and not switch.by_operator
            and (not because_of_key or switch.reason != because_of_key)
        ]
    return found


async def needs_proof(request: Resume, context: Context) -> bool:
    return await is_live({account.id for account in await context.accounts()}, context)


COMMAND = CommandSpec(
    name="resume",
    summary="Allow new entries again",
    usage="/resume [reason]",
    example="/resume",
    request=Resume,
    handler=resume,
    group="Trading",
    place=4,
    changes=True,
    opens=True,
    needs_proof=needs_proof,
    route=Route("POST", "/trading/resume"),
    data=Resumed,
)
