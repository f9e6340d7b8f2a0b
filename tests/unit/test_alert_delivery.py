"""Alerts reach people: each receiver by itself, again until it takes them, and not in floods."""

import asyncio
import logging

import pytest

from tests.contract.test_every_store_deliveries import change
from tests.makers import after_start
from tests.receiver_rig import local_receiver
from tests.runtime.live_rig import VirtualClock
from tests.store_rig import ALICE, user
from tradefleet.alert import AlertState, Level
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.operations.alert_delivery import posting
from tradefleet.operations.alert_delivery.apprise_receiver import AppriseReceiver
from tradefleet.operations.alert_delivery.couriers import (
    APART,
    HELD_MAX,
    REFUSALS_MAX,
    TRIES_MAX,
    Couriers,
    empty_pouch,
)
from tradefleet.operations.alert_delivery.posting import (
    DISCORD_MAX,
    PostReceiver,
    discord_body,
    program_body,
    slack_body,
)
from tradefleet.operations.alert_delivery.receiver import NotTaken
from tradefleet.operations.alert_delivery.telegram import TelegramReceiver
from tradefleet.operations.alert_delivery.words import told, told_together
from tradefleet.stores.memory import MemoryStore
from tradefleet.webhook import Outcome, signature


class Scripted:
    """A receiver that answers by a list of errors, then takes everything."""

    def __init__(self, name="slack", *errors):
        self.name, self.errors, self.sent = name, list(errors), []

    async def send(self, changes):
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(list(changes))
        return "it answered 200"


def couriers(store, clock, *receivers, **parts):
    given = {"owner": "host-1", "store": store, "clock": clock, "receivers": receivers}
    return Couriers(**{**given, **parts})


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


def post(receiver, body=program_body, path="/hook", **parts):
    url = Secret(receiver.url + path)
    return PostReceiver(name="webhook", url=url, body=body, clock=VirtualClock(), **parts)


# ---- how it is said


def test_a_change_is_said_with_its_cure_while_that_is_of_use():
    assert told(change()) == "🟠 warning: The disk fills up: 81.5 %\n→ Enlarge the disk."
    raised = change(state=AlertState.RAISED, level=Level.CRITICAL, cure="")
    assert told(raised) == "🔴 critical: The disk fills up: 81.5 %"
    over = change(state=AlertState.RESOLVED, text="The disk fills up: over after 3 min.")
    assert told(over) == "✅ The disk fills up: over after 3 min."


def test_many_changes_fit_into_one_message_and_the_rest_is_counted():
    text = told_together([change(number) for number in range(100)], DISCORD_MAX)
    assert len(text) <= DISCORD_MAX
    assert text.count("warning") + int(text.split("… and ")[1].split()[0]) == 100
    assert (
        told_together([change(text="x" * 9000)], DISCORD_MAX)[:20]
        == told(change(text="x" * 20))[:20]
    )


def test_slack_and_discord_are_given_nothing_that_means_something_to_them():
    wild = change(text="<!channel> & @everyone")
    assert "&lt;!channel&gt; &amp; @everyone" in slack_body([wild])["text"]
    assert discord_body([wild])["allowed_mentions"] == {"parse": []}


# ---- over HTTP, to a receiver on this machine


async def test_a_program_gets_signed_json():
    async with local_receiver() as there:
        receiver = post(there, secret=Secret("a secret of the test"))
        assert await receiver.send([change(7), change(8)]) == "it answered 200 ok"
    (heard,) = there.heard
    assert [each["id"] for each in heard.said["alerts"]] == [7, 8]
    assert heard.said["alerts"][0] == {
        "id": 7,
        "rule": "disk",
        "state": "fired",
        "level": "warning",
        "metric": "disk_usage",
        "value": 81.5,
        "unit": "%",
        "text": "The disk fills up: 81.5 %",
        "cure": "Enlarge the disk.",
        "at": "2026-01-01T00:00:00Z",
    }
    stamp = int(heard.headers["Tradefleet-Timestamp"])
    right = signature("a secret of the test", stamp, heard.body)
    assert heard.headers["Tradefleet-Signature"] == right


