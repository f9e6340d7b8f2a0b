"""What waits is written together, in order, and nothing is confirmed that was not written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.makers import bar
from tests.runtime.live_rig import BOB, STREAM, Ground, enter, lone_error, quiet
from tradefleet.domain.effects import CancelOrder, MemoryChanged, SendOrder
from tradefleet.domain.errors import BrokenInvariant, StoreUnavailable
from tradefleet.domain.ids import OrderId
from tradefleet.runtime import group_commit
from tradefleet.runtime.accounts import Job
from tradefleet.runtime.group_commit import GroupCommit, Work
from tradefleet.runtime.host import Host


class Disk:
    """Writes what it is given, doubled; gate holds it up, error breaks it."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    async def write(self, items: list[int]) -> Sequence[int]:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.groups.append(items)
        return [2 * item for item in items]


@asynccontextmanager
async def commits_on(disk: Disk, work: Work | None = None) -> AsyncIterator[GroupCommit[int, int]]:
    commits = GroupCommit(disk.write, work or Work())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(commits.run())
        yield commits
        task.cancel()


async def test_what_waits_goes_out_together_and_in_order():
    disk, done = Disk(), []
    async with commits_on(disk) as commits:
        for number in range(5):
            commits.add(number, done.append)
        assert len(commits) == 5
        await commits.flushed()
    assert disk.groups == [[0, 1, 2, 3, 4]]
    assert done == [0, 2, 4, 6, 8]
    assert (commits.groups, commits.items, len(commits)) == (1, 5, 0)


async def test_what_waits_may_take_up_more_until_it_is_being_written():
    disk, done, work = Disk(), [], Work()
    async with commits_on(disk, work) as commits:
        waiting = commits.add(1, done.append)
        commits.add(2, done.append)
        commits.join(waiting, 10, lambda result: done.append(-result))
        await work.idle()
        assert disk.groups == [[10, 2]]
        assert done == [20, -20, 4]
        with pytest.raises(BrokenInvariant, match="nothing more"):
            commits.join(waiting, 11, done.append)


async def test_what_comes_during_a_write_is_the_next_group():
    disk = Disk()
    disk.gate = asyncio.Event()
    async with commits_on(disk) as commits:
        commits.add(1, lambda result: None)
        await quiet()
        commits.add(2, lambda result: None)
        commits.add(3, lambda result: None)
        await quiet()
        disk.gate.set()
        await commits.flushed()
    assert disk.groups == [[1], [2, 3]]


async def test_what_comes_from_a_confirmation_is_written_too():
    disk, done = Disk(), []
    async with commits_on(disk) as commits:

        def again(result: int) -> None:
            done.append(result)
            if result < 16:
                commits.add(result, again)

        commits.add(1, again)
        await quiet()
    assert done == [2, 4, 8, 16]


async def test_a_group_has_a_limit(monkeypatch):
    monkeypatch.setattr(group_commit, "GROUP_MAX", 3)
    disk, done = Disk(), []
    async with commits_on(disk) as commits:
        for number in range(8):
            commits.add(number, done.append)
        await commits.flushed()
    assert disk.groups == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert done == [2 * number for number in range(8)]


async def test_each_writer_gets_the_result_of_its_own_item():
    async with commits_on(Disk()) as commits, asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(commits.write(number)) for number in (5, 3, 8)]
    assert [task.result() for task in found] == [10, 6, 16]


async def test_a_writer_who_went_away_stops_nobody():
    disk = Disk()
    disk.gate = asyncio.Event()
    async with commits_on(disk) as commits, asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(commits.write(1))
        stays = tasks.create_task(commits.write(2))
        await quiet()
        gone.cancel()
        await quiet()
        disk.gate.set()
        assert await stays == 4
    assert disk.groups == [[1, 2]]


async def test_whoever_waited_for_a_flush_and_went_away_stops_nobody():
    disk = Disk()
    disk.gate = asyncio.Event()
    async with commits_on(disk) as commits, asyncio.TaskGroup() as tasks:
        commits.add(1, lambda result: None)
        gone = tasks.create_task(commits.flushed())
        stays = tasks.create_task(commits.flushed())
        await quiet()
        gone.cancel()
        await quiet()
        disk.gate.set()
        await stays
        assert await commits.write(2) == 4


