"""Orders at a simulated Bybit, over real connections: what becomes of them, whatever happens."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, after_start
from tests.venues.bybit_rig import World, world
from tests.venues.rig import ShiftedClock, armed, order_id, resting
from tests.venuesim.rig import until
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.market import Side
from tradefleet.domain.order import Fill, Order, OrderReport, Purpose
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues import bybit
from tradefleet.venues.bybit import found_in
from venuesim.bybit import rows
from venuesim.faults import Fault, FaultKind
from venuesim.orders import Kind, NewOrder, Reason
from venuesim.orders import Side as VenueSide
from venuesim.units import UNITS, units

pytestmark = pytest.mark.usefixtures("short_pauses")

EXIT = Purpose.EXIT
WITHIN = timedelta(seconds=10)


def total(fills: list[Fill]) -> Decimal:
    return sum((each.quantity for each in fills), Decimal(0))


async def filled(link, order: Order) -> tuple[OrderReport, list[Fill]]:
    """Return the venue's word on an order that is done, and its fills, oldest first."""
    report = await link.look_up(order)
    assert report is not None and not report.is_open
    found = sorted(await link.fills_of(order), key=lambda fill: fill.id)
    assert total(found) == report.filled
    return report, found


# ---- an order's life


async def test_a_buy_pays_its_fee_in_what_it_bought():
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        number = await link.submit(order)
        report, (fill,) = await filled(link, order)
        assert report == OrderReport(number, is_open=False, filled=Decimal("0.01"))
        assert (fill.order_id, fill.symbol, fill.side) == (order.id, BTC, Side.BUY)
        assert (fill.quantity, fill.price, fill.cost) == (Decimal("0.01"), 50000, 500)
        assert (fill.fee, fill.fee_asset) == (Decimal("0.00001"), "BTC")
        assert fill.fee_quote == Decimal("0.5")
        assert await link.balances() == {"BTC": Decimal("1.00999"), "USDT": Decimal(9500)}


async def test_a_sell_pays_its_fee_in_what_it_got():
    async with world() as at:
        link, order = await at.link(), armed("0.01", purpose=EXIT)
        await link.submit(order)
        _, (fill,) = await filled(link, order)
        assert (fill.side, fill.fee, fill.fee_asset) == (Side.SELL, Decimal("0.5"), "USDT")
        assert fill.fee_quote == Decimal("0.5")
        assert await link.balances() == {"BTC": Decimal("0.99"), "USDT": Decimal("10499.5")}


async def test_every_part_of_an_order_is_a_fill_of_its_own():
    async with world(fill_parts=5, spread=200) as at:
        link, order = await at.link(), armed("0.01234")
        await link.submit(order)
        report, fills = await filled(link, order)
        assert report.filled == Decimal("0.01234")
        assert len({fill.id for fill in fills}) == 5
        held = await link.balances()
        book = at.sim.exchange.accounts["alice"].free
        assert held == {asset: Decimal(amount) / UNITS for asset, amount in book.items()}
        paid = sum(fill.cost for fill in fills)
        assert held["USDT"] == 10000 - paid


async def test_more_parts_than_a_page_holds_are_all_found():
    async with world(fill_parts=250) as at:
        link, order = await at.link(), armed("0.025")
        await link.submit(order)
        _, fills = await filled(link, order)
        assert len({fill.id for fill in fills}) == len(fills) == 250


async def test_fills_are_found_of_an_order_whose_number_is_not_known_any_more():
    async with world() as at:
        key = at.key()
        order = armed("0.01")
        await (await at.ours.link(key)).submit(order)
        again = await at.ours.link(key)  # as after a restart of ours
        assert [fill.quantity for fill in await again.fills_of(order)] == [Decimal("0.01")]


async def test_an_order_that_was_never_sent_is_not_found():
    async with world() as at:
        link = await at.link()
        assert await link.look_up(armed()) is None
        assert await link.fills_of(armed()) == ()


async def test_an_order_that_was_accepted_and_then_rejected_is_closed_and_empty():
    async with world() as at:
        link, order = await at.link(), armed()
        asked = NewOrder(
            symbol="BTC/USDT",
            side=VenueSide.BUY,
            kind=Kind.MARKET,
            quantity=units("0.01"),
            client_id=order.id,
            tags={"unit": "baseCoin"},
        )
        made = at.sim.exchange.stillborn("alice", asked, Reason.INSUFFICIENT_BALANCE)
        report = await link.look_up(order)
        assert report == OrderReport(rows.order_id(made.id), is_open=False, filled=Decimal(0))
        assert await link.fills_of(order) == []


