"""Asks every day whether connected keys still may do what they must, and no more than that.

A key that lost a right, got one it must not have, was revoked or ends soon stops the entries of
its account, and its user is told; exits go on.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from structlog.contextvars import bound_contextvars

from tradefleet.clock import Clock
from tradefleet.command import VenueDesk
from tradefleet.domain.credentials import Credentials, KeyRefused
from tradefleet.domain.errors import Refused, StoreError, VenueError
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.user import Account, Mode
from tradefleet.engine.key_guard import KeyAnswer, KeyRules, checked, obeying
from tradefleet.keyring import note_check, open_key, turn
from tradefleet.store import SealedKey, Store
from tradefleet.vault import CannotOpen, Vault

logger = logging.getLogger(__name__)

ROUND = 60.0  # seconds
CLAIMED = timedelta(minutes=10)  # so long no other process checks the same key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChecks:
    """The daily look at everybody's keys, at most so many a minute; several processes share it."""

    store: Store
    vault: Vault
    desk: VenueDesk
    clock: Clock
    rules: KeyRules
    per_minute: int = 10

    async def run(self) -> None:
        """Check what is due, over and over, until cancelled."""
        while True:
            if not await self.check_due():
                await self.clock.sleep(ROUND)

    async def obey_rules(self) -> None:
        """Stop or allow the entries of live accounts, as the operator's rules are now."""
        for account in await self.store.active_accounts(Mode.LIVE):
            async with self.store.open(account.user_id) as store:
                switches, now = await store.switches(), self.clock.now()
                after, switch = obeying(account, switches, self.rules, now)
                if after != account:
                    await store.save_account(after)
                await turn(store, switch)

    async def check_due(self) -> int:
        """Check keys that are due, evenly over a minute, and return how many they were.

        Those that nobody confirmed in time are forgotten.
        """
        try:
            await self.store.drop_late_keys(self.clock.now())
            due = await self.store.keys_to_check(now=self.clock.now(), limit=self.per_minute)
            for user_id, account_id in due:
                with bound_contextvars(user=user_id, account=account_id):
                    await self.check(user_id, account_id)
                await self.clock.sleep(ROUND / self.per_minute)
        except StoreError as error:
            logger.warning("keys are not checked now: %s", error)
            return 0
        return len(due)

    async def check(self, user_id: UserId, account_id: AccountId) -> None:
        """Ask a key's venue about it, while no transaction is open, and write down the answer."""
        claimed = await self._claim(user_id, account_id)
        if claimed is None:
            return
        account, sealed, credentials = claimed
        try:
            answer: KeyAnswer = await self.desk.check_key(account.venue, credentials, account.mode)
        except KeyRefused as refusal:
            answer = refusal
        except (Refused, VenueError) as error:  # asked again once the claim has run out
            logger.warning("the key of %s cannot be checked: %s", account_id, type(error).__name__)
            return
        async with self.store.open(user_id) as store:
            now_sealed = (await store.sealed_keys()).get(account_id)
            now_account = next((a for a in await store.accounts() if a.id == account_id), None)
            if now_account is None or now_sealed != sealed:
                return  # disconnected, or connected anew, while we asked
            switches = await store.switches()
            outcome = checked(now_account, answer, switches, self.rules, self.clock.now())
            await note_check(store, outcome)

    async def _claim(
        self, user_id: UserId, account_id: AccountId
    ) -> tuple[Account, SealedKey, Credentials] | None:
        """Return what is to be checked, put off for others; None when somebody else has done so."""
        now = self.clock.now()
        async with self.store.open(user_id) as store:
            sealed = (await store.sealed_keys()).get(account_id)
            account = next((a for a in await store.accounts() if a.id == account_id), None)
            if sealed is None or account is None or sealed.check_at > now:
                return None
            sealed = replace(sealed, check_at=now + CLAIMED)
            await store.save_sealed_key(sealed)
            try:
                return account, sealed, await open_key(store, self.vault, account)
            except CannotOpen as error:
                logger.error("the key of %s cannot be checked: %s", account_id, error)
                return None
