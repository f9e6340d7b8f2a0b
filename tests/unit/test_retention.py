"""What was kept long enough goes, in small steps, once a day; the rest stays."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from tests.makers import START, after_start
from tests.store_rig import ALICE, account, batch, bot, order_of, register, take
from tradefleet.domain.effects import Decided, Notify, OrderPlaced, Topic, TradeClosed
from tradefleet.domain.market import Symbol
from tradefleet.domain.position import Trade
from tradefleet.operations.privacy import retention
from tradefleet.operations.privacy.retention import Retention
from tradefleet.stores.sql.tables import METADATA

YEARS = {"trades": timedelta(days=730), "decisions": timedelta(days=365)}
OLD, NEW = START - timedelta(days=731), START - timedelta(days=729)


def trade(number: int, at) -> Trade:
    return Trade(
        id=f"t{number}",
        user_id=ALICE,
        account_id=account(ALICE).id,
        bot_id=bot(ALICE).id,
        symbol=Symbol.parse("BTC/USDT"),
        opened_at=at - timedelta(hours=1),
        closed_at=at,
        quantity=1,
        entry_price=1,
        exit_price=1,
        gross_pnl=0,
        fees=0,
        exit_reason="stop",
    )


@dataclass
class Watched:
    """A clock that says how often it slept, and how long each transaction took."""

    inner: object
    took: list[float]
    slept: int = 0
    ticks: int = 0

    def now(self):
        return self.inner.now()

    def monotonic(self) -> float:
        self.ticks += 1
        if self.ticks % 2:
            return 0.0
        return self.took.pop(0) if self.took else 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1


def clearing(store, clock, **ages) -> Retention:
    return Retention(
        store=store, records=store.records, clock=clock, ages={**YEARS, **ages}, owner="here"
    )


@pytest.fixture
async def filled(sql_store):
    """Trades, decisions and an order on either side of their time."""
    await register(sql_store, ALICE, bot(ALICE))
    lease = (await take(sql_store))[ALICE]
    trades = [trade(n, OLD) for n in range(30)] + [trade(n, NEW) for n in range(30, 35)]
    records = [TradeClosed(each) for each in trades]
    records += [
        Decided(bot(ALICE).id, ALICE, OLD + timedelta(minutes=n), "no", "g", "r") for n in range(7)
    ]
    records.append(Decided(bot(ALICE).id, ALICE, after_start(minutes=1), "no", "g", "r"))
    records.append(OrderPlaced(order_of(bot(ALICE), decided_at=OLD)))
    assert await sql_store.write([batch(lease, *records)]) == [None]
    return sql_store


async def test_the_old_goes_and_the_rest_stays(filled, clock):
    job = clearing(filled, clock)
    looked = {each.aging.table: each.rows for each in await job.look()}
    assert looked == {
        **dict.fromkeys(looked, 0),
        "trades": 30,
        "decisions": 7,
    }
    removed = await job.remove()
    assert {each.aging.table: each.rows for each in removed} == {"trades": 30, "decisions": 7}
    async with filled.open(ALICE, reading=True) as own:
        assert {each.id for each in await own.trades()} == {f"t{n}" for n in range(30, 35)}
        assert len(await own.decisions(bot(ALICE).id)) == 1
        assert len(await own.orders()) == 1  # append-only: kept, however old
    assert await job.remove() == []
    (line,) = [each for each in await filled.audits.page(5) if each.action == "retention"]
    assert line.asked == {"trades": 30, "decisions": 7}


async def test_what_is_kept_for_ever_is_not_looked_at(filled, clock):
    job = replace(clearing(filled, clock), ages={})
    assert await job.look() == []
    assert await job.remove() == []


async def test_notices_go_when_they_were_sent_and_not_before(sql_store, clock):
    await register(sql_store, ALICE)
    async with sql_store.open(ALICE) as own:
        for text in ("sent", "waits"):
            await own.notify(Notify(ALICE, Topic.SYSTEM, text, OLD))
    first, _ = await sql_store.due_notices(now=START, limit=5)
    await sql_store.notice_sent([first.id], now=START)
    removed = await clearing(sql_store, clock, notices=timedelta(days=30)).remove()
    assert [(each.aging.table, each.rows) for each in removed] == [("outbox", 1)]
    (left,) = await sql_store.due_notices(now=START, limit=5)
    assert left.notice.text == "waits"


async def test_steps_become_smaller_when_they_take_long(filled, clock, monkeypatch):
    monkeypatch.setattr(retention, "STEP_FIRST", 20)
    watched = Watched(clock, took=[0.2, 0.2, 0.2])
    job = clearing(filled, watched)
    job._step = 20
    steps = []
    remove = filled.records.remove

    async def noted(old, before):
        steps.append(len(old.keys))
        return await remove(old, before)

    monkeypatch.setattr(type(filled.records), "remove", lambda self, *given: noted(*given))
    await job.remove()
    assert steps[:2] == [20, 10]
    assert watched.slept == len(steps)  # others write in between


async def test_it_is_done_once_a_day_by_one_process(filled, clock):
    first, second = clearing(filled, clock), replace(clearing(filled, clock), owner="there")
    assert await first.turn() is not None
    assert await second.turn() is None
    assert await first.turn() is None
    clock.move_to(clock.now() + timedelta(days=1))
    assert await second.turn() == []


async def test_figures_of_the_service_go_after_a_month(sql_store, clock):
    table = METADATA.tables["system_metrics"]
    rows = [{"at": at, "name": "cpu", "value": 1.0, "labels": {}} for at in (OLD, START)]
    async with sql_store._writing() as connection:
        await connection.execute(insert(table), rows)
    removed = await clearing(sql_store, clock, system_metrics=timedelta(days=30)).remove()
    assert [(each.aging.table, each.rows) for each in removed] == [("system_metrics", 1)]