async def test_what_could_be_filled_in_part_only_is_closed_with_that_part():
    async with world() as at:
        at.sim.exchange.depth["BTC/USDT"] = units("0.004")
        link, order = await at.link(), armed("0.01")
        await link.submit(order)
        report, fills = await filled(link, order)
        assert report.filled == total(fills) == Decimal("0.004")


# ---- the wire at its worst

TAKEN = {
    "answer lost": Fault(kind=FaultKind.ANSWER_LOST),
    "reset after": Fault(kind=FaultKind.RESET_AFTER),
    "body cut": Fault(kind=FaultKind.BODY_CUT, at=40),
    "JSON cut": Fault(kind=FaultKind.JSON_TRUNCATED, at=40),
    "500": Fault(kind=FaultKind.STATUS, status=500, processed=True),
    "502": Fault(kind=FaultKind.STATUS, status=502, processed=True),
    "503 with the venue's error": Fault(
        kind=FaultKind.STATUS,
        status=503,
        processed=True,
        body='{"retCode":170131,"retMsg":"Balance insufficient","result":{}}',
    ),
    "524": Fault(kind=FaultKind.STATUS, status=524, processed=True),
    "a page": Fault(kind=FaultKind.HTML, status=200, processed=True),
    "server timeout": Fault(
        kind=FaultKind.STATUS,
        status=200,
        processed=True,
        body='{"retCode":10000,"retMsg":"Server Timeout","result":{}}',
    ),
    "creation timeout": Fault(
        kind=FaultKind.STATUS,
        status=200,
        processed=True,
        body='{"retCode":170146,"retMsg":"Order creation timeout","result":{}}',
    ),
    "id missing": Fault(kind=FaultKind.ID_MISSING),
}
NOT_TAKEN = {
    "request lost": Fault(kind=FaultKind.REQUEST_LOST),
    "reset before": Fault(kind=FaultKind.RESET_BEFORE),
    "503": Fault(kind=FaultKind.STATUS, status=503),
    "a page": Fault(kind=FaultKind.HTML, status=403),
}


@pytest.mark.parametrize("case", TAKEN)
async def test_an_order_whose_answer_proves_nothing_is_unknown_and_found(case):
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        at.sim.faults.once(fault=TAKEN[case], action="create")
        with pytest.raises(OutcomeUnknown):
            await link.submit(order)
        assert [each.client_id for each in at.orders()] == [order.id]
        report, _ = await filled(link, order)
        assert report.filled == Decimal("0.01")
        assert at.sim.server.calls["create"] == 1


@pytest.mark.parametrize("case", NOT_TAKEN)
async def test_an_order_that_did_not_arrive_is_unknown_and_not_found(case):
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        at.sim.faults.once(fault=NOT_TAKEN[case], action="create")
        with pytest.raises(OutcomeUnknown):
            await link.submit(order)
        assert at.orders() == []
        assert await link.look_up(order) is None
        assert at.sim.server.calls["create"] == 1


async def test_an_order_that_the_network_delivers_twice_is_one_order():
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        at.sim.faults.once(fault=Fault(kind=FaultKind.REQUEST_DUPLICATED), action="create")
        await link.submit(order)
        assert len(at.orders()) == 1


async def test_a_name_that_is_taken_proves_nothing():
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        number = await link.submit(order)
        with pytest.raises(OutcomeUnknown, match="170141"):
            await link.submit(order)
        report = await link.look_up(order)
        assert report is not None and report.venue_order_id == number
        assert len(at.orders()) == 1


async def test_a_refused_connection_is_known_to_have_carried_nothing():
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        await link.look_up(order)
        await at.ours.joined()
        async with asyncio.TaskGroup() as beside:
            beside.create_task(at.sim.server.refuse(0.3))
            await until(lambda: at.bells.joined == 0)
            with pytest.raises(VenueUnavailable, match="nothing was sent") as caught:
                await link.submit(order)
            assert not isinstance(caught.value, OutcomeUnknown)
            with pytest.raises(VenueUnavailable):
                await link.look_up(order)
        assert await link.look_up(order) is None


