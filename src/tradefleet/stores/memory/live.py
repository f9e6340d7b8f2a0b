"""Live events and webhooks in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.clock import Clock
from tradefleet.domain.effects import Record
from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import Data, Held, news_of
from tradefleet.domain.money import ZERO
from tradefleet.live import Equity, Head, LiveEvent
from tradefleet.stores._hints import Hints
from tradefleet.stores.memory.rows import Draft, Rows
from tradefleet.webhook import DELIVERIES_KEPT, Delivery, Webhook


def told_of(records: Iterable[Record], rows: Rows) -> list[Data]:
    """Return what is told of records that are about to be kept."""
    memories = rows.memories.items()
    held = {id: Held.of(memory.position) for id, memory in memories if memory.position}
    return list(news_of(records, held))


@dataclass(frozen=True, slots=True)
class MemoryUserLive:
    """One user's events."""

    rows: Rows
    clock: Clock

    async def listen(self) -> Head:
        rows = self.rows
        if not rows.listening or rows.head is None:
            last = rows.head.last + 1 if rows.head else 1
            rows.head, rows.listening = Head(last, last), True
        rows.seen_at = self.clock.now()
        return rows.head

    async def head(self) -> Head | None:
        return self.rows.head if self.rows.listening else None

    async def after(self, number: int, limit: int) -> Sequence[LiveEvent]:
        return [event for event in self.rows.events if event.number > number][:limit]

    async def forget(self, before: datetime, keep: int) -> None:
        rows = self.rows
        if rows.head is None:
            return
        wanted = any(hook and hook.next_at is not None for hook in rows.webhooks.values())
        if (rows.seen_at is None or rows.seen_at < before) and not wanted:
            rows.listening, since = False, rows.head.last
        else:
            old = [event.number for event in rows.events if event.at < before]
            since = max(rows.head.since, rows.head.last - keep, *old[-1:])
        rows.head = Head(rows.head.last, since)
        rows.events = [event for event in rows.events if event.number > since]


@dataclass(frozen=True, slots=True)
class MemoryUserWebhooks:
    """One user's webhooks, in that user's transaction."""

    user_id: UserId
    draft: Draft

    async def all(self) -> Sequence[Webhook]:
        found = [webhook for webhook in self.draft.webhooks.values() if webhook is not None]
        return sorted(found, key=lambda each: (each.created_at, each.id))

    async def save(self, webhook: Webhook) -> None:
        ensure(webhook.user_id == self.user_id, "a row of another user")
        self.draft.webhooks[webhook.id] = webhook

    async def remove(self, id: str) -> None:
        self.draft.webhooks[id] = None

    async def note(self, delivery: Delivery) -> None:
        self.draft.deliveries[delivery.webhook_id, delivery.number] = delivery

    async def deliveries(self, id: str, limit: int) -> Sequence[Delivery]:
        if self.draft.webhooks.get(id) is None:
            return []
        found = [each for each in self.draft.deliveries.values() if each.webhook_id == id]
        latest = sorted(found, key=lambda each: each.number, reverse=True)
        return latest[: min(limit, DELIVERIES_KEPT)]


@dataclass(frozen=True, slots=True)
class MemoryLiveStore:
    """Everybody's events, for who tells them on."""

    rows: Mapping[UserId, Rows]
    hints: Hints
    clock: Clock

    async def heads(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Head]:
        found = {user_id: self.rows[user_id].head for user_id in user_ids if user_id in self.rows}
        return {user_id: head for user_id, head in found.items() if head is not None}

    async def since(
        self, places: Mapping[UserId, int], limit: int
    ) -> Mapping[UserId, list[LiveEvent]]:
        found: dict[UserId, list[LiveEvent]] = {}
        for user_id, place in sorted(places.items()):
            events = self.rows[user_id].events if user_id in self.rows else []
            after = [event for event in events if event.number > place][:limit]
            limit -= len(after)
            if after:
                found[user_id] = after
        return found

    async def equities(self, user_ids: Sequence[UserId]) -> Mapping[UserId, Equity]:
        return {user_id: equity_of(self.rows.get(user_id) or Rows()) for user_id in user_ids}

    async def touch(self, user_ids: Sequence[UserId]) -> None:
        for user_id in user_ids:
            self.rows[user_id].seen_at = self.clock.now()

    async def listeners(self) -> Sequence[UserId]:
        return sorted(user_id for user_id, rows in self.rows.items() if rows.listening)

    def watch(self, told: Callable[[UserId], None]) -> AbstractContextManager[None]:
        return self.hints.watch(told)

    async def hear(self) -> None:
        await asyncio.Event().wait()


def equity_of(rows: Rows) -> Equity:
    sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
    there = [spec for spec in rows.bots.values() if spec.id not in rows.removed]
    memories = [rows.memories[spec.id] for spec in there]
    for spec, memory in zip(there, memories, strict=True):
        sums[spec.symbol.quote] += memory.equity
    return Equity(dict(sums), sum(memory.position is not None for memory in memories))


@dataclass(frozen=True, slots=True)
class MemoryWebhookStore:
    """Everybody's webhooks, for who sends."""

    rows: Mapping[UserId, Rows]

    async def due(self, now: datetime, limit: int) -> Sequence[Webhook]:
        found = [
            (webhook.next_at, webhook.id, webhook)
            for rows in self.rows.values()
            for webhook in rows.webhooks.values()
            if webhook is not None
            and webhook.next_at is not None
            and webhook.next_at <= now
            and rows.head is not None
            and rows.head.last > webhook.done
        ]
        return [webhook for _, _, webhook in sorted(found, key=lambda each: each[:2])][:limit]
