"""Where alerts go, by the settings: who receives them, and what brings them there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import StoreError
from tradefleet.operations.alert_delivery.apprise_receiver import AppriseReceiver
from tradefleet.operations.alert_delivery.couriers import Couriers, Pouch
from tradefleet.operations.alert_delivery.posting import (
    PostReceiver,
    discord_body,
    program_body,
    slack_body,
)
from tradefleet.operations.alert_delivery.receiver import Receiver
from tradefleet.operations.alert_delivery.telegram import TelegramReceiver
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import Settings, load_settings
from tradefleet.store import Store
from tradefleet.stores.sql import open_store

NOWHERE = (
    "Alerts go nowhere but into the log: set SLACK_WEBHOOK_URL, DISCORD_WEBHOOK_URL, WEBHOOK_URL, "
    "ADMIN_TELEGRAM_IDS or APPRISE_URLS."
)


def receivers_of(settings: Settings, store: Store | None, clock: Clock) -> list[Receiver]:
    """Return everybody alerts are sent to; their names are the same at each start."""
    posts = (
        ("slack", settings.slack_webhook_url, slack_body, None),
        ("discord", settings.discord_webhook_url, discord_body, None),
        ("webhook", settings.webhook_url, program_body, settings.webhook_secret),
    )
    found: list[Receiver] = [
        PostReceiver(name=name, url=hidden(url), body=body, clock=clock, secret=hidden_or(secret))
        for name, url, body, secret in posts
        if url is not None
    ]
    if ids := settings.admin_ids():
        found.append(TelegramReceiver(store=store, clock=clock, telegram_ids=ids))
    said = settings.apprise_urls
    urls = said.get_secret_value().split() if said is not None else []
    found += [AppriseReceiver(f"apprise {n}", Secret(url)) for n, url in enumerate(urls, 1)]
    return found


def hidden(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())


def hidden_or(value: SecretStr | None) -> Secret | None:
    return None if value is None else hidden(value)


def couriers_over(
    settings: Settings, store: Store | None, clock: Clock, owner: str, pouch: Pouch
) -> Couriers:
    """Return what takes alerts and brings them; pouch: what it knows while there is no database."""
    receivers = receivers_of(settings, store, clock)
    return Couriers(store=store, clock=clock, receivers=receivers, owner=owner, pouch=pouch)


@asynccontextmanager
async def telling_without_database(owner: str, pouch: Pouch) -> AsyncIterator[Couriers]:
    """Bring alerts while the database is away."""
    couriers = couriers_over(load_settings(), None, RealClock(), owner, pouch)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(couriers.run())
        try:
            yield couriers
        finally:
            running.cancel()


async def check_alerts(db: str | None, say: Callable[[str], None]) -> int:
    """Send a test to every receiver; return 0 when all took it, 1 when some, 2 when none did."""
    settings, clock = load_settings(), RealClock()
    store = None
    try:
        store = await open_store(db or settings.database_url.get_secret_value())
    except StoreError as error:
        say(f"The database cannot be opened, and so Telegram's outbox cannot: {error}")
    try:
        receivers = receivers_of(settings, store, clock)
        told = await Couriers(store=store, clock=clock, receivers=receivers, owner="").test()
    finally:
        if store is not None:
            await store.close()
    if not told:
        say(NOWHERE)
        return 2
    for name, took, text in told:
        say(f"{'✅' if took else '❌'} {name}: {text}")
    taken = sum(took for _, took, _ in told)
    return 0 if taken == len(told) else 1 if taken else 2
