"""Orders at a simulated Kraken, over real connections: what becomes of them, whatever happens."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH
from tests.venues.kraken_rig import World, world
from tests.venues.rig import ShiftedClock, armed, order_id, over, resting
from tests.venuesim.rig import until
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.order import Fill, Order, OrderReport, Purpose
from tradefleet.domain.user import Mode
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues import kraken
from tradefleet.venues._ccxt import turnstile
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.connections import Answer
from tradefleet.venues._ccxt.wire import Transport, Wire
from venuesim.faults import Fault, FaultKind
from venuesim.kraken import STARTER
from venuesim.orders import Kind, NewOrder
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
    found = sorted(await link.fills_of(order), key=lambda fill: (fill.filled_at, fill.id))
    assert total(found) == report.filled
    return report, found


def by_hand(quantity: str = "0.02", price: str = "", **changes: object) -> NewOrder:
    """Return what the account's owner does himself, without a name of ours."""
    fields = {
        "symbol": "BTC/USDT",
        "side": VenueSide.BUY,
        "kind": Kind.LIMIT if price else Kind.MARKET,
        "quantity": units(quantity),
        "price": units(price) if price else 0,
        **changes,
    }
    return NewOrder(**fields)  # type: ignore[arg-type]


# ---- an order's life


@pytest.mark.parametrize(
    ("purpose", "held"),
    [
        (Purpose.ENTRY, {"BTC": "1.01", "USDT": "9498"}),
        (EXIT, {"BTC": "0.99", "USDT": "10498"}),
    ],
)
async def test_an_order_pays_its_fee_in_quote_whichever_way_it_goes(purpose, held):
    async with world() as at:
        link, order = await at.link(), armed("0.01", purpose=purpose)
        number = await link.submit(order)
        report, (fill,) = await filled(link, order)
        assert report == OrderReport(number, is_open=False, filled=Decimal("0.01"))
        assert (fill.order_id, fill.symbol, fill.side) == (order.id, BTC, order.side)
        assert (fill.quantity, fill.price, fill.cost) == (Decimal("0.01"), 50000, 500)
        assert (fill.fee, fill.fee_asset, fill.fee_quote) == (2, "USDT", 2)
        assert await link.balances() == {name: Decimal(each) for name, each in held.items()}


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
        assert held["USDT"] == 10000 - sum(fill.cost + fill.fee for fill in fills)


async def test_more_parts_than_a_question_may_ask_for_are_all_found():
    async with world(fill_parts=75) as at:
        link, order = await at.link(), armed("0.0075")
        await link.submit(order)
        _, fills = await filled(link, order)
        assert len({fill.id for fill in fills}) == len(fills) == 75


async def test_trades_that_are_not_found_by_their_ids_are_looked_for_in_the_history():
    async with world(fill_parts=75) as at:
        link, order = await at.link(), armed("0.0075")
        await link.submit(order)
        first = await link.fills_of(order)
        at.sim.exchange.place("alice", by_hand("0.01"))
        nothing = Fault(kind=FaultKind.STATUS, status=200, body='{"error":[],"result":{}}')
        at.sim.faults.once(fault=nothing, action="trades", skip=1)
        assert {each.id for each in await link.fills_of(order)} == {each.id for each in first}


async def test_trades_whose_ids_an_order_does_not_tell_are_looked_for_in_the_history():
    async with world(fill_parts=3) as at:
        link, order = await at.link(), armed("0.0075")
        number = await link.submit(order)
        first = await link.fills_of(order)
        row = {
            "descr": {"pair": "XBTUSDT"},
            "opentm": first[0].filled_at.timestamp() - 1,
            "vol_exec": "0.00750000",
        }
        body = json.dumps({"error": [], "result": {number: row}})
        told = Fault(kind=FaultKind.STATUS, status=200, body=body)
        at.sim.faults.once(fault=told, action="order")
        assert {each.id for each in await link.fills_of(order)} == {each.id for each in first}


