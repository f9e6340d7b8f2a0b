"""What holds for every store's deliveries of alerts, and for what it counts for operators."""

from dataclasses import replace
from datetime import timedelta

from tests.makers import START, after_start
from tradefleet.alert import AlertChange, AlertState, Level
from tradefleet.delivery import TOO_MANY, WAITING_MAX
from tradefleet.webhook import Outcome


def change(number=1, **changes):
    given = {
        "rule": "disk",
        "level": Level.WARNING,
        "state": AlertState.FIRED,
        "metric": "disk_usage",
        "value": 81.5,
        "unit": "%",
        "text": "The disk fills up: 81.5 %",
        "cure": "Enlarge the disk.",
        "at": START,
        "id": number,
        **changes,
    }
    return AlertChange(**given)


async def test_a_change_waits_for_each_receiver_once(store):
    deliveries = store.alert_deliveries
    await deliveries.add(change(), ["slack", "discord"], START)
    await deliveries.add(change(), ["slack", "webhook"], after_start(minutes=1))
    for receiver in ("slack", "discord", "webhook"):
        (waiting,) = await deliveries.waiting(receiver, 10)
        assert (waiting.receiver, waiting.change, waiting.tries) == (receiver, change(), 0)
    assert (await deliveries.waiting("slack", 10))[0].next_at == START
    await deliveries.add(change(state=AlertState.RESOLVED, value=None), ["slack"], START)
    await deliveries.add(change(at=after_start(hours=1)), ["slack"], START)
    waiting = await deliveries.waiting("slack", 10)
    assert [each.change.state for each in waiting] == ["fired", "resolved", "fired"]
    assert len(await deliveries.waiting("slack", 2)) == 2


async def test_what_became_of_a_delivery_is_kept_and_it_waits_no_more(store):
    deliveries = store.alert_deliveries
    await deliveries.add(change(1), ["slack"], START)
    await deliveries.add(change(2), ["slack"], START)
    first, second = await deliveries.waiting("slack", 10)
    later = after_start(minutes=5)
    tried = replace(first, tries=1, next_at=later, error="it answered 500")
    done = replace(second, tries=1, next_at=None, done_at=later, outcome=Outcome.DELIVERED)
    await deliveries.keep([tried, done])
    assert await deliveries.waiting("slack", 10) == [tried]
    assert await deliveries.latest(10) == [done, tried]
    assert await deliveries.counts() == {
        ("slack", Outcome.RETRYING): 1,
        ("slack", Outcome.DELIVERED): 1,
    }
    await deliveries.keep([replace(done, outcome=Outcome.RETRYING)])
    assert (await deliveries.latest(1))[0].outcome is Outcome.DELIVERED
    assert await deliveries.forget(later) == 0
    assert await deliveries.forget(later + timedelta(seconds=1)) == 1
    assert await deliveries.latest(10) == [tried]


async def test_of_too_many_that_wait_the_oldest_are_given_up(store, monkeypatch):
    for module in ("memory", "sql"):
        monkeypatch.setattr(f"tradefleet.stores.{module}.deliveries.WAITING_MAX", 2)
    assert WAITING_MAX == 500
    deliveries = store.alert_deliveries
    for number in range(1, 5):
        await deliveries.add(change(number), ["slack", "discord"], START)
    assert [e.change.id for e in await deliveries.waiting("slack", 10)] == [3, 4]
    given_up = [each for each in await deliveries.latest(10) if not each.is_waiting]
    assert sorted(each.change.id for each in given_up) == [1, 1, 2, 2]
    assert {(each.outcome, each.error) for each in given_up} == {(Outcome.GIVEN_UP, TOO_MANY)}