@pytest.mark.parametrize("fault", [FaultKind.BODY_CUT, FaultKind.ANSWER_LOST, FaultKind.HTML])
async def test_a_look_up_that_fails_is_no_evidence(fault):
    async with world() as at:
        link = await at.link()
        failing = Fault(kind=fault, status=200 if fault is FaultKind.HTML else 0)
        at.sim.faults.once(fault=failing, action="order", skip=1, times=2)
        with pytest.raises(VenueUnavailable):
            await link.look_up(armed())  # the second source is the one that fails


# ---- refusals


async def refused(at: World, order: Order, text: str) -> None:
    link = await at.link(name="bob", balances={"USDT": "100"})
    with pytest.raises(VenueRejected, match=text):
        await link.submit(order)
    assert at.orders("bob") == []


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (armed("0.1"), "^170131 Insufficient balance"),
        (armed("0.1", purpose=EXIT), "^170131"),
        (armed("0.00001"), "^1701(36|40)"),
        (armed("0.00123456789"), "^170137"),
    ],
)
async def test_what_the_venue_refuses_is_rejected(order, text):
    async with world() as at:
        fresh = RealClock().now()
        await refused(at, replace(order, sent_at=fresh, deadline=fresh + WITHIN), text)


async def test_an_order_that_comes_too_late_is_refused_by_the_venue_itself():
    async with world() as at:
        order = armed("0.01", at=RealClock().now() - timedelta(seconds=6))
        late = replace(order, deadline=RealClock().now() + WITHIN)  # our own look at it left out
        await refused(at, late, "^10002")


async def test_with_a_clock_that_is_off_nothing_is_sent():
    async with world(clock=ShiftedClock(timedelta(seconds=2))) as at:
        link, clock = await at.link(), at.ours.venue.clock
        environment = link.asker.environment
        await until(lambda: environment.offset is not None)
        with pytest.raises(VenueUnavailable, match=r"clock is 2\.0 s off"):
            await link.submit(armed(at=clock.now()))
        assert not at.sim.server.calls["create"]
        assert await link.look_up(armed()) is None  # asked with the venue's own time


async def test_a_closed_venue_proves_nothing():
    async with world() as at:
        link, order = await at.link(), armed()
        at.sim.place.maintenance = "system"
        with pytest.raises(OutcomeUnknown, match="10016"):
            await link.submit(order)
        with pytest.raises(VenueUnavailable, match="10016"):
            await link.look_up(order)
        at.sim.place.maintenance = ""
        assert await link.look_up(order) is None


async def test_while_trading_is_closed_orders_can_be_looked_up_and_cancelled():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await link.submit(stop)
        at.sim.place.maintenance = "no_trading"
        with pytest.raises(VenueRejected, match="110066"):
            await link.submit(armed())
        assert await link.look_up(armed()) is None
        await link.cancel(stop)
        report = await link.look_up(stop)
        assert report is not None and not report.is_open


# ---- limits


async def test_who_asks_too_much_is_told_so_and_held_back_alone():
    async with world() as at:
        link = await at.link()
        rejected = []
        for number in range(1, 23):
            try:
                await link.submit(armed("0.0002", number))
            except VenueRejected as rejection:
                rejected.append(str(rejection))
        assert rejected[0] == "10006 Too many visits!"
        assert at.ours.pacer.held[0] == (1.0, False)
        assert len(at.orders()) + len(rejected) == 22


async def test_the_governor_keeps_an_account_within_its_limits():
    async with Governor(clock=RealClock()) as governor, world(pacer=governor) as at:
        link = await at.link()
        async with asyncio.TaskGroup() as sending:
            for number in range(1, 25):
                sending.create_task(link.submit(armed("0.0002", number)))
        assert len(at.orders()) == 24
        assert 403 not in at.sim.server.statuses


async def test_an_account_that_asked_too_much_waits_until_the_venue_counts_anew():
    async with Governor(clock=RealClock()) as governor, world(pacer=governor) as at:
        alice, bob = await at.link(), await at.link("bob")
        now = at.desk.memory.now_ms
        at.desk.limits.calls["alice", "/v5/order/create"].extend([now] * 20)  # by hand
        with pytest.raises(VenueRejected, match="10006"):
            await alice.submit(armed("0.01", 1))
        started = RealClock().monotonic()
        await bob.submit(armed("0.01", 2))
        assert RealClock().monotonic() - started < 0.5
        await alice.submit(armed("0.01", 3))
        assert at.desk.memory.now_ms >= now + 1000