async def test_an_order_is_filled_in_parts_over_time():
    async with world() as at:
        at.sim.exchange.depth["BTC/USDT"] = units("0.004")
        link, stop = await at.link(), resting("48000", quantity="0.01")
        number = await link.submit(stop)
        at.tick("47000")
        report = await link.look_up(stop)
        assert report is not None and report.filled < Decimal("0.01")
        fills = await link.fills_of(stop)
        assert total(list(fills)) == report.filled
        assert report.venue_order_id == number


async def test_fills_are_found_of_an_order_whose_number_is_not_known_any_more():
    async with world() as at:
        key, order = at.key(), armed("0.01")
        await (await at.ours.link(key)).submit(order)
        again = await at.ours.link(key)  # as after a restart of ours
        assert [fill.quantity for fill in await again.fills_of(order)] == [Decimal("0.01")]


async def test_an_order_that_was_never_sent_is_not_found():
    async with world() as at:
        link = await at.link()
        assert await link.look_up(armed()) is None
        assert await link.fills_of(armed()) == ()


# ---- the wire at its worst

TAKEN = {
    "answer lost": Fault(kind=FaultKind.ANSWER_LOST),
    "reset after": Fault(kind=FaultKind.RESET_AFTER),
    "body cut": Fault(kind=FaultKind.BODY_CUT, at=40),
    "JSON cut": Fault(kind=FaultKind.JSON_TRUNCATED, at=40),
    "a page": Fault(kind=FaultKind.HTML, status=200, processed=True),
    "id missing": Fault(kind=FaultKind.ID_MISSING),
} | {
    str(status): Fault(kind=FaultKind.STATUS, status=status, processed=True)
    for status in (500, 502, 520, 522, 524)
} | {
    text: Fault(
        kind=FaultKind.STATUS, status=200, processed=True, body=f'{{"error":["{text}"]}}'
    )
    for text in (
        "EService:Timeout",
        "EService:Deadline elapsed",
        "EService:Unavailable",
        "EService:Busy",
        "EGeneral:Internal error",
        "EGeneral:Invalid arguments:cl_ord_id not unique",
    )
}  # fmt: skip
NOT_TAKEN = {
    "request lost": Fault(kind=FaultKind.REQUEST_LOST),
    "reset before": Fault(kind=FaultKind.RESET_BEFORE),
    "503": Fault(kind=FaultKind.STATUS, status=503),
    "525": Fault(kind=FaultKind.STATUS, status=525),
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
        link, stop = await at.link(), resting("48000")
        number = await link.submit(stop)
        with pytest.raises(OutcomeUnknown, match="cl_ord_id not unique"):
            await link.submit(stop)
        report = await link.look_up(stop)
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


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("fault", [FaultKind.BODY_CUT, FaultKind.ANSWER_LOST, FaultKind.HTML])
async def test_a_look_up_that_fails_in_one_of_its_two_lists_is_no_evidence(fault, skip):
    async with world() as at:
        link = await at.link()
        failing = Fault(kind=fault, status=200 if fault is FaultKind.HTML else 0)
        at.sim.faults.once(fault=failing, action="orders", skip=skip)
        with pytest.raises(VenueUnavailable):
            await link.look_up(armed())


@pytest.mark.parametrize(
    "body",
    [
        '{"error":[],"result":{"open":{"OA":{"cl_ord_id":"another","status":"open"}}}}',
        '{"error":[],"result":{"open":[]}}',
        '{"error":[],"result":{}}',
        '{"error":[],"result":{"open":{"OA":{"status":"open"}}}}',
    ],
)
async def test_an_answer_about_something_else_is_no_evidence(body):
    async with world() as at:
        link = await at.link()
        told = Fault(kind=FaultKind.STATUS, status=200, body=body)
        at.sim.faults.once(fault=told, action="orders")
        if body.endswith('"open":[]}}'):
            assert await link.look_up(armed()) is None  # an empty list, however it is written
        else:
            with pytest.raises(VenueUnavailable, match="unreadable"):
                await link.look_up(armed())


# ---- refusals


async def refused(at: World, order: Order, text: str) -> None:
    link = await at.link(name="bob", balances={"USDT": "100"})
    with pytest.raises(VenueRejected, match=text):
        await link.submit(order)
    assert at.orders("bob") == []


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (armed("0.1"), "^EOrder:Insufficient funds"),
        (armed("0.1", purpose=EXIT), "^EOrder:Insufficient funds"),
        (armed("0.00004"), "^EOrder:Order minimum not met"),
        (armed("0.00123456789"), "^EGeneral:Invalid arguments:volume"),
    ],
)
async def test_what_the_venue_refuses_is_rejected(order, text):
    async with world() as at:
        fresh = RealClock().now()
        await refused(at, replace(order, sent_at=fresh, deadline=fresh + WITHIN), text)


