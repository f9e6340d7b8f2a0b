"""One host in this process: the fleet of a single machine."""

import asyncio
from dataclasses import dataclass

from tradefleet.runtime.node import Node


@dataclass(frozen=True, slots=True)
class LocalFleet:
    """Runs one node until stop is set; leases decide which users it owns."""

    node: Node
    stop: asyncio.Event

    async def run(self) -> None:
        await self.node.run(self.stop)
