"""Room for so many: first come first served, and nobody's place is lost."""

import asyncio

from tests.runtime.live_rig import quiet
from tradefleet.runtime.room import Room


class Guest:
    """A task that stays in a room until told."""

    def __init__(self, room: Room, tasks: asyncio.TaskGroup) -> None:
        self.is_inside = False
        self.go = asyncio.Event()
        self.task = tasks.create_task(self._stay(room))

    async def _stay(self, room: Room) -> None:
        await room.wait()
        try:
            self.is_inside = True
            await self.go.wait()
        finally:
            room.leave()
        self.is_inside = False


def inside(guests: list[Guest]) -> list[bool]:
    return [guest.is_inside for guest in guests]


async def test_so_many_are_inside_and_who_came_first_goes_in_first():
    async with asyncio.TaskGroup() as tasks:
        room = Room(2)
        guests = [Guest(room, tasks) for _ in range(4)]
        await quiet()
        assert inside(guests) == [True, True, False, False]
        guests[1].go.set()
        await quiet()
        assert inside(guests) == [True, False, True, False]
        for guest in guests:
            guest.go.set()


class Unlucky(Room):
    """A room whose victim is cancelled when it has just been given a place."""

    victim: Guest | None = None

    def leave(self) -> None:
        super().leave()
        victim, self.victim = self.victim, None
        if victim is not None:
            victim.task.cancel()


async def test_who_stops_waiting_lets_the_next_one_in_even_when_told_just_now():
    async with asyncio.TaskGroup() as tasks:
        room = Unlucky(1)
        guests = [Guest(room, tasks) for _ in range(4)]
        await quiet()
        guests[1].task.cancel()  # while waiting
        await quiet()
        room.victim = guests[2]
        guests[0].go.set()
        await quiet()
        assert guests[2].task.cancelled()
        assert inside(guests) == [False, False, False, True]
        guests[3].go.set()
        await quiet()
        assert room.goes_in()
