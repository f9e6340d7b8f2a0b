"""Archives, erasures and retention, put together: as jobs, and for the operator."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tradefleet import __version__
from tradefleet.domain.audit import AT_THE_MACHINE
from tradefleet.domain.consent import RiskNotice
from tradefleet.domain.errors import NotThere
from tradefleet.domain.ids import UserId
from tradefleet.drawing import size_text
from tradefleet.operations.privacy.archive import write_archive
from tradefleet.operations.privacy.erasure_list import NAME, ErasureList
from tradefleet.operations.privacy.erasures import OPERATOR, Erasures
from tradefleet.operations.privacy.notices import NoticeChanged
from tradefleet.operations.privacy.retention import Removed, Retention
from tradefleet.runtime.real_world import RandomIds, RealClock
from tradefleet.settings import Settings
from tradefleet.store import acting
from tradefleet.stores.sql import SqlStore
from tradefleet.wiring.ground import Ground, open_ground

Say = Callable[[str], None]
CLI = "command line"
LETTING_GO = 3.0  # seconds, after a host found that a lease of its is gone


def erasures_over(ground: Ground) -> Erasures:
    return Erasures(
        store=ground.store,
        records=ground.store.records,
        clock=ground.clock,
        ids=ground.ids,
        written=list_of(ground.settings),
        logs=ground.settings.log_dir,
        forget=ground.archives.forget,
    )


def list_of(settings: Settings) -> ErasureList:
    """Return the list of who was erased: beside the backups, and where the data is."""
    return ErasureList(files=(settings.backup_dir / NAME, settings.data_dir / NAME))


def ages(settings: Settings) -> dict[str, timedelta]:
    """Return how long each kind is kept; what is kept for ever is not in it."""
    days = {
        "trades": settings.trades_keep_days,
        "decisions": settings.decisions_keep_days,
        "system_metrics": settings.metrics_keep_days,
        "notices": settings.notices_keep_days,
        "alerts": settings.alerts_keep_days,
    }
    return {name: timedelta(days=number) for name, number in days.items() if number}


def retention_over(ground: Ground, owner: str) -> Retention:
    return Retention(
        store=ground.store,
        records=ground.store.records,
        clock=ground.clock,
        ages=ages(ground.settings),
        owner=owner,
    )


def notice_over(ground: Ground) -> NoticeChanged:
    return NoticeChanged(
        store=ground.store,
        behind=ground.store.records.behind,
        clock=ground.clock,
        notice=RiskNotice(),
    )


async def erase_again(store: SqlStore, written: ErasureList) -> int:
    """Erase in a database that was brought back whoever was erased since it was copied."""
    erasures = Erasures(
        store=store, records=store.records, clock=RealClock(), ids=RandomIds(), written=written
    )
    return await erasures.again()


# ---- for the command line


async def export_user(db: str | None, user_id: UserId, out: Path, reason: str, say: Say) -> None:
    """Write a user's archive; they read in their own log that, and why, it was made."""
    async with open_ground(db) as ground:
        with acting(AT_THE_MACHINE):
            async with ground.store.open(user_id) as own:
                if await own.user() is None:
                    raise NotThere(f"There is no user {user_id}.")
                await own.audit("operator_access", {"command": "privacy export", "reason": reason})
        made = await write_archive(
            ground.store.records, user_id, out, at=ground.clock.now(), version=__version__
        )
    rows, size = sum(made.rows.values()), size_text(made.size)
    say(f"{out}: {rows} rows of {len(made.rows)} tables, {size}, SHA-256 {made.sha256}")


async def erase_user(db: str | None, user_id: UserId, reason: str, say: Say) -> None:
    async with open_ground(db) as ground:
        erasures = erasures_over(ground)
        with acting(AT_THE_MACHINE):
            done = await erasures.erase(user_id, by_whom=OPERATOR, reason=reason)
        if await ground.store.lease_owners():  # who runs users, and says so in the log
            say("Waiting until the running service has let go of them.")
            await ground.clock.sleep(ground.settings.lease_ttl / 3 + LETTING_GO)
            await erasures.blank_again(at_once=True)
    say(f"Erased. What is kept of their trades is kept under {done.pseudonym}.")
    say("; ".join(f"{name}: {number}" for name, number in done.rows.items()))


async def retain(db: str | None, dry_run: bool, say: Say) -> None:
    async with open_ground(db) as ground:
        retention = retention_over(ground, CLI)
        found = await (retention.look() if dry_run else retention.remove())
    word = "would be removed" if dry_run else "removed"
    for each in found:
        say(line_of(each, word))
    if not found:
        say("There was nothing to remove.")


def line_of(removed: Removed, word: str) -> str:
    what, before = removed.aging.what, removed.before
    return f"{removed.rows} {what} from before {before:%Y-%m-%d} {word}"


async def list_erasures(db: str | None, say: Say) -> None:
    async with open_ground(db) as ground:
        for done in await ground.store.records.erased():
            rows = sum(done.rows.values())
            say(f"{done.at:%Y-%m-%d %H:%M} UTC  {done.pseudonym}  by {done.by_whom}, {rows} rows")


async def scrub(db: str | None, say: Say) -> None:
    async with open_ground(db) as ground:
        done = await ground.store.records.scrub()
    text = "Written anew: nothing that was deleted is left in the file."
    say(text if done else "PostgreSQL does this by itself (VACUUM).")
