"""The audit log, put together: its checkpoints, what the service itself did, and verifying it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tradefleet import __version__
from tradefleet.domain.audit import SYSTEM
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotThere, Refused, StoreError
from tradefleet.domain.health import Metric
from tradefleet.operations.audit.checkpoints import Checkpoints, hold_to
from tradefleet.operations.audit.keys import chain_keys
from tradefleet.operations.audit.sinks import FileSink, Sink, UrlSink
from tradefleet.operations.audit.verifying import AuditReport, Verifier
from tradefleet.operations.health.checks import Check, Measured
from tradefleet.settings import Settings, load_settings
from tradefleet.store import find_somebody
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.vault import Vault
from tradefleet.wiring.backup import known_masters
from tradefleet.wiring.ground import Ground
from tradefleet.wiring.keys import Masters, open_vault
from tradefleet.wiring.processes import let_go

LAG = "audit_checkpoint_lag_s"
STARTED = "service_started"
LOOKED_BACK = 500  # lines of the service's own


def checkpoints_of(ground: Ground, owner: str) -> Checkpoints:
    settings, clock = ground.settings, ground.clock
    sinks: list[Sink] = [FileSink(settings.audit_checkpoint_file)]
    if settings.audit_checkpoint_url is not None:
        sinks.append(UrlSink(settings.audit_checkpoint_url.get_secret_value(), clock))
    return Checkpoints(
        store=ground.store,
        keys=ground.store.audits.keys,
        clock=clock,
        sinks=sinks,
        owner=owner,
        seconds=settings.audit_checkpoint_seconds,
    )


def check_of(checkpoints: Checkpoints) -> Check:
    """Return the measurement of how old the last checkpoint is that all sinks took."""

    async def measure() -> Measured:
        return {LAG: Metric(checkpoints.lag, unit="s", detail=checkpoints.fault)}

    return Check(metrics=(LAG,), measure=measure)


@asynccontextmanager
async def serving(ground: Ground, owner: str) -> AsyncIterator[None]:
    """Note in the service's own chain that it started, and that it stopped; leave no duty held."""
    tiers = tiers_told(ground.settings)
    before = await tiers_before(ground.store)
    if before not in (None, tiers):
        await ground.store.audits.note("tiers_changed", {"before": before, "after": tiers})
    said = {"process": owner, "version": __version__, "tiers": tiers}
    await ground.store.audits.note(STARTED, said)
    try:
        yield
    finally:
        with suppress(StoreError):  # the database went away: the next start tells of it
            await ground.store.audits.note("service_stopped", {"process": owner})
            await let_go(ground.store, owner)


def tiers_told(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the tiers in force, as a line keeps them."""
    found = {name: asdict(tier) for name, tier in settings.tiers().items()}
    return {name: {k: v for k, v in tier.items() if k != "larger"} for name, tier in found.items()}


async def tiers_before(store: SqlStore) -> object:
    """Return the tiers that the latest process started with, None when that is long ago."""
    for entry in await store.audits.page(LOOKED_BACK):
        if entry.action == STARTED:
            return entry.asked.get("tiers")
    return None


async def verify_audit(db: str | None, user: str | None, checkpoint: Path | None) -> AuditReport:
    """Look the log through; Refused when there is nothing to look with."""
    settings = load_settings()
    masters = known_masters(settings)
    if not masters:
        raise Refused("There is no ENCRYPTION_KEY, which the audit log is bound under.")
    if checkpoint is not None and not await asyncio.to_thread(checkpoint.is_file):
        raise Refused(f"{checkpoint} is not there.")
    store = await open_store(db or settings.database_url.get_secret_value(), create=False)
    try:
        vault = await open_vault(Masters(masters, ""), store)
        return await verified(store, vault, masters, user, checkpoint)
    finally:
        await store.close()


async def verified(
    store: SqlStore,
    vault: Vault,
    masters: Sequence[Secret],
    user: str | None,
    checkpoint: Path | None,
) -> AuditReport:
    keys = await chain_keys(store, vault, masters)
    whose = None if user is None else await named(store, user)
    verifier = Verifier(store.audits, keys)
    if checkpoint is not None:
        found = await hold_to(checkpoint, store.audits, keys, verifier.report, whose)
        verifier.expected = found
    return await verifier.verify(whose)


async def named(store: SqlStore, user: str) -> str:
    """Return whose chain a name means; * is the service's own."""
    if user == "*":
        return SYSTEM
    found = await find_somebody(store, user)
    if found is not None:
        return found.id
    if await store.audits.lines(after=None, limit=1, user_id=user):
        return user
    raise NotThere(f"There is no user {user}, nor a chain of one.")
