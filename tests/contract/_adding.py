"""A process of a test's own: adds 32 pairs at once, and says how many there was room for."""

import asyncio
import sys

from tests.contract.test_every_store_quotas import add_many, door_over
from tradefleet.stores.sql import open_store


async def main(url: str, number: str) -> None:
    store = await open_store(url)
    start = int(number) * 100
    answers = await add_many(door_over(store, number), range(start, start + 32))
    await store.close()
    print(f"{answers.count('')} of {len(answers)}")


asyncio.run(main(*sys.argv[1:]))
