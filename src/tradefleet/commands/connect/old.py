"""/connect: open an account at an exchange; keys are never stored, repeated or written down."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, secret
from tradefleet.domain.errors import Refused

# What the service will speak to: each comes with the adapter of its venue.
COMING = ("binance", "bybit", "kraken", "mt5")


@dataclass(frozen=True, slots=True)
class Connect:
    exchange: str
    api_key: str = secret()
    api_secret: str = secret()
    testnet: bool = True


@dataclass(frozen=True, slots=True)
class Connected:
    """An account as connected."""

    account_id: str
    exchange: str
    mode: str


async def connect(request: Connect, context: Context) -> Reply:
    name = request.exchange.lower()
    venues = context.catalog.venues
    venue = venues.get(name)
    if venue is None or venue.needs_keys:
        known = name if name in (*COMING, *venues) else ""
        keyless = [v for v in sorted(venues) if not venues[v].needs_keys]
        raise Refused(refusal(known, keyless, held_keys=bool(request.api_key)))
    account = await context.open_account(venue)
    data = Connected(account.id, account.venue, account.mode.value)
    return Reply(text="✅ Exchange Connected", data=data)


def refusal(known: str, keyless: list[str], *, held_keys: bool) -> str:
    """Say why an exchange cannot be connected; a word that is no exchange is not repeated."""
    if known:
        text = f"{known} comes with its venue adapter, which is not available in this version."
    else:
        text = "I do not know that exchange."
    kept = " Your keys were not kept." if held_keys else ""
    choices = " or ".join(f"/connect {name}" for name in keyless)
    return f"❌ {text}{kept}" + (f"\nAvailable now, no keys needed: {choices}" if choices else "")


COMMAND = CommandSpec(
    name="connect",
    summary="Connect exchange",
    usage="/connect <exchange> <api_key> <secret> [testnet]",
    example="/connect paper",
    request=Connect,
    handler=connect,
    group="Setup",
    place=2,
    changes=True,
)