async def test_a_ban_closes_the_venue_for_everybody_for_ten_minutes():
    async with Governor(clock=RealClock()) as governor, world(pacer=governor) as at:
        alice, bob = await at.link(), await at.link("bob")
        assert await alice.look_up(armed()) is None
        at.desk.limits.banned["127.0.0.1"] = at.desk.memory.now_ms + 600_000
        with pytest.raises(OutcomeUnknown, match="status 403"):
            await alice.submit(armed())
        entrance = governor.entrances["bybit"]
        assert entrance.door.opens_at - RealClock().monotonic() > 590
        asked = at.sim.server.calls.total()
        for link in (alice, bob):
            with pytest.raises(VenueUnavailable, match="takes no requests from us until"):
                await link.balances()
        assert at.sim.server.calls.total() == asked


# ---- what look-ups see


async def test_an_order_is_invisible_for_a_moment():
    async with world(manual=True) as at:
        link, order = await at.link(), armed("0.01", at=at.ours.venue.clock.now())
        at.sim.place.lag_ms = 3000
        await link.submit(order)
        assert await link.look_up(order) is None
        assert await link.orders_since([BTC], order.decided_at) == []
        at.later(seconds=2.9)
        assert await link.look_up(order) is None
        at.later(seconds=0.2)
        report, _ = await filled(link, order)
        assert report.filled == Decimal("0.01")
        assert link.timing.visibility == timedelta(seconds=3)


async def test_after_the_venues_restart_an_order_is_found_in_its_history():
    async with world() as at:
        link, order = await at.link(), armed("0.01")
        number = await link.submit(order)
        at.desk.restart()
        report, _ = await filled(link, order)
        assert report.venue_order_id == number
        (listed,) = await link.orders_since([BTC], order.sent_at - WITHIN)
        assert (listed.client_id, listed.filled, listed.is_open) == (
            order.id,
            Decimal("0.01"),
            False,
        )


async def test_after_a_restart_what_the_history_has_not_got_yet_is_not_found():
    async with world(manual=True) as at:
        link, order = await at.link(), armed("0.01", at=at.ours.venue.clock.now())
        await link.submit(order)
        at.later(seconds=1)
        at.desk.restart()
        at.sim.place.lag_ms = 3000
        assert await link.look_up(order) is None
        at.later(seconds=3)
        assert await link.look_up(order) is not None


async def test_a_filled_order_is_found_for_years_and_a_cancelled_one_for_a_day():
    async with world(manual=True) as at:
        link, now = await at.link(), at.ours.venue.clock.now()
        order, stop = armed("0.01", at=now), resting("48000", at=now)
        await link.submit(order)
        await link.submit(stop)
        at.later(seconds=1)
        await link.cancel(stop)
        at.desk.restart()
        at.later(hours=23)
        assert await link.look_up(stop) is not None
        at.later(days=30)
        assert (await link.look_up(order)) is not None
        assert await link.look_up(stop) is None


def test_an_old_order_is_asked_for_in_the_days_after_it_was_sent_as_well():
    order = armed(at=after_start())
    assert [path for path, _ in found_in(order, after_start(days=6))] == [
        "/v5/order/realtime",
        "/v5/order/history",
    ]
    *_, (path, params) = found_in(order, after_start(days=8))
    assert path == "/v5/order/history"
    assert params == {"startTime": "1767225540000"}


# ---- stops that rest at the venue


async def test_a_resting_stop_sets_its_coins_apart_and_sells_them_at_its_price():
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="0.5")
        number = await link.submit(stop)
        report = await link.look_up(stop)
        assert report == OrderReport(number, is_open=True, filled=Decimal(0))
        assert at.locked("BTC") == units("0.5")
        assert (await link.balances())["BTC"] == 1
        (listed,) = await link.open_orders([BTC])
        assert (listed.client_id, listed.quantity) == (stop.id, Decimal("0.5"))
        at.tick("48000.01")
        assert (await link.look_up(stop)).is_open
        at.tick("47990")
        report, fills = await filled(link, stop)
        assert report == OrderReport(number, is_open=False, filled=Decimal("0.5"))
        assert [fill.price for fill in fills] == [47990]
        assert not at.locked("BTC")


