"""Every fault of the wire at every venue: no second order, no lost one, the truth in its time.

Each fault strikes the one request that creates an order, of one user among many at the same
venue; who is not struck must not notice. What an order's fate may take is ORDER_SAFETY 1.5.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.bot_rig import enter, leave
from tests.e2e.venue_rig import VENUES, Service, World, creates, reopen, shut, world
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.ids import OrderId, UserId
from tradefleet.domain.ledger import OWN
from tradefleet.domain.order import Order, OrderKind, OrderState
from tradefleet.venues._ccxt.amounts import to_ms
from tradefleet.venues._ccxt.wire import Wire
from venuesim.faults import Fault, FaultKind

K = FaultKind
START = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
FRAME = timedelta(minutes=5)
SYMBOL, PRICE = "BTC/USDT", Decimal(65000)
# How long an order's fate may be unknown: until one look-up where the venue has it, and until its
# deadline, the grace after it and the last of the look-ups that do not find it where it has not.
FOUND_WITHIN, ABSENT_WITHIN = 4.0, 30.0
HELD_WITHIN = 6.0  # until its turn has come too late
SLOW = {"kraken": 10.0}  # more, where a key may ask but once in three seconds


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what becomes of the order it strikes: found, absent, refused, or as usual.

    bodies: what each venue says by its own words, with which status. rounds: where it strikes.
    """

    name: str
    fault: Fault
    fate: str
    bodies: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    rounds: Sequence[str] = ("entry", "exit", "stop", "cancel")

    def at(self, venue: str) -> Fault:
        if not self.bodies:
            return self.fault
        status, body = self.bodies[venue]
        return replace(self.fault, status=status, body=body)

    def fate_in(self, turn: "Round") -> str:
        return self.fate if turn.name in self.rounds else "as usual"


def status(code: int, *, processed: bool) -> Fault:
    return Fault(kind=K.STATUS, status=code, processed=processed, seconds=1)


TOO_MANY = {  # of one account
    "binance": (400, '{"code":-1015,"msg":"Too many new orders; current limit is 100."}'),
    "bybit": (200, '{"retCode":10006,"retMsg":"Too many visits!","result":{},"time":1}'),
    "kraken": (200, '{"error":["EOrder:Rate limit exceeded"]}'),
}
UNKNOWN_ORDER = {  # a lie: it rests there
    "binance": (400, '{"code":-2011,"msg":"Unknown order sent."}'),
    "bybit": (200, '{"retCode":170213,"retMsg":"Order does not exist.","result":{},"time":1}'),
    "kraken": (200, '{"error":["EOrder:Unknown order"]}'),
}
CASES = (
    Case("nothing", Fault(kind=K.ANSWER_DELAYED), "as usual"),
    Case("answer lost", Fault(kind=K.ANSWER_LOST), "found"),
    Case("reset after", Fault(kind=K.RESET_AFTER), "found"),
    Case("cut at 0", Fault(kind=K.BODY_CUT, at=0), "found"),
    Case("cut at 7", Fault(kind=K.BODY_CUT, at=7), "found"),
    Case("cut before the end", Fault(kind=K.BODY_CUT, at=9999), "found"),
    Case("truncated at 0", Fault(kind=K.JSON_TRUNCATED, at=0), "found"),
    Case("truncated at 30", Fault(kind=K.JSON_TRUNCATED, at=30), "found"),
    Case("truncated before the end", Fault(kind=K.JSON_TRUNCATED, at=9999), "found"),
    Case("html", Fault(kind=K.HTML, status=200, processed=True), "found"),
    Case("500 with the order", status(500, processed=True), "found"),
    Case("502 with the order", status(502, processed=True), "found"),
    Case("524 with the order", status(524, processed=True), "found"),
    Case("id missing", Fault(kind=K.ID_MISSING), "found"),
    Case("request lost", Fault(kind=K.REQUEST_LOST), "absent"),
    Case("reset before", Fault(kind=K.RESET_BEFORE), "absent"),
    Case("500 without it", status(500, processed=False), "absent"),
    Case("504 without it", status(504, processed=False), "absent"),
    Case("404 without it", status(404, processed=False), "absent"),
    Case("too many at entry", status(429, processed=False), "refused", TOO_MANY, ("entry",)),
    Case("too many at exit", status(429, processed=False), "held", TOO_MANY, ("exit",)),
    Case("too many at stop", status(429, processed=False), "refused", TOO_MANY, ("stop",)),
    Case("cancel refused", status(400, processed=False), "refused", UNKNOWN_ORDER, ("cancel",)),
    Case(
        "an error nobody knows, with the order",
        Fault(kind=K.STATUS, status=400, processed=True),
        "found",
        {
            "binance": (400, '{"code":-9876,"msg":"Something new."}'),
            "bybit": (200, '{"retCode":987654,"retMsg":"Something new","result":{},"time":1}'),
            "kraken": (200, '{"error":["EGeneral:Something new"]}'),
        },
    ),
    Case(
        "a time-out of its own, with the order",
        Fault(kind=K.STATUS, status=400, processed=True),
        "found",
        {
            "binance": (408, '{"code":-1007,"msg":"Timeout waiting for response from backend."}'),
            "bybit": (200, '{"retCode":170146,"retMsg":"Order creation timeout.","result":{}}'),
            "kraken": (200, '{"error":["EService:Timeout"]}'),
        },
    ),
)


