"""Sends events to users' webhooks, each in the order of its events, at least once.

A webhook is a place in its user's sequence, so nothing has to be queued: what comes after the place
is sent, and the place is moved once that is written down. A crash in between sends an event again
under the same id. One process does it for all.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from structlog.contextvars import bind_contextvars

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import Backoff
from tradefleet.live import LiveEvent
from tradefleet.operations.resting import rest
from tradefleet.operations.webhooks.courier import NotReached
from tradefleet.store import Store
from tradefleet.vault import CannotOpen, Vault
from tradefleet.webhook import Delivery, Outcome, Webhook, signature

logger = logging.getLogger(__name__)

DUTY = "webhooks"
DUTY_SECONDS = 60.0
TICK = 1.0  # seconds between two looks when nothing was said to have happened
STORE_SECONDS = 5.0
PAGE = 50  # events of one webhook sent in a row, before others have their turn
WEBHOOKS_AT_ONCE = 20
TRIES_MAX = 10  # of one event; then it is given up
FAILURES_MAX = 20  # in a row; then the webhook is disabled
RETRY = Backoff(first=5, factor=3, most=3600)
GONE = 410
AGENT = "Tradefleet-Webhook/1"
DISABLED = (
    "⚠️ Your webhook {id} is disabled: {why}. Nothing is sent there any more. Once that is mended, "
    "/resumewebhook {id} goes on where it stopped; /removewebhook {id} takes it away."
)


class Posts(Protocol):
    """Who posts; the real one is courier.py's."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int: ...


@dataclass(frozen=True, slots=True)
class Tried:
    """What one try came to."""

    status: int | None
    error: str

    @property
    def is_done(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True, kw_only=True)
class WebhookSender:
    """Runs beside the service; owner names this process."""

    store: Store
    vault: Vault
    clock: Clock
    courier: Posts
    owner: str
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send until cancelled."""
        with self.store.live.watch(lambda user_id: self._wake.set()):
            while True:
                try:
                    sent = await self.turn()
                except StoreError as error:
                    logger.warning("webhooks wait for the database: %s", error)
                    await self.clock.sleep(STORE_SECONDS)
                    continue
                if not sent:
                    await self._rest()

    async def _rest(self) -> None:
        """Wait for a hint that something happened, or for the next look."""
        self._wake.clear()
        await rest(self.clock, TICK, self._wake)

    async def turn(self) -> int:
        """Send what is due, if that is this process's duty; return to how many webhooks."""
        now = self.clock.now()
        duty = await self.store.duties.take(DUTY, self.owner, now=now, ttl=DUTY_SECONDS)
        if duty is None:
            return 0
        due = await self.store.webhooks.due(now, WEBHOOKS_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for webhook in due:
                tasks.create_task(self._served(webhook))
        return len(due)

    async def _served(self, webhook: Webhook) -> None:
        """Serve a webhook; when the database is away, it is served later."""
        bind_contextvars(user=webhook.user_id, webhook=webhook.id)
        try:
            await self._serve(webhook)
        except StoreError as error:
            logger.warning("webhook %s waits for the database: %s", webhook.id, error)

    async def _serve(self, webhook: Webhook) -> None:
        """Send a webhook what comes next, until something fails or a page is sent."""
        async with self.store.open(webhook.user_id, reading=True) as own:
            head = await own.live.head()
            events = await own.live.after(webhook.done, PAGE)
            wrapped = await own.wrapped_key()
        try:
            sealed = webhook.sealed
            secret = self.vault.open_text(wrapped or b"", webhook.user_id, webhook.use, sealed)
        except CannotOpen:
            await self._disable(webhook, "its secret cannot be opened")
            return
        if head is None:
            return
        if webhook.done < head.since:  # what came next is not kept any more
            events = [LiveEvent(head.since, self.clock.now(), "reset", "{}"), *events]
        started = self.clock.monotonic()
        for event in events:
            after = await self._send(webhook, event, secret)
            if (
                after is None
                or after.failures
                or self.clock.monotonic() - started > DUTY_SECONDS / 3
            ):
                return
            webhook = after

    async def _send(self, webhook: Webhook, event: LiveEvent, secret: Secret) -> Webhook | None:
        """Send one event, or pass over it; return the webhook after that, None when it is gone."""
        is_wanted = event.kind == "reset" or event.kind in webhook.kinds
        if not is_wanted:
            after = replace(webhook, done=event.number, tries=0)
            return after if await self._keep(webhook, after, None) else None
        tried = await self._try(webhook, event, secret)
        now = self.clock.now()
        after, delivery = outcome(webhook, event, tried, now)
        if not await self._keep(webhook, after, delivery):
            return None
        if tried.status == GONE or after.failures >= FAILURES_MAX:
            why = "it answered that it is gone" if tried.status == GONE else failing(tried)
            await self._disable(after, why)
            return None
        return after

    async def _try(self, webhook: Webhook, event: LiveEvent, secret: Secret) -> Tried:
        body = event.json().encode()
        at = int(self.clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "Tradefleet-Webhook": webhook.id,
            "Tradefleet-Event": f"{webhook.user_id}:{event.number}",
            "Tradefleet-Timestamp": str(at),
            "Tradefleet-Signature": signature(secret.reveal(), at, body),
        }
        try:
            status = await self.courier.post(webhook.url, body, headers)
        except NotReached as error:
            return Tried(None, str(error))
        return Tried(status, "" if 200 <= status < 300 else f"it answered {status}")

    async def _keep(self, before: Webhook, after: Webhook, delivery: Delivery | None) -> bool:
        """Write down how far a webhook came; False: it was removed or changed meanwhile."""
        async with self.store.open(before.user_id) as own:
            there = [each for each in await own.webhooks.all() if each.id == before.id]
            if not there or there[0].done != before.done or there[0].next_at is None:
                return False
            await own.webhooks.save(after)
            if delivery is not None:
                await own.webhooks.note(delivery)
        return True

    async def _disable(self, webhook: Webhook, why: str) -> None:
        """Send nothing there any more, and tell its owner."""
        async with self.store.open(webhook.user_id) as own:
            await own.webhooks.save(replace(webhook, next_at=None, disabled_because=why))
            text = DISABLED.format(id=webhook.id, why=why)
            await own.notify(notice_of(webhook.user_id, text, self.clock.now()))
            await own.audit("webhook_disabled", {"id": webhook.id, "why": why})


def outcome(
    webhook: Webhook, event: LiveEvent, tried: Tried, now: datetime
) -> tuple[Webhook, Delivery]:
    """Return the webhook after a try, and what is known of the delivery then."""
    tries = webhook.tries + 1
    failures = 0 if tried.is_done else webhook.failures + 1
    is_over = tried.is_done or tries >= TRIES_MAX
    wait = timedelta(seconds=RETRY.wait(failures))
    if tried.is_done:
        became = Outcome.DELIVERED
    else:
        became = Outcome.GIVEN_UP if is_over else Outcome.RETRYING
    after = replace(
        webhook,
        done=event.number if is_over else webhook.done,
        tries=0 if is_over else tries,
        failures=failures,
        next_at=now + wait,
    )
    delivery = Delivery(
        webhook_id=webhook.id,
        number=event.number,
        kind=event.kind,
        at=now,
        tries=tries,
        status=tried.status,
        error=tried.error,
        outcome=became,
    )
    return after, delivery


def failing(tried: Tried) -> str:
    return f"it failed {FAILURES_MAX} times in a row, at last because {tried.error}"


def notice_of(user_id: UserId, text: str, now: datetime) -> Notify:
    return Notify(user_id, Topic.SYSTEM, text, now, 3)
