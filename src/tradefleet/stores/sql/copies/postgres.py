"""Copies a PostgreSQL database by pg_dump over one snapshot, and puts copies in place."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from tradefleet.domain.errors import StoreUnavailable
from tradefleet.operations.backup.copying import BackupFault, Picture
from tradefleet.stores.sql.address import Address
from tradefleet.stores.sql.copies import sums
from tradefleet.stores.sql.engine import CONNECTION_WAIT
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.policies import SCOPE_SETTING, SESSION_FOR_SYSTEM, SYSTEM
from tradefleet.stores.sql.roles import GRANTED

NAME_MAX = 63  # bytes of a database's name
SERVER_DATABASES = ("postgres", "template1")  # one of which there is on every server
DEBIAN = Path("/usr/lib/postgresql")
SAID_MAX = 300  # characters of what a program said
MISSING = (
    "{program} of PostgreSQL {version} or newer is needed and was not found{found}: install the "
    "server's client programs (on Debian or Ubuntu: apt-get install postgresql-client-{version})."
)
MAY_NOT_CREATE = (
    "A backup is tried out in a database of its own, and {user} may not make one: "
    "ALTER ROLE {user} CREATEDB."
)
IN_USE = (
    "The database {place} is in use by {count} connections: stop the service first, or say --force "
    "to turn them out."
)


@dataclass(frozen=True, slots=True)
class PostgresCopier:
    """One database of a PostgreSQL server."""

    address: Address

    @property
    def kind(self) -> str:
        return "postgresql"

    @property
    def identity(self) -> str:
        said = environment_of(self.address.url)
        return f"{said.get('PGHOST', '')}:{said.get('PGPORT', '5432')}/{self.name}"

    @property
    def near(self) -> Path | None:
        return None

    @property
    def name(self) -> str:
        return self.address.url.database or ""

    async def copy(self, file: Path) -> Picture:
        with translated(self.address):
            async with connected(self.address.url) as connection:
                program = await found_program("pg_dump", await server_version(connection))
                begun = connection.transaction(isolation="repeatable_read", readonly=True)
                async with begun:
                    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
                    picture = await picture_of(connection)
                    await run(
                        program,
                        self.address.url,
                        *(
                            "--format=custom",
                            "--compress=1",
                            "--no-owner",
                            "--no-acl",
                            "--no-password",
                        ),
                        # rows of all users, also for an owner whom row-level security binds
                        "--enable-row-security",
                        *(f"--snapshot={snapshot}", f"--file={file}"),
                    )
        return picture

    @asynccontextmanager
    async def restored(self, file: Path) -> AsyncIterator[str]:
        name = f"{self.name[: NAME_MAX - 25]}_restored_{token_hex(6)}"
        url = self.address.url.set(database=name)
        with translated(self.address):
            async with self._server() as connection:
                version = await server_version(connection)
                program = await found_program("pg_restore", version)
                try:
                    await connection.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE template0")
                except asyncpg.InsufficientPrivilegeError:
                    user = self.address.url.username
                    raise BackupFault(MAY_NOT_CREATE.format(user=user)) from None
        try:
            options = ("--no-owner", "--no-password", "--exit-on-error", "--single-transaction")
            await run(program, url, *options, f"--dbname={name}", str(file))
            await asyncio.to_thread(file.unlink)
            yield url.render_as_string(hide_password=False)
        finally:
            async with self._server() as connection:
                await connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")

    async def look(self, address: str) -> Picture:
        url = self.address.url.set(database=database_of(address))
        with translated(self.address):
            async with connected(url) as connection, connection.transaction(readonly=True):
                return await picture_of(connection)

    async def standing(self) -> Picture | None:
        try:
            return await self.look(self.address.url.render_as_string(hide_password=False))
        except StoreUnavailable:
            async with self._server() as connection:  # raises when there is no server
                if await connection.fetchval(EXISTS, self.name):
                    raise
            return None
        except BackupFault:
            return None

    async def fence(self, address: str) -> None:
        await sums.fence(address, await self._granted())

    async def _granted(self) -> list[str]:
        """Return which roles, besides its owner, use the database that stands there."""
        try:
            async with connected(self.address.url) as connection:
                return [row[0] for row in await connection.fetch(GRANTED)]
        except asyncpg.InvalidCatalogNameError:
            return []

    async def put_in_place(self, address: str, stamp: str, *, in_use: bool) -> str | None:
        made, old = database_of(address), self.name
        aside = f"{old[: NAME_MAX - 8 - len(stamp)]}_before_{stamp}"
        with translated(self.address):
            async with self._server() as connection:
                if not await connection.fetchval(EXISTS, old):
                    await rename(connection, made, old)
                    return None
                others = await connection.fetchval(OTHERS, old)
                if others and not in_use:
                    raise BackupFault(IN_USE.format(place=self.address, count=others))
                await allow_connections(connection, old, allowed=False)
                try:
                    await turn_out(connection, old)
                    await rename(connection, old, aside)
                except BaseException:
                    await allow_connections(connection, old, allowed=True)
                    raise
                try:
                    await rename(connection, made, old)
                except BaseException:
                    await rename(connection, aside, old)
                    await allow_connections(connection, old, allowed=True)
                    raise
                await allow_connections(connection, aside, allowed=True)
        return aside

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[Any]:
        """Connect to the server beside the database."""
        for name in SERVER_DATABASES:
            with suppress(asyncpg.InvalidCatalogNameError):
                async with connected(self.address.url.set(database=name)) as connection:
                    yield connection
                    return
        raise BackupFault(f"The server of {self.address} has none of {SERVER_DATABASES}.")


ROWS_HIDDEN = (
    "Row-level security hides the users from the role of the database's address: make backups as a "
    "role that sees all rows (its owner, or one with BYPASSRLS)."
)
HIDDEN = (
    "SELECT row_security_active('public.users') AND n_live_tup > 0 FROM pg_stat_user_tables"
    " WHERE schemaname = 'public' AND relname = 'users'"
)
EXISTS = "SELECT true FROM pg_database WHERE datname = $1"
# Who may not see what sessions of another role do sees whose they are: the server's own have none.
CLIENTS = (
    "FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
    " AND coalesce(backend_type, 'client backend') = 'client backend'"
)
OTHERS = f"SELECT count(*) {CLIENTS}"
TURN_OUT = f"SELECT pg_terminate_backend(pid) {CLIENTS}"
MAY_NOT_TURN_OUT = (
    "Others are connected to {name}, and the role of its address may not turn them out: stop the "
    "service, or run `tradefleet db roles` once, or let a superuser GRANT their role to it."
)
GONE_TRIES, GONE_WAIT = 100, 0.05  # seconds


async def turn_out(connection: Any, name: str) -> None:
    """End all connections to a database and wait until they are gone."""
    for _ in range(GONE_TRIES):
        try:
            await connection.execute(TURN_OUT.replace("$1", literal(name)))
        except asyncpg.InsufficientPrivilegeError:
            raise BackupFault(MAY_NOT_TURN_OUT.format(name=name)) from None
        if not await connection.fetchval(OTHERS, name):
            return
        await asyncio.sleep(GONE_WAIT)
    raise BackupFault(f"The connections to {name} do not end: see what they do.")


async def rename(connection: Any, old: str, new: str) -> None:
    await connection.execute(f"ALTER DATABASE {quoted(old)} RENAME TO {quoted(new)}")


async def allow_connections(connection: Any, name: str, *, allowed: bool) -> None:
    await connection.execute(f"ALTER DATABASE {quoted(name)} ALLOW_CONNECTIONS {allowed}")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def database_of(address: str) -> str:
    return make_url(address).database or ""


@asynccontextmanager
async def connected(url: URL) -> AsyncIterator[Any]:
    """Connect for as long as it takes: what is copied may be large."""
    dialect: Any = asyncpg_dialect.dialect
    _, options = dialect().create_connect_args(url.set(drivername="postgresql+asyncpg"))
    settings = {"application_name": "tradefleet backup", "timezone": "UTC"}
    settings |= {"idle_in_transaction_session_timeout": "0", **SESSION_FOR_SYSTEM}
    connection = await asyncpg.connect(**options, server_settings=settings, timeout=CONNECTION_WAIT)
    try:
        yield connection
    finally:
        await connection.close()


async def picture_of(connection: Any) -> Picture:
    listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    names = [row["tablename"] for row in await connection.fetch(listed)]
    if "alembic_version" not in names:
        raise BackupFault("It has none of our tables.")
    counts = {
        name: int(await connection.fetchval(f"SELECT count(*) FROM public.{quoted(name)}"))
        for name in names
    }
    if not counts.get("users") and await connection.fetchval(HIDDEN):
        raise BackupFault(ROWS_HIDDEN)
    times = [
        await connection.fetchval(f"SELECT max({column}) FROM public.{table}{which}")
        for table, column, which in sums.FACTS
        if table in names
    ]
    grouped = await connection.fetch(
        "SELECT account_id, place, asset, sum(amount) AS amount FROM public.ledger_entries"
        " GROUP BY account_id, place, asset"
    )
    digest, number = sums.digest_of(
        (row["account_id"], row["place"], row["asset"], row["amount"]) for row in grouped
    )
    return Picture(
        schema=await connection.fetchval("SELECT version_num FROM public.alembic_version"),
        tables=counts,
        ledger=digest,
        sums=number,
        latest=sums.moment(max((at for at in times if at is not None), default=None)),
    )


# ---- PostgreSQL's own programs


async def server_version(connection: Any) -> int:
    return int(await connection.fetchval("SHOW server_version_num")) // 10_000


async def found_program(name: str, version: int) -> str:
    """Return a program that is at least as new as the server; BackupFault says how to get it."""
    seen = []
    for path in candidates(name):
        said = await output_of(path, "--version")
        number = re.search(r"\) (\d+)", said)
        if number and int(number[1]) >= version:
            return path
        seen.append(number[1] if number else "unknown")
    found = f" (only that of {', '.join(dict.fromkeys(seen))})" if seen else ""
    raise BackupFault(MISSING.format(program=name, version=version, found=found))


def candidates(name: str) -> list[str]:
    """Return where a program may be: on the path, or where Debian keeps one of each version."""
    first = shutil.which(name)
    return [*([first] if first else []), *map(str, sorted(DEBIAN.glob(f"*/bin/{name}"))[::-1])]


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode(errors="replace")


async def run(program: str, url: URL, *options: str) -> None:
    """Run one of PostgreSQL's programs; its address and password go by its environment."""
    process = await asyncio.create_subprocess_exec(
        program,
        *options,
        env={**os.environ, **environment_of(url), "LC_ALL": "C"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = said.decode(errors="replace").strip()[-SAID_MAX:]
        raise BackupFault(f"{Path(program).name} failed: {words}")


def environment_of(url: URL) -> Mapping[str, str]:
    """Return an address as PostgreSQL's own programs read it."""
    said = {
        "PGHOST": url.host or one(url.query.get("host")),
        "PGPORT": str(url.port or one(url.query.get("port"))),
        "PGUSER": url.username or one(url.query.get("user")),
        "PGPASSWORD": url.password or one(url.query.get("password")),
        "PGDATABASE": url.database or "",
        "PGSSLMODE": one(url.query.get("ssl") or url.query.get("sslmode")),
        "PGAPPNAME": "tradefleet backup",
        "PGOPTIONS": f"-c {SCOPE_SETTING}={SYSTEM}",  # all users' rows
    }
    return {name: str(value) for name, value in said.items() if value}


def one(value: str | Sequence[str] | None) -> str:
    return (value if isinstance(value, str) else value[0]) if value else ""