async def test_flushed_waits_for_what_was_added_before_and_for_nothing_else():
    disk = Disk()
    async with commits_on(disk) as commits:
        await commits.flushed()  # nothing was added
        disk.gate = asyncio.Event()
        commits.add(1, lambda result: None)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(commits.flushed())
            await quiet()
            assert not first.done()
            gate, disk.gate = disk.gate, asyncio.Event()
            commits.add(2, lambda result: None)
            second = tasks.create_task(commits.flushed())
            await quiet()
            gate.set()
            await quiet()
            assert first.done() and not second.done()
            disk.gate.set()
    assert disk.groups == [[1], [2]]


async def test_work_is_under_way_until_everything_is_confirmed():
    disk, work = Disk(), Work()
    disk.gate = asyncio.Event()
    async with commits_on(disk, work) as commits:
        assert work.is_idle
        commits.add(1, lambda result: None)
        commits.add(2, lambda result: None)
        assert not work.is_idle
        disk.gate.set()
        await work.idle()
        assert disk.groups == [[1, 2]]
        await work.idle()


async def test_a_write_that_fails_ends_with_its_error_and_confirms_nothing():
    disk, done = Disk(), []
    disk.error = StoreUnavailable("the disk is full")
    commits: GroupCommit[int, int] = GroupCommit(disk.write, Work())
    commits.add(1, done.append)
    with pytest.raises(StoreUnavailable):
        await commits.run()
    assert done == []
    assert disk.groups == []


# ------------------------------------------------------------ a host and its journal


async def full(batches: object) -> None:
    raise StoreUnavailable("the disk is full")


async def ends_with_its_error(running, body) -> None:
    """Run a host whose journal fails under it; it must not hang."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running:
            running.ground.store.before_write = full
            await body(running)
    error = lone_error(caught.value)
    assert isinstance(error, StoreUnavailable), error
    assert str(error) == "the disk is full"


@pytest.fixture
async def ground() -> Ground:
    ground = Ground.new()
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    return ground


async def test_a_journal_that_fails_stops_the_host_while_it_settles(ground):
    async def body(running):
        await running.bar(0)
        await running.host.settle()
        raise AssertionError("settled, though nothing was written")

    await ends_with_its_error(ground.host(), body)


async def test_a_journal_that_fails_stops_the_host_while_it_waits_for_anything(ground):
    async def body(running):
        await running.bar(0)
        await asyncio.Event().wait()

    await ends_with_its_error(ground.host(), body)


async def test_a_journal_that_fails_as_the_host_ends_is_said_too(ground):
    async def decide(running):
        """Leave the context with something that is not written yet."""
        await running.host.bar(STREAM, bar(100))

    await ends_with_its_error(ground.host(), decide)


async def test_a_journal_that_fails_stops_lanes_that_wait_for_it(ground):
    async def body(running):
        ground.store.before_write = None
        await running.bar(0)
        ground.store.before_write = full
        await running.price(100)
        await running.host.settle()

    await ends_with_its_error(ground.host(), body)
    assert ground.link().submitted == []


async def test_a_cancel_does_not_overtake_the_order_that_is_being_written(ground, monkeypatch):
    written = asyncio.Event()

    async def wait(batches: object) -> None:
        await written.wait()

    async with ground.host() as running:
        bot = next(iter(running.host.bots.values()))
        ground.store.before_write = wait
        running.host.record(bot.user, [MemoryChanged(bot.engine.memory())])
        bot.user.acts.append((bot, SendOrder(OrderId("a"))))
        running.host.flush()
        running.host._dirty.append(bot.user)
        bot.user.acts.append((bot, CancelOrder(OrderId("a"))))
        put: list[Job] = []
        monkeypatch.setattr(Host, "put", lambda host, bot, job, order_id: put.append(job))
        running.host.flush()
        await quiet()
        assert put == []
        written.set()
        await quiet()
        assert put == [Job.SEND, Job.CANCEL]


async def test_an_error_of_the_caller_ends_the_host_with_that_error(ground):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with ground.host() as running:
            await running.bar(0)
            raise ZeroDivisionError("of the caller")
    assert isinstance(lone_error(caught.value), ZeroDivisionError)


async def test_batches_of_many_users_share_one_write(ground):
    await ground.join(BOB)
    async with ground.host() as running:
        before = running.host.journal.groups
        await running.bar(0)
        assert running.host.journal.groups == before + 1
        assert {batch.user_id for batch in ground.store.batches[-2:]} == {"alice", "bob"}
