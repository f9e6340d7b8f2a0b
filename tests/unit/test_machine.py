"""What a process takes of its machine is told beside what the node says, and judged with it."""

import os
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.doors import Still
from tradefleet.wiring import machine
from tradefleet.wiring.machine import Machine, memory_bytes, memory_percent


def of(overall: str = "healthy") -> Machine:
    async def node() -> dict[str, Any]:
        return {
            "overall_status": overall,
            "metrics": {"active_bots": {"value": 1, "status": "healthy"}},
            "active_alerts": 0,
            "critical_alerts": 0,
        }

    return Machine(node=node, clock=Still())


@pytest.mark.parametrize(
    ("memory", "said", "overall", "alerts"),
    [
        (68.14, "healthy", "healthy", (0, 0)),
        (68.14, "degraded", "degraded", (0, 0)),
        (80.0, "healthy", "degraded", (1, 0)),
        (80.0, "unhealthy", "unhealthy", (1, 0)),
        (95.0, "degraded", "unhealthy", (1, 1)),
    ],
)
async def test_memory_that_runs_out_is_told_and_nothing_becomes_better_by_it(
    monkeypatch, memory, said, overall, alerts
):
    monkeypatch.setattr(machine, "memory_percent", lambda: memory)
    report = await of(said).health()
    assert report["overall_status"] == overall
    assert report["metrics"]["memory_usage"]["value"] == memory
    assert report["metrics"]["active_bots"] == {"value": 1, "status": "healthy"}
    assert (report["active_alerts"], report["critical_alerts"]) == alerts


def test_the_processor_is_told_for_the_time_since_it_was_looked_at(monkeypatch):
    looked, clock, busy = of(), Still(), iter([10.0, 10.5, 10.6, 20.0, 20.25])
    looked.clock = clock
    times = SimpleNamespace(times=lambda: SimpleNamespace(user=next(busy), system=0.0))
    monkeypatch.setattr(machine, "os", times)
    told = []
    for step in (0, 2, 0.5, 0.5, 5):
        clock.time += timedelta(seconds=step)
        told.append(looked.cpu_percent())
    assert told == pytest.approx([0, 25, 25, 950, 5])


def test_memory_is_this_processs_and_known_everywhere(monkeypatch, tmp_path):
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory_percent() < 100
    assert 10_000_000 < memory_bytes() < most
    monkeypatch.setattr(machine, "STATM", tmp_path / "none")
    assert 10_000_000 < memory_bytes() < most
