"""One host process, forked from the zygote: the service's own node, as its wiring builds it.

What is the judge's own: the strategy and the length of bars, a rate governor without limits, and
how many users a host takes. Chat and HTTP surfaces are off.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from judge.processes.rhythm import Quick, rhythm
from tradefleet.engine.pace import Allowance
from tradefleet.operations.logs.starting import write_logs
from tradefleet.runtime import reconciliation
from tradefleet.runtime.venue_limits import VENUE_LIMITS, VenueLimits
from tradefleet.surfaces.cli.loop import run_on_loop
from tradefleet.venue import Venue
from tradefleet.venues._ccxt.venue import CcxtVenue
from tradefleet.wiring.ground import Ground, open_ground
from tradefleet.wiring.serving import build_node, key_checks, telegram_tasks

ENOUGH = Allowance.windowed(1e12, 60)
NO_LIMITS = {
    name: VenueLimits(
        address=(ENOUGH,),
        keyed=dict.fromkeys(limits.keyed, (ENOUGH,)),
        closing={},  # a closed door would stand closed for the rest of a short run
        read=limits.read,
    )
    for name, limits in VENUE_LIMITS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a host is told when it is forked.

    users_max: how many users it takes; closing: it only leaves positions; grace_s: what is added
    to an order's deadline before its absence is proven, 0 for the venue's own.
    """

    users_max: int
    closing: bool = False
    grace_s: float = 0.0
    sweep_s: float = 0.0  # within how long after a takeover accounts are swept, 0: as ever


def become(folder: Path, log: Path, variables: Mapping[str, str], part: Part) -> None:
    """Turn this freshly forked process into a host, and run it to its end."""
    os.chdir(folder)  # so that it reads no settings of ours
    os.environ.update(variables)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(handle, number)
    if part.sweep_s:
        reconciliation.FIRST_WITHIN = part.sweep_s
    run_on_loop(serve(part))


async def serve(part: Part) -> None:
    """Run a node until SIGTERM, as `tradefleet serve` does."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, tell_tasks, loop)
    async with open_ground(None, limits=NO_LIMITS) as ground:
        write_logs(ground.settings)
        ground = quickened(ground, part)
        node = await build_node(ground, rhythm(closing=part.closing))
        node.ownership.users_max = part.users_max
        node.others = [
            *telegram_tasks(ground, lambda line: None),
            ground.paper.commits.run,
            key_checks(ground).run,
            lambda: announce(node.recovered),
        ]
        await node.run(stop)
    say("stopped")


async def announce(recovered: asyncio.Event) -> None:
    await recovered.wait()
    say("recovered")


def tell_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Write down what every task waits for: this host does not end though it was asked to."""
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=sys.stdout)
    say("that is what it waits for")


def say(word: str) -> None:
    """Write a word of our own into the log, between the service's."""
    sys.stdout.write(f"judge: {word}\n")
    sys.stdout.flush()


def quickened(ground: Ground, part: Part) -> Ground:
    """Let every venue's bars come at the judge's pace, and its orders be given up by it."""
    real: dict[str, Venue] = {}
    for name, venue in ground.real.items():
        if part.grace_s and isinstance(venue, CcxtVenue):
            dialect: Any = venue.dialect
            timing = replace(dialect.timing, grace=timedelta(seconds=part.grace_s))
            venue.dialect = replace(dialect, timing=timing)
        real[name] = Quick(venue, ground.clock)
    return replace(ground, real=real)
