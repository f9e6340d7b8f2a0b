"""A database that goes away under the whole service: it waits for it, says so, and goes on."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from tests.e2e.test_serve import START_MAX, free_port
from tests.runtime.test_caused_failures import Between

SEEN_MAX = 60.0  # seconds


async def test_the_service_waits_for_its_database_and_starts_again_with_it(
    bare_postgres_url, tmp_path
):
    server, port = Between(bare_postgres_url, tmp_path), free_port()
    environment = {
        **os.environ,
        "HTTP_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "LOG_FILE": "",
        "HEALTH_SECONDS": "1",
        "DATABASE_URL": server.url,
    }
    async with server.running(), aiohttp.ClientSession() as client:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tradefleet", "serve"),
            cwd=tmp_path,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told: list[str] = []
        reading = asyncio.create_task(read(process, told))

        async def ask(path: str) -> tuple[int, dict[str, object]]:
            async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, json.loads(await answer.read())

        async def is_ready() -> bool:
            return (await ask("/readyz"))[0] == 200

        async def is_waiting() -> bool:
            return (await ask("/readyz"))[0] == 503

        async def says_so() -> bool:
            status, report = await ask("/health")
            metric = report["metrics"].get("database_ms", {"value": 0})
            return status == 503 and metric == {"value": None, "status": "unhealthy"}

        async def is_well() -> bool:
            _, report = await ask("/health")
            return report["metrics"]["database_ms"]["value"] is not None and await is_ready()

        try:
            await until(is_ready, START_MAX)
            await server.stop()
            await until(says_so, SEEN_MAX)
            await until(is_waiting, SEEN_MAX)
            assert await says_so()
            assert (await ask("/livez"))[0] == 200
            for path in ("/alerts", "/metrics", "/api/v1/orders/1", "/docs"):
                assert (await ask(path))[0] == 503, "it is away, not nowhere"
            await until(lambda: heard(told, "alert 1, fired: The database does not"), SEEN_MAX)
            await server.start()
            await until(is_well, START_MAX)
            await until(lambda: heard(told, "alert 1, resolved: The database does not"), SEEN_MAX)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            reading.cancel()
    assert not [line for line in told if "Traceback" in line]


async def read(process: asyncio.subprocess.Process, told: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        told.append(line.decode())


async def heard(told: list[str], words: str) -> bool:
    return any(words in line for line in told)


async def until(is_true: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Wait until something is so; whoever does not answer has not said so."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await is_true():
                    return
            except (aiohttp.ClientError, KeyError):
                pass
            await asyncio.sleep(0.1)


def test_the_folder_is_short_enough_for_a_socket(tmp_path: Path):
    """Else the first test would fail for a reason that is not its own."""
    assert len(str(tmp_path / ".s.PGSQL.5432")) < 107
