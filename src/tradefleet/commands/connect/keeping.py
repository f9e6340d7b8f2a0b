"""What becomes of keys an exchange has judged: kept, kept until a code is typed, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tradefleet.command import Context, Reply
from tradefleet.commands.connect.meaning import NOT_KEPT, Offer, account_with
from tradefleet.commands.connect.questions import vault_of
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import Account, AccountKey, Mode
from tradefleet.drawing import account_name, moment, rights
from tradefleet.engine.key_guard import (
    Checked,
    KeyAnswer,
    KeyDenied,
    KeyUnclear,
    checked,
    judge,
    key_of,
)
from tradefleet.keyring import keep_key, note_check, open_pending, user_key, with_key
from tradefleet.store import PENDING_TRIES, PendingKey
from tradefleet.vault import Place, Use

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another
CODE_LENGTH = 6
CODE_LIFETIME = timedelta(minutes=5)
LIVE_QUESTION = (
    "⚠️ This is real money, and nothing is connected yet.\n{facts}\n"
    "What you start on this account trades for real. To go live, send within {minutes} minutes:\n"
    "/connect confirm LIVE {code}"
)
NOTHING_WAITS = "❌ No live account waits for a confirmation; send /connect with its keys again."
WRONG_CODE = "❌ That is not the code. Nothing is connected; {left}"
REPLACED = (
    "🔁 This key takes the place of the one before; it must belong to the same account at {venue}."
)
NO_ANSWER = KeyRefused(KeyFault.NETWORK, "")


@dataclass(frozen=True, slots=True)
class Connected:
    """An account as connected, or as it will be once it is confirmed; key is masked."""

    account_id: str
    exchange: str
    mode: str
    key: str = ""
    warnings: tuple[str, ...] = ()
    confirmed: bool = True


async def take(offer: Offer, answers: dict[AccountId, KeyAnswer], context: Context) -> Reply:
    """Keep the keys that an exchange approves of; a live account's wait for a code."""
    account, now = offer.account, context.clock.now()
    answer = answers.get(account.id, NO_ANSWER)
    rules = context.catalog.key_rules
    verdict = judge(answer, venue=account.venue, mode=account.mode, rules=rules, now=now)
    if isinstance(verdict, KeyDenied) or isinstance(answer, KeyRefused):
        reason = verdict.text if isinstance(verdict, KeyDenied) else ""
        raise Refused(f"❌ {reason}\n{NOT_KEPT}")
    key = key_of(answer, verdict, offer.credentials.api_key.masked(), now)
    if account.mode is Mode.LIVE:
        return await wait_for_code(offer, key, context)
    return await open_with(account, key, offer.credentials, context)


async def open_with(
    account: Account, key: AccountKey, credentials: Credentials, context: Context
) -> Reply:
    """Connect an account with a key that passed."""
    replaces = account.is_active and account.key is not None
    account = await keep_key(
        context.store,
        vault_of(context),
        with_key(account, key),
        credentials,
        rules=context.catalog.key_rules,
        now=context.clock.now(),
    )
    await context.store.audit("connected", {"account": account.id, "key": key.masked})
    lines = ["✅ Exchange Connected", *facts(account, key)]
    if replaces:
        lines.append(REPLACED.format(venue=account.venue))
    data = Connected(account.id, account.venue, account.mode.value, key.masked, key.warnings)
    return Reply(text="\n".join(lines), data=data)


def facts(account: Account, key: AccountKey) -> list[str]:
    """Return what may be shown of an account and its key."""
    lines = [f"Exchange: {account_name(account)}", f"Key: {key.masked}", f"Rights: {rights(key)}"]
    lines += [f"⚠️ {warning}" for warning in key.warnings]
    return [*lines, f"⛔ No new entries: {key.fault}"] if key.fault else lines


async def wait_for_code(offer: Offer, key: AccountKey, context: Context) -> Reply:
    """Seal live credentials away until their user has typed the code."""
    account, vault = offer.account, vault_of(context)
    place = Place.of(account, Use.PENDING)
    wrapped = await user_key(context.store, vault)
    code = code_from(context.ids.new())
    pending = PendingKey(
        account_id=account.id,
        venue=account.venue,
        mode=account.mode,
        sealed=vault.seal(wrapped, place, offer.credentials),
        fingerprint=vault.fingerprint(offer.credentials.api_key),
        key=key,
        code=code,
        expires_at=context.clock.now() + CODE_LIFETIME,
    )
    await context.store.save_pending_key(pending)
    minutes = CODE_LIFETIME // timedelta(minutes=1)
    shown = "\n".join(facts(account, key))
    data = Connected(
        account.id, account.venue, account.mode.value, key.masked, key.warnings, confirmed=False
    )
    text = LIVE_QUESTION.format(facts=shown, minutes=minutes, code=code)
    return Reply(text=text, data=data)


def code_from(id: str) -> str:
    """Return a code that can be typed, from a random id."""
    number, letters = int(id, 16), ""
    for _ in range(CODE_LENGTH):
        number, place = divmod(number, len(CODE_LETTERS))
        letters += CODE_LETTERS[place]
    return letters


async def confirm(code: str, context: Context) -> Reply:
    """Connect the live account that waits, when the code is its own."""
    now, store = context.clock.now(), context.store
    pending = await store.pending_key()
    if pending is None or pending.expires_at <= now:
        await store.drop_pending_key()
        return Reply(text=NOTHING_WAITS, refused=True)
    if code != pending.code:
        return await mistyped(pending, context)
    if ban := context.catalog.key_rules.live_ban:
        raise Refused(f"❌ {ban}")
    credentials = await open_pending(store, vault_of(context), pending)
    await store.drop_pending_key()
    account = await account_with(pending.account_id, pending.venue, pending.mode, context)
    key = replace(pending.key, connected_at=now)
    return await open_with(account, key, credentials, context)


async def mistyped(pending: PendingKey, context: Context) -> Reply:
    """Count a wrong code; after a few the keys are forgotten."""
    tries = pending.tries + 1
    if tries >= PENDING_TRIES:
        await context.store.drop_pending_key()
        left = "your keys were forgotten. Send /connect with them again."
    else:
        await context.store.save_pending_key(replace(pending, tries=tries))
        until = moment(pending.expires_at)
        left = f"type it as I wrote it, until {until}: /connect confirm LIVE <code>"
    return Reply(text=WRONG_CODE.format(left=left), refused=True)


async def look_again(
    accounts: Sequence[Account], answers: dict[AccountId, KeyAnswer], context: Context
) -> Reply:
    """Write down what the exchange says of keys that are connected, and tell it."""
    now, rules = context.clock.now(), context.catalog.key_rules
    lines = []
    for account in accounts:
        answer = answers.get(account.id, NO_ANSWER)
        check = checked(account, answer, await context.store.switches(), rules, now)
        await note_check(context.store, replace(check, notice=None))  # the reply tells it
        lines += standing(check)
    first = accounts[0]
    data = Connected(first.id, first.venue, first.mode.value)
    return Reply(text="\n".join(lines), data=data)


def standing(check: Checked) -> list[str]:
    """Say how a key that was checked again stands."""
    account, verdict = check.account, check.verdict
    if account.key is None:
        return []
    if isinstance(verdict, KeyUnclear):
        return [f"❔ {account_name(account)}: {verdict.text}"]
    if isinstance(verdict, KeyDenied):
        return [
            f"❌ {account_name(account)}: {verdict.text}",
            "No new entries there until that is mended; open positions are still looked after.",
        ]
    return ["✅ Exchange Connected", *facts(account, account.key)]
