"""Whatever a venue's answers turn into, only the declared errors come out, and no invention."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal, FloatOperation, localcontext
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.makers import BTC, ETH
from tests.properties.damage import (
    Damage,
    as_json,
    cut,
    damages,
    dated,
    flipped,
    floated,
    in_place,
    paths_in,
    put,
)
from tests.properties.desks import VENUES, Ground, ground
from tests.properties.effort import tries
from tradefleet.domain.credentials import KeyRefused, KeyReport
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.market import Side, Stream, Symbol, Timeframe
from tradefleet.domain.order import Order
from tradefleet.domain.user import Mode
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.outcomes import BINANCE, BYBIT, KRAKEN, matches
from tradefleet.venues._ccxt.wire import Answer
from venuesim.units import units

HOUR = timedelta(hours=1)
NOT_THERE = (b"-2013", b"110001", b"170213", b"EOrder:Unknown order")
SIZE = Decimal("0.0002")


@dataclass(slots=True, kw_only=True, repr=False)
class Played:
    """A venue where something has happened already.

    reader has a past that is only read, sender has money and poor has none.
    """

    ground: Ground
    runner: asyncio.Runner
    reader: CcxtLink
    sender: CcxtLink
    poor: CcxtLink
    orders: list[Order]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.ground.name)  # all of a venue is too much to read

    @property
    def since(self) -> datetime:
        return self.ground.environment.clock.now() - HOUR

    def run(self, asked: Callable[[], Awaitable[Any]]) -> Any:
        return self.runner.run(_awaited(asked), context=copy_context())


async def _awaited(asked: Callable[[], Awaitable[Any]]) -> Any:
    return await asked()


async def played(runner: asyncio.Runner, name: str) -> Played:
    made = ground(name)
    await made.environment.book()
    reader = made.link("reader", USDT="100000", BTC="2", ETH="3", BNB="7")
    if name != "kraken":  # whose fees are in quote always
        book = made.exchange.accounts["reader"]
        book.fee_from, book.fee_asset = "third", "BNB"
    orders = []
    for symbol, side, size in (
        (BTC, Side.BUY, "0.01"), (BTC, Side.SELL, "0.004"), (ETH, Side.BUY, "0.5"),
    ):  # fmt: skip
        orders.append(made.order(symbol, side, Decimal(size)))
        await reader.submit(orders[-1])
        made.later()
    for price in ("60000", "59000"):
        orders.append(made.resting(BTC, Decimal("0.003"), Decimal(price)))
        await reader.submit(orders[-1])
        made.later()
    await reader.cancel(orders[-1])
    for price in ("65010", "64990.5", "65020", "65000"):
        made.exchange.tick("BTC/USDT", units(price), units("0.5"))
        made.later(60)
    return Played(
        ground=made,
        runner=runner,
        reader=reader,
        sender=made.link("sender", USDT="900000000", BTC="900000"),
        poor=made.link("poor", USDT="1"),
        orders=orders,
    )


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module", params=VENUES)
def at(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Played:
    return runner.run(played(runner, request.param))


# ------------------------------------------------------------- what must not come out


def sound(value: Any, what: str = "") -> None:
    """Say no to what no venue can have meant: floats, no numbers, empty ids, naive times."""
    assert not isinstance(value, float), f"{what} is a float"
    if isinstance(value, Decimal):
        assert value.is_finite(), f"{what} is {value}"
    elif isinstance(value, datetime):
        assert value.tzinfo is not None, f"{what} is a naive time"
    elif isinstance(value, str) and not isinstance(value, Enum):
        assert value not in ("None", "null"), f"{what} is nothing, written as a text"
        assert value or what in ("client_id", ""), f"{what} is empty"
    elif isinstance(value, KeyReport):
        sound(value.balances, "balances")
    elif is_dataclass(value) and not isinstance(value, Symbol):
        for field in fields(value):
            inside = getattr(value, field.name)
            kind = str(field.type)
            if kind in ("str", "FillId", "OrderId", "UserId"):
                assert isinstance(inside, str), f"{field.name} is {inside!r}"
            if kind == "Decimal":
                assert isinstance(inside, Decimal), f"{field.name} is {inside!r}"
            if kind == "bool":
                assert isinstance(inside, bool), f"{field.name} is {inside!r}"
            if field.name != "numbers":  # a bar has its numbers as floats besides, on purpose
                sound(inside, field.name)
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            assert isinstance(key, str), f"{what} has the key {key!r}"
            assert key, f"{what} has an empty key"
            sound(inside, f"{what}[{key}]")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inside in value:
            sound(inside, what)


@contextmanager
def no_float_becomes_money() -> Iterator[None]:
    with localcontext() as context:
        context.clear_flags()
        yield
        assert not context.flags[FloatOperation], "a float was turned into a decimal"


# ------------------------------------------------------------------------- questions


async def history(played: Played) -> Any:
    market = played.ground.venue.sides[Mode.LIVE].market
    stream = Stream(played.ground.name, BTC, Timeframe(60))
    return await market.history(stream, before=played.ground.environment.now(), count=5)


async def price_of_fees(played: Played) -> Any:
    played.ground.venue.sides[Mode.LIVE].valuation.prices.clear()
    return await played.reader.fills_of(played.orders[0])


async def report(played: Played) -> Any:
    assert played.reader.asker.credentials is not None
    return await played.ground.venue.check_key(played.reader.asker.credentials, Mode.LIVE)


QUESTIONS: Mapping[str, Callable[[Played], Awaitable[Any]]] = {
    "an order that is filled": lambda at: at.reader.look_up(at.orders[0]),
    "an order that is open": lambda at: at.reader.look_up(at.orders[3]),
    "an order that is cancelled": lambda at: at.reader.look_up(at.orders[4]),
    "an order that is not there": lambda at: at.poor.look_up(at.orders[0]),
    "fills": lambda at: at.reader.fills_of(at.orders[1]),
    "fills and what their fees are worth": price_of_fees,
    "open orders": lambda at: at.reader.open_orders([BTC, ETH]),
    "orders": lambda at: at.reader.orders_since([BTC, ETH], at.since),
    "orders of one symbol": lambda at: at.reader.orders_since([BTC], at.since),
    "trades": lambda at: at.reader.trades_since([BTC, ETH], at.since),
    "balances": lambda at: at.reader.balances(),
    "the time": lambda at: at.ground.environment.measure_clock(),
    "bars": history,
    "the key": report,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_undamaged_answer_is_understood(at: Played, question: str):
    at.ground.transport.begin()
    with no_float_becomes_money():
        sound(at.run(lambda: QUESTIONS[question](at)))
    assert at.ground.transport.told


def ask(at: Played, question: str, damage: Damage, place: int) -> Any:
    """Return what comes of a question whose place-th answer is damaged, or the declared error."""
    at.ground.transport.begin(damage, place)
    at.ground.environment.offset = timedelta(0)
    at.reader.asker.__post_init__()
    with no_float_becomes_money():
        try:
            told = at.run(lambda: QUESTIONS[question](at))
        except VenueUnavailable as error:
            return error
        except KeyRefused as error:
            assert question == "the key"
            return error
    sound(told)
    return told


@tries(300)
@given(st.sampled_from(list(QUESTIONS)), damages, st.integers(0, 2))
@example("fills and what their fees are worth", put(5, "0"), 2)
@example("the key", dated("Sat, 99 Nov 2026 12:00:00 GMT"), 1)
def test_a_damaged_answer_is_no_evidence_or_makes_sense(at, question, damage, place):
    ask(at, question, damage, place)


def numbers_in(body: bytes) -> list[int]:
    """Return the places of an answer where a number is written as a text."""
    document = [json.loads(body)]
    found = []
    for number, (*way, key) in enumerate(paths_in(document)):
        holder: Any = document
        for step in way:
            holder = holder[step]
        if isinstance(holder[key], str) and re.fullmatch(r"-?\d+(\.\d+)?", holder[key]):
            found.append(number)
    return found


EXACT = [each for each in QUESTIONS if each not in ("the time", "the key")]


@pytest.mark.parametrize("question", EXACT)
def test_a_number_that_came_as_a_float_is_never_used(at: Played, question: str):
    """Every number that is written as a text, in every answer, one after the other."""
    at.ground.transport.begin()
    honest = at.run(lambda: QUESTIONS[question](at))
    bodies = [answer.body for answer in at.ground.transport.told]
    used = 0
    for place, body in enumerate(bodies):
        for number in numbers_in(body):
            told = ask(at, question, floated(number), place)
            assert isinstance(told, VenueUnavailable) or told == honest
            used += isinstance(told, VenueUnavailable)
    assert used or question == "an order that is not there"


# --------------------------------------------------------------------------- sending


def proven(name: str, answer: Answer) -> bool:
    """Say whether an answer is a refusal of the venue's own form, by a code on its list."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return False
    if not isinstance(said, dict):
        return False
    match name:
        case "binance":
            code, text = said.get("code"), said.get("msg")
            ok = type(code) is int and code < 0 and isinstance(text, str)
            listed = ok and str(code) in BINANCE.refused and "duplicate" not in str(text).lower()
            return listed and 400 <= answer.status < 500
        case "bybit":
            code, text = said.get("retCode"), said.get("retMsg")
            ok = type(code) is int and code != 0 and isinstance(text, str)
            listed = ok and str(code) in BYBIT.refused and "duplicate" not in str(text).lower()
        case _:
            errors = said.get("error")
            ok = isinstance(errors, list) and all(isinstance(each, str) for each in errors)
            real = [each for each in errors if not each.startswith("W")] if ok else []
            listed = bool(real) and all(
                matches(KRAKEN.refused, each) and "cl_ord_id" not in each for each in real
            )
    return listed and (answer.status == 200 or 400 <= answer.status < 500)


