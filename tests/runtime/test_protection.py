"""A position that nothing protects is noticed, counted by the second, and mended if we can."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.makers import BTC
from tests.runtime.live_rig import Answer, Ground, Running, enter
from tests.runtime.real_rig import HERE, real_ground
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order, OrderKind, OrderState, Purpose
from tradefleet.runtime.protection import ProtectionAudit


@pytest.fixture
async def ground() -> Ground:
    ground = await real_ground()
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


@pytest.fixture
async def running(ground: Ground):
    async with ground.host() as running:
        await running.bar(0)
        await running.price(100)
        yield running
        running.user().gone = True


async def bought(running: Running) -> None:
    await running.ground.link().fill(running.ground.link().submitted[-1], 100)
    running.feed.prices[BTC] = running.ground.clock.now()


def audit_of(running: Running) -> ProtectionAudit:
    return running.node.protection


async def later(running: Running, seconds: float) -> None:
    running.ground.clock._now += timedelta(seconds=seconds)
    audit_of(running).audit()


async def test_a_bot_without_a_position_needs_no_protection(running):
    audit_of(running).audit()
    assert audit_of(running).bare == {}


async def test_a_stop_that_a_host_watches_fresh_prices_for_protects(running):
    await bought(running)
    audit_of(running).audit()
    await later(running, 30)
    assert (audit_of(running).bare, audit_of(running).seconds[HERE]) == ({}, 0)


async def test_a_stop_that_nobody_watches_is_counted_and_watched_from_then_on(running, caplog):
    await bought(running)
    audit = audit_of(running)
    audit.audit()
    book, bot = running.host.books["paper", BTC], running.bot()
    book.clear(bot.id)
    await later(running, 10)
    assert set(audit.bare) == {bot.id}
    assert (audit.seconds[HERE], audit.longest) == (10, 10)
    assert "is not watched" in caplog.text
    assert book.stop_of(bot.id) == 95
    await later(running, 10)
    assert (audit.bare, audit.seconds[HERE]) == ({}, 10)


async def test_without_fresh_prices_a_stop_of_ours_protects_nothing(running):
    await bought(running)
    audit = audit_of(running)
    audit.audit()
    running.feed.stale = {BTC}
    await later(running, 70)
    assert audit.seconds[HERE] == 70, "since the last price came"
    await later(running, 10)
    assert (audit.seconds[HERE], audit.longest) == (80, 80)
    running.feed.stale = set()
    await later(running, 10)
    assert (audit.bare, audit.seconds[HERE], audit.longest) == ({}, 80, 80)


async def test_a_venue_without_a_feed_protects_nothing_from_here(running):
    await bought(running)
    audit = ProtectionAudit(host=running.host, feeds={})
    audit.audit()
    running.ground.clock._now += timedelta(seconds=10)
    audit.audit()
    assert audit.seconds[HERE] == 10


def sell(running: Running, **changes: object) -> Order:
    """Put a sell of the whole position on the bot's list."""
    bot = running.bot()
    held = bot.engine.position.quantity
    bought = next(iter(running.ground.link().orders.values())).order
    order = replace(
        bought,
        id="the sell",
        seq=2,
        side=Side.SELL,
        purpose=Purpose.EXIT,
        quantity=held,
        sent_at=running.ground.clock.now(),
        **{"state": OrderState.OPEN, **changes},
    )
    bot.engine.working[order.id] = order
    return order


async def test_a_stop_resting_at_the_venue_protects_without_any_price(running):
    await bought(running)
    sell(running, kind=OrderKind.RESTING_STOP)
    running.feed.stale = {BTC}
    await later(running, 100)
    assert audit_of(running).bare == {}


@pytest.mark.parametrize("state", [OrderState.SENDING, OrderState.UNKNOWN])
async def test_a_resting_stop_that_may_not_be_there_leaves_it_to_the_hosts_prices(running, state):
    await bought(running)
    sell(running, kind=OrderKind.RESTING_STOP, state=state)
    await later(running, 10)
    await later(running, 10)
    assert audit_of(running).seconds[HERE] == 0
    running.feed.stale = {BTC}
    await later(running, 10)
    assert audit_of(running).seconds[HERE] > 0


async def test_what_is_being_sold_needs_no_stop(running):
    await bought(running)
    sell(running)
    await later(running, 100)
    assert audit_of(running).bare == {}


async def test_a_sell_of_which_nobody_knows_leaves_the_position_bare_since_it_was_sent(
    ground, running
):
    await bought(running)
    ground.link().answers.append(Answer.LOSE_REQUEST)
    await running.price(94)
    audit_of(running).audit()
    await later(running, 7)
    await later(running, 5)
    assert (audit_of(running).seconds[HERE], audit_of(running).longest) == (12, 12)


async def test_a_node_counts_positions_that_are_bare_and_says_for_how_long(running):
    await bought(running)
    running.feed.stale = {BTC}
    audit_of(running).audit()
    await later(running, 7)
    found = running.node.readings()
    assert found["unprotected_positions"].value == 1
    assert found["unprotected_positions"].detail == running.bot().id
    assert found["unprotected_s"].value >= 7
    assert found["accounts_not_compared"].value == 0
