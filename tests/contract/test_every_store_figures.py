"""What holds for what every store counts for operators."""

from dataclasses import replace

from tests.makers import START, after_start, fill, trade
from tests.store_rig import ALICE, BOB, booked, bot, order_of, register, take, write
from tradefleet.domain.audit import Acting
from tradefleet.domain.effects import Notify, OrderPlaced, Topic, TradeClosed
from tradefleet.figures import Backlog, Presence, Timed, percentile, retention
from tradefleet.store import acting

NOTHING = Backlog(
    notices=0,
    oldest_notice=None,
    host_messages=0,
    webhooks_failing=0,
    webhooks_disabled=0,
    leases=0,
)


async def test_what_waits_is_counted_over_everybody(store):
    assert await store.figures.backlog(START) == NOTHING
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB, bot(BOB))
    await take(store)
    async with store.open(ALICE) as own:
        for minutes in (5, 3):
            at = after_start(minutes=minutes)
            await own.notify(Notify(ALICE, Topic.SYSTEM, "something", at))
        await own.ask_host("start", {})
    found = await store.figures.backlog(START)
    assert (found.notices, found.oldest_notice) == (2, after_start(minutes=3))
    assert (found.host_messages, found.leases) == (1, 2)
    assert (await store.figures.backlog(after_start(days=1))).leases == 0


async def test_what_success_is_measured_by(store):
    pair = bot(ALICE)
    await register(store, ALICE, pair, tier="premium")
    await register(store, BOB)
    lease = (await take(store))[ALICE]
    sent = order_of(
        pair,
        decided_at=after_start(hours=1),
        hold_until=after_start(hours=2),
        sent_at=after_start(hours=2, seconds=1),
    )
    unsent = order_of(pair, "o2", seq=2, decided_at=after_start(hours=3))
    at = after_start(hours=2, seconds=3)
    bought = replace(fill(), order_id=sent.id, filled_at=at)
    owned = {"user_id": ALICE, "account_id": pair.account_id, "bot_id": pair.id}
    won, lost = (
        replace(trade(number), **owned, id=f"t{number}", closed_at=after_start(hours=4))
        for number in (5, -5)
    )
    await write(store, lease, OrderPlaced(sent), OrderPlaced(unsent), booked(bought, pair))
    await write(store, lease, TradeClosed(won), TradeClosed(lost))
    found = await store.figures.dealings(START)
    assert found.tiers == {"premium": 1, "free": 1}
    assert found.trades == {pair.strategy: (2, 1)}
    assert found.orders == [Timed(after_start(hours=2), sent.sent_at, at)]
    assert found.users[ALICE].seen == after_start(hours=3)
    assert found.users[BOB] == Presence(found.users[BOB].came, None)
    for who, is_seen in ((Acting(), False), (Acting(actor=BOB, role="user"), True)):
        with acting(who):
            async with store.open(BOB) as own:
                await own.audit("pause", {})
        assert ((await store.figures.dealings(START)).users[BOB].seen is not None) is is_seen
    late = await store.figures.dealings(after_start(days=9))
    assert (late.trades, late.orders) == ({}, [])


def test_who_did_something_as_many_days_later_is_still_there():
    users = {
        ALICE: Presence(START, after_start(days=8)),
        BOB: Presence(START, after_start(days=6)),
    }
    assert retention(users, 7, after_start(days=30)) == (2, 1)
    assert retention(users, 1, after_start(days=30)) == (2, 2)
    assert retention(users, 30, after_start(days=29)) == (0, 0)
    assert retention({ALICE: Presence(START, None)}, 1, after_start(days=9)) == (1, 0)


def test_a_percentile_is_one_of_the_values():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0
    assert percentile([], 0.5) is None
