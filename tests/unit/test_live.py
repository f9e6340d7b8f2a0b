"""What of what is written down is told to who listens, and in which words."""

from dataclasses import replace
from decimal import Decimal

import orjson

from tests.makers import START, fill, trade
from tests.store_rig import ALICE, booked, bot, full_memory, order_of
from tradefleet.domain.bot import BotMemory, BotStatus
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
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.live import DATA_OF, KIND_OF, BotNews, Held, LiveKind, news_of
from tradefleet.live import LiveEvent, as_text, numbered

OWNER = bot(ALICE)


def told(*records, held=None):
    return list(news_of(records, {} if held is None else held))


def test_an_order_is_told_each_time_it_stands_otherwise():
    placed = order_of(OWNER)
    same = replace(placed, deadline=START)  # nothing a user sees
    news = told(OrderPlaced(placed), OrderChanged(same), OrderChanged(replace(placed, note="x")))
    assert [each.note for each in news] == ["", "x"]


def test_a_position_is_told_when_it_opens_changes_and_closes():
    memory = full_memory(OWNER)
    moved = replace(memory, last_price=Decimal(5))
    raised = replace(memory, position=replace(memory.position, stop=Decimal(99)))
    flat = BotMemory(bot_id=OWNER.id, user_id=ALICE, cash=Decimal(1))
    held = {}
    news = told(*map(MemoryChanged, (flat, memory, moved, raised, flat, flat)), held=held)
    assert [(each.is_open, each.stop) for each in news] == [
        (True, memory.position.stop),
        (True, Decimal(99)),
        (False, None),
    ]
    assert held == {}
    known = {OWNER.id: Held.of(memory.position)}
    assert told(MemoryChanged(memory), held=known) == []


def test_fills_trades_bots_and_notices_are_told_and_what_is_internal_is_not():
    entry = LedgerEntry.of_transfer(
        id="deposit:1",
        user_id=ALICE,
        account_id=OWNER.account_id,
        kind="deposit",
        at=START,
        asset="USDT",
        amount=Decimal(1),
        source=EXTERNAL,
        target=FREE,
    )
    news = told(
        booked(fill(), OWNER),
        TradeClosed(replace(trade(1), user_id=ALICE)),
        BotStatusChanged(OWNER.id, ALICE, BotStatus.SET_ASIDE, "a fault"),
        Notify(ALICE, Topic.FILL, "Bought", START, 1),
        EntryBooked(entry),
        GuardChanged(GuardMemory(user_id=ALICE)),
        Decided(OWNER.id, ALICE, START, "denied", "pause", "paused"),
    )
    kinds = [KIND_OF[type(each)] for each in news]
    assert kinds == [LiveKind.FILL, LiveKind.TRADE, LiveKind.BOT, LiveKind.NOTICE]
    assert (news[2].status, news[2].symbol) == ("set_aside", None)
    assert BotNews.of(OWNER).symbol == str(OWNER.symbol)
    assert BotNews.removed(OWNER.id).is_removed


def test_every_kind_of_event_has_its_data_and_every_data_its_kind():
    assert set(DATA_OF) == set(LiveKind)
    assert {KIND_OF[data] for data in DATA_OF.values()} == set(LiveKind)


def test_an_event_keeps_every_digit_and_its_number():
    placed = replace(order_of(OWNER), quantity=Decimal("1E-8"), price=Decimal("100.10"))
    (event,) = numbered(told(OrderPlaced(placed)), 41, START)
    said = orjson.loads(event.json())
    assert (said["id"], said["type"]) == (42, "order")
    assert (said["data"]["quantity"], said["data"]["price"]) == ("0.00000001", "100.10")
    assert said["data"]["decided_at"].endswith("Z")
    assert LiveEvent(1, START, "x", "{}").json().startswith('{"id":1,"type":"x","at":"')


def test_what_is_no_data_of_an_event_is_not_written():
    news = BotNews(bot_id="b", symbol=None, status="x", note={1j})  # type: ignore[arg-type]
    try:
        as_text(news)
    except TypeError:
        return
    raise AssertionError("it was written")