async def test_an_order_the_venue_would_get_too_late_is_not_taken():
    async with world() as at:
        link = await at.link(name="bob", balances={"USDT": "100"})
        await link.balances()
        for seconds in (2.9, 1.9, 0.5):
            over = replace(armed("0.001"), deadline=RealClock().now() + timedelta(seconds=seconds))
            with pytest.raises(VenueUnavailable, match="nothing was sent"):
                await link.submit(over)
        assert at.sim.server.calls["create"] == 0


async def test_an_order_that_arrives_with_less_than_two_seconds_left_is_refused():
    """The venue takes deadlines from two seconds ahead on, so an order leaves three before."""
    async with world() as at:
        delayed = Fault(kind=FaultKind.REQUEST_DELAYED, seconds=1.3)
        at.sim.faults.once(fault=delayed, action="create")
        soon = replace(armed("0.001"), deadline=RealClock().now() + timedelta(seconds=3.25))
        await refused(at, soon, "^EGeneral:Invalid arguments:deadline")


async def test_an_order_that_was_delayed_past_its_deadline_is_not_taken_either():
    """What a zombie sent before it froze: the venue itself refuses it, and it is looked up."""
    async with world() as at:
        link = await at.link()
        await link.balances()
        await at.ours.joined()
        late = replace(armed("0.001"), deadline=RealClock().now() + timedelta(seconds=3.25))
        delayed = Fault(kind=FaultKind.REQUEST_DELAYED, seconds=3.3)
        at.sim.faults.once(fault=delayed, action="create")
        with pytest.raises(OutcomeUnknown, match="Deadline elapsed"):
            await link.submit(late)
        assert at.orders() == []
        assert await link.look_up(late) is None


async def test_an_order_that_is_under_way_too_long_holds_up_nobody_and_is_not_taken(monkeypatch):
    monkeypatch.setattr(turnstile, "HELD_SECONDS", 0.05)
    async with world() as at:
        link = await at.link()
        await link.balances()
        await at.ours.joined()
        delayed = Fault(kind=FaultKind.REQUEST_DELAYED, seconds=1)
        at.sim.faults.once(fault=delayed, action="create")
        async with asyncio.TaskGroup() as beside:
            sending = beside.create_task(outcome_of(link, armed("0.001")))
            await asyncio.sleep(0.01)
            await link.balances()
            assert not sending.done()
        assert sending.result() == "Kraken: EAPI:Invalid nonce"
        assert at.orders() == []


async def outcome_of(link: CcxtLink, order: Order) -> str:
    try:
        return await link.submit(order)
    except OutcomeUnknown as doubt:
        return str(doubt)


async def test_with_a_clock_that_is_off_nothing_is_sent():
    async with world(clock=ShiftedClock(timedelta(seconds=3))) as at:
        link, clock = await at.link(), at.ours.venue.clock
        environment = link.asker.environment
        await until(lambda: environment.offset is not None)
        with pytest.raises(VenueUnavailable, match=r"clock is [23]\.\d s off"):
            await link.submit(armed(at=clock.now()))
        assert not at.sim.server.calls["create"]
        assert await link.look_up(armed()) is None


async def test_a_closed_venue_proves_nothing():
    async with world() as at:
        link, order = await at.link(), armed()
        await link.balances()
        at.sim.place.maintenance = "maintenance"
        with pytest.raises(OutcomeUnknown, match="EService:Unavailable"):
            await link.submit(order)
        with pytest.raises(VenueUnavailable, match="EService:Unavailable"):
            await link.look_up(order)
        at.sim.place.maintenance = ""
        assert await link.look_up(order) is None


