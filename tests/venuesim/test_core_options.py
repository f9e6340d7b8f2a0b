"""What a simulated venue can be started with when something is to be measured on it."""

import asyncio
import json
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from venuesim.__main__ import main, parser


@asynccontextmanager
async def started(*words: str) -> AsyncIterator[dict[str, Any]]:
    """A venue in a process of its own; yields what it said of itself, by what it was about."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "venuesim", *words, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        told: dict[str, Any] = {}
        async with asyncio.timeout(20):
            while "all" not in told:
                said = json.loads(await process.stdout.readline())
                told[said["ready"]] = said
        yield told
    finally:
        process.terminate()
        await process.wait()


async def test_a_venue_speaks_tls_without_limits_and_lists_more_pairs(tmp_path: Path):
    file = tmp_path / "venue.pem"
    words = ["--tls", str(file), "--no-limits", "--more-pairs", "70", "--admin-port", "0"]
    async with started("--venue", "binance", *words) as told:
        assert told["venue"]["url"].startswith("https://127.0.0.1:")
        assert told["venue"]["ws_url"].startswith("wss://127.0.0.1:")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        url, trusting = told["venue"]["url"], ssl.create_default_context(cafile=str(file))
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as http:
            async with http.get(f"{url}/api/v3/exchangeInfo") as answer:
                listed = {each["symbol"] for each in (await answer.json())["symbols"]}
            assert {"BTCUSDT", "C0000USDT", "C0069USDT"} <= listed
            for _ in range(26):  # of a weight of 250: more than a minute's limit
                async with http.get(f"{url}/api/v3/depth?symbol=BTCUSDT&limit=5000") as answer:
                    assert answer.status == 200
            async with http.post(
                f"{told['admin']['url']}/tick", json={"symbol": "BTC/USDT", "price": "65001"}
            ) as answer:
                assert (await answer.json())["at_us"] > 1_700_000_000_000_000


def test_without_being_asked_a_venue_counts_rates_and_speaks_plainly():
    words = parser().parse_args(["--venue", "binance"])
    assert (words.no_limits, words.tls, words.more_pairs) == (False, None, 0)


def test_a_certificate_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "missing" / "venue.pem"
    assert main(["--venue", "binance", "--tls", str(file)]) == 2
    assert f"{file} cannot be used: No such file" in capsys.readouterr().err
