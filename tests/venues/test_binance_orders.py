"""Orders of Binance's adapter, over real sockets, at a simulated Binance that may misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.makers import BTC, ETH
from tests.venues.rig import Adapter, ShiftedClock, armed, order_id, over, resting
from tests.venuesim.rig import simulated
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import Fill, Purpose
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues._ccxt import account
from tradefleet.venues._ccxt.account import CcxtLink
from venuesim.faults import Fault, FaultKind
from venuesim.orders import Kind, NewOrder
from venuesim.orders import Side as Taker
from venuesim.running import Running
from venuesim.units import text, units

RICH = {"USDT": "100000", "BTC": "2", "BNB": "10"}


@asynccontextmanager
async def trading(
    *, clock: RealClock | None = None, balances: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[tuple[Running, CcxtLink, Adapter]]:
    """A simulated Binance with one account, and its link."""
    async with simulated("binance", **options) as sim, over(sim, clock=clock) as made:
        key = sim.client("a1", balances or RICH)
        yield sim, await made.link(key), made


def worth(sim: Running, asset: str) -> Decimal:
    return Decimal(text(sim.exchange.worth("a1", asset)))


def total(fills: list[Fill], name: str) -> Decimal:
    return sum((getattr(fill, name) for fill in fills), Decimal(0))


# ---- an order's whole life


async def test_a_market_order_lives_from_sending_to_its_fills():
    async with trading() as (sim, link, _):
        order = armed("0.01")
        number = await link.submit(order)
        report = await link.look_up(order)
        assert report is not None
        assert (report.venue_order_id, report.is_open, report.filled) == (
            number,
            False,
            Decimal("0.01"),
        )
        (fill,) = await link.fills_of(order)
        assert (fill.order_id, fill.symbol, fill.side) == (order.id, BTC, Side.BUY)
        assert fill.quantity == Decimal("0.01")
        assert fill.cost == fill.quantity * fill.price
        assert (fill.fee, fill.fee_asset) == (Decimal("0.00001"), "BTC")
        assert fill.fee_quote == (fill.fee * fill.price).quantize(Decimal("1e-8"))
        assert worth(sim, "BTC") == 2 + fill.quantity - fill.fee
        assert await link.balances() == {
            "BTC": worth(sim, "BTC"),
            "USDT": 100000 - fill.cost,
            "BNB": 10,
        }


async def test_a_sale_pays_its_fee_in_quote():
    async with trading() as (sim, link, _):
        await link.submit(order := armed("0.01", purpose=Purpose.EXIT))
        (fill,) = await link.fills_of(order)
        assert (fill.side, fill.fee_asset, fill.fee_quote) == (Side.SELL, "USDT", fill.fee)
        assert worth(sim, "USDT") == 100000 + fill.cost - fill.fee


async def test_a_fee_in_a_third_asset_is_valued_at_its_last_price():
    async with trading() as (sim, link, _):
        book = sim.exchange.accounts["a1"]
        book.fee_asset, book.fee_from = "BNB", "third"
        await link.submit(order := armed("0.01"))
        (fill,) = await link.fills_of(order)
        assert fill.fee_asset == "BNB"
        assert fill.fee > 0
        price = Decimal(text(sim.exchange.price("BNB/USDT")))
        assert fill.fee_quote == (fill.fee * price).quantize(Decimal("1e-8"))
        assert worth(sim, "BNB") == 10 - fill.fee


async def test_an_order_that_fills_in_parts_gives_each_part_once():
    async with trading(fill_parts=4) as (sim, link, _):
        await link.submit(order := armed("0.04"))
        fills = list(await link.fills_of(order))
        assert len({fill.id for fill in fills}) == 4
        assert total(fills, "quantity") == Decimal("0.04")
        assert list(await link.fills_of(order)) == fills
        assert worth(sim, "USDT") == 100000 - total(fills, "cost")


async def test_fills_are_those_of_the_order_alone():
    async with trading() as (_, link, _made):
        orders = [armed("0.01", number) for number in (1, 2, 3)]
        for order in orders:
            await link.submit(order)
        found = [await link.fills_of(order) for order in orders]
        assert [len(fills) for fills in found] == [1, 1, 1]
        assert len({fills[0].id for fills in found}) == 3


async def test_fills_can_be_had_by_whoever_knows_only_our_own_id():
    async with trading() as (sim, link, made):
        await link.submit(order := armed("0.01"))
        again = await made.link(sim.client("a1", {}))
        assert await again.fills_of(order) == await link.fills_of(order)
        assert await again.fills_of(replace(order, id=order_id(99))) == ()


async def test_a_resting_stop_waits_is_seen_and_fills_when_the_price_falls():
    async with trading() as (sim, link, _):
        price = Decimal(text(sim.exchange.price("BTC/USDT")))
        stop = resting(price * Decimal("0.9"))
        number = await link.submit(stop)
        (seen,) = await link.open_orders([BTC])
        assert (seen.venue_order_id, seen.client_id, seen.side) == (number, stop.id, Side.SELL)
        assert (seen.quantity, seen.filled, seen.is_open) == (Decimal("0.01"), 0, True)
        sim.tick("BTC/USDT", "57000")
        report = await link.look_up(stop)
        assert report is not None
        assert (report.is_open, report.filled) == (False, Decimal("0.01"))
        (fill,) = await link.fills_of(stop)
        assert fill.side is Side.SELL
        assert await link.open_orders([BTC]) == []


async def test_a_cancel_is_proven_by_the_look_up():
    async with trading() as (_, link, _made):
        await link.submit(stop := resting(30000))
        await link.cancel(stop)
        report = await link.look_up(stop)
        assert report is not None
        assert (report.is_open, report.filled) == (False, 0)
        with pytest.raises(OutcomeUnknown, match="-2011"):
            await link.cancel(stop)


async def test_a_stop_at_the_wrong_side_is_refused():
    async with trading() as (_, link, _made):
        with pytest.raises(VenueRejected, match=r"-2010 (Order|Stop price) would trigger"):
            await link.submit(resting(900000))


# ---- what the venue refuses, provably


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"quantity": "10"}, "-2010 Account has insufficient balance"),
        ({"quantity": "0.00001"}, "-1013 Filter failure: NOTIONAL"),
        ({"quantity": "0.0100001"}, "-1013 Filter failure: LOT_SIZE|-1111"),
    ],
)
async def test_a_refusal_of_the_venue_is_proven_and_leaves_nothing(order, says):
    async with trading() as (sim, link, _):
        with pytest.raises(VenueRejected, match=says):
            await link.submit(armed(**order))
        assert not sim.exchange.accounts["a1"].orders


async def test_an_order_signed_too_early_is_refused_by_the_venue_itself():
    clock = ShiftedClock(timedelta(0))
    async with trading(clock=clock) as (sim, link, made):
        await made.venue.market.rules(BTC)
        clock.off = -timedelta(seconds=20)
        old = armed("0.01", at=clock.now())
        with pytest.raises(VenueRejected, match=r"-1021 Timestamp .* outside of the recvWindow"):
            await link.submit(old)
        assert not sim.exchange.accounts["a1"].orders


async def test_of_an_order_that_the_network_doubles_the_one_that_was_answered_is_ours():
    """The name of a filled order may be used again; asked by name, the venue tells the latest."""
    async with trading() as (sim, link, _):
        sim.faults.once(fault=Fault(kind=FaultKind.REQUEST_DUPLICATED), action="create")
        number = await link.submit(order := armed("0.01"))
        assert len(sim.exchange.accounts["a1"].orders) == 2
        for known in (order, replace(order, venue_order_id=number)):
            report = await link.look_up(known)
            assert report is not None and report.venue_order_id == number
            assert {fill.quantity for fill in await link.fills_of(known)} == {Decimal("0.01")}


async def test_a_second_order_of_the_same_name_is_unknown_and_found():
    async with trading() as (sim, link, _):
        await link.submit(stop := resting(30000))
        with pytest.raises(OutcomeUnknown, match="Duplicate order sent"):
            await link.submit(stop)
        report = await link.look_up(stop)
        assert report is not None and report.is_open
        assert len(sim.exchange.accounts["a1"].orders) == 1


# ---- what the network does to an order: never two, never none unseen

DONE = [  # the venue has taken the order, and we do not know it
    Fault(kind=FaultKind.ANSWER_LOST),
    Fault(kind=FaultKind.RESET_AFTER),
    Fault(kind=FaultKind.BODY_CUT, at=0),
    Fault(kind=FaultKind.BODY_CUT, at=40),
    Fault(kind=FaultKind.JSON_TRUNCATED, at=0),
    Fault(kind=FaultKind.JSON_TRUNCATED, at=60),
    Fault(kind=FaultKind.ID_MISSING),
    Fault(kind=FaultKind.HTML, status=200, processed=True),
    Fault(kind=FaultKind.HTML, status=403, processed=True),
    *(
        Fault(kind=FaultKind.STATUS, status=status, processed=True)
        for status in (429, 418, 500, 502, 503, 504, 520, 522, 524, 529)
    ),
]
NOT_DONE = [  # the venue has never seen it, and we do not know that either
    Fault(kind=FaultKind.REQUEST_LOST),
    Fault(kind=FaultKind.RESET_BEFORE),
    Fault(kind=FaultKind.HTML, status=200),
    Fault(kind=FaultKind.HTML, status=403),
    *(Fault(kind=FaultKind.STATUS, status=status) for status in (429, 418, 500, 503, 524)),
]


@pytest.mark.parametrize("fault", DONE, ids=str)
async def test_an_order_that_was_taken_without_our_knowing_is_found(fault):
    async with trading() as (sim, link, _):
        await link.balances()  # a connection that is open already, as in life
        sim.faults.once(action="create", fault=fault)
        order = armed("0.01")
        with pytest.raises(OutcomeUnknown):
            await link.submit(order)
        assert sim.server.calls["create"] == 1
        report = await link.look_up(order)
        assert report is not None
        assert (report.is_open, report.filled) == (False, Decimal("0.01"))
        assert len(await link.fills_of(order)) == 1
        (listed,) = await link.orders_since([BTC], (order.sent_at or RealClock().now()))
        assert listed.client_id == order.id
        assert len(sim.exchange.accounts["a1"].orders) == 1


@pytest.mark.parametrize("fault", NOT_DONE, ids=str)
async def test_an_order_that_never_came_is_unknown_and_then_not_found(fault):
    async with trading() as (sim, link, _):
        await link.balances()
        sim.faults.once(action="create", fault=fault)
        order = armed("0.01")
        with pytest.raises(OutcomeUnknown):
            await link.submit(order)
        assert sim.server.calls["create"] == 1
        assert await link.look_up(order) is None
        assert await link.fills_of(order) == ()
        assert not sim.exchange.accounts["a1"].orders


async def test_a_refused_connection_is_no_sending_and_the_next_order_goes():
    async with trading() as (sim, link, made):
        await made.venue.market.rules(BTC)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sim.server.refuse(1))
            await asyncio.sleep(0.05)
            with pytest.raises(VenueUnavailable, match="nothing was sent"):
                await link.submit(armed("0.01"))
        assert not sim.exchange.accounts["a1"].orders
        assert await link.submit(armed("0.01", 2))


async def test_an_answer_that_takes_too_long_is_given_up_and_looked_up(monkeypatch):
    monkeypatch.setattr(account, "ORDER_SECONDS", 0.1)
    async with trading() as (sim, link, _):
        await link.balances()
        sim.faults.once(action="create", fault=Fault(kind=FaultKind.ANSWER_DELAYED, seconds=1))
        order = armed("0.01")
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await link.submit(order)
        assert (await link.look_up(order)) is not None
        assert len(sim.exchange.accounts["a1"].orders) == 1


async def test_an_order_that_is_not_visible_yet_is_not_found_and_then_is():
    async with trading() as (sim, link, _):
        await link.balances()
        sim.place.lag_ms = 60_000
        order = armed("0.01")
        await link.submit(order)
        assert await link.look_up(order) is None
        sim.place.lag_ms = 0
        report = await link.look_up(order)
        assert report is not None and report.filled == Decimal("0.01")


@pytest.mark.parametrize("fault", [*DONE[:10], *NOT_DONE], ids=str)
async def test_a_cancel_without_an_answer_is_unknown_and_only_the_look_up_tells(fault):
    async with trading() as (sim, link, _):
        await link.submit(stop := resting(30000))
        sim.faults.once(action="cancel", fault=fault)
        if fault.kind is FaultKind.ID_MISSING:
            await link.cancel(stop)
        else:
            with pytest.raises(OutcomeUnknown):
                await link.cancel(stop)
        report = await link.look_up(stop)
        assert report is not None
        live = bool(sim.exchange.accounts["a1"].live)
        assert report.is_open == live


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.BODY_CUT, at=30),
        Fault(kind=FaultKind.JSON_TRUNCATED, at=30),
        Fault(kind=FaultKind.HTML, status=200),
        Fault(kind=FaultKind.STATUS, status=502),
        Fault(kind=FaultKind.STATUS, status=429),
        Fault(kind=FaultKind.MAINTENANCE, seconds=1),
    ],
    ids=str,
)
@pytest.mark.parametrize("action", ["order", "orders", "trades", "balance"])
async def test_a_question_without_a_clean_answer_is_no_evidence(action, fault):
    async with trading() as (sim, link, _):
        order = armed("0.01")
        await link.submit(order)
        sim.faults.once(action=action, fault=fault)
        since = RealClock().now() - timedelta(hours=1)
        asked = {
            "order": link.look_up(order),
            "orders": link.orders_since([BTC], since),
            "trades": link.trades_since([BTC], since),
            "balance": link.balances(),
        }
        question = asked.pop(action)
        for other in asked.values():
            other.close()
        with pytest.raises(VenueUnavailable):
            await question


# ---- lists


async def test_lists_hold_what_others_did_in_the_account_too():
    async with trading() as (sim, link, _):
        before = RealClock().now() - timedelta(seconds=1)
        mine = armed("0.01")
        await link.submit(mine)
        stop = resting(30000)
        await link.submit(stop)
        by_hand = NewOrder(
            symbol="ETH/USDT",
            side=Taker.BUY,
            kind=Kind.MARKET,
            quantity=units("0.1"),
            client_id="by hand",
            tags={"type": "MARKET"},
        )
        sim.exchange.place("a1", by_hand)
        orders = await link.orders_since([BTC, ETH], before)
        assert [order.client_id for order in orders] == [mine.id, stop.id, "by hand"]
        assert [order.symbol for order in orders] == [BTC, BTC, ETH]
        trades = await link.trades_since([BTC, ETH], before)
        assert [trade.symbol for trade in trades] == [BTC, ETH]
        (fill,) = await link.fills_of(mine)
        assert trades[0].id == fill.id
        assert trades[0].venue_order_id == orders[0].venue_order_id
        assert (await link.trades_since([ETH], before))[0].id != fill.id
        assert len(await link.orders_since([ETH], before)) == 1


async def test_lists_are_complete_over_pages_and_days(monkeypatch):
    monkeypatch.setattr("tradefleet.venues.binance.PAGE", 3)
    async with trading() as (_, link, _made):
        before = RealClock().now() - timedelta(days=3)
        for number in range(1, 12):
            await link.submit(armed("0.001", number))
        orders = await link.orders_since([BTC], before)
        assert [order.client_id for order in orders] == [order_id(n) for n in range(1, 12)]
        trades = await link.trades_since([BTC], before)
        assert len({trade.id for trade in trades}) == 11
        assert [trade.at for trade in trades] == sorted(trade.at for trade in trades)


async def test_lists_begin_where_they_are_asked_to():
    async with trading() as (_, link, _made):
        await link.submit(armed("0.001", 1))
        await asyncio.sleep(0.02)
        between = RealClock().now()
        await asyncio.sleep(0.02)
        await link.submit(armed("0.001", 2))
        (order,) = await link.orders_since([BTC], between)
        assert order.client_id == order_id(2)
        assert len(await link.trades_since([BTC], between)) == 1
        assert await link.orders_since([BTC], RealClock().now()) == []


async def test_open_orders_of_many_symbols_are_asked_for_at_once():
    async with trading() as (sim, link, made):
        await link.submit(stop := resting(30000))
        book = await made.venue.sides[link.asker.environment.mode].environment.book()
        many = list(book.by_symbol)
        assert len(many) >= 3
        made.pacer.calls.clear()
        found = await link.open_orders(many)
        assert [order.client_id for order in found] == [stop.id]
        costs = [call.costs["weight"] for call in made.pacer.calls if "weight" in call.costs]
        assert costs == ([80] if len(many) >= 14 else [6] * len(many))
        assert [order.symbol for order in await link.open_orders([Symbol("BTC", "USDT")])] == [BTC]
        assert sim.server.calls["orders"] >= 2


async def test_orders_of_two_accounts_are_kept_apart():
    async with trading() as (sim, link, made):
        other = await made.link(sim.client("a2", RICH), "a2")
        await link.submit(armed("0.01", 1))
        assert await other.look_up(armed("0.01", 1)) is None
        assert await other.submit(armed("0.01", 1))
        assert len(sim.exchange.accounts["a2"].orders) == 1
