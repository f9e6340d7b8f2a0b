"""/accounts: your exchange accounts: mode, masked key, its rights, and whether it may trade."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Account
from tradefleet.drawing import account_name, moment, rights


@dataclass(frozen=True, slots=True)
class Accounts:
    pass


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account; since and checked are None where there is no key. halted: why no entries."""

    account_id: str
    exchange: str
    mode: str
    key: str
    rights: str
    since: datetime | None
    checked: datetime | None
    state: str
    halted: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountList:
    accounts: tuple[AccountLine, ...]


async def accounts(request: Accounts, context: Context) -> Reply:
    switches = await context.store.switches()
    known = await context.store.accounts()
    if not known:
        text = "🔑 No account is connected yet. Try it without real money: /connect paper"
        return Reply(text=text, data=AccountList(()))
    found = [described(account, halt_of(account, switches)) for account in known]
    notes = [
        f"⚠️ {account_name(account)}: {warning}"
        for account, line in zip(known, found, strict=True)
        for warning in line.warnings
    ]
    return Reply(
        text="\n".join(["🔑 Your Accounts", *notes]),
        columns=("Account", "Key", "Rights", "Since", "Checked", "State"),
        rows=tuple(row(*each) for each in zip(known, found, strict=True)),
        data=AccountList(tuple(found)),
    )


def halt_of(account: Account, switches: Sequence[Switch]) -> str:
    """Return why an account takes no entries, "" when it does."""
    for switch in switches:
        mine = switch.scope is Scope.ACCOUNT and switch.scope_id == account.id
        if mine and switch.halt is not Halt.RUN:
            return switch.reason or "switched off"
    return ""


def described(account: Account, halted: str) -> AccountLine:
    key = account.key
    return AccountLine(
        account_id=account.id,
        exchange=account.venue,
        mode=account.mode.value,
        key=key.masked if key else "",
        rights=rights(key) if key else "",
        since=key.connected_at if key else None,
        checked=key.checked_at if key else None,
        state=account.state.value,
        halted=halted,
        warnings=key.warnings if key else (),
    )


def row(account: Account, line: AccountLine) -> tuple[str, ...]:
    since = moment(line.since or account.created_at)
    checked = moment(line.checked) if line.checked else "-"
    state = f"no entries: {line.halted}" if line.halted else line.state
    return (account_name(account), line.key or "-", line.rights or "-", since, checked, state)


COMMAND = CommandSpec(
    name="accounts",
    summary="Your exchange accounts and their keys",
    usage="/accounts",
    example="/accounts",
    request=Accounts,
    handler=accounts,
    place=6,
    refreshes=True,
    route=Route("GET", "/accounts"),
    data=AccountList,
)
