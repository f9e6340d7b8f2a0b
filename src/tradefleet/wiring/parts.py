"""What the command line runs on; each command imports its own machinery when it is called."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.operations.doctor.finding import Check
from tradefleet.operations.sign_in.register import Register
from tradefleet.operations.single_user.importing import Choices
from tradefleet.operations.single_user.shapes import OldBot
from tradefleet.settings import load_settings
from tradefleet.surfaces.cli.parts import AuditTold, Parts, StatementTold, VaultReport
from tradefleet.surfaces.cli.play_request import PlayRequest


def build_parts() -> Parts:
    """Give the command line everything it cannot know by itself."""
    return Parts(
        open_door=open_door,
        upgrade_database=upgrade_database,
        check_database=check_database,
        reopen_database=reopen_database,
        set_up_role=set_up_role,
        move_database=move_database,
        import_single_user=import_single_user,
        rotate_vault=rotate_vault,
        check_vault=check_vault,
        verify_audit=verify_audit,
        open_register=open_register,
        make_backup=make_backup,
        list_backups=list_backups,
        restore=restore,
        drill=drill,
        export_user=export_user,
        erase_user=erase_user,
        retain=retain,
        list_erasures=list_erasures,
        scrub=scrub,
        serve=serve,
        statement=statement,
        doctor=doctor,
        check_connections=check_connections,
        check_alerts=check_alerts,
        replay=replay,
        backtest=backtest,
        bench_hot_path=bench_hot_path,
        bench_journal=bench_journal,
        bench_backtest=bench_backtest,
        bench_accounts=bench_accounts,
        bench_latency=bench_latency,
        bench_orders=bench_orders,
        bench_api=bench_api,
        bench_live=bench_live,
    )


def open_door(db: str | None) -> AbstractAsyncContextManager[Dispatcher]:
    from tradefleet.wiring.ground import open_door

    return open_door(db)


async def verify_audit(db: str | None, user: str | None, checkpoint: Path | None) -> AuditTold:
    from tradefleet.wiring.audit import verify_audit

    return await verify_audit(db, user, checkpoint)


async def rotate_vault(db: str | None) -> VaultReport:
    from tradefleet.domain.audit import AT_THE_MACHINE
    from tradefleet.operations.key_rotation import rotate
    from tradefleet.store import acting
    from tradefleet.wiring.ground import open_keyring
    from tradefleet.wiring.keys import bind_audit, masters_of

    async with open_keyring(db) as keyring:
        done = await rotate(keyring)
        await bind_audit(keyring.store, keyring.vault, masters_of(load_settings()).keys)
        said = {"wrapped anew": done.rewrapped, "faults": len(done.faults)}
        with acting(AT_THE_MACHINE):
            await keyring.store.audits.note("master_key_rotated", said)
    return VaultReport(tuple(done.lines()), is_well=not done.faults)


async def check_vault(db: str | None) -> VaultReport:
    from tradefleet.operations.key_rotation import inspect
    from tradefleet.wiring.ground import open_keyring

    async with open_keyring(db) as keyring:
        found = await inspect(keyring)
    return VaultReport(tuple(found.lines()), is_well=not found.faults)


def open_register(db: str | None) -> AbstractAsyncContextManager[Register]:
    from tradefleet.wiring.sign_in import open_register

    return open_register(db)


async def make_backup(db: str | None, say: Any) -> None:
    from tradefleet.wiring.backup import make_backup

    await make_backup(db, say)


def list_backups(db: str | None, say: Any) -> None:
    from tradefleet.wiring.backup import list_backups

    list_backups(db, say)


async def restore(db: str | None, name: str, force: bool, compare: bool, say: Any) -> None:
    from tradefleet.wiring.backup import restore

    await restore(db, name, force, compare, say)


async def drill(db: str | None, say: Any) -> None:
    from tradefleet.wiring.backup import drill

    await drill(db, say)


async def export_user(db: str | None, user_id: UserId, out: Path, reason: str, say: Any) -> None:
    from tradefleet.wiring.privacy import export_user

    await export_user(db, user_id, out, reason, say)


async def erase_user(db: str | None, user_id: UserId, reason: str, say: Any) -> None:
    from tradefleet.wiring.privacy import erase_user

    await erase_user(db, user_id, reason, say)


async def retain(db: str | None, dry_run: bool, say: Any) -> None:
    from tradefleet.wiring.privacy import retain

    await retain(db, dry_run, say)


async def list_erasures(db: str | None, say: Any) -> None:
    from tradefleet.wiring.privacy import list_erasures

    await list_erasures(db, say)


async def scrub(db: str | None, say: Any) -> None:
    from tradefleet.wiring.privacy import scrub

    await scrub(db, say)


async def serve(db: str | None, demo: bool, sim: bool, say: Any) -> None:
    from tradefleet.wiring.serving import serve, serve_with_simulated_venues

    await (serve_with_simulated_venues if sim else serve)(db, demo, say)


async def statement(db: str | None, account_id: str, since: datetime | None) -> StatementTold:
    from tradefleet.domain.audit import AT_THE_MACHINE
    from tradefleet.operations.statements import find_account, statement_now
    from tradefleet.store import acting
    from tradefleet.wiring.ground import open_ground

    async with open_ground(db) as ground:
        account = await find_account(ground.store, account_id)
        why = {"reason": "to compare the books with the exchange's", "account": account.id}
        with acting(AT_THE_MACHINE):
            async with ground.store.open(account.user_id) as own:
                await own.audit("operator_access", {"command": "accounts statement", **why})
        return await statement_now(ground.store, ground.venues, ground.clock, account_id, since)


def doctor(db: str | None, env_file: Path) -> AbstractAsyncContextManager[Sequence[Check]]:
    from tradefleet.wiring.doctor import open_doctor

    return open_doctor(db, env_file)


async def check_alerts(db: str | None, say: Any) -> int:
    from tradefleet.wiring.alerts import check_alerts

    return await check_alerts(db, say)


async def check_connections(db: str | None, say: Any) -> int:
    from tradefleet.wiring.family import check_connections

    return await check_connections(db, say)


async def replay(request: PlayRequest, progress: Any) -> dict[str, Any]:
    from tradefleet.wiring.playing import replay

    return await replay(request, progress)


def backtest(request: PlayRequest) -> dict[str, Any]:
    from tradefleet.wiring.playing import backtest

    return backtest(request)


def bench_hot_path(bots: int, symbols: int, bars: int) -> dict[str, Any]:
    from tradefleet.wiring import benches

    return benches.hot_path(bots, symbols, bars)


def bench_journal(intents: int, group_size: int) -> dict[str, Any]:
    from tradefleet.wiring import benches

    return benches.journal(intents, group_size)


def bench_backtest(bars: int) -> dict[str, Any]:
    from tradefleet.wiring import benches

    return benches.backtest(bars)


def bench_accounts(users: int, bots: int, symbols: int) -> dict[str, Any]:
    from tradefleet.wiring import venue_benches

    return venue_benches.accounts(users, bots, symbols)


def bench_latency(bots: int, moves: int, tls: bool) -> dict[str, Any]:
    from tradefleet.wiring import venue_benches_latency

    return venue_benches_latency.latency(bots, moves, tls=tls)


def bench_orders(orders: int) -> dict[str, Any]:
    from tradefleet.wiring import venue_benches_orders

    return venue_benches_orders.orders(orders)


def bench_live(clients: int) -> dict[str, Any]:
    from tradefleet.wiring import live_benches

    return live_benches.live(clients)


def address(db: str | None) -> str:
    return db or load_settings().database_url.get_secret_value()


async def upgrade_database(db: str | None) -> str:
    from tradefleet.stores import sql

    done = await sql.upgrade(address(db))
    return f"The database is up to date: schema {done.known}."


async def reopen_database(db: str | None) -> str:
    from tradefleet.stores.sql.moves import reopen

    return await reopen(address(db))


async def set_up_role(db: str | None, role: str, password: str | None) -> Sequence[str]:
    from tradefleet.stores.sql.roles import set_up_role

    return await set_up_role(address(db), role, password)


async def move_database(source: str, target: str, say: Any) -> None:
    from tradefleet.wiring.moving import move

    await move(source, target, say)


async def import_single_user(
    db: str | None, user_id: UserId, old: OldBot, choices: Choices, apply: bool
) -> Sequence[str]:
    from tradefleet.wiring.single_user import import_single_user

    return await import_single_user(db, user_id, old, choices, apply)


async def check_database(db: str | None) -> str:
    """Say that the database can be used; Refused says what to do when it cannot."""
    from tradefleet.stores import sql

    found = await sql.check(address(db))
    match found.state:
        case sql.SchemaState.UNFINISHED | sql.SchemaState.MOVED:
            raise Refused(sql.not_in_use(found.state, "The database"))
        case sql.SchemaState.CURRENT:
            return f"The database is up to date: schema {found.found}."
        case sql.SchemaState.NEWER:
            raise Refused(
                f"The database has schema {found.found}, from a newer version of Tradefleet; "
                f"this one knows {found.known}. Install the newer version again."
            )
        case sql.SchemaState.BEHIND:
            raise Refused(
                f"The database has schema {found.found}, this version needs {found.known}: "
                "run `tradefleet db upgrade`."
            )
        case sql.SchemaState.MISSING:
            raise Refused("There is no database yet: run `tradefleet db upgrade` to make it.")


def bench_api(bots: int, per_second: int, seconds: float) -> dict[str, Any]:
    from tradefleet.wiring import api_benches

    return api_benches.api(bots, per_second, seconds)