@pytest.mark.parametrize(
    ("status", "headers", "text", "wait", "refuses"),
    [
        (429, {"Retry-After": "7"}, "", 7, False),
        (429, {"Retry-After": "0.5"}, '{"retry_after": 0.5}', 0.5, False),
        (429, {"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}, "", 60, False),
        (429, {"Retry-After": "999999"}, "", posting.WAIT_MAX, False),
        (500, {}, "<html>", None, False),
        (503, {"Retry-After": "soon"}, "", None, False),
        (404, {}, "no_service", None, True),
        (302, {"Location": "http://127.0.0.1:1/"}, "", None, True),
    ],
)
async def test_what_a_receiver_answers_is_understood(status, headers, text, wait, refuses):
    async with local_receiver() as there:
        there.answers["/hook"] = [(status, headers, text)]
        with pytest.raises(NotTaken) as caught:
            await post(there).send([change()])
    assert caught.value.wait == wait
    assert caught.value.is_refusal is refuses
    said = f"it answered {status}"
    assert str(caught.value) == (f"{said} {text}" if text == "no_service" else said)
    assert len(there.heard) == 1, "no redirect is followed"


async def test_who_is_silent_or_not_there_is_left_soon_and_never_named(monkeypatch, caplog):
    monkeypatch.setattr(posting, "SEND_SECONDS", 0.05)
    async with local_receiver() as there:
        there.silent.add("/hidden")
        receiver = post(there, path="/hidden")
        with pytest.raises(NotTaken, match="no answer within"):
            await receiver.send([change()])
    with pytest.raises(NotTaken) as caught:
        await receiver.send([change()])
    assert str(caught.value) == "nothing can be connected to there"
    assert "hidden" not in repr(receiver) + caplog.text + str(caught.value)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # by a part of the library
async def test_apprise_delivers_in_a_thread_of_its_own(caplog):
    caplog.set_level(logging.DEBUG)
    async with local_receiver() as there:
        address = there.url.replace("http", "json") + "/hook"
        receiver = AppriseReceiver("apprise 1", Secret(address))
        assert await receiver.send([change()]) == "Apprise delivered it"
        assert "The disk fills up" in there.heard[0].said["message"]
        there.answers["/hook"] = [(500, {}, "")]
        with pytest.raises(NotTaken, match="could not deliver"):
            await receiver.send([change()])
    ours = [each.getMessage() for each in caplog.records if each.name != "aiohttp.access"]
    assert not [text for text in ours if "hook" in text], "an address is a secret"
    with pytest.raises(NotTaken, match="knows no address") as caught:
        await AppriseReceiver("apprise 2", Secret("nonsense")).send([change()])
    assert caught.value.is_refusal


async def test_without_apprise_its_receivers_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(NotTaken, match="pip install"):
        await AppriseReceiver("apprise 1", Secret("json://127.0.0.1/")).send([change()])


async def test_admins_on_telegram_are_told_through_the_outbox(store, clock):
    receiver = TelegramReceiver(store=store, clock=clock, telegram_ids=(7, 8))
    with pytest.raises(NotTaken, match="/start"):
        await receiver.send([change()])
    async with store.open(ALICE) as own:
        await own.save_user(user(ALICE, telegram_id=7))
    assert await receiver.send([change()]) == "in the outbox for 1 of 2"
    (notice,) = await store.due_notices(now=after_start(days=1), limit=10)
    assert notice.notice.text == told(change())


# ---- bringing it there


async def test_each_receiver_is_told_once_and_that_is_kept(store, clock):
    slack, discord = Scripted("slack"), Scripted("discord")
    sink = couriers(store, clock, slack, discord)
    await sink.tell(change())
    await sink.tell(change())
    for receiver in (slack, discord):
        assert await sink.turn(receiver)
        assert not await sink.turn(receiver)
        assert receiver.sent == [[change()]]
    counts = await store.alert_deliveries.counts()
    assert counts == {("slack", Outcome.DELIVERED): 1, ("discord", Outcome.DELIVERED): 1}


async def test_what_is_not_taken_is_sent_again_later_and_later(store, clock):
    slack = Scripted("slack", *[NotTaken("it answered 500")] * 4)
    sink = couriers(store, clock, slack)
    await sink.tell(change())
    waits = []
    for _ in range(4):
        assert await sink.turn(slack)
        assert not await sink.turn(slack), "not before its time"
        (waiting,) = await store.alert_deliveries.waiting("slack", 10)
        waits.append((waiting.next_at - clock.now()).total_seconds())
        await clock.pass_until(waiting.next_at)
    assert waits == [5, 10, 20, 40]
    assert await sink.turn(slack)
    assert len(slack.sent) == 1
    assert (await store.alert_deliveries.latest(1))[0].tries == 5


async def test_a_receiver_that_asks_for_time_gets_it(store, clock):
    slack = Scripted("slack", NotTaken("it answered 429", wait=300))
    sink = couriers(store, clock, slack)
    await sink.tell(change())
    await sink.turn(slack)
    await clock.pass_by(299)
    assert not await sink.turn(slack)
    await clock.pass_by(1)
    assert await sink.turn(slack)
    assert slack.sent


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (NotTaken("it answered 500"), TRIES_MAX),
        (NotTaken("it answered 404", is_refusal=True), REFUSALS_MAX),
    ],
)
async def test_what_is_never_taken_is_given_up_and_said(store, clock, caplog, error, tries):
    slack = Scripted("slack", *[error] * 1000)
    sink = couriers(store, clock, slack)
    await sink.tell(change())
    while waiting := await store.alert_deliveries.waiting("slack", 10):
        await clock.pass_until(waiting[0].next_at)
        await sink.turn(slack)
    assert len(slack.errors) == 1000 - tries
    (given_up,) = await store.alert_deliveries.latest(10)
    assert (given_up.outcome, given_up.error) == (Outcome.GIVEN_UP, str(error))
    assert [r.levelno for r in caplog.records] == [logging.WARNING, logging.ERROR]


