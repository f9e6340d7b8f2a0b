"""Private streams: they ring for our orders, come back by themselves, and share connections."""

import asyncio
import gc
import json
from dataclasses import replace

import pytest

from tests.venues.rig import account, armed, order_id, over, resting
from tests.venuesim.rig import simulated, until
from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.ids import AccountId
from tradefleet.domain.user import Mode
from tradefleet.venues._ccxt.bells import Standing
from tradefleet.venues._ccxt.dialect import Joined, Left, Rung, StreamNotes
from tradefleet.venues._ccxt.environment import Asker
from tradefleet.venues.binance import Binance
from venuesim.faults import Fault, FaultKind
from venuesim.orders import Kind, NewOrder, Side
from venuesim.units import units

pytestmark = pytest.mark.usefixtures("short_pauses")

RICH = {"USDT": "100000", "BTC": "2"}


async def test_the_bell_rings_for_our_order_whatever_becomes_of_it():
    async with simulated("binance", fill_parts=2) as sim, over(sim) as made:
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        await link.submit(armed("0.02"))
        await until(lambda: made.rung.count(order_id(1)) >= 3)  # taken, and each part
        await link.submit(stop := resting(30000))
        await until(lambda: stop.id in made.rung)
        made.rung.clear()
        await link.cancel(stop)
        await until(lambda: stop.id in made.rung)  # under the name that the cancel does not bear


async def test_the_bell_is_silent_about_what_is_not_ours():
    async with simulated("binance") as sim, over(sim) as made:
        await made.link(sim.client("a1", RICH))
        await made.joined()
        for name in ("by hand", "web_0123456789abcdef", "X" * 32):
            sim.exchange.place(
                "a1",
                NewOrder(
                    symbol="BTC/USDT",
                    side=Side.BUY,
                    kind=Kind.MARKET,
                    quantity=units("0.01"),
                    client_id=name,
                    tags={"type": "MARKET"},
                ),
            )
        sent = sim.server.sent
        await until(lambda: sent["executionReport"] >= 3)
        await asyncio.sleep(0.05)
        assert made.rung == []


async def test_many_accounts_share_one_connection_and_each_hears_its_own():
    async with simulated("binance") as sim, over(sim) as made:
        rung: dict[str, list[str]] = {f"a{n}": [] for n in range(12)}
        links = {}
        for name, heard in rung.items():
            made.rung = heard  # type: ignore[assignment]
            links[name] = await made.link(sim.client(name, RICH), name)
        await made.joined(12)
        assert len(sim.server.streams) == 1
        for number, link in enumerate(links.values()):
            await link.submit(armed("0.001", 100 + number))
        await until(lambda: all(rung.values()))
        await asyncio.sleep(0.05)
        for number, heard in enumerate(rung.values()):
            assert set(heard) == {order_id(100 + number)}


async def test_accounts_beyond_what_one_connection_carries_have_another(monkeypatch):
    async with simulated("binance") as sim, over(sim) as made:
        made.venue.dialect = replace(Binance(), accounts_per_stream=2)
        for name in ("a1", "a2", "a3"):
            await made.link(sim.client(name, RICH), name)
        await made.joined(3)
        assert len(sim.server.streams) == 2


async def test_a_stream_that_is_cut_comes_back_and_rings_for_what_may_have_changed(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.lines.BACKOFF.__class__.wait", lambda *_: 0.05)
    async with simulated("binance") as sim, over(sim) as made:
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        await link.submit(stop := resting(30000))
        await link.submit(done := armed("0.01"))
        await until(lambda: {stop.id, done.id} <= set(made.rung))
        report = await link.look_up(done)
        assert report is not None and not report.is_open
        bells = made.venue.sides[Mode.LIVE].bells
        made.rung.clear()
        for outlet in list(sim.server.streams):
            outlet.cut()
        await until(lambda: bells.joined == 0)
        await made.joined()
        await until(lambda: bool(made.rung))
        assert made.rung == [stop.id]
        made.rung.clear()
        await link.submit(later := armed("0.01", 7))
        await until(lambda: later.id in made.rung)


async def test_messages_that_are_lost_doubled_or_swapped_harm_nobody():
    async with simulated("binance") as sim, over(sim) as made:
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        for kind in (
            FaultKind.MESSAGE_DROPPED,
            FaultKind.MESSAGE_DUPLICATED,
            FaultKind.MESSAGES_SWAPPED,
        ):
            sim.faults.once(fault=Fault(kind=kind))
        for number in range(1, 5):
            await link.submit(armed("0.001", number))
        await until(lambda: order_id(4) in made.rung)
        assert made.venue.sides[Mode.LIVE].bells.joined == 1


async def test_an_account_whose_welcome_was_lost_begins_anew(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.lines.BACKOFF.__class__.wait", lambda *_: 0.05)
    monkeypatch.setattr("tradefleet.venues._ccxt.bells.ANSWER_SECONDS", 0.05)
    async with simulated("binance") as sim, over(sim) as made:
        sim.faults.once(
            fault=Fault(kind=FaultKind.MESSAGE_DROPPED), containing='"result":{"subscriptionId"'
        )
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        await link.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)
        assert sim.faults.struck[FaultKind.MESSAGE_DROPPED] == 1


async def test_an_account_that_leaves_while_it_joins_is_let_go_of():
    async with simulated("binance") as sim, over(sim) as made:
        await made.link(sim.client("a1", RICH), "a1")
        await made.joined()
        key = sim.client("a2", RICH)
        bells = made.venue.sides[Mode.LIVE].bells
        for _ in range(3):
            link = await made.link(key, "a2")
            await until(lambda: bells._places[AccountId("a2")][1].standing is not Standing.OUT)
            await link.close()
        again = await made.link(key, "a2")
        await made.joined(2)
        await again.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)


