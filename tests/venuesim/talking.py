"""Other people's clients run in an environment of their own, and no longer than a test may take."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from venuesim.running import Running

CLIENTS = Path(__file__).parent / "clients"
PATIENCE_S = 60  # they take three seconds, and ten times that on a busy machine
LONGEST_LINE = 2**22


async def told_by(
    python: Path,
    script: str,
    sim: Running,
    money: dict[str, str],
    *,
    may_complain: bool = False,
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """Run a client's script, trade at the prices it asks for, and return what it found out.

    AssertionError when it fails, complains without being allowed to, or takes longer than
    patience_s.
    """
    key = sim.client("alice", money)
    child = await asyncio.create_subprocess_exec(
        python, *([] if may_complain else ["-W", "error::ResourceWarning"]), CLIENTS / script,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    settings = {
        "url": sim.url, "ws_url": sim.ws_url, "api_key": key.api_key, "secret": key.secret,
    }  # fmt: skip
    child.stdin.write(json.dumps(settings).encode() + b"\n")
    told: dict[str, Any] = {}
    # Read all the while: a client that complains a lot would else wait for a full pipe.
    complaining = asyncio.create_task(child.stderr.read())
    in_time = False
    try:
        async with asyncio.timeout(patience_s):
            async for line in child.stdout:
                said = json.loads(line)
                if "tick" in said:
                    sim.tick(said["tick"], said["price"])
                    child.stdin.write(b"ticked\n")
                else:
                    told[said["tell"]] = said["value"]
            await child.wait()
            in_time = True
    except TimeoutError:
        pass
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        code = await child.wait()
        complaint = (await complaining).decode()
    if not in_time:
        raise AssertionError(
            f"{script} was still running after {patience_s} s; told {list(told)}\n{complaint}"
        )
    assert code == 0 and (may_complain or complaint == ""), f"{script} ended {code}\n{complaint}"
    return told
