"""Loop G: the daily statement finds what balances cannot show, says so once, and goes on."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.makers import ETH
from tests.runtime.live_rig import ALICE, Ground, Running, enter
from tests.runtime.real_rig import (
    HERE,
    RealLink,
    agrees,
    books,
    entries,
    halt_of,
    real_ground,
    watched,
)
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.limits import Halt
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order
from tradefleet.domain.statement import EntryKind
from tradefleet.engine.statement import Comparison
from tradefleet.runtime import reconciliation
from tradefleet.runtime.statement import DailyStatement
from tradefleet.venue import StatementNotPossible

HOUR, DAY = 3600, 86_400


@pytest.fixture(autouse=True)
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days pass here: who looks at what is due does so every few seconds, not every second."""
    monkeypatch.setattr(reconciliation, "TICK", 6.0)


@pytest.fixture
async def ground() -> Ground:
    ground = await real_ground()
    ground.theatre.say(5, enter(95, "0.1"))
    return ground


@pytest.fixture
async def running(ground: Ground) -> AsyncIterator[Running]:
    async with watched(ground) as running:
        await ground.clock.pass_by(240)  # the opening is booked
        yield running


def link_of(ground: Ground) -> RealLink:
    link = ground.link()
    assert isinstance(link, RealLink)
    return link


def statement_of(running: Running) -> DailyStatement:
    made: DailyStatement = running.node.reconciliation.statement
    return made


async def bought(running: Running) -> Order:
    await running.bar(5)
    await running.price(100)
    order = running.ground.link().submitted[-1]
    await running.ground.link().fill(order, 100)
    return order