def named(name: str, answer: Answer, order: Order) -> Any:
    """Return the id that an answer to a create gives, if it is whole and about this order."""
    if answer.status != 200:
        return None
    said = json.loads(answer.body)
    match name:
        case "binance":
            return said["orderId"] if said["clientOrderId"] == order.id else None
        case "bybit":
            result = said["result"]
            return result["orderId"] if result["orderLinkId"] == order.id else None
        case _:
            ids = said["result"]["txid"]
            return ids[0] if isinstance(ids, list) and len(ids) == 1 else None


def send(at: Played, link: CcxtLink, damage: Damage) -> tuple[Order, Answer, Any]:
    """Return an order, the damaged answer, and its new id or the declared error."""
    order = at.ground.order(BTC, Side.BUY, SIZE)
    transport = at.ground.transport
    transport.begin(damage)
    link.asker.__post_init__()  # what a damaged refusal taught about numbers is forgotten
    outcome: Any
    with no_float_becomes_money():
        try:
            outcome = at.run(lambda: link.submit(order))
        except (VenueRejected, OutcomeUnknown) as error:
            outcome = error
    assert len(transport.told) == 1, "an order was sent more or less than once"
    return order, transport.told[0], outcome


def judge(at: Played, link: CcxtLink, damage: Damage) -> None:
    order, answer, outcome = send(at, link, damage)
    name = at.ground.name
    if isinstance(outcome, VenueRejected):
        assert proven(name, answer), f"no proof of a refusal: {answer}"
    elif not isinstance(outcome, OutcomeUnknown):
        assert isinstance(outcome, str)
        assert outcome
        given_id = named(name, answer, order)
        assert type(given_id) is (int if name == "binance" else str)
        assert outcome == str(given_id)


