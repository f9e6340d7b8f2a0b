"""Stores for state machines: one of its own for every story, in memory or in a SQLite file."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.makers import START
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.store import Store
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.sql import open_store, upgrade

T = TypeVar("T")
KINDS = ("memory", "sqlite")


@cache
def template() -> Path:
    """Return a SQLite file that is empty and up to date, made once in this process."""
    file = Path(mkdtemp(prefix="tradefleet-properties-")) / "template.db"
    with asyncio.Runner() as runner:
        runner.run(upgrade(str(file)))
    return file


class Kept(RuleBasedStateMachine):
    """A story that is written into a store of its own."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.clock = ReplayClock(START)
        self.runner = asyncio.Runner()
        self.folder: TemporaryDirectory[str] | None = None
        self.store: Store = self._opened()

    def _opened(self) -> Store:
        if self.kind == "memory":
            return MemoryStore(self.clock)
        self.folder = TemporaryDirectory(prefix="tradefleet-properties-")
        file = shutil.copy(template(), Path(self.folder.name) / "story.db")
        return self.run(open_store(str(file), clock=self.clock))

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(doing)

    def finish(self) -> None:
        """Look at the whole story once it is told."""

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.run(self.store.close())
            self.runner.close()
            if self.folder is not None:
                self.folder.cleanup()


def tell(machine: Callable[[], RuleBasedStateMachine], how: settings) -> None:
    """Play stories; raise what a story ended with."""
    run_state_machine_as_test(machine, settings=how)  # type: ignore[no-untyped-call]
