"""The outbox: all goes out, in order, no faster than allowed, and nobody holds up another."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.domain.notices import Loudness
from tradefleet.notifier import Blocked, RetryLater
from tradefleet.runtime import outbox as module
from tradefleet.runtime import pace_of_chats
from tradefleet.runtime.outbox import Outbox
from tradefleet.store import OutboxNotice

START = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BEN = 1, 2


class StepClock:
    """Time that goes on only when somebody sleeps, and then at once."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        assert seconds > 0
        self.seconds += seconds
        for _ in range(5):  # let deliveries come to their end
            await asyncio.sleep(0)


class Shelf:
    """The part of a store that the outbox uses; it fails when told to."""

    def __init__(self):
        self.waiting = {}
        self.sent = []
        self.given_up = {}
        self.away = 0
        self.looks = []
        self.put_off = []

    def put(self, text, chat=ANN, *, topic=Topic.ORDER, priority=5, at=START, loudness=Loudness.ON):
        number = len(self.waiting) + len(self.sent) + len(self.given_up) + 1
        said = Notify(UserId(f"u{chat}"), topic, text, at, priority)
        notice = OutboxNotice(id=number, notice=said, telegram_id=chat, tries=0, loudness=loudness)
        self.waiting[number] = (notice, at)
        return number

    def _be_there(self):
        if self.away:
            self.away -= 1
            raise StoreUnavailable("disk full")

    async def due_notices(self, *, now, limit):
        self._be_there()
        self.looks.append(limit)
        due = [notice for notice, at in self.waiting.values() if at <= now]
        due.sort(key=lambda n: (n.notice.priority, n.notice.at, n.id))
        await asyncio.sleep(0)
        return due[:limit]

    async def notice_sent(self, ids, *, now):
        await asyncio.sleep(0)
        self._be_there()
        for number in ids:
            self.sent.append(self.waiting.pop(number)[0].notice.text)

    async def put_off_notices(self, ids, *, until, error):
        await asyncio.sleep(0)
        self._be_there()
        self.put_off += ids
        for number in ids:
            if until is None:
                self.given_up[self.waiting.pop(number)[0].notice.text] = error
            else:
                self.waiting[number] = (self.waiting[number][0], until)

    async def notice_failed(self, id, *, retry_at, error):
        await asyncio.sleep(0)
        self._be_there()
        notice = replace(self.waiting[id][0], tries=self.waiting[id][0].tries + 1)
        if retry_at is None:
            self.given_up[self.waiting.pop(id)[0].notice.text] = error
        else:
            self.waiting[id] = (notice, retry_at)


class Post:
    """A notifier that remembers when it delivered what, and fails as told, by text."""

    def __init__(self, clock):
        self.clock = clock
        self.delivered = []
        self.loudness = []
        self.errors = {}
        self.gates = {}

    def reaches(self, notice):
        return notice.telegram_id is not None

    async def deliver(self, notice):
        text = notice.notice.text
        for part, gate in self.gates.items():
            if part in text:
                await gate.wait()
        for part, errors in self.errors.items():
            if part in text and errors:
                raise errors.pop(0)
        self.delivered.append((round(self.clock.seconds, 3), notice.telegram_id, text))
        self.loudness.append(notice.loudness)

    def texts(self, chat=None):
        return [text for _, to, text in self.delivered if chat in (None, to)]


class Desk:
    def __init__(self):
        self.clock, self.shelf = StepClock(), Shelf()
        self.post = Post(self.clock)
        self.outbox = Outbox(store=self.shelf, notifiers=[self.post], clock=self.clock)

    async def until(self, true, turns=20_000):
        for _ in range(turns):
            if true():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never became true")

    async def done(self):
        await self.until(lambda: not self.shelf.waiting)


@asynccontextmanager
async def running(desk):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(desk.outbox.run())
        try:
            yield desk
        finally:
            task.cancel()


@pytest.fixture
def desk():
    return Desk()


