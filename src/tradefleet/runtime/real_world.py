"""The real clock and real ids; the only file that may ask the machine for them."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4


class RealClock:
    """Wall time, always in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RandomIds:
    """Random ids."""

    def new(self) -> str:
        return uuid4().hex