@pytest.mark.parametrize("mode", ["cancel_only", "limit_only", "post_only"])
async def test_a_market_that_takes_no_market_orders_rejects_them(mode):
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await link.submit(stop)
        at.sim.place.maintenance = mode
        with pytest.raises(VenueRejected, match=f"EService:Market in {mode} mode"):
            await link.submit(armed())
        assert await link.look_up(armed()) is None
        await link.cancel(stop)
        report = await link.look_up(stop)
        assert report is not None and not report.is_open


# ---- limits


async def test_who_looks_up_too_much_is_held_back_and_may_trade_all_the_same():
    async with world(limits=True) as at:
        link = await at.link()
        with pytest.raises(VenueUnavailable, match="EAPI:Rate limit exceeded"):
            for _ in range(20):
                await link.look_up(armed())
        assert at.ours.pacer.held == [(15.0, False)]
        assert at.ours.pacer.calls[-1].costs == {"counter": 1}
        await link.submit(armed("0.001"))  # orders are counted by their pair


async def test_who_sends_too_many_orders_is_held_back_on_that_pair_alone():
    async with world(limits=True) as at:
        at.desk.floor.limits.tiers["alice"] = replace(STARTER, orders=3)
        link = await at.link()
        for number in range(1, 4):
            await link.submit(armed("0.001", number))
        with pytest.raises(VenueRejected, match="EOrder:Rate limit exceeded"):
            await link.submit(armed("0.001", 4))
        assert at.ours.pacer.held == [(5.0, False)]
        assert at.ours.pacer.calls[-1].costs == {"pair:XBTUSDT": 1}
        await link.submit(armed("0.1", 5, symbol=ETH))


async def test_the_governor_keeps_an_account_of_the_lowest_tier_within_its_limits():
    async with Governor(clock=RealClock()) as governor, world(pacer=governor, limits=True) as at:
        at.desk.floor.limits.default = STARTER
        link = await at.link()
        async with asyncio.TaskGroup() as sending:
            until = RealClock().now() + WITHIN
            for number in range(1, 20):
                order = replace(armed("0.001", number), deadline=until)
                sending.create_task(link.submit(order))
        assert len(at.orders()) == 19
        for number in range(1, 4):
            assert await link.look_up(armed("0.001", number)) is not None
        assert not at.refusals


@pytest.mark.parametrize(("status", "seconds"), [(429, 1), (403, 600)])
async def test_a_door_that_is_shut_is_shut_for_everybody(status, seconds):
    async with Governor(clock=RealClock()) as governor, world(pacer=governor) as at:
        alice, bob = await at.link(), await at.link("bob")
        await alice.look_up(armed())
        await at.ours.joined(2)
        at.sim.faults.once(fault=Fault(kind=FaultKind.STATUS, status=status), action="create")
        with pytest.raises(OutcomeUnknown, match=f"status {status}"):
            await alice.submit(armed())
        door = governor.entrances["kraken"].door
        assert seconds - 1 < door.opens_at - RealClock().monotonic() <= seconds
        asked = at.sim.server.calls.total()
        if status == 403:
            for link in (alice, bob):
                with pytest.raises(VenueUnavailable, match="takes no requests from us until"):
                    await link.balances()
        assert at.sim.server.calls.total() == asked


# ---- numbers


async def test_fifty_calls_at_once_on_one_key_are_all_taken():
    async with world() as at:
        link = await at.link()
        await link.balances()
        async with asyncio.TaskGroup() as asking:
            answers = [asking.create_task(link.look_up(armed())) for _ in range(25)]
            others = [asking.create_task(link.balances()) for _ in range(25)]
        assert [each.result() for each in answers] == [None] * 25
        assert len({str(each.result()) for each in others}) == 1
        assert not at.refusals


