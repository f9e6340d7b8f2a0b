"""Counters in Redis, for all processes together; while it is away, each process counts by itself.

Nothing is refused because Redis is away, and nothing becomes unlimited: each limit then holds for
each process. Quotas of entries, positions and pairs are not counted here but in the database.
"""

import asyncio
import logging
from collections import OrderedDict
from typing import Any

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tradefleet.clock import Clock
from tradefleet.counter import Count
from tradefleet.counters.memory import KEYS_MAX, MemoryCounters

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds one answer may take
AWAY = 5.0  # seconds until Redis is asked again after it did not answer
CONNECTIONS_MAX = 8
PREFIX = "tradefleet"


class RedisCounters:
    """Counts in Redis, and by `own` while it cannot be reached."""

    def __init__(self, url: str, clock: Clock) -> None:
        pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=PATIENCE,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._pool = pool
        self._storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix=PREFIX,
            connection_pool=pool,
        )
        self._clock = clock
        self.own = MemoryCounters(clock)
        self._ends: OrderedDict[str, float] = OrderedDict()  # of windows we know, no question need
        self._away_until = 0.0
        self.is_away = False

    async def hit(self, key: str, seconds: int) -> Count:
        if self._clock.monotonic() < self._away_until:
            return await self.own.hit(key, seconds)
        try:
            async with asyncio.timeout(2 * PATIENCE):
                used = await self._storage.incr(f"{PREFIX}:{key}", seconds)
                left = await self._left(key, seconds, is_new=used == 1)
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return await self.own.hit(key, seconds)
        self._came_back()
        return Count(used, left)

    async def look(self, key: str, seconds: int) -> Count:
        if self._clock.monotonic() < self._away_until:
            return await self.own.look(key, seconds)
        try:
            async with asyncio.timeout(2 * PATIENCE):
                used = await self._storage.get(f"{PREFIX}:{key}")
                left = await self._left(key, seconds, is_new=False) if used else float(seconds)
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return await self.own.look(key, seconds)
        self._came_back()
        return Count(used, left)

    async def _left(self, key: str, seconds: int, *, is_new: bool) -> float:
        """Return how long a window lasts still; Redis is asked once for each at most."""
        now = self._clock.monotonic()
        ends = now + seconds if is_new else self._ends.get(key, 0.0)
        if ends <= now:
            expires = await self._storage.get_expiry(f"{PREFIX}:{key}")
            ends = now + min(max(expires - self._clock.now().timestamp(), 1.0), float(seconds))
        self._ends[key] = ends
        self._ends.move_to_end(key)
        if len(self._ends) > KEYS_MAX:
            self._ends.popitem(last=False)
        return ends - now

    def _went_away(self, error: Exception) -> None:
        self._away_until = self._clock.monotonic() + AWAY
        if not self.is_away:
            logger.warning(
                "Redis cannot be reached (%s): each process counts requests by itself until it can",
                type(error).__name__,
            )
        self.is_away = True

    def _came_back(self) -> None:
        if self.is_away:
            logger.info("Redis is reached again: requests are counted there")
        self.is_away = False

    async def is_reached(self) -> bool:
        """Say whether Redis answers now."""
        await self.look("reached", 1)
        return not self.is_away

    async def close(self) -> None:
        await self._pool.aclose()
