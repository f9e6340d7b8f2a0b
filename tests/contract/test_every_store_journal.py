"""What holds for every store's journal: all or nothing per batch, fenced, exact, idempotent."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tests.makers import BTC, ETH, START, after_start, fill
from tests.store_rig import (
    ALICE,
    BOB,
    LATE,
    LONG,
    UNIT,
    account,
    batch,
    booked,
    bot,
    flat,
    full_memory,
    full_order,
    order_of,
    register,
    take,
    write,
)
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import (
    BotStatusChanged,
    Decided,
    EntryBooked,
    GuardChanged,
    MemoryChanged,
    Notify,
    OrderChanged,
    OrderPlaced,
    Topic,
    TradeClosed,
)
from tradefleet.domain.errors import LeaseLost
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory, Halt, Scope, Switch
from tradefleet.domain.order import CancelState, OrderState, Side
from tradefleet.domain.position import Trade
from tradefleet.store import ABSENT_WATCHED, BatchRefused, KillSwitched, ReplayRun

OWN, OTHER = bot(ALICE), bot(ALICE, 2, symbol=ETH)
GUARD = GuardMemory(
    user_id=ALICE,
    day=date(2026, 1, 2),
    entries_today=3,
    realized_today=-LONG,
    month="2026-01",
    realized_month=UNIT,
    realized_total=LONG,
    losses_in_row=2,
    peak_equity=LONG + UNIT,
    last_entry_at=START,
    circuit_open_until=LATE,
    circuit_reason="daily loss",
    paused_reason="drawdown",
    today_base=UNIT,
    month_base=-LONG,
    peak_allocations=LONG,
)
TRADE = Trade(
    id="t1",
    user_id=ALICE,
    account_id=OWN.account_id,
    bot_id=OWN.id,
    symbol=BTC,
    opened_at=START,
    closed_at=LATE,
    quantity=UNIT,
    entry_price=LONG,
    exit_price=LONG + UNIT,
    gross_pnl=-LONG,
    fees=UNIT,
    exit_reason="stop",
)


def sent(order, **changes):
    """Return order once it is armed."""
    given = {
        "state": OrderState.SENDING,
        "epoch": 1,
        "sent_at": after_start(seconds=1),
        "deadline": after_start(seconds=6),
        **changes,
    }
    return replace(order, **given)


@pytest.fixture
async def lease(store):
    """Alice with two bots, run by "host"."""
    await register(store, ALICE, OWN, OTHER)
    return (await take(store))[ALICE]


async def orders_of(store, **which):
    async with store.open(ALICE, reading=True) as own:
        return list(await own.orders(**which))


# ---- every kind comes back exactly


async def test_an_order_comes_back_as_it_was_placed(store, lease):
    plain, full = order_of(OWN), full_order(OTHER)
    await write(store, lease, OrderPlaced(plain), OrderPlaced(full))
    assert await orders_of(store) == [plain, full]
    assert await orders_of(store, bot_id=OTHER.id) == [full]
    assert (await store.load_user(ALICE)).working_orders == [plain, full]


async def test_an_order_comes_back_as_it_was_changed(store, lease):
    await write(store, lease, OrderPlaced(order_of(OWN)))
    changed = order_of(
        OWN,
        state=OrderState.CLOSING,
        cancel=CancelState.CANCELING,
        filled=UNIT,
        venue_filled=LONG,
        venue_order_id="V",
        epoch=9,
        sent_at=START,
        deadline=LATE,
        negatives=2,
        note="note",
    )
    await write(store, lease, OrderChanged(changed))
    assert await orders_of(store) == [changed]


async def test_fills_and_entries_come_back_exactly(store, lease):
    first = replace(fill(LONG, UNIT, id="f2"), cost=LONG, fee=UNIT, fee_quote=LONG)
    second = fill(UNIT, 1, Side.SELL, id="f1", fee=1, fee_asset="BNB", at=LATE)
    await write(store, lease, OrderPlaced(order_of(OWN)), booked(second, OWN), booked(first, OWN))
    async with store.open(ALICE) as own:
        assert await own.fills(["o1", "other"]) == [first, second]
        assert await own.fills([]) == []
        expected = [booked(first, OWN).entry, booked(second, OWN).entry]
        assert await own.entries() == expected
        assert await own.entries("elsewhere") == []
    assert (await store.load_user(ALICE)).fill_ids == {"f1": "o1", "f2": "o1"}


async def test_an_entry_that_is_no_fill_of_ours_is_kept_once_and_fenced(store, lease):
    done = fill(LONG, UNIT, Side.SELL, id="x1", fee=UNIT, fee_asset="BNB")
    mine = account(ALICE).id
    entry = LedgerEntry.of_external_trade(
        done, user_id=ALICE, account_id=mine, place="external:own"
    )
    await write(store, lease, EntryBooked(entry))
    await write(store, lease, EntryBooked(entry))
    async with store.open(ALICE) as own:
        assert await own.entries(mine) == [entry]
    later = EntryBooked(replace(entry, id="later"))
    (stale,) = await store.write([batch(replace(lease, epoch=lease.epoch - 1), later)])
    assert isinstance(stale, LeaseLost)
    (foreign,) = await store.write([batch(lease, EntryBooked(replace(entry, user_id=BOB)))])
    assert isinstance(foreign, BatchRefused)
    async with store.open(ALICE) as own:
        assert await own.entries(mine) == [entry]


async def test_trades_come_back_exactly_the_latest_oldest_first(store, lease):
    trades = [replace(TRADE, id=f"t{n}", closed_at=after_start(days=n)) for n in range(5)]
    other = replace(TRADE, id="other", bot_id=OTHER.id, symbol=ETH)
    await write(store, lease, *map(TradeClosed, reversed([*trades, other])))
    async with store.open(ALICE) as own:
        assert await own.trades(bot_id=OWN.id) == trades
        assert await own.trades(bot_id=OWN.id, limit=2) == trades[3:]
        assert await own.trades(bot_id=OWN.id, since=after_start(days=3)) == trades[3:]
        assert await own.trades(since=LATE, limit=2) == [other, trades[4]]


async def test_a_memory_comes_back_exactly_with_and_without_position(store, lease):
    full = full_memory(OWN)
    own_guard = replace(full, guard=GUARD)
    for memory in (full, own_guard, flat(own_guard), full):
        await write(store, lease, MemoryChanged(memory))
        assert (await store.load_user(ALICE)).memories[OWN.id] == memory
        async with store.open(ALICE) as own:
            assert (await own.memories())[OWN.id] == memory


async def test_of_memories_written_together_the_last_counts(store, lease):
    full = full_memory(OWN)
    await write(store, lease, MemoryChanged(flat(full)), MemoryChanged(full))
    assert (await store.load_user(ALICE)).memories[OWN.id] == full
    await write(store, lease, MemoryChanged(full), MemoryChanged(flat(full)))
    assert (await store.load_user(ALICE)).memories[OWN.id] == flat(full)


async def test_the_guards_memory_comes_back_exactly(store, lease):
    for guard in (GuardMemory(user_id=ALICE), GUARD):
        await write(store, lease, GuardChanged(guard))
        assert (await store.load_user(ALICE)).guard == guard
        async with store.open(ALICE) as own:
            assert await own.guard() == guard


async def test_a_bot_is_set_aside(store, lease):
    await write(store, lease, BotStatusChanged(OWN.id, ALICE, BotStatus.SET_ASIDE, "it failed"))
    async with store.open(ALICE) as own:
        expected = replace(OWN, status=BotStatus.SET_ASIDE, note="it failed")
        assert await own.bots() == [expected, OTHER]


async def test_decisions_come_back_the_latest_oldest_first(store, lease):
    made = [
        Decided(OWN.id, ALICE, after_start(minutes=n), "denied", "daily_loss", f"reason {n}")
        for n in range(30)
    ]
    other = Decided(OTHER.id, ALICE, START, "entered", "", "")
    await write(store, lease, *made, other)
    async with store.open(ALICE) as own:
        assert await own.decisions(OWN.id) == made[10:]
        assert await own.decisions(OWN.id, limit=1) == made[29:]
        assert await own.decisions(OTHER.id) == [other]


async def test_a_notice_goes_to_the_outbox(store, lease):
    notice = Notify(ALICE, Topic.FILL, "bought", after_start(seconds=1), priority=1)
    await write(store, lease, notice, notice)
    (first, second) = await store.due_notices(now=LATE, limit=10)
    assert first.notice == second.notice == notice
    assert first.id != second.id


async def test_a_run_is_kept_with_the_batches_or_alone(store, lease):
    assert await store.replay_run("r1") is None
    run = ReplayRun(id="r1", fingerprint="f", cursor=None, finished=False)
    await store.save_run(run)
    assert await store.replay_run("r1") == run
    moved = replace(run, cursor=(LATE, 3), finished=True)
    records = (OrderPlaced(order_of(OWN)),)
    assert await store.write([batch(lease, *records)], run=moved) == [None]
    assert await store.replay_run("r1") == moved
    assert await store.write([], run=run) == []
    assert await store.replay_run("r1") == run


# ---- many at once


async def test_a_group_of_any_size_is_kept_whole(store, lease):
    expected = []
    for size in (1, 2, 3, 7, 24, 47, 97, 300, 1500):
        group = [
            order_of(
                OWN, f"{size}-{n:04}", seq=n, decided_at=after_start(seconds=len(expected) + n)
            )
            for n in range(size)
        ]
        expected += group
        records = [record for o in group for record in (OrderPlaced(o), OrderChanged(sent(o)))]
        await write(store, lease, *records)
    assert await orders_of(store, limit=10_000) == [sent(o) for o in expected]
    assert await orders_of(store, limit=5) == [sent(o) for o in expected[-5:]]


async def test_the_steps_of_an_order_may_be_written_together(store, lease):
    placed = order_of(OWN)
    opened = replace(sent(placed), state=OrderState.OPEN, venue_order_id="V")
    done = replace(opened, state=OrderState.DONE, filled=Decimal(1))
    records = [OrderPlaced(placed), OrderChanged(sent(placed)), OrderChanged(opened)]
    await write(store, lease, *records, booked(fill(), OWN), OrderChanged(done))
    assert await orders_of(store) == [done]
    assert (await store.load_user(ALICE)).working_orders == []


async def test_working_and_lately_absent_orders_are_loaded(store, lease):
    states = [
        order_of(OWN, state.value, state=state, decided_at=after_start(seconds=n))
        for n, state in enumerate(OrderState)
    ]
    absent = [
        order_of(OWN, f"a{n:03}", state=OrderState.ABSENT, decided_at=after_start(minutes=n))
        for n in range(1, ABSENT_WATCHED + 10)
    ]
    await write(store, lease, *map(OrderPlaced, states + absent))
    loaded = (await store.load_user(ALICE)).working_orders
    assert loaded == [o for o in states if o.is_working] + absent[-ABSENT_WATCHED:]
    assert len(await orders_of(store, limit=1000)) == len(states) + len(absent)


# ---- written twice


async def test_what_is_written_twice_is_kept_once(store, lease):
    records = (
        OrderPlaced(order_of(OWN)),
        booked(fill(), OWN),
        TradeClosed(TRADE),
        MemoryChanged(full_memory(OWN)),
        GuardChanged(GUARD),
        Decided(OWN.id, ALICE, START, "entered", "", "why"),
    )
    await write(store, lease, *records)
    await write(store, lease, *records)
    async with store.open(ALICE) as own:
        assert await own.orders() == [order_of(OWN)]
        assert await own.fills(["o1"]) == [fill()]
        assert await own.entries() == [booked(fill(), OWN).entry]
        assert await own.trades() == [TRADE]
        assert len(await own.decisions(OWN.id)) == 1


async def test_an_order_placed_again_does_not_undo_its_changes(store, lease):
    placed = order_of(OWN)
    await write(store, lease, OrderPlaced(placed), OrderChanged(sent(placed)))
    await write(store, lease, OrderPlaced(placed))
    assert await orders_of(store) == [sent(placed)]


# ---- one send per order


async def test_an_order_is_armed_once_ever(store, lease):
    placed = order_of(OWN)
    await write(store, lease, OrderPlaced(placed), OrderChanged(sent(placed)))
    later = sent(placed, sent_at=after_start(seconds=2))
    for again in (sent(placed), later, sent(placed, epoch=2)):
        with pytest.raises(BatchRefused):
            await write(store, lease, OrderChanged(again))
    assert await orders_of(store) == [sent(placed)]


@pytest.mark.parametrize("state", [s for s in OrderState if s is not OrderState.CREATED])
async def test_an_order_that_got_further_is_not_sent_again(store, lease, state):
    placed = order_of(OWN, state=state)
    await write(store, lease, OrderPlaced(placed))
    with pytest.raises(BatchRefused):
        await write(store, lease, OrderChanged(sent(placed)))
    assert await orders_of(store) == [placed]


async def test_an_order_armed_twice_in_one_batch_is_refused(store, lease):
    placed = order_of(OWN)
    with pytest.raises(BatchRefused):
        armed = OrderChanged(sent(placed))
        await write(store, lease, OrderPlaced(placed), armed, armed)
    assert await orders_of(store) == []


async def test_an_order_being_sent_can_be_cancelled_looked_up_and_filled(store, lease):
    placed = order_of(OWN)
    await write(store, lease, OrderPlaced(placed), OrderChanged(sent(placed)))
    for changes in (
        {"cancel": CancelState.CANCELING},
        {"cancel": CancelState.CANCELING, "negatives": 1},
        {"cancel": CancelState.UNKNOWN, "negatives": 1, "filled": UNIT},
    ):
        await write(store, lease, OrderChanged(sent(placed, **changes)))
        assert await orders_of(store) == [sent(placed, **changes)]


async def test_an_order_that_is_not_there_cannot_change(store, lease):
    with pytest.raises(BatchRefused):
        await write(store, lease, OrderChanged(sent(order_of(OWN))))
    with pytest.raises(BatchRefused):
        await write(store, lease, booked(fill(), OWN))


# ---- one batch does not spoil another


async def test_a_refused_batch_leaves_nothing_and_the_others_are_kept(store, lease):
    await register(store, BOB, bot(BOB))
    bobs = (await take(store))[BOB]
    good, bad = order_of(OWN, "good"), order_of(OWN, "bad")
    strange = replace(order_of(bot(BOB), "strange"), bot_id="no such bot")
    errors = await store.write(
        [
            batch(lease, OrderPlaced(good)),
            batch(lease, OrderPlaced(bad), OrderChanged(order_of(OWN, "missing"))),
            batch(bobs, OrderPlaced(order_of(bot(BOB), "bobs"))),
            batch(bobs, OrderPlaced(strange)),
            batch(lease, MemoryChanged(full_memory(OTHER))),
        ]
    )
    kinds = [type(error) for error in errors]
    assert kinds == [type(None), BatchRefused, type(None), BatchRefused, type(None)]
    assert await orders_of(store) == [good]
    assert (await store.load_user(ALICE)).memories[OTHER.id] == full_memory(OTHER)
    assert [o.id for o in (await store.load_user(BOB)).working_orders] == ["bobs"]


FOREIGN = {
    "order": OrderPlaced(order_of(bot(BOB), "o2")),
    "order of another's bot": OrderPlaced(order_of(bot(BOB), "o2", user_id=ALICE)),
    "change": OrderChanged(order_of(bot(BOB), "bobs", note="changed")),
    "change under our name": OrderChanged(order_of(bot(BOB), "bobs", user_id=ALICE, note="x")),
    "fill": booked(fill(order_id="bobs"), bot(BOB)),
    "trade": TradeClosed(replace(TRADE, user_id=BOB)),
    "trade of another's bot": TradeClosed(
        replace(TRADE, bot_id=bot(BOB).id, account_id=account(BOB).id)
    ),
    "memory": MemoryChanged(full_memory(bot(BOB))),
    "memory of another's bot": MemoryChanged(replace(full_memory(bot(BOB)), user_id=ALICE)),
    "guard": GuardChanged(replace(GUARD, user_id=BOB)),
    "status": BotStatusChanged(bot(BOB).id, BOB, BotStatus.STOPPED, ""),
    "status of another's bot": BotStatusChanged(bot(BOB).id, ALICE, BotStatus.STOPPED, ""),
    "decision": Decided(bot(BOB).id, BOB, START, "entered", "", ""),
    "decision of another's bot": Decided(bot(BOB).id, ALICE, START, "entered", "", ""),
    "notice": Notify(BOB, Topic.SYSTEM, "hello", START),
}


@pytest.mark.parametrize("record", FOREIGN.values(), ids=FOREIGN)
async def test_a_batch_cannot_reach_another_users_rows(store, lease, record):
    await register(store, BOB, bot(BOB))
    bobs = (await take(store))[BOB]
    await write(store, bobs, OrderPlaced(order_of(bot(BOB), "bobs")))
    before = await store.load_user(BOB)
    with pytest.raises(BatchRefused):
        await write(store, lease, OrderPlaced(order_of(OWN)), record)
    assert await orders_of(store) == []
    assert await store.load_user(BOB) == before


# ---- fences


async def test_a_stale_epoch_writes_nothing(store, lease):
    (taken,) = (await take(store, "other host", now=LATE)).values()
    records = (OrderPlaced(order_of(OWN)), MemoryChanged(full_memory(OWN)))
    with pytest.raises(LeaseLost):
        await write(store, lease, *records)
    assert await orders_of(store) == []
    await write(store, taken, *records)


async def test_a_future_epoch_or_an_unknown_user_writes_nothing(store, lease):
    with pytest.raises(LeaseLost):
        await write(store, replace(lease, epoch=2), OrderPlaced(order_of(OWN)))
    with pytest.raises(LeaseLost):
        await write(store, lease, user_id=BOB, epoch=0)
    await register(store, BOB, bot(BOB))
    with pytest.raises(LeaseLost):
        await write(store, lease, user_id=BOB, epoch=0)


async def test_a_lease_that_ran_out_but_was_not_taken_still_writes(store, lease):
    assert await store.renew_leases("host", now=LATE, ttl=1) == []
    await write(store, lease, OrderPlaced(order_of(OWN)))


def switch(scope, scope_id):
    return Switch(scope=scope, scope_id=scope_id, halt=Halt.STOP, reason="", changed_at=START)


async def test_a_stale_kill_version_arms_nothing(store, lease):
    placed = order_of(OWN)
    await write(store, lease, OrderPlaced(placed))
    async with store.open(ALICE) as own:
        await own.set_switch(switch(Scope.BOT, OWN.id))
    with pytest.raises(KillSwitched):
        await write(store, lease, OrderChanged(sent(placed)), kill_version=lease.kill_version)
    assert await orders_of(store) == [placed]
    await write(store, lease, MemoryChanged(full_memory(OWN)))  # what arms nothing is written
    (held,) = await store.renew_leases("host", now=START, ttl=1)
    assert held.kill_version > lease.kill_version
    await write(store, lease, OrderChanged(sent(placed)), kill_version=held.kill_version)


async def test_the_platforms_switch_raises_everybodys_kill_version(store, lease):
    await register(store, BOB, bot(BOB))
    bobs = (await take(store))[BOB]
    await store.set_platform_switch(switch(Scope.PLATFORM, "*"))
    for each in (lease, bobs):
        with pytest.raises(KillSwitched):
            await write(store, each, kill_version=each.kill_version)
    assert (await store.load_user(ALICE)).switches == [switch(Scope.PLATFORM, "*")]


async def test_a_users_switch_leaves_others_alone(store, lease):
    await register(store, BOB, bot(BOB))
    bobs = (await take(store))[BOB]
    async with store.open(ALICE) as own:
        await own.set_switch(switch(Scope.USER, ALICE))
    await write(store, bobs, kill_version=bobs.kill_version)