async def test_an_exit_goes_before_all_questions_that_wait():
    async with world() as at:
        link = await at.link()
        await link.balances()
        await at.ours.joined()
        slow = Fault(kind=FaultKind.ANSWER_DELAYED, seconds=0.03)
        at.sim.faults.once(fault=slow, action="balance", times=10)
        async with asyncio.TaskGroup() as asking:
            for _ in range(10):
                asking.create_task(link.balances())
            await asyncio.sleep(0.01)
            await link.submit(armed("0.01", purpose=EXIT))
            assert at.sim.server.calls["balance"] <= 3
        assert at.sim.server.calls["balance"] == 11
        assert not at.refusals


async def test_a_restart_begins_above_every_number_that_was_used():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        for _ in range(5):
            await link.balances()
        before = key.nonce
        async with over(at.sim, of=kraken) as again:  # as another process
            await (await again.link(key)).balances()
        assert key.nonce > before
        assert not at.refusals


async def test_after_a_takeover_by_a_machine_whose_clock_is_behind_the_numbers_leap():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        await at.ours.joined()
        now = int(RealClock().now().timestamp() * 1_000_000)
        key.nonce = now + 8_000_000  # the other machine was eight seconds ahead
        assert (await link.balances())["BTC"] == 1
        await link.submit(armed("0.001"))
        assert len(at.orders()) == 1
        assert at.refusals == {"EAPI:Invalid nonce": 1}


async def test_numbers_that_had_to_leap_begin_there_for_whoever_opens_the_account_next():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        await at.ours.joined()
        key.nonce = int(RealClock().now().timestamp() * 1_000_000) + 8_000_000
        await link.balances()
        assert link.numbers_ahead >= 8_000_000
        kept = replace(link.asker, environment=link.asker.environment, begins_ahead=0)
        assert kept.numbers_ahead == link.numbers_ahead  # of the same key, in this process
        async with over(at.sim, of=kraken) as again:  # as another process
            other = await again.link(key)
            assert other.numbers_ahead == 0
            begun = replace(other.asker, begins_ahead=link.numbers_ahead)
            await replace(other, asker=begun).balances()
        assert at.refusals == {"EAPI:Invalid nonce": 1}


async def test_an_order_that_is_refused_for_its_number_is_not_sent_again():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        await link.look_up(armed())
        await at.ours.joined()
        key.nonce += 8_000_000
        with pytest.raises(OutcomeUnknown, match="EAPI:Invalid nonce"):
            await link.submit(armed("0.001"))
        assert at.orders() == []
        await link.submit(armed("0.001", 2))  # the numbers have leapt
        assert len(at.orders()) == 1


async def test_a_refused_number_proves_nothing_of_an_order_that_came_twice(monkeypatch):
    """What sends a request again passes on the answer to the last; the first was carried out."""
    send = Transport.send

    async def twice(self: Transport, wire: Wire, seconds: float) -> Answer:
        if wire.url.endswith("/AddOrder"):
            await send(self, wire, seconds)
        return await send(self, wire, seconds)

    async with world() as at:
        link, order = await at.link(), armed("0.001")
        await at.ours.joined()
        monkeypatch.setattr(Transport, "send", twice)
        with pytest.raises(OutcomeUnknown, match="EAPI:Invalid nonce"):
            await link.submit(order)
        assert len(at.orders()) == 1
        report = await link.look_up(order)
        assert report is not None and report.filled == Decimal("0.001")


async def test_a_check_of_a_key_and_its_account_do_not_get_in_each_others_way():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        await link.balances()
        credentials = link.asker.credentials
        slow = Fault(kind=FaultKind.REQUEST_DELAYED, seconds=0.005)
        at.sim.faults.once(fault=slow, action="balance", times=20)
        async with asyncio.TaskGroup() as asking:
            for _ in range(10):
                asking.create_task(link.balances())
                asking.create_task(at.ours.venue.check_key(credentials, Mode.LIVE))
        assert not at.refusals


# ---- what look-ups see


async def test_an_order_is_invisible_for_a_moment():
    async with world(manual=True) as at:
        link, order = await at.link(), armed("0.01", at=at.ours.venue.clock.now())
        at.sim.place.lag_ms = 2000
        await link.submit(order)
        assert await link.look_up(order) is None
        assert await link.orders_since([BTC], order.decided_at) == []
        at.later(seconds=1.9)
        assert await link.look_up(order) is None
        at.later(seconds=0.2)
        report, _ = await filled(link, order)
        assert report.filled == Decimal("0.01")
        assert link.timing.visibility == timedelta(seconds=2)


