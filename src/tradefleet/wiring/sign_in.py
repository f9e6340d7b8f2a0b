"""What signs people in, put together from the settings; and the operator's register of users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tradefleet.domain.audit import AT_THE_MACHINE
from tradefleet.domain.credentials import Secret
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.operations.sign_in.passwords import Passwords
from tradefleet.operations.sign_in.register import Register
from tradefleet.operations.sign_in.sessions import SignIn
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import Settings, load_settings
from tradefleet.store import Store, acting
from tradefleet.stores.sql import open_store
from tradefleet.wiring.ground import Ground
from tradefleet.wiring.keys import bind_audit, check_masters, masters_of, open_vault


async def sign_in_over(ground: Ground) -> SignIn:
    token = ground.settings.telegram_bot_token
    return SignIn(
        store=ground.store,
        clock=ground.clock,
        ids=ground.ids,
        access=AccessTokens(await signing_keys(ground.settings, ground.store)),
        passwords=Passwords(),
        throttle=Throttle(ground.store.identity, ground.clock, ground.quotas),
        vault=ground.vault,
        bot_token=Secret(token.get_secret_value()) if token else None,
    )


async def signing_keys(settings: Settings, store: Store) -> tuple[Secret, ...]:
    """Return what access tokens are signed with: the operator's, or one the database keeps."""
    return settings.jwt_secrets() or (Secret((await store.secret("access_tokens")).hex()),)


@asynccontextmanager
async def open_register(db: str | None) -> AsyncIterator[Register]:
    """Open the register of users, beside a running service or not."""
    settings = load_settings()
    store = await open_store(db or settings.database_url.get_secret_value())
    try:
        masters = masters_of(settings)
        vault = await open_vault(masters, store)
        await check_masters(vault, masters, store)
        await bind_audit(store, vault, masters.keys)
        with acting(AT_THE_MACHINE):
            yield Register(
                store=store,
                clock=RealClock(),
                passwords=Passwords(),
                users_max=settings.max_concurrent_users,
            )
    finally:
        await store.close()