async def test_a_key_the_venue_refuses_has_no_stream_and_disturbs_nobody():
    async with simulated("binance") as sim, over(sim) as made:
        bad = sim.client("a1", RICH)
        bad.revoked = True
        await made.link(bad, "a1")
        link = await made.link(sim.client("a2", RICH), "a2")
        await made.joined()
        await link.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)
        bells = made.venue.sides[Mode.LIVE].bells
        assert bells.joined == 1


async def test_a_key_that_cannot_sign_has_no_stream_and_disturbs_nobody():
    """As a token does that a venue gives in a form nobody knows."""
    async with simulated("binance") as sim, over(sim) as made:
        unfit = Credentials(api_key=Secret("k" * 64), api_secret=Secret("-----BEGIN PRIVATE KEY"))
        made.keys[AccountId("a0")] = unfit
        await made.venue.link(account("a0"), made.rung.append)
        await made.link(sim.client("a1", RICH), "a1")
        await made.joined()
        places = made.venue.sides[Mode.LIVE].bells._places
        unheard = places[AccountId("a0")][1]
        assert (unheard.standing, unheard.failures) == (Standing.OUT, 1)


async def test_a_key_that_is_taken_away_loses_its_stream():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("a1", RICH)
        await made.link(key)
        await made.joined()
        key.revoked = True
        bells = made.venue.sides[Mode.LIVE].bells
        await until(lambda: bells.joined == 0)


async def test_an_account_that_is_linked_again_is_heard_once_by_its_new_owner():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("a1", RICH)
        old = await made.link(key)
        before = made.rung
        await made.joined()
        made.rung = []
        link = await made.link(key)
        await old.close()  # whoever let go late takes nothing from whoever came after
        await link.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)
        assert before == []
        assert len(sim.server.streams) == 1


async def test_an_account_with_a_new_key_leaves_with_the_old_one():
    async with simulated("binance") as sim, over(sim) as made:
        await made.link(sim.client("a1", RICH))
        await made.joined()
        link = await made.link(sim.client("a1", {}))
        await made.joined()
        await link.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)


async def test_an_account_that_is_closed_is_not_heard_and_its_connection_ends():
    async with simulated("binance") as sim, over(sim) as made:
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        await link.close()
        await link.close()
        await until(lambda: not sim.server.streams)
        assert made.venue.sides[Mode.LIVE].bells.joined == 0


async def test_of_an_account_that_is_closed_nothing_is_kept_and_no_key():
    async with simulated("binance") as sim, over(sim) as made:
        link = await made.link(sim.client("a1", RICH))
        await made.joined()
        await link.close()
        del link
        await until(lambda: not sim.server.streams)
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, Asker) and each.key == "a1"]
        assert left == []


async def test_a_venue_that_is_away_at_first_is_heard_once_it_is_there(monkeypatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.lines.BACKOFF.__class__.wait", lambda *_: 0.05)
    async with simulated("binance") as sim, over(sim) as made:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sim.server.refuse(0.3))
            await asyncio.sleep(0.05)
            link = await made.link(sim.client("a1", RICH))  # opens whether or not it is there
        await made.joined()
        await link.submit(armed("0.01"))
        await until(lambda: order_id(1) in made.rung)


# ---- what Binance's words mean

BINANCE = Binance()
EVENT = {"e": "executionReport", "c": "a" * 32, "C": ""}


def told(notes: StreamNotes, **message: object) -> list[object]:
    return list(BINANCE.bell(json.loads(json.dumps(message)), notes))


def test_a_subscription_is_remembered_by_its_number():
    notes = StreamNotes()
    assert told(notes, id="a1-join", status=200, result={"subscriptionId": 0}) == [Joined("a1")]
    assert told(notes, subscriptionId=0, event=EVENT) == [Rung("a1", ("a" * 32,))]
    assert told(notes, subscriptionId=1, event=EVENT) == []
    told(notes, subscriptionId=0, event={"e": "eventStreamTerminated", "E": 1})
    assert told(notes, subscriptionId=0, event=EVENT) == []


def test_a_cancel_is_about_the_order_it_names():
    notes = StreamNotes({"0": "a1"})
    event = EVENT | {"c": "cancel-7", "C": "b" * 32}
    assert told(notes, subscriptionId=0, event=event) == [Rung("a1", ("b" * 32,))]


def test_a_refused_subscription_says_why():
    error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    (left,) = told(StreamNotes(), id="a1-join", status=401, error=error)
    assert isinstance(left, Left)
    assert left.why.startswith("-2015 Invalid API-key")


@pytest.mark.parametrize(
    "event",
    [
        {"e": "outboundAccountPosition", "B": []},
        {"e": "balanceUpdate", "a": "BTC", "d": "1"},
        {"e": "listStatus"},
        {"e": "of next year"},
    ],
)
def test_events_that_name_no_order_ring_for_none(event):
    assert told(StreamNotes({"0": "a1"}), subscriptionId=0, event=event) == []
