"""Rotates the master key under which users' keys are wrapped, and says what the vault opens.

Each user's key is wrapped anew by itself, so it can be broken off and run again at any time, beside
a running service: what was done stays done.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tradefleet.keyring import Keyring, open_key
from tradefleet.vault import CannotOpen


@dataclass(slots=True)
class Rotation:
    """What a rotation came to; faults are told to the operator."""

    rewrapped: int = 0
    current: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"Wrapped anew: {self.rewrapped}. Already under the first key: {self.current}."
        yield from (f"❌ {fault}" for fault in self.faults)
        if not self.faults:
            yield "Nothing needs the other keys any more; take them out of ENCRYPTION_KEY."


async def rotate(keyring: Keyring) -> Rotation:
    """Wrap every user's key under the first master key."""
    done = Rotation()
    async for user_id, wrapped in keyring.users():
        if keyring.vault.is_current(wrapped):
            done.current += 1
            continue
        try:
            fresh = keyring.vault.rewrapped(user_id, wrapped)
        except CannotOpen as error:
            done.faults.append(str(error))
            continue
        # Not there any more: another rotation was quicker, or the user was erased.
        done.rewrapped += await keyring.store.rewrap(user_id, wrapped, fresh)
    return done


@dataclass(slots=True)
class Inspection:
    """What the vault opens of all that is kept."""

    users: int = 0
    accounts: int = 0
    outdated: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"Users' keys: {self.users}. Accounts' credentials: {self.accounts}."
        if self.outdated:
            yield f"Under an older master key: {self.outdated}; run `tradefleet vault rotate`."
        yield from (f"❌ {fault}" for fault in self.faults)
        if not self.faults:
            yield "✅ All of them can be opened."


async def inspect(keyring: Keyring) -> Inspection:
    """Try to open everything that is kept; nothing is changed."""
    found = Inspection()
    async for user_id, wrapped in keyring.users():
        found.users += 1
        found.outdated += not keyring.vault.is_current(wrapped)
        async with keyring.store.open(user_id, reading=True) as store:
            accounts = {account.id: account for account in await store.accounts()}
            for account_id in await store.sealed_keys():
                found.accounts += 1
                try:
                    await open_key(store, keyring.vault, accounts[account_id])
                except CannotOpen as error:
                    found.faults.append(str(error))
    return found
