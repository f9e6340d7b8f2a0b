"""Coverage is measured where the pure part is proved, and nowhere else: it doubles the time."""

import importlib.util
import pkgutil
from collections.abc import Generator, Iterable

import pytest
from coverage import Coverage

WHERE = frozenset({"unit", "simulation"})  # folders of tests


class Measuring:
    """Turns what pytest-cov has begun off and on again; without --cov there is nothing to turn."""

    def __init__(self) -> None:
        self._resting: list[Coverage] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Import what is to be measured while it is; what else is imported is not looked at."""
        if Coverage.current() is not None:
            import_all(session.config.getoption("cov_source") or ())
        self.rest()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # Recorded bars are not on every machine, so nothing may be proved by them alone.
        if item.path.parent.name in WHERE and "recorded_bars" not in item.name:
            self.go_on()
        else:
            self.rest()
        return (yield)

    def rest(self) -> None:
        while (measured := Coverage.current()) is not None:  # a worker has its master's, too
            measured.stop()
            self._resting.append(measured)

    def go_on(self) -> None:
        while self._resting:
            self._resting.pop().start()


def import_all(names: Iterable[str]) -> None:
    """Import modules and all that is in them, as far as they are there."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            importlib.import_module(found.name)