@tries(250)
@given(damages)
@example(in_place(b'{"error":[],"result":{"txid":{"OABC":1}}}'))
@example(in_place(b'{"error":[],"result":{"txid":"O"}}'))
def test_an_order_is_taken_only_by_an_answer_that_names_it(at, damage):
    judge(at, at.sender, damage)


@tries(150)
@given(damages)
def test_a_refusal_is_believed_only_in_the_venues_own_form(at, damage):
    judge(at, at.poor, damage)


@tries(150)
@given(damages)
def test_a_cancel_ends_in_one_of_three_ways(at, damage):
    transport = at.ground.transport
    transport.begin(damage)
    at.reader.asker.__post_init__()
    try:
        at.run(lambda: at.reader.cancel(at.orders[4]))
    except VenueRejected:
        told = transport.told[0]
        assert proven(at.ground.name, told) or any(code in told.body for code in NOT_THERE)
    except OutcomeUnknown:
        pass
    assert len(transport.told) == 1


@pytest.mark.parametrize("whose", ["sender", "poor"])
def test_every_beginning_of_an_answer_to_an_order_proves_nothing(at: Played, whose: str):
    link = getattr(at, whose)
    _, answer, _ = send(at, link, Damage("whole", lambda answer: answer))
    for length in range(len(answer.body)):
        _, _, outcome = send(at, link, cut(length))
        assert isinstance(outcome, OutcomeUnknown), length


def test_a_single_bit_never_makes_a_refusal_of_an_order_that_was_taken(at: Played):
    _, answer, _ = send(at, at.sender, Damage("whole", lambda answer: answer))
    for place in range(len(answer.body)):
        for bit in range(0, 8, 3):
            _, _, outcome = send(at, at.sender, flipped(place, bit))
            assert not isinstance(outcome, VenueRejected)


# --------------------------------------------------------------------------- markets


@tries(12)
@given(damages)
def test_a_damaged_list_of_markets_is_no_list_or_makes_sense(at, damage):
    fresh = ground(at.ground.name)
    fresh.transport.begin(damage)
    try:
        found = at.run(fresh.environment.book)
    except VenueUnavailable:
        return
    for listing in found.by_symbol.values():
        sound(listing.rules)
        assert listing.id
        assert listing.stream_id
        assert min(listing.rules.price_tick, listing.rules.quantity_step) > 0


# ------------------------------------------------------------------ are they able to fail?


def test_these_tests_see_a_parser_that_takes_a_float(at: Played, monkeypatch: pytest.MonkeyPatch):
    from tradefleet.venues import binance, bybit, kraken

    for module in (binance, bybit, kraken):
        monkeypatch.setattr(module, "amount", lambda value: Decimal(value))
    with pytest.raises(AssertionError, match="a float was turned into a decimal"):
        test_a_number_that_came_as_a_float_is_never_used(at, "fills")


def test_these_tests_see_an_answer_without_an_id_that_is_believed(
    at: Played, monkeypatch: pytest.MonkeyPatch
):
    dialect = type(at.ground.environment.dialect)
    monkeypatch.setattr(dialect, "created", lambda *_: "taken")
    with pytest.raises((AssertionError, LookupError, TypeError)):
        judge(
            at,
            at.sender,
            in_place(as_json({"retCode": 0, "retMsg": "", "result": {}, "error": []})),
        )


def test_these_tests_see_a_refusal_that_was_none(at: Played, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tradefleet.venues._ccxt.outcomes.matches", lambda listed, code: True)
    body = {"code": -1, "msg": "?", "retCode": 1, "retMsg": "?", "error": ["EWhat:Ever"]}
    with pytest.raises(AssertionError, match="no proof of a refusal"):
        judge(at, at.poor, Damage("odd", lambda _: Answer(400, {}, as_json(body))))