async def test_an_error_inside_a_receiver_is_a_failed_try(store, clock):
    slack = Scripted("slack", ValueError("of a library"))
    sink = couriers(store, clock, slack)
    await sink.tell(change())
    assert await sink.turn(slack)
    assert (await store.alert_deliveries.latest(1))[0].error == "ValueError"


async def test_a_flood_is_a_few_messages_and_they_keep_a_distance(store, clock):
    slack = Scripted("slack")
    sink = couriers(store, clock, slack)
    async with running(sink):
        for number in range(45):
            await sink.tell(change(number))
        await clock.pass_by(APART - 0.1)
        assert [len(each) for each in slack.sent] == [20]
        await sink.tell(change(45))
        await clock.pass_by(2 * APART)
        assert [len(each) for each in slack.sent] == [20, 20, 6]


async def test_a_dead_receiver_holds_up_no_other(store, clock):
    class Dead(Scripted):
        async def send(self, changes):
            await asyncio.sleep(3600)

    dead, well = Dead("discord"), Scripted("slack")
    sink = couriers(store, clock, dead, well)
    async with running(sink):
        await sink.tell(change(1))
        await clock.pass_by(APART)
        await sink.tell(change(2))
        await clock.pass_by(APART)
    assert [[each.id for each in sent] for sent in well.sent] == [[1], [2]]


async def test_what_waits_survives_a_restart(store, clock):
    slack = Scripted("slack", NotTaken("it answered 503"))
    first = couriers(store, clock, slack)
    await first.tell(change())
    await first.turn(slack)
    await clock.pass_by(60)
    again = couriers(store, clock, slack)
    assert await again.turn(slack)
    assert slack.sent == [[change()]]


async def test_of_two_processes_one_sends(store, clock):
    slack = Scripted("slack")
    one = couriers(store, clock, slack)
    other = couriers(store, clock, slack, owner="host-2")
    await one.tell(change())
    assert await one.turn(slack)
    await other.tell(change(2))
    assert not await other.turn(slack), "the first has the duty"
    await clock.pass_by(61)
    assert await other.turn(slack)
    assert [each.id for sent in slack.sent for each in sent] == [1, 2]


class Away:
    """Stands for every part of a database that is away."""

    def __getattr__(self, name):
        async def asked(*words, **named):
            raise StoreUnavailable("it is away")

        return asked


async def test_that_the_database_is_away_is_told_without_it_and_written_down_later(store, clock):
    slack, discord = Scripted("slack"), Scripted("discord", NotTaken("it answered 500"))
    pouch = empty_pouch()
    lost = couriers(None, clock, slack, discord, pouch=pouch)
    await lost.tell(change())
    await lost.tell(change())
    assert await lost.turn(slack)
    assert not await lost.turn(slack)
    assert await lost.turn(discord)
    assert not await lost.turn(discord), "not before its time"
    assert slack.sent == [[change()]]
    found = couriers(store, clock, slack, discord, pouch=pouch)
    assert not await found.turn(slack), "it was told"
    assert await found.turn(discord)
    assert discord.sent == slack.sent
    counts = await store.alert_deliveries.counts()
    assert counts == {("slack", Outcome.DELIVERED): 1, ("discord", Outcome.DELIVERED): 1}


async def test_a_database_that_goes_away_while_it_is_asked_is_the_same(store, clock):
    slack = Scripted("slack")
    sink = couriers(store, clock, slack)
    there, store.alert_deliveries = store.alert_deliveries, Away()
    for number in range(HELD_MAX + 5):
        await sink.tell(change(number))
    assert await sink.turn(slack)
    assert slack.sent[0][0].id == 5, "of too many the oldest go"
    store.alert_deliveries = there
    assert await sink.turn(slack)
    assert [each.id for each in slack.sent[1]] == list(range(25, 45))


async def test_what_was_sent_while_the_database_went_is_not_sent_again(store, clock):
    class Leaving(Scripted):
        async def send(self, changes):
            store.alert_deliveries = Away()
            return await super().send(changes)

    there, slack = store.alert_deliveries, Leaving("slack")
    sink = couriers(store, clock, slack)
    await sink.tell(change())
    assert await sink.turn(slack)
    store.alert_deliveries = there
    assert not await sink.turn(slack)
    assert len(slack.sent) == 1
    assert (await there.latest(1))[0].outcome is Outcome.DELIVERED


async def test_a_test_goes_to_everybody_and_says_what_each_answered(store, clock):
    slack, discord = Scripted("slack"), Scripted("discord", NotTaken("it answered 404"))
    told = await couriers(store, clock, slack, discord).test()
    assert told == [("slack", True, "it answered 200"), ("discord", False, "it answered 404")]
    assert "test" in slack.sent[0][0].text
    assert await store.alert_deliveries.latest(10) == []


class running:
    """Runs a sink while a test goes on."""

    def __init__(self, sink):
        self.sink = sink

    async def __aenter__(self):
        self.task = asyncio.get_running_loop().create_task(self.sink.run())
        await asyncio.sleep(0)

    async def __aexit__(self, *why):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