# --------------------------------------------------------------------- users and their orders


@dataclass(slots=True)
class Watch:
    """Notes of each order since when its fate is unknown, and until when it was."""

    service: Service
    since: dict[OrderId, datetime] = field(default_factory=dict)
    until: dict[OrderId, datetime] = field(default_factory=dict)

    def look(self) -> None:
        now = self.service.clock.now()
        for bot in self.service.node.host.bots.values():
            unknown = {
                order.id: order
                for order in bot.engine.working.values()
                if order.state in (OrderState.UNKNOWN, OrderState.SENDING) and order.sent_at
            }
            for order in unknown.values():
                self.since.setdefault(order.id, order.sent_at or now)
        working = {
            id
            for bot in self.service.node.host.bots.values()
            for id, order in bot.engine.working.items()
            if order.state in (OrderState.UNKNOWN, OrderState.SENDING)
        }
        for order_id in self.since.keys() - working:
            self.until.setdefault(order_id, now)

    def seconds(self, order_id: OrderId) -> float:
        """Return for how long the fate of an order was unknown."""
        if order_id not in self.since:
            return 0.0
        until = self.until.get(order_id, datetime.max.replace(tzinfo=self.since[order_id].tzinfo))
        return (until - self.since[order_id]).total_seconds()


def user_of(case: Case) -> UserId:
    return UserId(case.name.replace(" ", "-").replace(",", ""))


@asynccontextmanager
async def trading(
    venue: str,
    users: Sequence[UserId],
    sqlite_url: str,
    tmp_path: Any,
    patch: pytest.MonkeyPatch,
    **options: Any,
) -> AsyncIterator[tuple[World, Service, Watch]]:
    """Users at one venue who all follow one script, in a market that stands still."""
    async with world([venue], sqlite_url, tmp_path, patch, start=START, **options) as it:
        service = await it.service()
        for user in users:
            await it.connect(service, user, venue, {"USDT": "10000"})
            await it.trade(service, user, f"{SYMBOL} 1000 {venue} strategy=script timeframe=5m")
        await service.join(len(users))
        await it.time.pass_until(START + timedelta(minutes=3), timedelta(seconds=20))
        tick(it, venue)
        watch = Watch(service)
        it.time.watches.append(watch.look)
        yield it, service, watch


def tick(it: World, venue: str, price: Decimal = PRICE) -> None:
    it.sims[venue].tick(SYMBOL, str(price))


async def signal(it: World, venue: str, bar: int, said: Any) -> None:
    """Let the script say something of a bar, and the bar close; then comes the next price."""
    opened = START + bar * FRAME
    it.theatre.lines["a"][opened] = said
    await it.time.pass_until(opened + FRAME, timedelta(seconds=20))
    tick(it, venue)
    await it.time.settle()
    await it.time.pass_by(0.5)
    tick(it, venue)
    await it.time.settle()


# ------------------------------------------------------------------------------ the table


@dataclass(frozen=True, slots=True)
class Round:
    """Which request of a trade is struck: the skip-th of its kind from the signal on."""

    name: str
    bar: int
    said: Any
    action: str
    skip: int = 0


ROUNDS = (
    Round("entry", 0, enter(60000), "create"),
    Round("exit", 1, leave(), "create"),
    Round("stop", 2, enter(60000), "create", skip=1),
    Round("cancel", 3, leave(), "cancel"),
)


@pytest.mark.parametrize("venue", VENUES)
async def test_no_fault_of_the_wire_doubles_or_loses_an_order(
    venue, sqlite_url, tmp_path, monkeypatch
):
    users = [user_of(case) for case in CASES]
    async with trading(venue, users, sqlite_url, tmp_path, monkeypatch) as (it, _service, watch):
        wrong: list[str] = []
        for turn in ROUNDS:
            for case in CASES:
                if turn.name in case.rounds:
                    strike(it, venue, case, turn)
            await signal(it, venue, turn.bar, turn.said)
            for _ in range(45 + 3 * int(SLOW.get(venue, 0))):
                await it.time.pass_finely(1, 0.5)
                tick(it, venue)
            wrong += [str(each) for each in it.sims[venue].faults.waiting]
            for case in CASES:
                wrong += await verdict(it, venue, watch, case, turn)
        for case in CASES:
            try:
                await it.judge(user_of(case), venue)
            except AssertionError as error:
                wrong.append(f"{case.name}: {error}")
        it.judge_journals()
        assert not wrong, "\n".join(wrong)


