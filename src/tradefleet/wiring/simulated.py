"""Simulated venues for the demo: a process of their own that speaks the real protocols."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused

START_SECONDS = 30.0
STOP_SECONDS = 5.0
CLIENTS = ("alice", "bob", "carol")


@dataclass(slots=True)
class Simulation:
    """Where the simulated venues are, and the keys of their clients by (venue, name)."""

    pid: int = 0
    urls: dict[str, str] = field(default_factory=dict)
    keys: dict[tuple[str, str], Credentials] = field(default_factory=dict)
    admin: str = ""

    def variables(self) -> Mapping[str, str]:
        """Return the settings that lead the service there; nothing there is real money."""
        found = {
            "VENUES": ",".join(self.urls),
            "MOCK_TRADING": "false",
            "TRADING_ENABLED": "true",
        }
        for venue, url in self.urls.items():
            found[f"{venue.upper()}_URL"] = url
            found[f"{venue.upper()}_WS_URL"] = url.replace("http", "ws", 1)
        return found


@asynccontextmanager
async def simulated_venues(seed: int) -> AsyncIterator[Simulation]:
    """Run the simulated Binance, Bybit and Kraken beside us, with money for the demo's users."""
    clients = [word for name in CLIENTS for word in ("--client", f"{name}:demo")]
    money = ("--balance", "USDT:10000", "--balance", "USD:10000")
    words = ("--venue", "all", "--seed", str(seed), *money, *clients)
    async with simulated(*words) as simulation:
        yield simulation


@asynccontextmanager
async def simulated(*words: str) -> AsyncIterator[Simulation]:
    """Run simulated venues with these words of their command line, on any free ports."""
    words = ("--port", "0", "--admin-port", "0", *words)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "venuesim", *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield await _ready(process)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process) -> Simulation:
    try:
        async with asyncio.timeout(START_SECONDS):
            return await _read(process)
    except TimeoutError:
        raise Refused("The simulated venues did not start in time; try again.") from None


async def _read(process: asyncio.subprocess.Process) -> Simulation:
    """Read what the venues say of themselves until all are ready."""
    assert process.stdout is not None
    found = Simulation(pid=process.pid)
    while line := await process.stdout.readline():
        said = json.loads(line)
        match said["ready"]:
            case "venue":
                found.urls[said["venue"]] = said["url"]
            case "client":
                found.keys[said["venue"], said["name"]] = Credentials(
                    api_key=Secret(said["api_key"]), api_secret=Secret(said["secret"])
                )
            case "admin":
                found.admin = said["url"]
            case "all":
                return found
            case _:
                pass  # told to others
    raise Refused("The simulated venues stopped before they were ready.")
