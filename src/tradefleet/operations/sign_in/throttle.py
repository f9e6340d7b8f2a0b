"""How often anybody may try to sign in: by address, by name, and less after each failure."""

from dataclasses import dataclass
from math import ceil

from tradefleet.clock import Clock
from tradefleet.domain.errors import TooMany
from tradefleet.identity import IdentityStore, hash_of, seconds_locked
from tradefleet.quota import Quotas, network_of


@dataclass(slots=True)
class Throttle:
    """Some tries a minute of each address and each name; failures in a row are in the store."""

    identity: IdentityStore
    clock: Clock
    quotas: Quotas

    async def admit(self, address: str, name: str) -> None:
        """Count a try, of whatever name; raise TooMany when it is not allowed now."""
        keys = (f"address {network_of(address)}", f"name {named(name)}")
        waits = [(await self.quotas.sign_in(key)).seconds_to_wait for key in keys]
        failures = await self.identity.failures(named(name))
        seconds = max(*waits, seconds_locked(failures, self.clock.now()))
        if seconds > 0:
            text = f"Too many attempts to sign in; try again in {ceil(seconds)} s."
            raise TooMany(text, seconds)

    async def admit_from(self, address: str) -> None:
        """Count a try that names nobody: by a link, or by Telegram's word."""
        asked = await self.quotas.sign_in(f"address {network_of(address)}")
        asked.check()

    async def failed(self, name: str) -> None:
        await self.identity.note_failure(named(name), self.clock.now())

    async def succeeded(self, name: str) -> None:
        await self.identity.forget_failures(named(name))


def named(name: str) -> str:
    """Return what is kept of a name that was typed: it may be a password in the wrong field."""
    return hash_of(f"sign in {name.strip().casefold()}")
