"""The hosts of a run and what is done to them: started, killed, stopped, let go on, ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from judge.processes.host import Part
from judge.processes.proxy import Door, Proxy

START_SECONDS = 60.0
LINE_MAX = 1 << 20


class Fallen(Exception):
    """A process that must live ended by itself; the text says which, and how."""


@dataclass(slots=True, eq=False)
class Running:
    """One process that the zygote forked."""

    name: str
    log: Path
    doors: list[Door] = field(default_factory=list)
    pid: int = 0
    began: float = 0.0
    code: int | None = None
    cpu: float = 0.0  # seconds, once it has ended
    is_frozen: bool = False
    is_killed: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def lives(self) -> bool:
        return self.pid > 0 and not self.is_killed and not self.ended.is_set()

    def signal(self, number: int) -> None:
        if self.pid and not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(slots=True, eq=False)
class Fleet:
    """All processes of a run, forked by one zygote; an async context."""

    folder: Path
    processes: dict[str, Running] = field(default_factory=dict)
    by_pid: dict[int, Running] = field(default_factory=dict)
    _zygote: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None
    _tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _has_failed: bool = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._zygote = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "judge.processes.zygote",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
        )
        self._reader = self._tasks.create_task(self._read())
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            self._has_failed = True
        if self._has_failed:
            await self._end()
            raise Fallen("the zygote did not start")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()
        await self._tasks.__aexit__(kind, error, trace)

    async def _end(self) -> None:
        for each in self.processes.values():
            if not each.ended.is_set():
                each.signal(signal.SIGCONT)
                each.signal(signal.SIGKILL)
        zygote = self._zygote
        assert zygote is not None
        assert zygote.stdin is not None
        zygote.stdin.close()  # it kills what is left, and ends
        try:
            await asyncio.wait_for(zygote.wait(), 10)
        except TimeoutError:
            zygote.kill()
            await zygote.wait()
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self) -> None:
        """Hear from the zygote what began and ended."""
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        while line := await self._zygote.stdout.readline():
            said: dict[str, Any] = orjson.loads(line)
            if "ready" in said:
                self._ready.set()
            elif "started" in said:
                process = self.processes[said["started"]]
                process.pid = said["pid"]
                self.by_pid[process.pid] = process
                process.started.set()
            elif "ended" in said:
                process = self.processes[said["ended"]]
                process.code = said["code"]
                process.cpu = said["cpu"]
                process.ended.set()
        self._has_failed = not self._ready.is_set()
        self._ready.set()

    # ------------------------------------------------------------- processes

    async def fork(self, name: str, words: Mapping[str, object]) -> Running:
        """Have the zygote fork a process; return it as soon as it has a number."""
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        log = self.folder / f"{name}.log"
        process = self.processes[name] = Running(name=name, log=log)
        process.began = asyncio.get_running_loop().time()
        command = {"name": name, "folder": str(self.folder), "log": str(log), **words}
        self._zygote.stdin.write(orjson.dumps(command) + b"\n")
        async with asyncio.timeout(START_SECONDS):
            await self._zygote.stdin.drain()
            await process.started.wait()
        return process

    async def host(
        self,
        name: str,
        proxy: Proxy,
        ports: Mapping[str, int],
        variables: Mapping[str, str],
        part: Part,
    ) -> Running:
        """Start a host that reaches its venues through doors of its own."""
        doors = [await proxy.open(name, venue, port) for venue, port in ports.items()]
        led = dict(variables)
        for door in doors:
            led |= addresses(door.venue, door.port)
        process = await self.fork(name, {"do": "host", "variables": led, "part": asdict(part)})
        process.doors = doors
        return process

    def kill(self, process: Running, proxy: Proxy) -> None:
        """End a process as kill -9 does; what it had sent already is on its way."""
        process.is_killed = True
        process.signal(signal.SIGKILL)
        for door in process.doors:
            proxy.close(door)

    def freeze(self, process: Running) -> None:
        process.is_frozen = True
        process.signal(signal.SIGSTOP)

    def thaw(self, process: Running) -> None:
        process.is_frozen = False
        process.signal(signal.SIGCONT)

    async def stop(self, process: Running, proxy: Proxy, seconds: float) -> int:
        """Stop a process as an operator does; return its exit code, -9 when it had to be killed."""
        process.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.ended.wait(), seconds)
        except TimeoutError:
            process.signal(signal.SIGUSR1)  # to tell what it waits for
            await asyncio.sleep(1)
            process.signal(signal.SIGKILL)
            await process.ended.wait()
        for door in process.doors:
            proxy.close(door)
        return process.code if process.code is not None else -signal.SIGKILL


def addresses(venue: str, port: int) -> dict[str, str]:
    """Return the settings that lead a service to a venue's port on this machine."""
    return {
        f"{venue.upper()}_URL": f"http://127.0.0.1:{port}",
        f"{venue.upper()}_WS_URL": f"ws://127.0.0.1:{port}",
    }
