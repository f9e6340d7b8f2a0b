"""Kill -9 while an alert is sent: after the restart it goes to whom it is missing."""

import asyncio
import signal
import sys

from tests.contract.test_every_store_deliveries import change
from tests.receiver_rig import local_receiver
from tradefleet.domain.credentials import Secret
from tradefleet.operations.alert_delivery.couriers import Couriers
from tradefleet.operations.alert_delivery.posting import PostReceiver, program_body
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import open_store
from tradefleet.webhook import Outcome

BRING = """
import asyncio, sys
from tests.e2e.test_alerts_killed import couriers_over

async def main(database, url):
    store, couriers = await couriers_over(database, url)
    await couriers.run()

asyncio.run(main(*sys.argv[1:]))
"""


async def couriers_over(database, url):
    clock = RealClock()
    store = await open_store(database, clock=clock)
    receivers = [
        PostReceiver(name=name, url=Secret(f"{url}/{name}"), body=program_body, clock=clock)
        for name in ("slack", "discord")
    ]
    return store, Couriers(store=store, clock=clock, receivers=receivers, owner="host-1")


async def test_an_alert_survives_the_death_of_who_sends_it(sql_url):
    async with local_receiver() as there:
        there.silent.add("/slack")
        store, couriers = await couriers_over(sql_url, there.url)
        await couriers.tell(change())
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BRING, sql_url, there.url
        )
        async with asyncio.timeout(200):
            while True:
                if there.at("/slack") and await delivered(store, "discord"):
                    break
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        there.silent.clear()
        for receiver in couriers.receivers:
            await couriers.turn(receiver)
        assert len(there.at("/discord")) == 1
        first, again = there.at("/slack")
        assert first.said == again.said
        assert await delivered(store, "slack")
        await store.close()


async def delivered(store, receiver):
    counts = await store.alert_deliveries.counts()
    return counts.get((receiver, Outcome.DELIVERED)) == 1