async def test_an_old_order_is_found_among_all_that_came_after_it():
    async with world(manual=True) as at:
        link, order = await at.link(), armed("0.01", at=at.ours.venue.clock.now())
        await link.submit(order)
        at.later(days=40)
        for _ in range(60):
            at.sim.exchange.place("alice", by_hand("0.001"))
        report, _ = await filled(link, order)
        assert report.filled == Decimal("0.01")


async def test_a_look_up_costs_two_of_the_counter_at_most_and_none_of_the_addresss():
    async with world() as at:
        link = await at.link()
        await link.balances()
        await at.ours.joined()
        at.ours.pacer.calls.clear()
        await link.look_up(armed())
        assert [call.costs for call in at.ours.pacer.calls] == [{"counter": 1}] * 2


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
        at.tick("48000.1")
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
        with pytest.raises(VenueRejected, match="EOrder:Unknown order"):
            await link.cancel(stop)
        at.tick("40000")
        assert (await link.look_up(stop)).filled == 0


async def test_nothing_else_can_sell_the_coins_of_a_resting_stop():
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="1")
        await link.submit(stop)
        with pytest.raises(VenueRejected, match="EOrder:Insufficient funds"):
            await link.submit(armed("1", 7, purpose=EXIT))


@pytest.mark.parametrize("price", ["47999.9", "40000"])
async def test_a_stop_whose_price_was_there_already_sells_at_once(price):
    async with world() as at:
        link, stop = await at.link(), resting("48000", quantity="0.5")
        at.tick(price)
        await link.submit(stop)
        _, fills = await filled(link, stop)
        assert [fill.price for fill in fills] == [Decimal(price)]


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
        at.sim.exchange.place("alice", by_hand("0.02", "40000"))
        at.sim.exchange.place(
            "alice",
            by_hand("0", quote_quantity=units("100"), tags={"oflags": "fciq,viqc"}),
        )
        at.sim.exchange.place("alice", by_hand("0.1", symbol="ETH/USDT"))
        (waiting,) = await link.open_orders([BTC, ETH])
        assert (waiting.quantity, waiting.filled, waiting.client_id) == (Decimal("0.02"), 0, "")
        assert await link.open_orders([ETH]) == []
        found = {each.quantity: each for each in await link.orders_since([BTC], began)}
        assert found.keys() == {Decimal("0.01"), Decimal("0.02"), Decimal("0.002")}
        assert found[Decimal("0.01")].client_id == mine.id
        assert found[Decimal("0.002")].filled == Decimal("0.002")
        assert len(await link.orders_since([BTC, ETH], began)) == 4
        trades = await link.trades_since([BTC], began)
        assert [trade.quantity for trade in trades] == [Decimal("0.01"), Decimal("0.002")]
        assert [trade.client_id for trade in trades] == [mine.id, ""]
        assert [trade.id for trade in trades[:1]] == [f.id for f in await link.fills_of(mine)]
        assert {each.fee_asset for each in trades} == {"USDT"}


async def test_trades_are_listed_without_names_when_the_venue_does_not_tell_them():
    async with world() as at:
        link, began = await at.link(), RealClock().now() - WITHIN
        await link.submit(armed("0.01"))
        unknown = '{"error":["EOrder:Invalid order"]}'
        told = Fault(kind=FaultKind.STATUS, status=200, body=unknown)
        at.sim.faults.once(fault=told, action="order")
        (trade,) = await link.trades_since([BTC], began)
        assert trade.client_id == ""


