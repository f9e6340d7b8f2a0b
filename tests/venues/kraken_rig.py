"""Kraken's adapter over a simulated Kraken, as the tests of both sides of it need it."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from tests.venues.rig import Adapter, adapter
from tests.venuesim.rig import simulated
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues import kraken
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.amounts import from_ms
from tradefleet.venues._ccxt.bells import Bells
from venuesim.clock import Clock, ManualClock
from venuesim.keys import Key
from venuesim.kraken.desk import KrakenDesk
from venuesim.orders import Order
from venuesim.running import Running
from venuesim.units import units
from venuesim.wire import Answer, Call

FUNDS = {"USDT": "10000", "BTC": "1"}


class VenuesClock(RealClock):
    """Our clock, always right by the venue's; waiting takes the machine's time."""

    def __init__(self, clock: Clock) -> None:
        self.of_venue = clock

    def now(self) -> datetime:
        return from_ms(self.of_venue.now_ms())


@dataclass(slots=True)
class World:
    """A simulated Kraken, and our adapter to it; refusals: what it said no with, and how often."""

    sim: Running
    ours: Adapter
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def desk(self) -> KrakenDesk:
        desk = self.sim.desk
        assert isinstance(desk, KrakenDesk)
        return desk

    @property
    def bells(self) -> Bells:
        return self.ours.venue.sides[self.ours.venue.options.mode].bells

    async def link(self, name: str = "alice", **options: Any) -> CcxtLink:
        """Open a new account at the venue, with money and a key that may trade."""
        options.setdefault("balances", FUNDS)
        return await self.ours.link(self.sim.client(name, **options), name)

    def key(self, *permissions: str, **options: Any) -> Key:
        return self.sim.client("alice", FUNDS, permissions or ("read", "trade"), **options)

    def orders(self, name: str = "alice") -> list[Order]:
        return list(self.sim.exchange.accounts[name].orders.values())

    def locked(self, asset: str, name: str = "alice") -> int:
        return self.sim.exchange.accounts[name].locked[asset]

    def tick(self, price: str, symbol: str = "BTC/USDT", quantity: str = "0.1") -> None:
        self.sim.tick(symbol, price, quantity)

    def later(self, **time: float) -> None:
        """Set the venue's clock, and ours with it, so much further."""
        clock = self.sim.place.clock
        assert isinstance(clock, ManualClock)
        clock.set(clock.now_ms() + int(timedelta(**time).total_seconds() * 1000))


@asynccontextmanager
async def world(
    *,
    clock: RealClock | None = None,
    pacer: Any = None,
    manual: bool = False,
    limits: bool = False,
    **options: Any,
) -> AsyncIterator[World]:
    """Kraken with bitcoin at 50,000 and no spread. manual: its clock is set by the test.

    limits: whether it counts calls and orders as Kraken does.
    """
    options.setdefault("spread", 0)
    async with simulated("kraken", clock="manual" if manual else "real", **options) as sim:
        sim.place.limits = limits
        sim.exchange.prices["BTC/USDT"] = units("50000")
        clock = clock or (VenuesClock(sim.place.clock) if manual else None)
        async with adapter(sim.url, sim.ws_url, of=kraken, clock=clock, pacer=pacer) as ours:
            at = World(sim, ours)
            with patch.object(KrakenDesk, "handle", counting(at.refusals)):
                yield at


def counting(refusals: Counter[str]) -> Any:
    """Return the venue's way to answer that counts its refusals."""
    answering = KrakenDesk.handle

    def handle(desk: KrakenDesk, call: Call) -> Answer:
        answer = answering(desk, call)
        refusals.update(json.loads(answer.body)["error"])
        return answer

    return handle
