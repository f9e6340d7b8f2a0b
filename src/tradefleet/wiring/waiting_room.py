"""Where the service waits for a database that went away: it says so, and starts again with it.

A process that ended instead would be started again and again, and given up by its supervisor when
that lasts; nobody could ask it what is wrong, and no alert would be told.
"""

import asyncio
import logging
from collections.abc import Sequence

from tradefleet.alert import AlertBook, AlertSink
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.health import Metric
from tradefleet.operations.health.alerting import Alerting, LogSink
from tradefleet.operations.health.checks import Check, HealthWatch, Measured
from tradefleet.operations.health.machine import Machine
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import load_settings
from tradefleet.stores.sql import check
from tradefleet.stores.sql.address import read_address
from tradefleet.surfaces.api.health import routes_of_nobody
from tradefleet.surfaces.api.server import HttpSurface
from tradefleet.wiring.health import folders_of, machine_checks

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between two looks whether it is there again


def is_all_database(error: BaseException) -> bool:
    """Say whether nothing but the database's absence ended what ran."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_all_database, error.exceptions))
    return isinstance(error, StoreUnavailable)


def first_words(error: BaseException) -> str:
    """Return what the first of some errors says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def wait_for_database(
    db: str | None, stop: asyncio.Event, book: AlertBook, sinks: Sequence[AlertSink] = ()
) -> None:
    """Return when the database answers again, or when stop is set; tell its absence meanwhile."""
    settings, clock = load_settings(), RealClock()
    url = db or settings.database_url.get_secret_value()
    there = asyncio.Event()

    async def ping() -> Measured:
        began = clock.monotonic()
        await check(url)
        there.set()
        return {"database_ms": Metric((clock.monotonic() - began) * 1000)}

    rules, every = settings.alert_rules(), min(settings.health_seconds, LOOK_SECONDS)
    alerting = Alerting(
        store=None,
        clock=clock,
        owner="",
        rules=rules,
        every=every,
        sinks=[LogSink(), *sinks],
        book=book,
        on_duty=True,
    )
    folders = folders_of(settings, read_address(url).file)
    watch = HealthWatch(
        checks=[
            Check(metrics=("database_ms",), measure=ping),
            *machine_checks(Machine(clock=clock, folders=folders)),
        ],
        rules=rules,
        clock=clock,
        every=every,
        recovered=lambda: False,
        heard=alerting.heard,
    )

    async def report() -> dict[str, object]:
        return (await watch.report()).as_json()

    http = HttpSurface(
        host=settings.http_host,
        port=settings.http_port,
        health=report,
        is_ready=lambda: False,
        more=[routes_of_nobody("the database is away")],
    )
    listener = http.listen()
    async with asyncio.TaskGroup() as tasks:
        beside = [
            tasks.create_task(http.serve(listener)),
            tasks.create_task(watch.run()),
        ]
        waits = [tasks.create_task(each.wait()) for each in (there, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in (*beside, *waits):
            task.cancel()
    if there.is_set():
        logger.warning("the database answers again: everything starts again")
