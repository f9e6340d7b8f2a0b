"""/external: say what is done about trades and deposits of an account that are not ours."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route, is_live
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.user import Account, ExternalChanges
from tradefleet.drawing import account_name

MEANINGS = {
    ExternalChanges.IGNORE: "what you trade or move yourself stays yours; no bot touches it",
    ExternalChanges.ADOPT: "what comes in becomes free balance that your bots may be given",
    ExternalChanges.ASK: "entries there stop until you have looked, and say /resume",
}


@dataclass(frozen=True, slots=True)
class External:
    exchange: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class ExternalPolicy:
    """How an account treats changes from outside."""

    account_id: str
    exchange: str
    policy: str


async def external(request: External, context: Context) -> Reply:
    account = await find(request.exchange, context)
    policy = read_policy(request.policy) if request.policy else account.external_changes
    if policy is not account.external_changes:
        account = replace(account, external_changes=policy)
        await context.store.save_account(account)
        await context.store.ask_host("account_changed", {"account_id": account.id})
    lines = [f"🤝 {account_name(account)}: {policy.value}", f"{MEANINGS[policy].capitalize()}."]
    data = ExternalPolicy(account.id, account.venue, policy.value)
    return Reply(text="\n".join(lines), data=data)


async def find(name: str, context: Context) -> Account:
    """Return the one connected account of that name at a real venue."""
    found = await context.accounts(name)
    if len(found) != 1:
        names = ", ".join(account_name(account) for account in await context.accounts())
        kind = Refused if found else NotThere
        raise kind(f"Say which of your accounts: {names or 'you are connected to none'}.")
    if found[0].key is None:
        raise Refused("Nobody but your bots trades in a paper account.")
    return found[0]


def read_policy(word: str) -> ExternalChanges:
    try:
        return ExternalChanges(word.lower())
    except ValueError:
        choices = "\n".join(f"{policy.value}: {text}" for policy, text in MEANINGS.items())
        raise Refused(f"Say one of these:\n{choices}") from None


async def needs_proof(request: External, context: Context) -> bool:
    if not request.policy:
        return False
    return await is_live({(await find(request.exchange, context)).id}, context)


COMMAND = CommandSpec(
    name="external",
    summary="What to do about trades and deposits of your own",
    usage="/external <exchange> [ignore|adopt|ask]",
    example="/external binance ask",
    request=External,
    handler=external,
    group="Setup",
    place=7,
    changes=True,
    needs_proof=needs_proof,
    route=Route("PUT", "/accounts/{exchange}/external"),
    data=ExternalPolicy,
)