async def test_what_is_urgent_goes_first_and_then_what_is_older(desk):
    desk.shelf.put("late", topic=Topic.TRADE)
    desk.shelf.put("stop", priority=1, topic=Topic.STOP)
    desk.shelf.put("older", at=START - timedelta(hours=1))
    async with running(desk):
        await desk.done()
    assert desk.post.texts() == ["stop", "older", "late"]
    assert desk.shelf.sent == ["stop", "older", "late"]


async def test_one_chat_hears_once_a_second(desk):
    for topic in (Topic.ORDER, Topic.TRADE, Topic.FILL):
        desk.shelf.put(topic.value, topic=topic)
    async with running(desk):
        await desk.done()
    times = [at for at, *_ in desk.post.delivered]
    assert all(later - at >= 1 for at, later in pairwise(times))
    assert times[-1] < 3


async def test_all_chats_together_hear_thirty_times_a_second(desk):
    for chat in range(300):
        desk.shelf.put("hello", chat=chat)
    async with running(desk):
        await desk.done()
    times = sorted(at for at, *_ in desk.post.delivered)
    for start in times:
        assert sum(start <= at < start + 1 for at in times) <= 30 + 15
    assert 9 <= times[-1] <= 11


async def test_the_first_second_too_stays_below_what_telegram_takes(desk):
    assert pace_of_chats.BURST <= pace_of_chats.PER_SECOND / 2


async def test_many_that_wait_for_one_chat_come_together(desk):
    for number in range(10):
        desk.shelf.put(f"order {number}", topic=Topic.ORDER)
    desk.shelf.put("x" * 2_990, topic=Topic.TRADE)
    desk.shelf.put("y", topic=Topic.TRADE)
    async with running(desk):
        await desk.done()
    assert desk.post.texts() == [
        "\n\n".join(f"order {number}" for number in range(10)),
        "x" * 2_990,
        "y",
    ]
    assert len(desk.shelf.sent) == 12


async def test_what_is_urgent_is_never_held_together_with_what_is_not(desk):
    for number in range(10):
        desk.shelf.put(f"order {number}", topic=Topic.ORDER)
        desk.shelf.put(f"fill {number}", topic=Topic.FILL, priority=1)
    async with running(desk):
        await desk.done()
    assert [text.split()[0] for text in desk.post.texts()] == ["fill", "order"]
    assert desk.post.delivered[0][0] < 0.3
    assert desk.clock.seconds < 3


async def test_a_digest_says_the_same_once_and_is_as_loud_as_its_loudest(desk):
    for _ in range(5):
        desk.shelf.put("no prices", loudness=Loudness.SILENT)
    desk.shelf.put("limit", topic=Topic.TRADE, loudness=Loudness.ON)
    desk.shelf.put("hush", chat=BEN, loudness=Loudness.SILENT)
    async with running(desk):
        await desk.done()
    assert desk.post.texts(ANN) == ["no prices (5 times)\n\nlimit"]
    assert desk.post.loudness == [Loudness.ON, Loudness.SILENT]


async def test_what_its_user_switched_off_is_not_sent_but_for_security(desk):
    desk.shelf.put("fill", topic=Topic.FILL, loudness=Loudness.OFF)
    desk.shelf.put("key", topic=Topic.SECURITY, loudness=Loudness.OFF)
    async with running(desk):
        await desk.done()
    assert desk.post.texts() == ["key"]
    assert desk.shelf.given_up == {"fill": "the user switched these off"}


async def test_what_is_urgent_finds_room_when_the_rate_is_used_up(desk):
    for chat in range(500, 800):
        desk.shelf.put("news", chat=chat, priority=9)
    async with running(desk):
        await desk.until(lambda: len(desk.post.delivered) > 60)
        began = desk.clock.seconds
        for chat in range(100, 105):
            desk.shelf.put("stop", chat=chat, priority=1, topic=Topic.STOP)
        await desk.until(lambda: desk.post.texts().count("stop") == 5)
        assert desk.clock.seconds - began < 1
        await desk.done()


