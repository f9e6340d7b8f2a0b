"""A host is killed, or stands still and comes back: its successor adopts, and nothing is doubled.

Killed in the middle of anything, the next host on the same database finds what the venue has. A
host that stood still between arming an order and sending it finds that its time is over.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.bot_rig import enter, leave
from tests.e2e.test_venues_faults import FRAME, START, SYMBOL, came_to, tick
from tests.e2e.venue_rig import VENUES, Service, World, creates, world
from tradefleet.domain.ids import UserId
from tradefleet.domain.order import OrderKind
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.venue import VenueCall
from tradefleet.venues._ccxt.wire import Wire
from venuesim.faults import Fault, FaultKind

LEASE = 15.0
DELAYED = Fault(kind=FaultKind.ANSWER_DELAYED, seconds=4)  # longer than it takes to be killed


@asynccontextmanager
async def trading(
    venue: str,
    users: Sequence[UserId],
    sqlite_url: str,
    tmp_path: Any,
    patch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[World, Service]]:
    async with world([venue], sqlite_url, tmp_path, patch, start=START) as it:
        first = await it.service("first", LEASE)
        for user in users:
            await it.connect(first, user, venue, {"USDT": "10000"})
            await it.trade(first, user, f"{SYMBOL} 1000 {venue} strategy=script timeframe=5m")
        await it.time.pass_finely(5, 0.5)
        await it.time.pass_finely(175, 5)
        tick(it, venue)
        yield it, first


async def signal(it: World, venue: str, bar: int, said: Any) -> None:
    """Let the script say something of a bar, and the bar close; leases are kept."""
    opened = START + bar * FRAME
    it.theatre.lines["a"][opened] = said
    while it.time.now < opened + FRAME - timedelta(seconds=5):
        await it.time.pass_finely(5, 5)
    await it.time.pass_until(opened + FRAME)
    tick(it, venue)
    await it.time.settle()
    await it.time.pass_by(0.5)
    tick(it, venue)
    await it.time.settle()


async def ticking(it: World, venue: str, seconds: int) -> None:
    for _ in range(seconds):
        await it.time.pass_finely(1, 1)
        tick(it, venue)


@dataclass
class Held:
    """Holds up requests of chosen users for ever, or until they are let go."""

    it: World
    service: Service
    venue: str
    stops: dict[UserId, Callable[[Wire], bool]]
    go: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[UserId, int] = field(default_factory=dict)  # how often each has created

    def __post_init__(self) -> None:
        self.service.traffic.leaving = self

    async def __call__(self, wire: Wire) -> None:
        for user, stops in self.stops.items():
            if self.it.keys[user, self.venue].api_key not in wire.headers.values():
                continue
            if stops(wire):
                await self.service.traffic.held(self.go)
            if creates(self.venue, wire):
                self.seen[user] = self.seen.get(user, 0) + 1


@pytest.mark.parametrize("venue", VENUES)
async def test_a_host_that_is_killed_is_followed_by_one_that_finds_everything(
    venue, sqlite_url, tmp_path, monkeypatch
):
    """Three users are at different points when their host is killed, twice."""
    users = armed, sent, filled = UserId("armed"), UserId("sent"), UserId("filled")
    async with trading(venue, users, sqlite_url, tmp_path, monkeypatch) as (it, first):
        sim = it.sims[venue]
        # One order has not left, the answer to one is on its way, and one is filled and unbooked.
        held = Held(it, first, venue, {})
        held.stops[armed] = lambda wire: creates(venue, wire)
        held.stops[filled] = lambda wire: filled in held.seen
        sim.faults.once(fault=DELAYED, action="create", account=sent)
        await signal(it, venue, 0, enter(60000))
        assert await states(it, users) == ["sending", "sending", "open"]
        assert [len(it.at_venue(user, venue)) for user in users] == [0, 1, 1]
        await first.kill()

        await ticking(it, venue, 6)
        second = await it.service("second", LEASE)
        await ticking(it, venue, 45)
        assert await came_to(it, armed) == [("entry", "absent"), ("entry", "done")]
        assert await came_to(it, sent) == [("entry", "done")]
        assert await came_to(it, filled) == [("entry", "done")]
        assert [len(await stops(it, user, "open")) for user in users] == [1, 1, 1]

        # One cancel has not left, the answer to one is on its way, and so is that to a sale.
        held = Held(it, second, venue, {})
        held.stops[armed] = lambda wire: wire.method != "GET" and not creates(venue, wire)
        sim.faults.once(fault=DELAYED, action="cancel", account=sent)
        sim.faults.once(fault=DELAYED, action="create", account=filled)
        await signal(it, venue, 1, leave())
        assert [len(await stops(it, user, "open")) for user in users] == [1, 1, 0]
        await second.kill()

        await ticking(it, venue, 6)
        third = await it.service("third", LEASE)
        await ticking(it, venue, 45)
        for user in users:
            assert (await came_to(it, user))[-1] == ("exit", "done")
            assert len(await it.trades(user)) == 1
            await it.judge(user, venue)
        await third.stop()


async def states(it: World, users: Sequence[UserId]) -> list[str]:
    return [(await it.orders(user))[-1].state.value for user in users]


async def stops(it: World, user: UserId, state: str) -> list[Any]:
    orders = await it.orders(user)
    return [o for o in orders if o.kind is OrderKind.RESTING_STOP and o.state.value == state]


class Standing:
    """Lets requests go as the governor does; but the entries of one user wait until told."""

    def __init__(self, service: Service, user: UserId) -> None:
        self.service, self.user, self.go = service, user, asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service.governor, name)

    async def turn(self, call: VenueCall) -> None:
        if (call.priority, call.user_id) == (Priority.ENTRY, self.user):
            with suppress(asyncio.CancelledError):  # its patience is in the machine's time
                await self.go.wait()
        await self.service.governor.turn(call)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_host_that_stood_still_while_another_took_over_sends_nothing_that_counts(
    venue, sqlite_url, tmp_path, monkeypatch
):
    """One order was signed before, one waited for its turn: the venue refuses the one for its
    time, the host the other, for it looks at the clock after every wait."""
    users = signed, waiting = UserId("signed"), UserId("waiting")
    async with trading(venue, users, sqlite_url, tmp_path, monkeypatch) as (it, old):
        sim = it.sims[venue]
        held = Held(it, old, venue, {signed: lambda wire: creates(venue, wire)})
        standing = Standing(old, waiting)
        old.venues[venue].side(Mode.LIVE).environment.pacer = standing
        await signal(it, venue, 0, enter(60000))
        assert await states(it, users) == ["sending", "sending"]
        assert [len(it.at_venue(user, venue)) for user in users] == [0, 0]
        old.freeze()

        new = await it.service("new", LEASE)
        await ticking(it, venue, 45)
        for user in users:
            assert await came_to(it, user) == [("entry", "absent"), ("entry", "done")]
        made = sim.server.calls["create"]
        old.traffic.leaving = None
        held.go.set()
        standing.go.set()
        old.thaw()
        await ticking(it, venue, 20)
        assert sim.server.calls["create"] == made + 1, "one came late, and was refused"

        await signal(it, venue, 1, leave())
        await ticking(it, venue, 20)
        for user in users:
            assert (await came_to(it, user))[2:] == [("exit", "done")]
            assert len(await it.trades(user)) == 1
            await it.judge(user, venue)
        assert not old.node.host.users
        await new.stop()
        await old.stop()
