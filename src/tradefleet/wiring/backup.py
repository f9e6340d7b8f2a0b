"""Backups, put together from the settings: for the command line, and as a job of the service."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial

from tradefleet import __version__
from tradefleet.domain.audit import AT_THE_MACHINE
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import TradefleetError
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Mode
from tradefleet.drawing import draw
from tradefleet.operations.backup import report
from tradefleet.operations.backup.backups import Backups, Restored
from tradefleet.operations.backup.schedule import BackupSchedule
from tradefleet.operations.backup.shelf import DAILY, WEEKLY, Shelf
from tradefleet.operations.privacy.erasure_list import NAME as ERASURES
from tradefleet.operations.privacy.erasure_list import ErasureList
from tradefleet.operations.statements import statement_now
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import KEY_FILE, Settings, hide_password, load_settings
from tradefleet.store import acting
from tradefleet.stores.sql import SqlStore, open_store
from tradefleet.stores.sql.copies import copier_of
from tradefleet.wiring.ground import Ground, open_ground
from tradefleet.wiring.keys import Masters, bind_audit, masters_of, open_vault
from tradefleet.wiring.privacy import erase_again, list_of

Say = Callable[[str], None]
EVERYBODY = "*"
COMPARING_SECONDS = 60.0  # for one account
COMPARED_BEFORE = timedelta(minutes=5)  # the backup, for a venue's clock is not ours


def backups_of(settings: Settings, db: str | None) -> Backups:
    url = db or settings.database_url.get_secret_value()
    keep = {DAILY: settings.backup_keep_daily, WEEKLY: settings.backup_keep_weekly}
    copier = copier_of(url)
    return Backups(
        copier=copier,
        place=hide_password(url),
        masters=known_masters(settings),
        shelf=Shelf(settings.backup_dir, digest_of(copier.identity), keep),
        clock=RealClock(),
        version=__version__,
        make_safe=partial(make_safe, erased=list_of(settings)),
    )


def digest_of(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def known_masters(settings: Settings) -> tuple[Secret, ...]:
    """Return the master keys there are; none is made, for it would open nothing."""
    if not settings.encryption_keys() and not (settings.data_dir / KEY_FILE).exists():
        return ()
    return masters_of(settings).keys


async def make_safe(
    address: str, why: str, now: datetime, *, erased: ErasureList | None = None
) -> None:
    """Bring a restored database up to date, erase anew, and stop entries for everybody in it.

    erased: who was erased since it was copied, maybe.
    """
    store = await open_store(address)
    try:
        await bind_known(store, load_settings())
        with acting(AT_THE_MACHINE):
            await store.audits.note("restored", {"why": why})
        if erased is not None:
            await erase_again(store, erased)
        await store.set_platform_switch(
            Switch(
                scope=Scope.PLATFORM,
                scope_id=EVERYBODY,
                halt=Halt.STOP,
                reason=why,
                changed_at=now,
                by_operator=True,
            )
        )
    finally:
        await store.close()


def schedule_of(ground: Ground, url: str | None, owner: str) -> BackupSchedule:
    """Return the job that makes the scheduled backups of a running service."""
    backups = backups_of(ground.settings, url)
    return BackupSchedule(backups=backups, store=ground.store, clock=ground.clock, owner=owner)


# ---- for the command line


async def make_backup(db: str | None, say: Say) -> None:
    backups = backups_of(load_settings(), db)
    made = await backups.recorded("manual")
    say("\n".join(report.made_lines(made)))
    settings = load_settings()
    store = await open_store(db or settings.database_url.get_secret_value())
    try:
        await bind_known(store, settings)
        said = {"reason": "manual", "file": made.file.name, "bytes": made.size}
        with acting(AT_THE_MACHINE):
            await store.audits.note("backup", said)
    finally:
        await store.close()


async def bind_known(store: SqlStore, settings: Settings) -> None:
    """Let audit lines be bound under the key there is, if there is one."""
    masters = known_masters(settings)
    if masters:
        await bind_audit(store, await open_vault(Masters(masters, ""), store), masters)


def list_backups(db: str | None, say: Say) -> None:
    backups = backups_of(load_settings(), db)
    lines = report.shelf_lines(backups.shelf.kept(), backups.shelf.history(), backups.clock.now())
    say("\n".join(lines or [f"There is no backup of {backups.place} in {backups.shelf.folder}."]))


async def drill(db: str | None, say: Say) -> None:
    backups = backups_of(load_settings(), db)
    say("\n".join(report.drill_lines(await backups.drill())))


async def restore(db: str | None, name: str, force: bool, compare: bool, say: Say) -> None:
    backups = backups_of(load_settings(), db)
    file = backups.shelf.named(name)
    list_of(load_settings()).adopt(file.parent / ERASURES)  # it may come from another machine
    done = await backups.restore(file, force=force)
    say("\n".join(report.restored_lines(done, backups.place)))
    if compare:
        try:
            async for text in differences(db, done):
                say(text)
        except TradefleetError as error:
            say(f"The venues were not asked: {error}")
    say(report.HOW_TO_LIFT)


async def differences(db: str | None, done: Restored) -> AsyncIterator[str]:
    """Ask every connected account's venue what happened since the backup, and tell it."""
    since = done.header.taken_at - COMPARED_BEFORE
    async with open_ground(db) as ground:
        for mode in (Mode.LIVE, Mode.TESTNET):
            for account in await ground.store.active_accounts(mode):
                try:
                    async with asyncio.timeout(COMPARING_SECONDS):
                        told = await statement_now(
                            ground.store, ground.venues, ground.clock, account.id, since
                        )
                except TradefleetError as why:
                    yield f"{account.id}: not compared. {why}"
                except TimeoutError:
                    yield f"{account.id}: not compared. {account.venue} does not answer."
                else:
                    yield draw(told.reply)