async def pass_by(ground: Ground, seconds: float) -> None:
    """Let time pass, ten minutes at once."""
    for _ in range(int(seconds // 600)):
        await ground.clock.pass_by(600)


async def next_statement(running: Running, within: float = 38 * HOUR) -> Comparison:
    """Return the next statement of the account here."""
    latest = statement_of(running).latest
    before = latest.get(HERE)
    for _ in range(int(within // 600)):
        await running.ground.clock.pass_by(600)
        found = latest.get(HERE)
        if found is not None and found is not before:
            return found
    raise AssertionError("there was no statement")


# ------------------------------------------------------------------ what agrees


async def test_a_day_of_trades_payments_and_other_hands_agrees_to_the_unit(ground, running):
    await bought(running)
    link = link_of(ground)
    await ground.clock.pass_by(400)
    link.change("USDT", 60)
    await ground.clock.pass_by(400)
    link.trade(Side.BUY, "0.5")
    link.change("BNB", "-0.25", EntryKind.OTHER)
    await ground.clock.pass_by(400)
    link.change("BNB", "0.3", EntryKind.REBATE)
    found = await next_statement(running)
    assert found.agrees
    assert found.differing == ()
    assert (found.trades, found.others) == (2, 0)
    assert {(row.kind, row.asset) for row in found.explained} == {
        (EntryKind.DEPOSIT, "USDT"),
        (EntryKind.OTHER, "BNB"),
        (EntryKind.REBATE, "BNB"),
    }
    assert await halt_of(ground) is Halt.RUN
    await agrees(ground)


async def test_what_came_from_outside_is_named_in_the_books_once(ground, running):
    link_of(ground).change("USDT", 50)
    await pass_by(ground, 2 * DAY + 6 * HOUR)
    (named,) = await entries(ground, "explained:deposit")
    assert [(each.asset, abs(each.amount)) for each in named.postings] == [("USDT", 50)] * 2
    assert len(await entries(ground, "statement")) == 3
    await agrees(ground)


async def test_it_is_made_once_a_day_and_a_restart_makes_it_no_sooner(ground):
    async with watched(ground) as running:
        await ground.clock.pass_by(240)
        await bought(running)
        await next_statement(running)
        link = link_of(ground)
        assert link.statements == 1
    for number in range(2, 6):
        async with watched(ground, f"host-{number}"):
            await pass_by(ground, 2 * HOUR)
    assert link.statements == 1
    async with watched(ground, "host-9"):
        await pass_by(ground, 20 * HOUR)
    assert link.statements == 2
    (_, first, second) = await entries(ground, "statement")
    assert second.booked_at - first.booked_at > timedelta(hours=20)


async def test_what_happened_while_no_host_ran_is_in_the_next_one(ground):
    async with watched(ground) as running:
        await ground.clock.pass_by(240)
        await bought(running)
    link = link_of(ground)
    await ground.clock.pass_by(10 * HOUR)
    link.trade(Side.BUY, "0.5")
    link.change("USDT", 5)
    await ground.clock.pass_by(30 * HOUR)
    async with watched(ground, "host-2") as running:
        found = await next_statement(running, 3 * HOUR)
        assert found.agrees
        assert found.trades + found.others == 2
        await agrees(ground)


async def test_a_pair_that_was_removed_meanwhile_is_asked_for_too(ground, running):
    await bought(running)
    check = running.node.reconciliation.watches[ALICE, HERE].check
    await pass_by(ground, 20 * HOUR)
    (bot,) = check.bots
    gone, bot.engine.spec = bot.engine.spec, replace(bot.engine.spec, symbol=ETH)
    assert check.symbols == [ETH]
    await pass_by(ground, 10 * HOUR)
    bot.engine.spec = gone
    found = statement_of(running).latest[HERE]
    assert (found.agrees, found.trades) == (True, 1)


async def test_the_first_one_begins_when_books_and_balances_agreed_first(ground):
    async with watched(ground) as running:
        assert running.user().books[HERE].begun is None
        await ground.clock.pass_by(240)
        assert await entries(ground, "opening") == []
        (mark,) = await entries(ground, "statement")
        assert running.user().books[HERE].begun == mark.booked_at
        await ground.clock.pass_by(600)
        assert len(await entries(ground, "statement")) == 1


# ------------------------------------------------------------------ what is found


async def test_a_fill_that_was_papered_over_is_found_told_and_stops_entries(ground, running):
    """Nobody books it, and the difference is booked: by then the balances agree."""
    order = await bought(running)
    await ground.clock.pass_by(400)
    link = link_of(ground)
    lost = replace(link.orders[order.id].fills[0], id="V1-lost", filled_at=ground.clock.now())
    link._book(lost)
    await ground.clock.pass_by(600)  # the difference is booked
    link.orders[order.id].fills.append(lost)
    running.user().books[HERE].know(lost.id)  # what a bug in the books would do
    await agrees(ground)
    async with ground.store.open(ALICE) as store:
        for switch in await store.switches():
            await store.set_switch(replace(switch, halt=Halt.RUN, reason="seen"))
    found = await next_statement(running)
    assert [(each.trade_id, each.trouble.name) for each in found.troubles] == [("V1-lost", "LOST")]
    assert found.differing == ()
    assert await halt_of(ground) is Halt.STOP
    told = [text for text in await ground.told() if "daily statement" in text]
    assert len(told) == 1
    assert "trade V1-lost of" in told[0]
    assert "is missing in our books" in told[0]
    assert running.node.readings()["statements_that_disagree"].value == 1
    await next_statement(running)
    assert len([text for text in await ground.told() if "daily statement" in text]) == 1
    assert statement_of(running).latest[HERE].agrees
    await agrees(ground)


async def test_a_fee_the_venue_took_in_another_asset_is_found(ground, running):
    order = await bought(running)
    link = link_of(ground)
    number = link.orders[order.id].number
    (fill,) = link.orders[order.id].fills
    link.orders[order.id].fills[0] = replace(fill, fee_asset="BTC", fee=Decimal("0.0001"))
    link._move("USDT", fill.fee)
    link._move("BTC", Decimal("-0.0001"))
    found = await next_statement(running)
    assert [(each.trade_id, each.trouble.name) for each in found.troubles] == [
        (f"{number}-1", "WRONG_FEE")
    ]
    assert await halt_of(ground) is Halt.STOP


async def test_what_no_list_of_the_venue_shows_is_no_alarm_where_the_venue_hides_it(
    ground, running
):
    link = link_of(ground)
    link.hidden = ("Earn",)
    link._move("USDT", 7)
    found = await next_statement(running)
    assert [line.asset for line in found.differing] == ["USDT"]
    assert await halt_of(ground) is Halt.RUN


async def test_where_the_venue_shows_everything_it_is_one(ground, running):
    link_of(ground)._move("USDT", 7)
    await next_statement(running)
    assert await halt_of(ground) is Halt.STOP
    (told,) = [text for text in await ground.told() if "daily statement" in text]
    assert "USDT moved by 0 there and by 7 in our books" in told


# ------------------------------------------------------------------ what gets in the way


async def test_without_the_right_it_is_not_possible_and_no_alarm(ground, running, caplog):
    link = link_of(ground)
    link.statement_error = StatementNotPossible("the key lacks the right “Query Ledger Entries”")
    with caplog.at_level(logging.INFO, "tradefleet.runtime.statement"):
        await pass_by(ground, 29 * HOUR)
        check = running.node.reconciliation.watches[ALICE, HERE].check
        assert await statement_of(running).make(check, 0) == DAY
    said = [each.message for each in caplog.records if "not possible" in each.message]
    assert len(said) == 1
    assert "Query Ledger Entries" in said[0]
    assert await halt_of(ground) is Halt.RUN
    assert await ground.told() == []
    assert running.node.reconciliation.in_trouble == 0
    link.statement_error = None
    assert await statement_of(running).make(check, 0) > HOUR
    assert statement_of(running).latest[HERE].agrees
    assert statement_of(running).not_possible == {}


async def test_a_ledger_that_cannot_be_had_keeps_nothing_else_waiting(ground, running):
    link = link_of(ground)
    link.statement_error = VenueUnavailable("the list Ledgers has no end")
    await pass_by(ground, 30 * HOUR)
    assert link.statements > 2
    assert running.node.reconciliation.in_trouble == 0
    calls = link.balance_calls
    await ground.clock.pass_by(600)
    assert link.balance_calls >= calls + 5
    link.statement_error = None
    assert (await next_statement(running, HOUR)).agrees


async def test_it_ends_at_a_moment_when_nothing_happened(ground, running):
    await bought(running)
    found = await next_statement(running)
    times = [fill.filled_at for each in link_of(ground).orders.values() for fill in each.fills]
    assert all(abs(found.until - time) > timedelta(seconds=2) for time in times)
    assert ground.clock.now() - found.until >= timedelta(minutes=2)
    assert (await books(ground)).everything()["USDT"] == 0
