"""A user's keys in the store, sealed by the vault: kept, opened, checked again, rotated."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tradefleet.domain.credentials import Credentials
from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.limits import Switch
from tradefleet.domain.user import Account, AccountKey, AccountState
from tradefleet.engine.key_guard import CHECK_EVERY, Checked, KeyRules, obeying
from tradefleet.store import KeyTaken, PendingKey, SealedKey, Store, UserStore
from tradefleet.vault import CannotOpen, Place, Use, Vault

PAGE = 500  # users looked at together when all are


async def user_key(store: UserStore, vault: Vault) -> bytes:
    """Return the user's own key, wrapped; made with the first credentials they give us."""
    wrapped = await store.wrapped_key()
    if wrapped is None:
        wrapped = vault.new_user_key(store.user_id)
        await store.save_wrapped_key(wrapped)
    return wrapped


async def keep_key(
    store: UserStore,
    vault: Vault,
    account: Account,
    credentials: Credentials,
    *,
    rules: KeyRules,
    now: datetime,
) -> Account:
    """Connect an account with the key it names; KeyTaken when that is connected already.

    Its entries stop, or go on, as that key and the rules say, and its host opens it anew.
    """
    ensure(account.key is not None, "an account without a key")
    account = replace(account, state=AccountState.ACTIVE)
    account, switch = obeying(account, await store.switches(), rules, now)
    wrapped = await user_key(store, vault)
    fingerprint = vault.fingerprint(credentials.api_key)
    before = (await store.sealed_keys()).get(account.id)
    is_known = before is not None and before.fingerprint == fingerprint
    if before and is_known and vault.can_open(wrapped, Place.of(account), before.sealed):
        raise KeyTaken
    sealed = SealedKey(
        account_id=account.id,
        sealed=vault.seal(wrapped, Place.of(account), credentials),
        fingerprint=fingerprint,
        sealed_at=now,
        check_at=now + CHECK_EVERY,
    )
    await store.save_account(account)
    await store.save_sealed_key(sealed)
    await turn(store, switch)
    await store.ask_host("account_changed", {"account_id": account.id})
    return account


def with_key(account: Account, key: AccountKey) -> Account:
    """Return an account with another key; what the one before had stopped is not forgotten."""
    stopped = account.key.stopped if account.key is not None else ""
    return replace(account, key=replace(key, stopped=stopped))


async def open_key(store: UserStore, vault: Vault, account: Account) -> Credentials:
    """Return an account's credentials; CannotOpen when there are none, or they were tampered with.

    What waits for its confirmation is not among them.
    """
    wrapped = await store.wrapped_key()
    sealed = (await store.sealed_keys()).get(account.id)
    if wrapped is None or sealed is None:
        raise CannotOpen(f"There is no key of account {account.id}: connect it again.")
    return vault.open(wrapped, Place.of(account), sealed.sealed)


async def open_pending(store: UserStore, vault: Vault, pending: PendingKey) -> Credentials:
    """Return the credentials that waited for their code; CannotOpen when tampered with."""
    place = Place(
        user_id=store.user_id,
        account_id=pending.account_id,
        venue=pending.venue,
        mode=pending.mode,
        use=Use.PENDING,
    )
    return vault.open(await user_key(store, vault), place, pending.sealed)


async def note_check(store: UserStore, checked: Checked) -> None:
    """Write down what a check of a connected key came to, and tell whom it concerns."""
    await store.save_account(checked.account)
    key = (await store.sealed_keys()).get(checked.account.id)
    if key is not None:
        await store.save_sealed_key(replace(key, check_at=checked.again_at))
    await turn(store, checked.switch)
    if checked.notice is not None:
        await store.notify(checked.notice)


async def turn(store: UserStore, switch: Switch | None) -> None:
    """Set an account's switch, if one is to be set, and tell the host."""
    if switch is not None:
        await store.set_switch(switch)
        await store.ask_host("switches_changed", {})


@dataclass(frozen=True, slots=True)
class Keyring:
    """All users' keys, for who runs accounts and for the operator."""

    store: Store
    vault: Vault

    async def credentials_of(self, account: Account) -> Credentials:
        """Open an account's credentials, for the one who speaks to its venue; nothing is cached."""
        async with self.store.open(account.user_id, reading=True) as store:
            return await open_key(store, self.vault, account)

    def opened(self, account: Account, wrapped: bytes, sealed: SealedKey) -> Credentials:
        """Return the credentials in a sealed key that was read before."""
        return self.vault.open(wrapped, Place.of(account), sealed.sealed)

    async def users(self) -> AsyncIterator[tuple[UserId, bytes]]:
        """Yield every user who has a key of their own, and the key, wrapped."""
        last: UserId | None = None
        while page := await self.store.wrapped_keys(after=last, limit=PAGE):
            for user_id, wrapped in page:
                last = user_id
                yield user_id, wrapped


@dataclass(slots=True, eq=False)
class KeysAhead:
    """Opens accounts' credentials; sealed keys of many users that start at once are read together.

    What was read ahead stays sealed, serves once, and only until the next reading.
    """

    keyring: Keyring
    _read: dict[AccountId, tuple[bytes, SealedKey]] = field(default_factory=dict)

    async def read(self, user_ids: Sequence[UserId]) -> None:
        """Read these users' keys, whose accounts are opened next; none: forget what was read."""
        self._read = {}
        if user_ids:
            self._read = dict(await self.keyring.store.keys_of(user_ids))

    async def credentials_of(self, account: Account) -> Credentials:
        found = self._read.pop(account.id, None)
        if found is None:
            return await self.keyring.credentials_of(account)
        return self.keyring.opened(account, *found)
