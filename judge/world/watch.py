"""Recognises from outside what a host is about to do with an order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.world.process import HostProcess
from tradefleet.domain.order import Fill

if TYPE_CHECKING:
    from judge.world.ground import World


class HostWatch:
    """Tells the world what one host's links come to."""

    def __init__(self, world: "World", process: HostProcess) -> None:
        self._world, self._process = world, process

    async def at(self, point: str, account: str, order_id: str) -> None:
        await self._world.at(self._process, point, account, order_id)

    def on_the_way(self, point: str, account: str, order_id: str) -> None:
        self._process.waiting.add(order_id)
        self._world.on_the_way(self._process, point, account, order_id)

    def came_back(self, order_id: str) -> None:
        self._process.waiting.discard(order_id)

    async def read_fills(self, account: str, order_id: str, fills: Sequence[Fill]) -> None:
        """Fills were read: those that are not stored yet are at stake."""
        world = self._world
        booked = world.keeping.booked(world.accounts[account], account, order_id)
        fresh = {fill.id for fill in fills} - booked
        world.unbooked[account] = {*fresh}
        if fresh:
            await world.at(self._process, "P6", account, order_id)
