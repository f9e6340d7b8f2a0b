"""What a /connect is about: a paper account, new keys, keys to check again, or a code."""

from dataclasses import dataclass
from typing import TypeAlias

from tradefleet.command import Context, secret
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import Account, Mode
from tradefleet.venue import VenueSpec

# What the service will speak to: each comes with the adapter of its venue.
COMING = ("binance", "bybit", "kraken", "mt5")
KEY_LENGTH_MAX = 256
SECRET_LENGTH_MAX = 4096  # some are whole private keys
CONFIRM = "confirm"  # in the place of an exchange
GOING_LIVE = "LIVE"
NOT_KEPT = "Your keys were not kept."
HOW = (
    "To connect an exchange, send: /connect {exchange} <api_key> <secret> [testnet=true]\n"
    "Make a key there that may read and trade but not withdraw. I delete your message and keep "
    "the keys encrypted; testnet=false asks once more before real money is used."
)


@dataclass(frozen=True, slots=True)
class Connect:
    exchange: str = ""
    api_key: Secret = secret()
    api_secret: Secret = secret()
    testnet: bool = True


@dataclass(frozen=True, slots=True)
class Keyless:
    """An account that needs no keys."""

    venue: VenueSpec


@dataclass(frozen=True, slots=True)
class Offer:
    """Keys for an account, connected already or not."""

    account: Account
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Recheck:
    """Accounts whose keys are to be checked again."""

    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Invitation:
    """Nothing was brought yet: how to bring it; exchange "": any."""

    exchange: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The code that was typed, "" when the word before it was wrong."""

    code: str


Meaning: TypeAlias = Keyless | Offer | Recheck | Invitation | Confirmation


async def meaning_of(request: Connect, context: Context) -> Meaning:
    """Return what a request is about; raise Refused when it is about nothing we can do."""
    name = request.exchange.lower()
    if not name:
        return Invitation("")
    if name == CONFIRM:
        word, code = request.api_key.reveal(), request.api_secret.reveal()
        return Confirmation(code.upper() if word.upper() == GOING_LIVE else "")
    venue = context.catalog.venues.get(name.partition(":")[0])
    if venue is None:
        raise Refused(unknown(name, context, held_keys=bool(request.api_key)))
    if not venue.needs_keys:
        return Keyless(venue)
    if not request.api_key:
        connected = [account for account in await context.accounts(name) if account.key is not None]
        return Recheck(tuple(connected)) if connected else Invitation(venue.name)
    return await offer_of(request, venue, context)


async def offer_of(request: Connect, venue: VenueSpec, context: Context) -> Offer:
    """Return the account that keys are for; raise Refused when it may not be opened."""
    credentials = credentials_in(request)
    mode = mode_of(request)
    if mode not in venue.modes:
        raise Refused(f"❌ {no_such_mode(venue, mode)} {NOT_KEPT}")
    if mode is Mode.LIVE and context.catalog.key_rules.live_ban:
        raise Refused(f"❌ {context.catalog.key_rules.live_ban} {NOT_KEPT}")
    id = AccountId(f"{context.user.id}:{venue.name}:{mode.value}")
    return Offer(await account_with(id, venue.name, mode, context), credentials)


async def account_with(id: AccountId, venue: str, mode: Mode, context: Context) -> Account:
    """Return the caller's account of that id, connected or not, or a new one."""
    known = [account for account in await context.store.accounts() if account.id == id]
    if known:
        return known[0]
    now = context.clock.now()
    return Account(id=id, user_id=context.user.id, venue=venue, mode=mode, created_at=now)


def mode_of(request: Connect) -> Mode:
    """Return the mode that is meant: binance:live says it as testnet=false does."""
    said = request.exchange.lower().partition(":")[2]
    if said:
        return next((mode for mode in Mode if mode.value == said), Mode.PAPER)
    return Mode.TESTNET if request.testnet else Mode.LIVE


def credentials_in(request: Connect) -> Credentials:
    """Return key and secret; refuse what can be no such pair, without saying anything of it."""
    key, api_secret = request.api_key.reveal().strip(), request.api_secret.reveal().strip()
    if not key or not api_secret:
        raise Refused(f"❌ The secret is missing. {NOT_KEPT}\n{HOW.format(exchange='<exchange>')}")
    if len(key) > KEY_LENGTH_MAX or len(api_secret) > SECRET_LENGTH_MAX or not key.isprintable():
        raise Refused(f"❌ That is no API key and secret. {NOT_KEPT}")
    return Credentials(api_key=Secret(key), api_secret=Secret(api_secret))


def unknown(name: str, context: Context, *, held_keys: bool) -> str:
    """Say why an exchange cannot be connected; a word that is no exchange is not repeated."""
    if name in COMING:
        text = f"{name} comes with its venue adapter, which is not available in this version."
    else:
        text = "I do not know that exchange."
    venues = context.catalog.venues
    kept = f" {NOT_KEPT}" if held_keys else ""
    choices = " or ".join(f"/connect {v}" for v in sorted(venues) if not venues[v].needs_keys)
    return f"❌ {text}{kept}" + (f"\nAvailable now, no keys needed: {choices}" if choices else "")


def no_such_mode(venue: VenueSpec, mode: Mode) -> str:
    """Say which mode an exchange has in place of the one that was asked for."""
    if mode is Mode.TESTNET and Mode.LIVE in venue.modes:
        return f"{venue.name} has no testnet; testnet=false connects the real one."
    if mode is Mode.LIVE and Mode.TESTNET in venue.modes:
        return f"{venue.name} can be connected with testnet=true only."
    return f"{venue.name} has no such mode."
