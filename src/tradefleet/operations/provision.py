"""Accounts whose keys the operator brings: opened at start, checked like everybody's."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import Account, Mode, User
from tradefleet.engine.key_guard import (
    KeyAnswer,
    KeyDenied,
    KeyRules,
    KeyUnclear,
    checked,
    judge,
    key_of,
)
from tradefleet.keyring import keep_key, note_check, with_key
from tradefleet.store import Store, UserStore
from tradefleet.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """How an account that the operator brings stands; fault is why it was not connected."""

    account_id: AccountId
    connected: bool
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """One account the operator brings keys for; its user is made when there is none."""

    user: User
    venue: str
    mode: Mode
    credentials: Credentials

    @property
    def account_id(self) -> AccountId:
        return AccountId(f"{self.user.id}:{self.venue}:{self.mode.value}")


async def provide(
    store: Store,
    vault: Vault,
    given: Provision,
    answer: KeyAnswer,
    rules: KeyRules,
    now: datetime,
) -> Provided:
    """Open the account with the keys given, or bring it in step with what its venue says of them.

    A key that is kept already stays when its venue cannot be asked now.
    """
    try:
        async with store.open(given.user.id) as own:
            if await own.user() is None:
                await own.save_user(given.user)
            return await _provide(own, vault, given, answer, rules, now)
    except Refused as refusal:  # their name is taken, or the key is another account's
        return Provided(account_id=given.account_id, connected=False, fault=str(refusal))


async def _provide(
    store: UserStore,
    vault: Vault,
    given: Provision,
    answer: KeyAnswer,
    rules: KeyRules,
    now: datetime,
) -> Provided:
    id = given.account_id
    known = next((account for account in await store.accounts() if account.id == id), None)
    sealed = (await store.sealed_keys()).get(id)
    fingerprint = vault.fingerprint(given.credentials.api_key)
    if known is not None and sealed is not None and sealed.fingerprint == fingerprint:
        check = checked(known, answer, await store.switches(), rules, now)
        await note_check(store, check)
        is_denied = isinstance(check.verdict, KeyDenied) and not isinstance(
            check.verdict, KeyUnclear
        )
        fault = check.verdict.text if isinstance(check.verdict, KeyDenied) else ""
        return Provided(account_id=id, connected=not is_denied, fault=fault)
    verdict = judge(answer, venue=given.venue, mode=given.mode, rules=rules, now=now)
    if isinstance(verdict, KeyDenied) or not isinstance(answer, KeyReport):
        fault = verdict.text if isinstance(verdict, KeyDenied) else ""
        return Provided(account_id=id, connected=False, fault=fault)
    if given.mode is Mode.LIVE and rules.live_ban:
        return Provided(account_id=id, connected=False, fault=rules.live_ban)
    account = known or Account(
        id=id, user_id=given.user.id, venue=given.venue, mode=given.mode, created_at=now
    )
    key = key_of(answer, verdict, given.credentials.api_key.masked(), now)
    account = with_key(account, key)
    await keep_key(store, vault, account, given.credentials, rules=rules, now=now)
    await store.audit("connected", {"account": id, "key": key.masked, "by": "operator"})
    return Provided(account_id=id, connected=True)