def strike(it: World, venue: str, case: Case, turn: Round) -> None:
    it.sims[venue].faults.once(
        fault=case.at(venue), action=turn.action, account=user_of(case), skip=turn.skip
    )


async def verdict(it: World, venue: str, watch: Watch, case: Case, turn: Round) -> list[str]:
    """Return what is wrong with what became of one user's orders in a round."""
    said_at = START + (turn.bar + 1) * FRAME
    new = [o for o in await it.orders(user_of(case)) if o.decided_at >= said_at]
    fate = case.fate_in(turn)
    expected = EXPECTED[turn.name, fate]
    if case.name == "too many at entry" and turn.name == "exit":
        expected = []  # nothing was bought
    orders = [o for o in new if (o.kind is OrderKind.RESTING_STOP) == (turn.name == "stop")]
    wrong = []
    states = [order.state for order in orders]
    if fate == "held":
        states = list(dict.fromkeys(states))
    if states != expected:
        wrong.append(f"it came to {[brief(order) for order in orders]}")
    within = {"absent": ABSENT_WITHIN, "held": HELD_WITHIN}.get(fate, FOUND_WITHIN)
    within += SLOW.get(venue, 0)
    if late := {o.id: took for o in new if (took := watch.seconds(o.id)) > within}:
        wrong.append(f"their fate was unknown for {late} s")
    return [f"{case.name}, {turn.name}: {each}" for each in wrong]


def brief(order: Order) -> str:
    sent = f", sent {order.sent_at:%H:%M:%S}" if order.sent_at else ""
    return f"{order.kind} {order.state} decided {order.decided_at:%H:%M:%S}{sent}: {order.note}"


S = OrderState
# What becomes of the orders of a round, those of its kind: by its name, and the fault's fate.
EXPECTED: Mapping[tuple[str, str], Sequence[OrderState]] = {
    **{(name, "as usual"): [S.DONE] for name in ("entry", "exit", "cancel")},
    **{(name, "found"): [S.DONE] for name in ("entry", "exit", "cancel")},
    **{(name, "absent"): [S.ABSENT, S.DONE] for name in ("entry", "exit")},
    ("cancel", "absent"): [S.DONE],
    ("entry", "refused"): [S.REJECTED],
    ("exit", "held"): [S.REJECTED, S.DONE],  # refused again where it is held for long
    ("cancel", "refused"): [S.DONE],
    ("stop", "as usual"): [S.OPEN],
    ("stop", "found"): [S.OPEN],
    ("stop", "absent"): [S.ABSENT, S.OPEN],
    ("stop", "refused"): [S.REJECTED],
}


# ------------------------------------------------------------------- what befalls everybody

ALICE, BOB = UserId("alice"), UserId("bob")


async def ticking(it: World, venue: str, seconds: int) -> None:
    for _ in range(seconds):
        await it.time.pass_finely(1, 0.5)
        tick(it, venue)


async def came_to(it: World, user: UserId) -> list[tuple[str, str]]:
    """Return what became of a user's orders, but for stops at the venue."""
    orders = [o for o in await it.orders(user) if o.kind is not OrderKind.RESTING_STOP]
    return [(o.purpose.value, o.state.value) for o in orders]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_venue_that_refuses_connections_gets_each_order_once_it_takes_them(
    venue, sqlite_url, tmp_path, monkeypatch
):
    async with trading(venue, [ALICE], sqlite_url, tmp_path, monkeypatch) as (it, service, _):
        sim = it.sims[venue]

        async def refuse(wire: Wire) -> None:
            if creates(venue, wire):
                service.traffic.leaving = None
                shut(sim)
                await asyncio.sleep(0.01)  # until our side has noticed

        for bar, said in ((0, enter(60000)), (1, leave())):
            service.traffic.leaving = refuse
            await signal(it, venue, bar, said)
            assert not sim.server.streams
            await ticking(it, venue, 12)
            await reopen(sim)
            reopened = it.time.now
            await ticking(it, venue, 40)
        assert await came_to(it, ALICE) == [
            ("entry", "absent"), ("entry", "done"), ("exit", "rejected"), ("exit", "done"),
        ]  # fmt: skip
        sold = (await it.fills(ALICE))[-1]
        assert sold.filled_at - reopened <= timedelta(seconds=15)
        await it.judge(ALICE, venue)