async def test_lists_are_read_to_their_end_however_long_they_are():
    async with world(manual=True) as at:
        link, began = await at.link(), at.ours.venue.clock.now()
        for number in range(130):
            asked = by_hand("0.0002", client_id=order_id(number + 1))
            at.sim.exchange.place("alice", asked)
            at.later(hours=1)
        trades = await link.trades_since([BTC], began)
        assert len({trade.client_id for trade in trades}) == len(trades) == 130
        orders = await link.orders_since([BTC], began)
        assert {each.client_id for each in orders} == {each.client_id for each in trades}
        recent = await link.trades_since([BTC], at.ours.venue.clock.now() - timedelta(hours=12))
        assert len(recent) == 12


async def test_what_closes_while_a_list_is_read_is_listed_all_the_same():
    async with world(manual=True) as at:
        link, began = await at.link(), at.ours.venue.clock.now()
        for number in range(120):
            at.sim.exchange.place("alice", by_hand("0.0002", client_id=order_id(number + 1)))
            at.later(seconds=1)

        async def another(call):
            if call.costs == {"counter": 1} and not at.sim.exchange.accounts["alice"].live:
                at.sim.exchange.place("alice", by_hand("0.0002", client_id=order_id(999)))

        await link.balances()
        at.ours.pacer.before = another
        found = {each.client_id for each in await link.orders_since([BTC], began)}
        assert {order_id(number + 1) for number in range(120)} <= found


async def test_what_earns_or_is_finer_than_our_books_is_not_counted():
    async with world() as at:
        link = await at.link()
        body = (
            '{"error":[],"result":{"XXBT":{"balance":"0.1234567899","hold_trade":"0.1"},'
            '"XBT.F":{"balance":"5.0","hold_trade":"0.0"},'
            '"ETH.S":{"balance":"7.0","hold_trade":"0.0"},'
            '"ZUSD":{"balance":"10.5000","hold_trade":"0.0000"},'
            '"XXDG":{"balance":"3.0","hold_trade":"0.0"}}}'
        )
        told = Fault(kind=FaultKind.STATUS, status=200, body=body)
        at.sim.faults.once(fault=told, action="balance")
        assert await link.balances() == {
            "BTC": Decimal("0.12345678"),
            "XBT.F": 5,
            "ETH.S": 7,
            "USD": Decimal("10.5"),
            "DOGE": 3,
        }


# ---- the bell


async def test_the_private_stream_rings_for_our_orders_alone():
    async with world() as at:
        link = await at.link()
        await at.ours.joined()
        order = armed("0.01")
        at.sim.exchange.place("alice", by_hand("0.01"))
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


async def test_a_message_that_is_missing_rings_for_whatever_may_be_open():
    async with world() as at:
        link, stop = await at.link(), resting("48000")
        await at.ours.joined()
        await link.submit(stop)
        await until(lambda: stop.id in at.ours.rung)
        at.ours.rung.clear()
        lost = Fault(kind=FaultKind.MESSAGE_DROPPED)
        at.sim.faults.once(fault=lost, containing="executions", times=3)
        at.tick("47000")  # it fires, is traded and filled, and nobody hears of it
        await asyncio.sleep(0.05)
        assert at.ours.rung == []
        at.sim.exchange.place("alice", by_hand("0.01"))
        await until(lambda: stop.id in at.ours.rung)


async def test_when_the_stream_comes_back_it_has_a_new_token_and_rings_for_what_may_be_open():
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
        assert len(at.desk.floor.access.tokens) == 2


async def test_each_account_has_a_connection_of_its_own_and_hears_itself_alone():
    async with world() as at:
        alice, _bob = await at.link(), await at.link("bob")
        await at.ours.joined(2)
        assert [len(rope.listeners) for rope in at.bells.ropes] == [1, 1]
        await alice.close()
        await until(lambda: len(at.sim.server.streams) == 1)


async def test_a_key_that_may_not_hear_is_tried_again():
    async with world() as at:
        key = at.key("read", "trade")
        key.permissions = {"query-funds", "query-open-trades", "query-closed-trades", "trade"}
        link = await at.ours.link(key)
        (rope,) = at.bells.ropes
        await until(lambda: any(each.failures for each in rope.listeners.values()))
        assert at.bells.joined == 0
        assert await link.look_up(armed()) is None
        key.permissions = {"read", "trade"}
        for each in rope.listeners.values():
            each.due = 0.0
        await at.ours.joined()
