"""Run another engine over the bars that ours runs over; print one JSON line.

To be run with the Python of .venv-bench and PYTHONPATH=src:
`python -m benchmarks.peers backtesting.py`.
"""

import argparse
import json
from importlib import import_module

from tradefleet.simulation.generated import generated_bars

PEERS = {
    "backtesting.py": "benchmarks.peer_backtesting",
    "nautilus_trader": "benchmarks.peer_nautilus",
}
BARS = 100_000


def measured(name: str, bars: int, times: int) -> dict[str, object]:
    """Return the best of several runs of a peer."""
    peer = import_module(PEERS[name])
    played = generated_bars(bars)
    best = min((peer.run(played) for _ in range(times)), key=lambda run: run["seconds"])
    return {
        "peer": name,
        "version": peer.VERSION,
        "bars": bars,
        "seconds": round(best["seconds"], 3),
        "bars_per_s": round(bars / best["seconds"]),
        "trades": best["trades"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--times", type=int, default=2, help="how often; the best run counts")
    asked = parser.parse_args()
    print(json.dumps(measured(asked.peer, asked.bars, asked.times)))


if __name__ == "__main__":
    main()
