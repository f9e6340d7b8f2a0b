"""Whatever comes over a venue's streams, nothing breaks, and only sense is passed on."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.makers import BTC
from tests.properties.damage import ODD_TEXTS, damages, dropped, put
from tests.properties.desks import VENUES, Ground, ground
from tests.properties.effort import tries
from tradefleet.domain.ids import OrderId
from tradefleet.domain.market import Side, Stream, Timeframe
from tradefleet.engine.pace import Priority
from tradefleet.venue import BarSeen, PriceSeen
from tradefleet.venues._ccxt.bells import Bells, Listener, Rope
from tradefleet.venues._ccxt.following import Following
from tradefleet.venues._ccxt.lines import Line
from tradefleet.venues._ccxt.wire import Answer
from venuesim.units import units

LETTERS = frozenset("0123456789abcdef")
TAG = "a1"


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a venue has said over its two streams, and who listens to it here."""

    ground: Ground
    following: Following
    bells: Bells
    rung: list[OrderId] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.ground.name)

    def rope(self) -> Rope:
        """Return a private connection that has just been opened, with one account on it."""
        rope = Rope(self.line(lambda message: None))
        rope.line.hear = partial(self.bells._hear, rope)
        asker = self.ground.link(f"listener {len(self.rung)}").asker
        rope.listeners[TAG] = Listener(
            tag=TAG, asker=asker, news=self.rung.append, open_ids=lambda: ()
        )
        return rope

    def line(self, hear: Any) -> Line:
        return Line(environment=self.ground.environment, url="", name="a stream", hear=hear)


async def heard(name: str) -> Heard:
    made = ground(name)
    environment = made.environment
    await environment.book()
    side = made.venue.sides[environment.mode]
    stream = Stream(name, BTC, Timeframe(60))
    following = await side.market._follow([stream])
    told = Heard(ground=made, following=following, bells=side.bells)
    public = made.desk.connect(
        urlsplit(environment.addresses.public_stream).path, "", told.prices.append, "127.0.0.1"
    )
    assert public is not None
    for text in environment.dialect.subscribe(list(following.followed.values())):
        public.heard(text)
    private = made.desk.connect(
        urlsplit(environment.addresses.private_stream).path, "", told.orders.append, "127.0.0.1"
    )
    assert private is not None
    link = made.link("alice", USDT="10000", BTC="1")
    assert link.asker.credentials is not None
    errand = link.asker.errand(Priority.READ, await environment.book())
    stamp = link.asker.stamp()
    joining = await environment.dialect.join(errand, link.asker.credentials, TAG, stamp)
    for text in joining:
        private.heard(text)
    await link.submit(made.order(BTC, Side.BUY, Decimal("0.01")))
    await link.submit(made.resting(BTC, Decimal("0.004"), Decimal(60000)))
    for price in ("65001", "64990.5", "59000", "65000"):
        made.exchange.tick("BTC/USDT", units(price), units("0.5"))
        made.later(61)
    public.beat(made.clock.now_ms())
    private.beat(made.clock.now_ms())
    return told


@pytest.fixture(scope="module", params=VENUES)
def told(request: pytest.FixtureRequest) -> Iterator[Heard]:
    with asyncio.Runner() as runner:
        yield runner.run(heard(request.param))


def makes_sense(following: Following) -> int:
    """Return how much news waits, all of it possible."""
    news = following.inbox.take()
    for each in news:
        match each:
            case PriceSeen(symbol, quote):
                assert symbol == BTC
                assert type(quote.price) is Decimal
                assert quote.price.is_finite()
                assert quote.price > 0
                assert quote.at.utcoffset() == timedelta(0)
            case BarSeen(_, bar):
                assert bar.low > 0
                assert bar.opened_at.utcoffset() == timedelta(0)
    return len(news)


def test_what_a_venue_says_is_understood(told: Heard):
    for text in told.prices:
        told.following.lines[0]._take(text)
    assert makes_sense(told.following) >= 4

    rope = told.rope()
    for text in told.orders:
        rope.line._take(text)
    assert told.ground.orders == 2
    assert {f"{number:032x}" for number in (1, 2)} <= set(told.rung)


def spoilt(text: str, damage: Any) -> str:
    """Return a message damaged like an answer; a socket passes on what is UTF-8 and no more."""
    return damage(Answer(200, {}, text.encode())).body.decode("utf-8", "replace")


@tries(200)
@given(st.integers(0, 10_000), damages)
@example(1, put(4, "-1"))
def test_a_damaged_price_or_bar_is_left_out_or_makes_sense(told, number, damage):
    text = told.prices[number % len(told.prices)]
    told.following.lines[0]._take(spoilt(text, damage))
    makes_sense(told.following)


@tries(150)
@given(st.integers(0, 10_000), damages)
@example(0, dropped(1))
def test_a_damaged_word_of_an_order_rings_for_nothing_that_is_not_ours(told, number, damage):
    rope = told.rope()
    told.rung.clear()
    for text in told.orders[:1]:
        rope.line._take(text)  # joined
    text = told.orders[number % len(told.orders)]
    rope.line._take(spoilt(text, damage))
    for order_id in told.rung:
        assert isinstance(order_id, str)
        assert len(order_id) == 32
        assert set(order_id) <= LETTERS


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_prices_and_times_are_no_news(told: Heard, text: str):
    """Every text that is strange, in every place of every message."""
    for whole in told.prices:
        count = len(json.dumps(json.loads(whole)).split(":"))
        for number in range(count + 4):
            told.following.lines[0]._take(spoilt(whole, put(number, text)))
    makes_sense(told.following)


# ------------------------------------------------------------------ are they able to fail?


def test_these_tests_see_a_price_that_is_none(told: Heard, monkeypatch: pytest.MonkeyPatch):
    from tradefleet.venues import binance, bybit, kraken
    from tradefleet.venues._ccxt.amounts import amount

    for module in (binance, bybit, kraken):
        monkeypatch.setattr(module, "positive", amount)
    with pytest.raises(AssertionError):
        test_odd_prices_and_times_are_no_news(told, "-1")
        test_odd_numbers_are_no_news(told)


def test_odd_numbers_are_no_news(told: Heard):
    for whole in told.prices:
        for number in range(40):
            for value in (0, -1, -0.5):
                told.following.lines[0]._take(spoilt(whole, put(number, value)))
    makes_sense(told.following)