async def test_a_resting_stop_can_be_cancelled_and_then_never_fires():
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="0.5")
        await link.submit(stop)
        await link.cancel(stop)
        report = await link.look_up(stop)
        assert report is not None and not report.is_open
        assert (report.filled, at.locked("BTC")) == (0, 0)
        with pytest.raises(VenueRejected, match="170213"):
            await link.cancel(stop)
        at.tick("40000")
        assert (await link.look_up(stop)).filled == 0


async def test_nothing_else_can_sell_the_coins_of_a_resting_stop():
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="1")
        await link.submit(stop)
        with pytest.raises(VenueRejected, match="170131"):
            await link.submit(armed("1", 7, purpose=EXIT))


@pytest.mark.parametrize("price", ["47999.99", "40000"])
async def test_a_stop_that_came_too_late_is_cancelled_before_it_waits_for_a_rise(price):
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="0.5")
        at.tick(price)
        await link.submit(stop)
        with pytest.raises(VenueUnavailable, match="wait for a rise"):
            await link.look_up(stop)
        report = await link.look_up(stop)
        assert report is not None and not report.is_open
        assert (report.filled, at.locked("BTC")) == (0, 0)
        at.tick("48500")
        assert (await link.look_up(stop)).filled == 0


async def test_a_stop_whose_undoing_is_lost_is_looked_up_again():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        at.tick("47000")
        await link.submit(stop)
        at.sim.faults.once(fault=Fault(kind=FaultKind.REQUEST_LOST), action="cancel")
        for _ in range(2):
            with pytest.raises(VenueUnavailable):
                await link.look_up(stop)
        assert not (await link.look_up(stop)).is_open


async def test_a_cancel_without_a_proper_answer_is_unknown_and_looked_up():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await link.submit(stop)
        at.sim.faults.once(fault=Fault(kind=FaultKind.ANSWER_LOST), action="cancel")
        with pytest.raises(OutcomeUnknown):
            await link.cancel(stop)
        assert not (await link.look_up(stop)).is_open


# ---- lists


async def test_lists_show_what_the_user_did_by_hand():
    async with world() as at:
        link, began = await at.link(), RealClock().now() - WITHIN
        mine = armed("0.01")
        await link.submit(mine)
        hand = {"symbol": "BTC/USDT", "side": VenueSide.BUY, "kind": Kind.LIMIT}
        at.sim.exchange.place(
            "alice", NewOrder(**hand, quantity=units("0.02"), price=units("40000"))
        )
        by_value = NewOrder(
            **hand | {"kind": Kind.MARKET},
            quote_quantity=units("100"),
            tags={"unit": "quoteCoin", "quote": str(units("100"))},
        )
        at.sim.exchange.place("alice", by_value)
        (resting_order,) = await link.open_orders([BTC, ETH])
        assert (resting_order.quantity, resting_order.filled) == (Decimal("0.02"), 0)
        assert await link.open_orders([ETH]) == []
        found = {each.quantity: each for each in await link.orders_since([BTC, ETH], began)}
        assert found.keys() == {Decimal("0.01"), Decimal("0.02"), Decimal("0.002")}
        assert found[Decimal("0.01")].client_id == mine.id
        assert found[Decimal("0.002")].filled == Decimal("0.002")
        trades = await link.trades_since([BTC], began)
        assert [trade.quantity for trade in trades] == [Decimal("0.01"), Decimal("0.002")]
        assert [trade.client_id == mine.id for trade in trades] == [True, False]
        assert [trade.id for trade in trades[:1]] == [f.id for f in await link.fills_of(mine)]


async def test_lists_are_read_to_their_end_however_long_they_are():
    async with world(manual=True) as at:
        at.sim.place.limits = False
        link, began = await at.link(), at.ours.venue.clock.now()
        for day in range(16):
            for number in range(9):
                asked = NewOrder(
                    symbol="BTC/USDT",
                    side=VenueSide.BUY,
                    kind=Kind.MARKET,
                    quantity=units("0.0002"),
                    client_id=order_id(100 * day + number + 1),
                )
                at.sim.exchange.place("alice", asked)
            at.later(days=1)
        ids = {trade.client_id for trade in await link.trades_since([BTC], began)}
        assert len(ids) == len(await link.trades_since([BTC], began)) == 16 * 9
        assert {each.client_id for each in await link.orders_since([BTC], began)} == ids
        recent = await link.trades_since([BTC], at.ours.venue.clock.now() - timedelta(days=2))
        assert len(recent) == 18


