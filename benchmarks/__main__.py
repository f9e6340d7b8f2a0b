"""Run all benchmarks and print ours beside other engines and floors: `make bench`.

Each benchmark runs in a process of its own, one after the other. A peer that is not installed
is named as missing; only our own failure fails the run.
"""

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS

ROOT = Path(__file__).parents[1]
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PATIENCE = 1800  # seconds for one benchmark
TIMES = 2  # runs of what is compared with peers; the best one counts
FULL = {
    "bars": 100_000,
    "hot-path": [[]],
    "journal": [[]],
    "accounts": [[]],
    "latency": [
        ["--no-tls"],
        ["--tls"],
        ["--bots", "1000", "--no-tls"],
        ["--bots", "1000", "--tls"],
        ["--bots", "10000", "--moves", "2", "--no-tls"],
    ],
    "orders": [[]],
    "api": [[]],
    "telegram": [[]],
    "live": [[]],
}
QUICK = {
    "bars": 20_000,
    "hot-path": [["--bots", "1000", "--bars", "10"]],
    "journal": [["--intents", "20000"]],
    "accounts": [["--users", "50"]],
    "latency": [["--moves", "10"], ["--bots", "50", "--moves", "2"]],
    "orders": [["--orders", "200"]],
    "api": [["--bots", "60", "--per-second", "50", "--seconds", "5"]],
    "telegram": [["--people", "40", "--seconds", "5"]],
    "live": [["--clients", "50"]],
}
# What each of our own benchmarks is about, in the order they are run.
OURS = {
    "hot-path": "Hot path: many bots, one host",
    "journal": "Journal: durable intents on SQLite",
    "accounts": "Accounts: connected to a simulated Binance, private streams, three bots each",
    "latency": "Latency: from a bar on the venue's stream to orders at the venue, written down",
    "orders": "Orders: a core's worth, our way, ccxt's and the bare wire",
    "api": "API: signed-in users ask a service on one core while everybody's bots run",
    "telegram": "Telegram: commands and notices of the whole service, at a local Bot API",
    "live": "Live events: WebSocket clients of a server in another process",
}
# What needs a stand-in that is not shipped is measured by a file beside this one.
BESIDE = {"telegram": "benchmarks.telegram"}
LESS_IS_BETTER = ("_client", "_ms", "_bot", "_to_100", "_mib", "_per_user", "_cpu_s")


class Failed(Exception):
    """A benchmark of ours did not come to a result; the text says why."""


FAILURES = (Failed, OSError, ValueError, subprocess.TimeoutExpired)


def lines_of(command: list[str], **environment: str) -> list[dict[str, Any]]:
    """Run a command and return the JSON objects it printed, one a line."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Failed(words[-1])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def ours(name: str, *options: str) -> dict[str, Any]:
    """Return what one of our own benchmarks found."""
    command = [sys.executable, "-m", "tradefleet", "bench", name, *options, "--json"]
    if name in BESIDE:
        command = [sys.executable, "-m", BESIDE[name], *options]
    found = lines_of(command)
    if not found:
        raise Failed("it printed no result")
    return found[-1]


def peer(name: str, bars: int) -> dict[str, Any]:
    """Return what another engine did, or why it did nothing."""
    if not PEER_PYTHON.exists():
        return {"peer": name, "missing": "there is no .venv-bench; say `make bench`"}
    command = [str(PEER_PYTHON), "-m", "benchmarks.peers", name, "--bars", str(bars)]
    try:
        (found,) = lines_of([*command, "--times", str(TIMES)], PYTHONPATH="src")
    except FAILURES as error:
        return {"peer": name, "missing": str(error)}
    return found


def show_backtests(bars: int) -> None:
    """Print bars per second of every engine over the same bars, and how many times ours are."""
    runs = [ours("backtest", "--bars", str(bars)) for _ in range(TIMES)]
    best = max(run["ema_cross_bars_per_s"] for run in runs)
    heading(f"Backtest, {bars:,} one-minute bars: EMA 9/21, stop 2 ATR, fees 0.1 %")
    row("engine", "bars/s", "trades", "ours is")
    row("tradefleet, its live objects", f"{best:,}", f"{runs[0]['ema_cross_trades']:,}", "")
    for name in PEERS:
        found = peer(name, bars)
        if "missing" in found:
            row(name, "—", "—", f"missing: {found['missing']}")
            continue
        times = f"{best / found['bars_per_s']:.1f} x"
        row(
            f"{name} {found['version']}",
            f"{found['bars_per_s']:,}",
            f"{found['trades']:,}",
            times,
        )
    print()
    show_figures(max(runs, key=lambda run: run["apex_bars_per_s"]))


def show_figures(found: dict[str, Any]) -> None:
    """Print each figure, beside its floor where it has one."""
    row("figure", "ours", "floor", "")
    for name, value in found.items():
        if name.startswith(("floor_", "goal_")):
            continue
        floor = found.get(f"floor_{name}")
        if floor is None:
            row(name, written(value), "", "")
            continue
        held = value <= floor if name.endswith(LESS_IS_BETTER) else value >= floor
        row(name, written(value), written(floor), "held" if held else "MISSED")


def heading(text: str) -> None:
    print(f"\n{text}\n{'─' * len(text)}")


def row(name: str, value: str, other: str, note: str) -> None:
    print(f"{name:<34}{value:>14}{other:>14}   {note}".rstrip(), flush=True)


def written(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all runs")
    sizes = QUICK if parser.parse_args().quick else FULL
    parts = [("Backtest", partial(show_backtests, sizes["bars"]))]
    for name, title in OURS.items():
        parts += [(title, partial(show_part, title, name, words)) for words in sizes[name]]
    failures = 0
    for name, run in parts:
        try:
            run()
        except FAILURES as error:
            heading(name)
            print(f"failed: {error}")
            failures += 1
    return min(failures, 1)


def show_part(title: str, name: str, words: list[str]) -> None:
    found = ours(name, *words)
    heading(" ".join([title, *words]))
    show_figures(found)


if __name__ == "__main__":
    sys.exit(main())