@pytest.mark.parametrize("venue", VENUES)
async def test_an_order_that_look_ups_show_late_is_found_and_not_sent_again(
    venue, sqlite_url, tmp_path, monkeypatch
):
    async with trading(venue, [ALICE], sqlite_url, tmp_path, monkeypatch) as (it, _, watch):
        sim = it.sims[venue]
        sim.place.lag_ms = 6000
        for bar, said in ((0, enter(60000)), (1, leave())):
            sim.faults.once(fault=Fault(kind=K.ANSWER_LOST), action="create")
            await signal(it, venue, bar, said)
            await ticking(it, venue, 40)
        assert await came_to(it, ALICE) == [("entry", "done"), ("exit", "done")]
        assert watch.since
        assert all(6 <= watch.seconds(order_id) <= 6 + 8 for order_id in watch.since)
        await it.judge(ALICE, venue)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a venue says that has had enough of us, for how long, and what becomes of the order."""

    fault: Fault
    seconds: int
    states: Sequence[str]


FEWER = '{"code":-1003,"msg":"Too many requests."}'
BANNED = '{"code":-1003,"msg":"Way too much request weight used; IP banned until {until}."}'
CLOSINGS = {
    ("binance", 429): Closing(
        Fault(kind=K.STATUS, status=429, seconds=20, body=FEWER), 20, ["rejected"]
    ),
    ("binance", 418): Closing(
        Fault(kind=K.STATUS, status=418, seconds=120, body=BANNED), 120, ["rejected"]
    ),
    # Pages of whoever stands before the venue: they prove nothing. After ten minutes without a
    # look-up an order is quarantined.
    ("bybit", 429): Closing(Fault(kind=K.STATUS, status=429, seconds=20), 20, ["absent", "done"]),
    ("bybit", 403): Closing(Fault(kind=K.STATUS, status=403), 600, ["quarantined"]),
    ("kraken", 429): Closing(Fault(kind=K.STATUS, status=429, seconds=20), 20, ["absent", "done"]),
    ("kraken", 403): Closing(Fault(kind=K.STATUS, status=403), 600, ["quarantined"]),
}


@pytest.mark.parametrize(("venue", "status"), [case for case in CLOSINGS if case[0] in VENUES])
async def test_a_venue_that_has_had_enough_is_left_alone_by_everybody(
    venue, status, sqlite_url, tmp_path, monkeypatch
):
    users, closing = [ALICE, BOB], CLOSINGS[venue, status]
    async with trading(venue, users, sqlite_url, tmp_path, monkeypatch) as (it, service, _):
        sim = it.sims[venue]
        until = START + FRAME + timedelta(seconds=closing.seconds)
        body = closing.fault.body.replace("{until}", str(to_ms(until)))
        sim.faults.once(fault=replace(closing.fault, body=body), action="create", account=ALICE)
        await signal(it, venue, 0, enter(60000))
        asked = sum(sim.server.calls.values())
        await it.time.pass_until(until - timedelta(seconds=1), timedelta(seconds=5))
        assert sum(sim.server.calls.values()) == asked, "nobody asks anything"
        await ticking(it, venue, 70)
        assert [state for _, state in await came_to(it, ALICE)] == closing.states
        assert await came_to(it, BOB) == [("entry", "done")]
        (stop,) = [o for o in await it.orders(BOB) if o.kind is OrderKind.RESTING_STOP]
        assert stop.sent_at is not None and stop.sent_at - until <= timedelta(seconds=6)
        await it.judge(BOB, venue)
        if closing.states == ["quarantined"]:
            said = "BTC/USDT: what became of an order is unknown; we keep looking."
            assert said in service.told.texts(ALICE)
        else:
            await it.judge(ALICE, venue)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_request_that_the_network_doubles_is_never_two_orders_of_ours(
    venue, sqlite_url, tmp_path, monkeypatch
):
    """Two venues refuse the second. Binance takes a name again once its order is filled: there
    the other order is found, told, and booked apart from what the pair owns."""
    async with trading(venue, [ALICE], sqlite_url, tmp_path, monkeypatch) as (it, service, _):
        sim = it.sims[venue]
        sim.faults.once(fault=Fault(kind=K.REQUEST_DUPLICATED), action="create")
        await signal(it, venue, 0, enter(60000))
        await ticking(it, venue, 60)
        await signal(it, venue, 1, leave())
        await ticking(it, venue, 60)
        assert await came_to(it, ALICE) == [("entry", "done"), ("exit", "done")]
        if venue != "binance":
            await it.judge(ALICE, venue)
            return
        bought, sold = await it.fills(ALICE)
        assert bought.quantity - bought.fee - sold.quantity < Decimal("0.00001")
        (told,) = [text for text in service.told.texts(ALICE) if "was sent once" in text]
        assert re.search(r"order \w{32} was sent once and is there twice, as \d+ and \d+\.", told)
        (bot,) = await it.bots(ALICE)
        assert bot.status is BotStatus.RUNNING
        assert (await it.books(ALICE, venue)).of(OWN, "BTC") == bought.quantity - bought.fee
        await it.judge_money(ALICE, venue)
