"""Figures of the running process, put together: who reads them, and where they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter

from tradefleet.alert import Level
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import StoreError
from tradefleet.domain.health import HealthReport
from tradefleet.domain.tally import RequestTally
from tradefleet.operations.health.machine import cpu_seconds, memory_bytes
from tradefleet.runtime.gauges import BACKLOG_PATIENCE, Gauges
from tradefleet.runtime.node import Node
from tradefleet.surfaces.api.exposition import Around, Families, families
from tradefleet.surfaces.api.metrics import Gate, metrics_routes
from tradefleet.webhook import Outcome
from tradefleet.wiring.ground import Ground

ALERTS_MAX = 1000  # open at once

Report = Callable[[], Awaitable[HealthReport]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureParts:
    """What a service tells of itself, and what runs for it."""

    gauges: Gauges
    routes: APIRouter


def figures_over(
    node: Node,
    ground: Ground,
    dispatcher: Dispatcher,
    requests: RequestTally,
    report: Report | None = None,
) -> FigureParts:
    """Return what counts and tells; report: asks for the latest of health."""
    gauges = Gauges(
        node=node,
        clock=ground.clock,
        cpu_seconds=cpu_seconds,
        memory_bytes=memory_bytes,
        too_fast=ground.too_fast,
        requests=requests,
        commands=dispatcher.tally,
    )
    store = ground.store

    async def gather() -> Families:
        backlog = await gauges.backlog()
        alerts: Mapping[tuple[str, Level], int] | None = None
        deliveries: Mapping[tuple[str, Outcome], int] | None = None
        if backlog is not None:
            try:
                async with asyncio.timeout(BACKLOG_PATIENCE):
                    found = await store.health.alerts(ALERTS_MAX, only_open=True)
                    alerts = {(alert.rule, alert.level): 1 for alert in found}
                    deliveries = await store.alert_deliveries.counts()
            except (StoreError, TimeoutError):
                backlog = None
        latest = None if report is None else await report()
        around = Around(report=latest, alerts=alerts, deliveries=deliveries, backlog=backlog)
        return families(gauges, around)

    said = ground.settings.metrics_token
    token = None if said is None else Secret(said.get_secret_value())
    return FigureParts(gauges=gauges, routes=metrics_routes(gather, Gate(token)))
