"""What holds for every store: what waits, what processes say of themselves, which alerts are."""

from dataclasses import replace
from datetime import timedelta

from tests.makers import START
from tests.store_rig import ALICE, BOB, TTL, bot, register, take
from tradefleet.alert import Alert, AlertState, Level
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.health import Metric, Status
from tradefleet.health import ALERTS_KEPT, ProcessReport, Standing

LATER = START + timedelta(minutes=5)


def alert(id: int = 1, **changes: object) -> Alert:
    given = {
        "id": id,
        "rule": "cpu",
        "metric": "cpu_usage",
        "level": Level.WARNING,
        "value": 71.5,
        "text": "Busy: 71.5 %",
        "cure": "Rest.",
        "fired_at": START,
        "changed_at": START,
    }
    return Alert(**(given | changes))


async def test_what_waits_is_counted_with_its_first_number(store):
    assert await store.health.standing(START) == Standing()
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB)
    for number in range(3):
        async with store.open(ALICE) as own:
            at = START + timedelta(seconds=number)
            await own.notify(Notify(ALICE, Topic.SYSTEM, "hello", at))
    async with store.open(BOB) as own:
        await own.ask_host("resume", {})
    found = await store.health.standing(START + timedelta(seconds=1))
    assert (found.notices, found.messages, found.unowned) == (2, 1, 1)
    (first, *_) = await store.due_notices(now=LATER, limit=10)
    assert found.first_notice == first.id
    (message,) = await messages_of(store)
    assert found.first_message == message
    await store.notice_sent([first.id], now=START)
    later = await store.health.standing(START + timedelta(seconds=1))
    assert later.notices == 1 and later.first_notice != first.id
    assert later.unowned == 0
    assert (await store.health.standing(START + timedelta(seconds=TTL))).unowned == 1


async def messages_of(store) -> list[int]:
    await take(store)
    return [message.id for message in await store.host_messages("host", 10)]


async def test_what_a_process_says_takes_the_place_of_what_it_said_before(store):
    metrics = {"cpu_usage": Metric(12.5, unit="%"), "x": Metric(None, Status.UNHEALTHY, "s", "why")}
    first = ProcessReport(owner="b", measured_at=START, every=30, metrics=metrics)
    await store.health.report(first)
    await store.health.report(replace(first, owner="a", recovered=False, metrics={}))
    assert [each.owner for each in await store.health.reports()] == ["a", "b"]
    assert (await store.health.reports())[1] == first
    await store.health.report(replace(first, measured_at=LATER))
    await store.health.forget_report("a")
    await store.health.forget_report("nobody")
    assert await store.health.reports() == [replace(first, measured_at=LATER)]


async def test_an_alert_is_kept_with_all_that_is_known_of_it(store):
    full = alert(
        told=Level.CRITICAL,
        told_at=START,
        told_worst=Level.CRITICAL,
        untold=AlertState.RAISED,
        level=Level.CRITICAL,
    )
    await store.health.keep_alert(full)
    await store.health.keep_alert(alert(2, value=None))
    assert list(await store.health.alerts(10)) == [alert(2, value=None), full]
    over = replace(full, resolved_at=LATER, told=None, untold=None, ack_told=True)
    await store.health.keep_alert(over)
    assert list(await store.health.alerts(10, only_open=True)) == [alert(2, value=None)]
    assert list(await store.health.alerts(1)) == [alert(2, value=None)]
    assert (await store.health.alerts(10))[1] == over


async def test_who_acknowledged_stays_whatever_the_judge_writes(store):
    await store.health.keep_alert(alert())
    known = await store.health.acknowledge(1, by="alice", note="at it", at=LATER)
    assert known == alert(acknowledged_at=LATER, acknowledged_by="alice", note="at it")
    await store.health.keep_alert(alert(value=80.0))
    (found,) = await store.health.alerts(10)
    assert (found.acknowledged_by, found.note, found.value) == ("alice", "at it", 80.0)
    await store.health.keep_alert(alert(resolved_at=LATER))
    assert await store.health.acknowledge(1, by="bob", note="", at=LATER) is None
    assert await store.health.acknowledge(2, by="bob", note="", at=LATER) is None


async def test_alerts_that_are_over_are_forgotten_one_day(store):
    await store.health.keep_alert(alert(1, resolved_at=LATER))
    await store.health.keep_alert(alert(2))
    await store.health.keep_alert(alert(3, resolved_at=LATER))
    await store.health.keep_alert(alert(2 + ALERTS_KEPT))
    assert [each.id for each in await store.health.alerts(10)] == [2 + ALERTS_KEPT, 3, 2]
