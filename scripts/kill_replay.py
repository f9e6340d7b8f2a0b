"""Kill a durable replay with SIGKILL at random moments, resume it each time, compare the end.

    python scripts/kill_replay.py [FILE --symbol ETH/BTC --timeframe 5m] [--kills 20]
        [--strategy apex] [--pace 0.002] [--bots 1] [--seed N] [--db URL]

Without a file, bars are generated. The undisturbed run and the killed one must agree in every
trade, in what is left, and in every line of the ledger; exit code 1 when they do not.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tradefleet.domain.ids import UserId
from tradefleet.simulation.generated import generated_bars
from tradefleet.stores.sql import open_store

PROGRAM = [sys.executable, "-m", "tradefleet"]


def write_bars(path: Path, count: int) -> None:
    """Write generated one-minute bars as a CSV file."""
    lines = ["opened_at,open,high,low,close,volume"]
    for bar in generated_bars(count, seed=7):
        at = bar.opened_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{at},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}")
    path.write_text("\n".join(lines) + "\n")


def command(options: argparse.Namespace, db: str, *more: str) -> list[str]:
    words = ["replay", str(options.file), "--symbol", options.symbol, "--balance", "10"]
    words += ["--timeframe", options.timeframe, "--strategy", options.strategy]
    words += ["--bots", str(options.bots), "--db", db, "--json", *more]
    return [*PROGRAM, *words]


def finish(words: list[str]) -> dict[str, Any]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"replay ended with {done.returncode}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def ledger_of(url: str, bots: int) -> list[tuple[str, ...]]:
    """Return every posting as text, without the ids that name the orders."""
    store = await open_store(url)
    lines = []
    try:
        for number in range(1, bots + 1):
            async with store.open(UserId(f"replay-{number:05}")) as user:
                for entry in await user.entries():
                    for posting in entry.postings:
                        line = (entry.kind, str(entry.booked_at), entry.account_id)
                        amount = format(posting.amount.normalize(), "f")
                        lines.append((*line, posting.place, posting.asset, amount))
    finally:
        await store.close()
    return sorted(lines)


def kill_many(options: argparse.Namespace, db: str, chance: random.Random) -> int:
    """Start the replay again and again, killing it each time after a while; return the kills."""
    pace = str(options.pace)
    for kill in range(options.kills):
        process = subprocess.Popen(
            command(options, db, "--resume", "--pace", pace),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + options.start_up + chance.uniform(0, options.alive)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is not None:
            stderr = process.communicate()[1]
            if process.returncode != 0:
                raise SystemExit(f"the resumed replay ended with {process.returncode}:\n{stderr}")
            return kill  # it reached the end
        process.kill()
        process.communicate()
    return int(options.kills)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--timeframe", default="1m")
    parser.add_argument("--strategy", default="apex")
    parser.add_argument("--bots", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.002)
    parser.add_argument("--start-up", type=float, default=0.0, help="seconds before any kill")
    parser.add_argument("--alive", type=float, default=4.0, help="at most these seconds more")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bars", type=int, default=3000, help="generated, when no file is given")
    parser.add_argument("--db", default="", help="address of an empty database to be killed on")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        if options.file is None:
            options.file = Path(folder) / "bars.csv"
            write_bars(options.file, options.bars)
        calm_db = f"sqlite:///{folder}/calm.db"
        killed_db = options.db or f"sqlite:///{folder}/killed.db"
        calm = finish(command(options, calm_db))
        kills = kill_many(options, killed_db, random.Random(seed))
        killed = finish(command(options, killed_db, "--resume"))
        same_ledger = asyncio.run(ledger_of(calm_db, options.bots)) == asyncio.run(
            ledger_of(killed_db, options.bots)
        )
    for result in (calm, killed):
        del result["elapsed_s"]
    trades = [len(bot["trades"]) for bot in calm.get("bots", [calm])]
    verdict = {
        "seed": seed,
        "kills": kills,
        "trades": trades[0] if len(trades) == 1 else trades,
        "same_result": calm == killed,
        "same_ledger": same_ledger,
        "ledger_balanced": killed["ledger_balanced"],
    }
    print(json.dumps(verdict))
    return 0 if calm == killed and same_ledger and killed["ledger_balanced"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