async def test_what_is_borrowed_is_not_ours():
    async with world() as at:
        link = await at.link()
        body = (
            '{"retCode":0,"retMsg":"OK","result":{"list":[{"coin":['
            '{"coin":"USDT","walletBalance":"150.5","spotBorrow":"50","locked":"20"},'
            '{"coin":"BTC","walletBalance":"","locked":"0"}]}]},"retExtInfo":{},"time":1}'
        )
        told = Fault(kind=FaultKind.STATUS, status=200, body=body)
        at.sim.faults.once(fault=told, action="balance")
        assert await link.balances() == {"USDT": Decimal("100.5"), "BTC": 0}


# ---- the bell


async def test_the_private_stream_rings_for_our_orders_alone():
    async with world() as at:
        link = await at.link()
        await at.ours.joined()
        order = armed("0.01")
        at.sim.exchange.place(
            "alice",
            NewOrder(
                symbol="BTC/USDT", side=VenueSide.BUY, kind=Kind.MARKET, quantity=units("0.01")
            ),
        )
        await link.submit(order)
        await until(lambda: order.id in at.ours.rung)
        assert set(at.ours.rung) == {order.id}


async def test_a_stop_that_fires_rings():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await at.ours.joined()
        await link.submit(stop)
        await until(lambda: stop.id in at.ours.rung)
        at.ours.rung.clear()
        at.tick("47000")
        await until(lambda: stop.id in at.ours.rung)


async def test_when_the_stream_comes_back_it_rings_for_whatever_may_be_open():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await at.ours.joined()
        await link.submit(stop)
        await until(lambda: stop.id in at.ours.rung)
        for outlet in list(at.sim.server.streams):
            outlet.cut()
        await until(lambda: at.bells.joined == 0)
        at.ours.rung.clear()
        at.tick("47000")  # nobody heard it fire
        await until(lambda: stop.id in at.ours.rung)
        assert not (await link.look_up(stop)).is_open


async def test_each_account_has_a_connection_of_its_own_and_hears_itself_alone():
    async with world() as at:
        alice, _bob = await at.link(), await at.link("bob")
        await at.ours.joined(2)
        assert [len(rope.listeners) for rope in at.bells.ropes] == [1, 1]
        await alice.close()
        await until(lambda: len(at.sim.server.streams) == 1)


async def test_a_key_that_the_stream_refuses_is_tried_again():
    async with world() as at:
        key = at.key()
        key.revoked = True
        await at.ours.link(key)
        (rope,) = at.bells.ropes
        await until(lambda: any(each.failures for each in rope.listeners.values()))
        assert at.bells.joined == 0
        key.revoked = False
        for each in rope.listeners.values():
            each.due = 0.0
        await at.ours.joined()


# ---- answers that make no sense


def told(**row: str) -> Fault:
    """An answer to a look-up: one row, as it should be but for what is said."""
    whole = {
        "orderId": "1900000000000256000",
        "orderLinkId": armed().id,
        "symbol": "BTCUSDT",
        "orderStatus": "Filled",
        "cumExecQty": "0.01",
    } | row
    result = {"category": "spot", "nextPageCursor": "same%3A1", "list": [whole]}
    answer = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}
    return Fault(kind=FaultKind.STATUS, status=200, body=json.dumps(answer))


async def test_an_answer_that_is_well_formed_is_believed():
    async with world() as at:
        link = await at.link()
        at.sim.faults.once(fault=told(), action="order")
        report = await link.look_up(armed())
        assert report == OrderReport("1900000000000256000", False, Decimal("0.01"))


@pytest.mark.parametrize(
    "row",
    [
        {"orderLinkId": "e" * 32},
        {"symbol": "ETHUSDT"},
        {"orderStatus": "Levitating"},
        {"cumExecQty": "a lot"},
        {"cumExecQty": "NaN"},
    ],
)
async def test_an_answer_that_makes_no_sense_is_no_evidence(row):
    async with world() as at:
        link = await at.link()
        at.sim.faults.once(fault=told(**row), action="order")
        with pytest.raises(VenueUnavailable, match="unreadable"):
            await link.look_up(armed())


async def test_a_list_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(bybit, "PAGES_MAX", 5)
    async with world() as at:
        link = await at.link()
        at.sim.faults.once(fault=told(), action="orders", times=100)
        with pytest.raises(VenueUnavailable, match="has no end"):
            await link.open_orders([BTC])
        assert at.sim.server.calls["orders"] == 5
