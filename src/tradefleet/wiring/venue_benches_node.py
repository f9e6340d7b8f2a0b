"""The service as benchmarks run it: `python -m tradefleet.wiring.venue_benches_node`.

It is the whole of `tradefleet serve` but for its chat surfaces, with our own rate governor held
open; asked for figures on its input, it tells them on its output.
"""

import asyncio
import gc
import json
import resource
import signal
import sys
import time
from pathlib import Path

from tradefleet.operations.logs.starting import write_logs
from tradefleet.runtime.node import Node
from tradefleet.surfaces.api.server import HttpSurface
from tradefleet.surfaces.cli.loop import run_on_loop
from tradefleet.venues._ccxt.venue import CcxtVenue
from tradefleet.wiring.ground import Ground, open_ground
from tradefleet.wiring.health import health_over
from tradefleet.wiring.serving import build_node, key_checks, telegram_tasks
from tradefleet.wiring.venue_benches_fleet import NO_LIMITS, VENUE, Figures
from tradefleet.wiring.venue_benches_flip import FLIP

PAGE_FILE = Path("/proc/self/statm")


def resident_mib() -> float:
    """Return what the process holds in memory now; where that is not told, what it ever held."""
    if not PAGE_FILE.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(PAGE_FILE.read_text().split()[1]) * resource.getpagesize() / 2**20


def figures(ground: Ground, node: Node) -> Figures:
    host, venue = node.host, ground.real[VENUE]
    bots = host.bots.values()
    sides = list(venue.sides.values()) if isinstance(venue, CcxtVenue) else []
    return {
        "cpu_s": time.process_time(),
        "resident_mib": resident_mib(),
        "recovered": node.recovered.is_set(),
        "users": len(host.users),
        "bots": len(host.bots),
        "joined": sum(side.bells.joined for side in sides),
        "private_connections": sum(len(side.bells.ropes) for side in sides),
        "prices": len(node.feeds[VENUE].prices),
        "swept": sum(w.check.swept is not None for w in node.reconciliation.watches.values()),
        "set_aside": sum(bool(bot.fault) for bot in bots),
        "positions": sum(bot.engine.position is not None for bot in bots),
        "working": sum(o.is_working for bot in bots for o in bot.engine.working.values()),
        "is_idle": host.work.is_idle,
    }


async def answer(ground: Ground, node: Node, stop: asyncio.Event) -> None:
    """Tell figures each time somebody asks; whoever asks no more ends the service."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).strip():
        if line == b"collect":
            gc.collect()
        sys.stdout.write(json.dumps(figures(ground, node)) + "\n")
        sys.stdout.flush()
    stop.set()


async def serve() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with open_ground(None, limits=NO_LIMITS) as ground:
        write_logs(ground.settings)
        node = await build_node(ground, FLIP)
        node.host.tiers = {}  # nothing keeps an order back
        looked = health_over(ground, node)
        http = HttpSurface(
            host=ground.settings.http_host,
            port=ground.settings.http_port,
            health=looked.report,
            is_ready=node.recovered.is_set,
        )
        listener = http.listen()
        node.others = [
            lambda: http.serve(listener),
            *telegram_tasks(ground, lambda line: None),
            ground.paper.commits.run,
            key_checks(ground).run,
            *looked.tasks,
            lambda: answer(ground, node, stop),
        ]
        await node.run(stop)


if __name__ == "__main__":
    run_on_loop(serve())