async def test_who_blocked_us_is_tried_once_an_hour_and_nothing_is_lost(desk, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 5)
    desk.post.errors[""] = [Blocked("blocked by the user") for _ in range(3)]
    for number in range(200):
        desk.shelf.put(f"n{number}", topic=Topic.ORDER if number % 2 else Topic.FILL)
    async with running(desk):
        await desk.until(lambda: desk.clock.seconds > 3 * 3600 + 60, turns=1_000_000)
        await desk.done()
    assert desk.post.errors[""] == []
    assert {at // 3600 for at, *_ in desk.post.delivered} == {3}
    assert len(desk.shelf.sent) == 200
    assert desk.shelf.given_up == {}
    assert len(desk.post.delivered) == 1


async def test_what_nobody_would_hear_for_a_day_is_given_up(desk, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 10)
    desk.post.errors[""] = [Blocked("blocked by the user") for _ in range(1_000)]
    for number in range(7):
        desk.shelf.put(f"n{number}")
    async with running(desk):
        await desk.until(lambda: not desk.shelf.waiting, turns=5_000_000)
    assert len(desk.shelf.given_up) == 7
    assert 24 <= desk.clock.seconds / 3600 <= 25.1
    assert 24 <= 1_000 - len(desk.post.errors[""]) <= 26


async def test_when_many_chats_are_told_to_wait_all_wait(desk):
    desk.post.errors["x"] = [RetryLater(40, "flood") for _ in range(pace_of_chats.FLOOD_CHATS)]
    for chat in range(pace_of_chats.FLOOD_CHATS):
        desk.shelf.put("x", chat=chat, priority=1)
    async with running(desk):
        await desk.until(lambda: not desk.post.errors["x"])
        desk.shelf.put("y", chat=99)
        await desk.done()
    assert min(at for at, *_ in desk.post.delivered) >= 40


async def test_while_nobody_can_be_reached_one_at_a_time_tries_and_nothing_is_given_up(
    desk, monkeypatch
):
    monkeypatch.setattr(module, "TRIES_MAX", 2)
    monkeypatch.setattr(module, "IDLE", 2)
    away = 3600
    tried = []

    async def deliver(notice):
        tried.append(desk.clock.seconds)
        if desk.clock.seconds < away:
            raise RetryLater(1, "no network", everyone=True)
        desk.post.delivered.append((desk.clock.seconds, notice.telegram_id, notice.notice.text))

    desk.post.deliver = deliver
    for chat in range(30):
        desk.shelf.put(f"fill {chat}", chat=chat, priority=1, topic=Topic.FILL)
    async with running(desk):
        await desk.until(lambda: len(desk.shelf.sent) == 30, turns=5_000_000)
    assert desk.shelf.given_up == {}
    assert len(desk.post.delivered) == 30
    assert len([at for at in tried if at < away]) < 30 + away / 50
    assert desk.clock.seconds < away + 200


async def test_a_notice_written_down_while_the_store_is_read_is_not_sent_again(desk):
    seen = asyncio.Event()
    read = desk.shelf.due_notices

    async def slow_read(*, now, limit):
        due = await read(now=now, limit=limit)
        if due and desk.outbox._in_flight:
            desk.post.gates["x"].set()
            await desk.until(lambda: desk.shelf.sent == ["x"])
            seen.set()
        return due

    desk.post.gates["x"] = asyncio.Event()
    desk.shelf.due_notices = slow_read
    desk.shelf.put("x")
    async with running(desk):
        await seen.wait()
        await desk.until(lambda: desk.clock.seconds > 5)
    assert desk.post.texts() == ["x"]


async def test_a_text_too_long_for_a_digest_waits_for_its_own_turn(desk):
    for number in range(5):
        desk.shelf.put(f"{number}" * 2_000)
    async with running(desk):
        await desk.done()
    assert [text[0] for text in desk.post.texts()] == list("01234")


async def test_a_slow_chat_holds_up_no_other(desk):
    desk.post.gates["slow"] = asyncio.Event()
    desk.shelf.put("slow", chat=ANN, priority=0)
    desk.shelf.put("after", chat=ANN, topic=Topic.FILL)
    desk.shelf.put("quick", chat=BEN)
    async with running(desk):
        await desk.until(lambda: desk.post.texts() == ["quick"])
        await desk.until(lambda: desk.clock.seconds > 30)
        assert desk.post.texts() == ["quick"]
        desk.post.gates["slow"].set()
        await desk.done()
    assert desk.post.texts(ANN) == ["slow", "after"]


async def test_a_backlog_of_one_chat_hides_no_other(desk, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 4)
    desk.outbox = Outbox(store=desk.shelf, notifiers=[desk.post], clock=desk.clock)
    desk.post.gates["slow"] = asyncio.Event()
    for number in range(50):
        desk.shelf.put(f"slow {number}", chat=ANN, priority=0)
    desk.shelf.put("quick", chat=BEN)
    async with running(desk):
        await desk.until(lambda: desk.post.texts() == ["quick"])
        assert max(desk.shelf.looks) >= 64
        desk.post.gates["slow"].set()
        await desk.done()
    assert desk.shelf.looks[-1] == 4


async def test_no_more_deliveries_at_once_than_allowed(desk, monkeypatch):
    monkeypatch.setattr(pace_of_chats, "IN_FLIGHT_MAX", 3)
    desk.post.gates["x"] = asyncio.Event()
    for chat in range(10):
        desk.shelf.put("x", chat=chat)
    async with running(desk):
        await desk.until(lambda: desk.clock.seconds > 5)
        assert len(desk.outbox._in_flight) == 3
        desk.post.gates["x"].set()
        await desk.done()
    assert len(desk.post.delivered) == 10


async def test_who_is_asked_to_wait_waits_and_so_does_the_rest_for_that_chat(desk):
    desk.post.errors["first"] = [RetryLater(30, "flood")]
    desk.shelf.put("first", priority=1)
    desk.shelf.put("second", topic=Topic.FILL)
    desk.shelf.put("other", chat=BEN)
    async with running(desk):
        await desk.done()
    assert desk.post.texts(ANN) == ["first", "second"]
    assert desk.post.texts(BEN) == ["other"]
    assert 30 <= desk.post.delivered[1][0] <= 32
    assert desk.post.delivered[0][0] < 1


async def test_each_failure_makes_the_next_wait_longer(desk):
    desk.post.errors["x"] = [RetryLater(1, "no network") for _ in range(7)]
    desk.shelf.put("x")
    async with running(desk):
        await desk.done()
    assert desk.post.texts() == ["x"]
    waits = sum(2**tries for tries in range(1, 8))
    assert waits <= desk.post.delivered[0][0] <= waits + 10
    assert module.RETRY.wait(module.TRIES_MAX - 1) == 900


async def test_after_too_many_tries_it_is_given_up(desk, monkeypatch, caplog):
    monkeypatch.setattr(module, "TRIES_MAX", 3)
    desk.post.errors["x"] = [RetryLater(1, "no network") for _ in range(99)]
    desk.shelf.put("x")
    desk.shelf.put("y", topic=Topic.FILL)
    async with running(desk):
        await desk.done()
    assert desk.shelf.given_up == {"x": "RetryLater: no network; try again in 1 s"}
    assert desk.shelf.sent == ["y"]
    assert "notice 1 is given up after 3 tries" in caplog.text


async def test_any_other_error_gives_up_at_once_and_stops_nothing(desk):
    desk.post.errors["x"] = [RuntimeError("blocked")]
    desk.post.errors["z"] = [KeyError("a bug")]
    for text, chat in [("x", ANN), ("y", BEN), ("z", 3)]:
        desk.shelf.put(text, chat=chat)
    async with running(desk):
        await desk.done()
    assert desk.shelf.given_up == {"x": "RuntimeError: blocked", "z": "KeyError: 'a bug'"}
    assert desk.shelf.sent == ["y"]


async def test_of_a_digest_that_is_refused_only_the_bad_one_is_given_up(desk):
    desk.post.errors["bad"] = [RuntimeError("refused") for _ in range(2)]
    for text in ["one", "two", "bad", "three", "four"]:
        desk.shelf.put(text)
    async with running(desk):
        await desk.done()
    assert list(desk.shelf.given_up) == ["bad"]
    assert desk.post.texts() == ["one", "two", "three", "four"]
    assert desk.outbox._alone == set()


async def test_of_a_digest_put_off_all_come_again(desk):
    desk.post.errors["two"] = [RetryLater(5, "flood")]
    for text in ["one", "two", "three", "four"]:
        desk.shelf.put(text)
    async with running(desk):
        await desk.done()
    assert desk.post.texts() == ["one\n\ntwo\n\nthree\n\nfour"]
    assert len(desk.shelf.sent) == 4


async def test_a_delivery_that_hangs_is_put_off(desk, monkeypatch):
    monkeypatch.setattr(module, "DELIVERY_MAX", 0.01)
    desk.post.gates["x"] = asyncio.Event()
    desk.shelf.put("x")
    async with running(desk):
        await desk.until(lambda: desk.shelf.waiting[1][0].tries == 1, turns=10_000_000)
        desk.post.gates["x"].set()
        await desk.done()
    assert desk.shelf.sent == ["x"]


async def test_who_is_reached_by_nobody_is_given_up(desk):
    desk.shelf.put("x", chat=None)
    async with running(desk):
        await desk.done()
    assert desk.shelf.given_up == {"x": "LookupError: no notifier reaches this user"}


async def test_without_a_chat_there_is_no_pace(desk):
    class Everybody(Post):
        def reaches(self, notice):
            return True

    log = Everybody(desk.clock)
    desk.outbox = Outbox(store=desk.shelf, notifiers=[desk.post, log], clock=desk.clock)
    for number in range(100):
        desk.shelf.put(f"{number}", chat=None)
    desk.shelf.put("x", chat=ANN)
    async with running(desk):
        await desk.done()
    assert len(log.delivered) == 100
    assert desk.post.texts() == ["x"]
    assert desk.clock.seconds < 3


async def test_while_the_store_is_away_nothing_is_sent_twice_or_lost(desk, caplog):
    desk.post.gates["x"] = asyncio.Event()
    desk.post.errors["y"] = [RetryLater(1, "flood")]
    desk.shelf.put("x", chat=ANN)
    desk.shelf.put("y", chat=BEN)
    async with running(desk):
        await desk.until(lambda: 1 in desk.outbox._in_flight)
        desk.shelf.away = 8
        desk.post.gates["x"].set()
        await desk.done()
    assert sorted(desk.post.texts()) == ["x", "y"]
    assert sorted(desk.shelf.sent) == ["x", "y"]
    assert "the store is away: disk full" in caplog.text
    assert desk.clock.seconds >= 1 + 2 + 4 + 8 + 16 + 30


async def test_what_was_sent_is_written_down_at_the_end(desk):
    desk.shelf.put("x")
    async with running(desk):
        await desk.until(lambda: desk.post.delivered != [])
    assert desk.shelf.sent == ["x"]


async def test_a_store_that_is_away_at_the_end_stops_nobody_from_ending(desk):
    desk.shelf.put("x")
    async with running(desk):
        await desk.until(lambda: desk.post.delivered != [])
        desk.shelf.away = 10
    assert list(desk.shelf.waiting) == [1]


async def test_a_notifier_that_cancels_itself_is_tried_again(desk):
    desk.post.errors["x"] = [asyncio.CancelledError()]
    desk.shelf.put("x")
    async with running(desk):
        await desk.done()
    assert desk.shelf.sent == ["x"]


async def test_a_notifier_that_holds_connections_is_entered_and_left(desk):
    class Open(Post):
        steps = ()

        async def __aenter__(self):
            self.steps += ("entered",)
            return self

        async def __aexit__(self, *_):
            self.steps += ("left",)

    post = Open(desk.clock)
    desk.outbox = Outbox(store=desk.shelf, notifiers=[post], clock=desk.clock)
    desk.shelf.put("x")
    async with running(desk):
        await desk.done()
        assert post.steps == ("entered",)
    assert post.steps == ("entered", "left")


async def test_a_notice_for_later_waits(desk):
    desk.shelf.put("x", at=START + timedelta(seconds=10))
    async with running(desk):
        await desk.done()
    assert 10 <= desk.post.delivered[0][0] <= 11
