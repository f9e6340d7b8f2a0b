"""What the judge reads from a database is what the real store has written there."""

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from judge import databases
from judge.evidence import Database, Held, Posting
from tests.makers import fill
from tests.store_rig import (
    ALICE,
    BOB,
    booked,
    bot,
    full_memory,
    full_order,
    order_of,
    register,
    take,
    write,
)
from tradefleet.domain.effects import FillBooked, MemoryChanged, OrderPlaced
from tradefleet.domain.order import Order

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def read(url: str) -> Database:
    return databases.from_postgres(url) if "://" in url else databases.from_sqlite(Path(url))


def ms(at: datetime | None) -> int | None:
    return None if at is None else (at - BEGIN) // timedelta(milliseconds=1)


def plain(value: object) -> object:
    return str(value) if type(value).__module__.startswith("tradefleet") else value


async def filled(url: str, clock, open_sql_store) -> tuple[Sequence[Order], Sequence[FillBooked]]:
    """Let the real store write what two users did; return it."""
    store = await open_sql_store(url, clock=clock)
    own, other = bot(ALICE), bot(BOB)
    await register(store, ALICE, own)
    await register(store, BOB, other)
    leases = await take(store)
    orders = [full_order(own), order_of(own, "plain", seq=2), order_of(other, "third")]
    fills = [
        booked(fill(2, Decimal("1E+2"), id="f2", order_id="plain", fee=Decimal("1E-8")), own),
        booked(fill(Decimal("0.5"), id="f1", order_id="third", fee_asset="BNB", fee=1), other),
    ]
    memory = MemoryChanged(full_memory(own))
    await write(store, leases[ALICE], *map(OrderPlaced, orders[:2]), fills[0], memory)
    await write(store, leases[BOB], OrderPlaced(orders[2]), fills[1])
    await store.close()
    return orders, fills


async def test_every_row_is_read_as_it_was_written(sql_url, clock, open_sql_store):
    orders, fills = await filled(sql_url, clock, open_sql_store)
    found = await asyncio.to_thread(read, sql_url)
    assert {order.id for order in found.orders} == {order.id for order in orders}
    for stored in found.orders:
        (order,) = [each for each in orders if each.id == stored.id]
        times = {"decided_ms": ms(order.decided_at), "sent_ms": ms(order.sent_at)}
        given = {**times, "deadline_ms": ms(order.deadline)}
        for field in fields(stored):
            wanted = given.get(field.name, plain(getattr(order, field.name, None)))
            assert getattr(stored, field.name) == wanted, field.name
    for stored_fill in found.fills:
        (one,) = [each.fill for each in fills if each.fill.id == stored_fill.id]
        for field in fields(stored_fill):
            if field.name not in ("user_id", "account_id"):
                assert getattr(stored_fill, field.name) == plain(getattr(one, field.name))
    accounts = {each.id: (each.user_id, each.account_id) for each in found.fills}
    assert accounts == {each.fill.id: (each.entry.user_id, each.entry.account_id) for each in fills}


async def test_every_posting_and_position_is_read(sql_url, clock, open_sql_store):
    _, fills = await filled(sql_url, clock, open_sql_store)
    found = await asyncio.to_thread(read, sql_url)
    assert sorted(found.postings, key=repr) == sorted(
        (
            Posting(
                user_id=each.entry.user_id,
                account_id=each.entry.account_id,
                entry_id=each.entry.id,
                place=posting.place,
                asset=posting.asset,
                amount=posting.amount,
            )
            for each in fills
            for posting in each.entry.postings
        ),
        key=repr,
    )
    position = full_memory(bot(ALICE)).position
    assert position is not None
    assert found.held == (
        Held(
            user_id=ALICE,
            bot_id=bot(ALICE).id,
            symbol=str(position.symbol),
            quantity=position.quantity,
        ),
    )


async def test_reading_changes_no_file(sqlite_url, clock, open_sql_store):
    await filled(sqlite_url, clock, open_sql_store)
    before = await asyncio.to_thread(Path(sqlite_url).read_bytes)
    await asyncio.to_thread(read, sqlite_url)
    assert await asyncio.to_thread(Path(sqlite_url).read_bytes) == before


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(Exception, match="unable to open"):
        databases.from_sqlite(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []
