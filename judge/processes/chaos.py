"""What is done to hosts while they trade: about one is killed a second, others stand still.

On SQLite one host runs at a time: it is killed, and the next one starts. On PostgreSQL three are
awake at any time; beside them some stand still (SIGSTOP) until others have taken their users, and
then go on (SIGCONT) as if nothing had been: zombies.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from judge.evidence import Happened
from judge.processes.fleet import Fleet, Running
from judge.processes.host import Part
from judge.processes.proxy import Proxy
from judge.processes.watching import STANDING, Asked, leases
from venuesim.clock import Clock, RealClock
from venuesim.seeded import Dice, dice

LOOK = 0.05  # seconds between two looks of the chaos
LOOK_LEASES = 0.1
# Seconds of a host on SQLite: killed while it takes its users, or in the midst of trading.
SHORT_LIFE, LONG_LIFE, SHORT = (0.05, 0.5), (1.2, 2.8), 0.55
KILL_EVERY = (0.7, 1.3)  # seconds, on PostgreSQL
FREEZE_EVERY = (1.9, 2.5)
FROZEN_MAX = 14.0  # a host that nobody overtakes goes on after so long
STAGGER = (0.0, 1.0)  # how much longer it stands still once it is overtaken
LEASE_OUT = 7.0  # seconds in which a host that stands still is overtaken
FREED_FOR = 1.5  # seconds a host that goes on is left alone
READY_AFTER = 0.5  # seconds until a host may be made to stand still
ROOMS = (0.6, 0.35, 0.08)  # of all users that each of the hosts that are awake may take
KILLED = {0.6: 0.2, 0.35: 0.3, 0.08: 0.5}  # of the kills that strike hosts of such a room
PAUSES = 0.08  # of the lives on SQLite have a pause
PAUSE = (0.2, 1.0)  # seconds


@dataclass(slots=True, eq=False)
class Diary:
    """What the world did, in order."""

    clock: Clock = field(default_factory=RealClock)
    happened: list[Happened] = field(default_factory=list)

    def note(self, kind: str, **fields: object) -> None:
        self.happened.append(Happened(at_ms=self.clock.now_ms(), kind=kind, fields=fields))


@dataclass(slots=True, kw_only=True, eq=False)
class Chaos:
    """One run's hosts and what befalls them."""

    fleet: Fleet
    proxy: Proxy
    asked: Asked
    diary: Diary
    ports: Mapping[str, int]
    variables: Mapping[str, str]
    part: Part
    seed: int
    kills: int = 0
    zombies: int = 0
    failed: list[Running] = field(default_factory=list)
    leased: dict[str, tuple[str, int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _hosts: int = 0
    _looked: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: set[str] = field(default_factory=set)  # owners that were killed, or stand still
    _freed: dict[Running, float] = field(default_factory=dict)
    _rooms: dict[Running, float] = field(default_factory=dict)

    # ------------------------------------------------------------------ hosts

    async def start(self, part: Part | None = None) -> Running:
        self._hosts += 1
        name = f"host-{self._hosts:03}"
        return await self.fleet.host(
            name, self.proxy, self.ports, self.variables, part or self.part
        )

    def kill(self, host: Running) -> None:
        self.kills += 1
        self._gone.add(str(host.pid))
        self.fleet.kill(host, self.proxy)
        self.diary.note("crash", host=host.name, point="", fault="", venue="", account_id="")

    @property
    def awake(self) -> list[Running]:
        return [
            each
            for each in self.fleet.processes.values()
            if each.doors and each.lives and not each.is_frozen
        ]

    def bury(self) -> None:
        """Note hosts that ended by themselves, and close their doors."""
        for each in self.fleet.processes.values():
            if each.doors and each.ended.is_set() and not each.is_killed:
                if each in self.failed or each.code == 0:
                    continue
                self.failed.append(each)
                self._gone.add(str(each.pid))
                for door in each.doors:
                    self.proxy.close(door)
                text = f"{each.name} ended by itself with code {each.code}"
                self.diary.note("note", text=text)

    # ----------------------------------------------------------------- leases

    async def keep_looking(self) -> None:
        """Note who takes whom, until cancelled."""
        while True:
            await self.look()
            before, self._looked = self._looked, asyncio.Event()
            before.set()
            await asyncio.sleep(LOOK_LEASES)

    async def looked(self) -> None:
        """Return when the leases have been looked at once more."""
        await self._looked.wait()

    async def look(self) -> None:
        for user, (owner, epoch) in (await leases(self.asked)).items():
            before = self.leased.get(user, ("", 0))
            if (owner, epoch) == before:
                continue
            self.leased[user] = owner, epoch
            if epoch == before[1]:
                continue
            host = self.name_of(owner)
            self.counts["taken"] += 1
            self.diary.note("lease", user_id=user, host=host, epoch=epoch)
            if pid_of(before[0]) in self._gone:
                self.diary.note("recovered", host=host, user_id=user)

    def name_of(self, owner: str) -> str:
        pid = pid_of(owner)
        known = self.fleet.by_pid.get(int(pid)) if pid.isdigit() else None
        return known.name if known is not None else owner

    def users_of(self, host: Running) -> set[str]:
        return {user for user, (owner, _) in self.leased.items() if pid_of(owner) == str(host.pid)}

    # -------------------------------------------------------- one at a time

    async def one_by_one(self, seconds: float) -> None:
        """Start a host, let it trade for a moment, kill it, and again."""
        roll, clock = dice(self.seed, "kills"), asyncio.get_running_loop().time
        until = clock() + seconds
        while clock() < until:
            host = await self.start()
            life = roll.uniform(*(SHORT_LIFE if roll.random() < SHORT else LONG_LIFE))
            if roll.random() < PAUSES:
                await self._lived(host, life / 2)
                await self._pause(host, roll)
            await self._lived(host, life / 2)
            await self._lived(host, life / 2)
            self.bury()
            if host.lives:
                self.kill(host)
                await host.ended.wait()

    async def _lived(self, host: Running, seconds: float) -> None:
        try:
            await asyncio.wait_for(host.ended.wait(), seconds)
        except TimeoutError:
            return

    async def _pause(self, host: Running, roll: Dice) -> None:
        """Let a host stand still while nobody overtakes it: there is no other on a file."""
        if not host.lives:
            return
        seconds = roll.uniform(*PAUSE)
        self.diary.note("frozen", host=host.name, seconds=seconds)
        self.counts["paused"] += 1
        self.fleet.freeze(host)
        await asyncio.sleep(seconds)
        self.fleet.thaw(host)
        self.diary.note("thawed", host=host.name)

    # ------------------------------------------------------ several at once

    async def several(self, seconds: float) -> None:
        """Keep three hosts awake while one is killed each second, and one stopped each other."""
        roll, clock = dice(self.seed, "kills"), asyncio.get_running_loop().time
        for room in ROOMS:
            await self._start_with(room)
        until = clock() + seconds
        kill_at = clock() + roll.uniform(*KILL_EVERY)
        freeze_at = clock() + roll.uniform(*FREEZE_EVERY)
        async with asyncio.TaskGroup() as tasks:
            while clock() < until:
                self.bury()
                for room in ROOMS:
                    if not any(self._rooms.get(each) == room for each in self.awake):
                        await self._start_with(room)
                if clock() >= kill_at:
                    kill_at += roll.uniform(*KILL_EVERY)
                    self._kill_one(roll, clock())
                if clock() >= freeze_at and until - clock() > LEASE_OUT:
                    host = self._who_may_freeze(clock(), freeze_at)
                    if host is not None:
                        freeze_at += roll.uniform(*FREEZE_EVERY)
                        tasks.create_task(self._stand_still(host, roll.uniform(*STAGGER)))
                await asyncio.sleep(LOOK)

    def _kill_one(self, roll: Dice, now: float) -> None:
        may = [each for each in self.awake if self._freed.get(each, 0.0) < now]
        if may:
            weights = [KILLED[self._rooms[each]] for each in may]
            (host,) = roll.choices(may, weights)
            self.kill(host)

    async def _start_with(self, room: float) -> None:
        """Start a host that takes some of the users; the next in its place takes as many."""
        users = max(1, round(len(self.leased) * room)) if self.leased else self.part.users_max
        self._rooms[await self.start(replace(self.part, users_max=users))] = room

    def _who_may_freeze(self, now: float, due: float) -> Running | None:
        """Choose who stands still next: whoever takes fewest users, or, overdue, has fewest.

        All its users wait until others have taken them; the many others go on trading.
        """
        old = [each for each in self.awake if now - each.began > READY_AFTER]
        may = [each for each in old if self.users_of(each) and each not in self._freed]
        if now - due < FREEZE_EVERY[0]:
            may = [each for each in may if self._rooms.get(each) == ROOMS[-1]]
        return min(may, key=lambda each: len(self.users_of(each)), default=None)

    async def _stand_still(self, host: Running, stagger: float) -> None:
        """Stop a host until all its users are others', then let it go on."""
        clock = asyncio.get_running_loop().time
        began, users = clock(), self.users_of(host)
        self._gone.add(str(host.pid))
        self.fleet.freeze(host)
        self.diary.note("frozen", host=host.name, seconds=FROZEN_MAX)
        left = users
        while left and clock() - began < FROZEN_MAX:
            await self.looked()
            left = users & self.users_of(host)
        if not left:
            await asyncio.sleep(stagger)
            self.zombies += 1
            self.counts["taken from zombies"] += len(users)
        else:
            ((standing,),) = await self.asked.rows(STANDING)
            self.counts["not overtaken, in a transaction" if standing else "not overtaken"] += 1
        self._gone.discard(str(host.pid))
        self._freed[host] = clock() + FREED_FOR
        self.fleet.thaw(host)
        self.diary.note(
            "thawed", host=host.name, overtaken=not left, seconds=round(clock() - began, 2)
        )

    async def end(self, hosts: Sequence[Running], seconds: float) -> None:
        """Stop hosts as an operator does, all at once; who does not end by then is killed."""
        async with asyncio.TaskGroup() as tasks:
            for host in hosts:
                tasks.create_task(self._end_one(host, seconds))

    async def _end_one(self, host: Running, seconds: float) -> None:
        code = await self.fleet.stop(host, self.proxy, seconds)
        self.counts[f"stopped with code {code}"] += 1
        host.is_killed = True


def pid_of(owner: str) -> str:
    return owner.rpartition(":")[2]
