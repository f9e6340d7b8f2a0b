"""The API over a real connection, asked everything its own description allows, and what it forbids.

No answer may be a 5xx, none may differ from what the description promises.
"""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from tests.doors import BINANCE, BYBIT, PAPER, Door, trade
from tests.surfaces.api_rig import OpenDoor, health
from tradefleet.surfaces.api.server import HttpSurface

PROGRAM = Path(__file__).parents[2] / ".venv-schema" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
EXAMPLES = 4  # of each operation, besides those that cover every rule of its description


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute where there is nothing else to do
@pytest.mark.skipif(not PROGRAM.exists(), reason="no .venv-schema here: `make test` makes it")
async def test_every_answer_is_as_described_and_none_is_a_5xx(tmp_path):
    door = Door(PAPER, BINANCE, BYBIT)
    await door.ask("/start")
    await trade(door)
    http = HttpSurface(
        host="127.0.0.1",
        port=0,
        health=health,
        is_ready=lambda: True,
        dispatcher=door.dispatcher,
        door=OpenDoor(),
    )
    listener = http.listen()
    serving = asyncio.create_task(http.serve(listener))
    try:
        asking = await asyncio.create_subprocess_exec(
            PROGRAM,
            "run",
            f"http://127.0.0.1:{listener.getsockname()[1]}/openapi.json",
            f"--checks={','.join(CHECKS)}",
            f"--max-examples={EXAMPLES}",
            "--phases=examples,coverage,fuzzing",
            "--header=Authorization: Bearer alice trade",
            "--wait-for-schema=10",
            "--seed=1",
            "--generation-database=none",
            "--no-color",
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        told, _ = await asking.communicate()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()
    assert asking.returncode == 0, told.decode()[-8000:]
    assert b"generated" in told
