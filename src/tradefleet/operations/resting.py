"""Waits between two looks of a job: so long, or until somebody hints that there is something."""

import asyncio

from tradefleet.clock import Clock


async def rest(clock: Clock, seconds: float, wake: asyncio.Event) -> None:
    """Return after so many seconds, or as soon as wake is set."""
    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(clock.sleep(seconds)), tasks.create_task(wake.wait())]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
