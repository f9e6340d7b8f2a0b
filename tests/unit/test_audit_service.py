"""What the service notes of itself in its own chain, and how old its checkpoints are."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.test_audit_tampering import KEYS, Broken, over
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.limits import TIERS
from tradefleet.stores.memory import MemoryStore
from tradefleet.wiring.audit import LAG, check_of, serving
from tradefleet.wiring.ground import Ground


def ground_of(store, tiers=TIERS) -> Ground:
    settings = SimpleNamespace(tiers=lambda: tiers)
    return cast(Ground, SimpleNamespace(store=store, settings=settings))


async def actions(store) -> list[str]:
    return [entry.action for entry in reversed(await store.audits.page(100))]


async def test_starts_stops_and_other_tiers_are_noted(clock):
    store: Any = MemoryStore(clock)
    for _ in range(2):
        async with serving(ground_of(store), "host:1"):
            pass
    free = replace(TIERS["free"], bots=7)
    async with serving(ground_of(store, {**TIERS, "free": free}), "host:2"):
        assert await actions(store) == [
            *["service_started", "service_stopped"] * 2,
            *["tiers_changed", "service_started"],
        ]
    changed = next(e for e in await store.audits.page(100) if e.action == "tiers_changed")
    bots = [changed.asked[when]["free"]["bots"] for when in ("before", "after")]
    assert bots == [TIERS["free"].bots, 7]


async def test_a_stop_lets_go_of_all_that_is_done_for_everybody(clock):
    """So that db move, and another process, need not wait for what was stopped."""
    store: Any = MemoryStore(clock)
    async with serving(ground_of(store), "host:1"):
        for name, owner in (("audit checkpoints", "host:1"), ("webhooks", "host:2")):
            await store.duties.take(name, owner, now=clock.now(), ttl=180)
    assert [(each.name, each.owner) for each in await store.duties.held()] == [
        ("webhooks", "host:2")
    ]


async def test_a_stop_without_a_database_is_no_error(clock):
    store: Any = MemoryStore(clock)

    async def away(*_: object) -> None:
        raise StoreUnavailable("the database is away")

    with pytest.raises(KeyError):
        async with serving(ground_of(store), "host:1"):
            store.audits.note = away
            raise KeyError


async def test_the_age_of_the_last_checkpoint_is_measured(clock):
    store, sink = MemoryStore(clock), Broken()
    store.audits.keys = KEYS
    checkpoints = over(store, clock, sink)
    measure = check_of(checkpoints).measure
    assert (await measure())[LAG].value == 0, "it has just begun"
    await store.audits.note("a", {})
    await checkpoints.turn()
    clock.move_to(clock.now() + timedelta(minutes=10))
    found = (await measure())[LAG]
    assert (found.value, found.unit, found.detail) == (600, "s", "the disk is full")
    sink.is_broken = False
    await checkpoints.turn()
    assert (await measure())[LAG].value == 0
