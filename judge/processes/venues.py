"""The process of simulated venues: `python -m judge.processes.venues`, with lively prices.

All three stand behind one admin port. Each keeps its own books and its own hash-chained journal;
nothing here knows who trades. Orders are filled in one to three parts, and at Binance some
accounts pay fees in a third asset.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import uvloop

from venuesim.admin import AdminPort
from venuesim.clock import RealClock
from venuesim.exchange import Exchange
from venuesim.market import Playing, Synthetic, stand_still
from venuesim.running import VENUES, Running, listings_of, place_for, running
from venuesim.seeded import Dice, dice
from venuesim.units import units

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
STEP_MS = 150  # between two trades of a pair: nobody waits longer for a price
VOLATILITY = 0.0012  # of one second: stops and targets are reached, too
PARTS = (1, 1, 1, 2, 3)  # into how many trades an order is split, drawn anew each step
MONEY = "100000"  # in USDT, of each account
THIRD, THIRD_MONEY = "BNB", "50"  # what every second account at Binance pays fees from


@dataclass(slots=True)
class Parts:
    """Draws anew, from time to time, into how many trades an order is split."""

    exchange: Exchange
    roll: Dice
    at_ms: int

    def next_ms(self) -> int:
        return self.at_ms + STEP_MS

    def play(self) -> None:
        self.at_ms += STEP_MS
        self.exchange.fill_parts = self.roll.choice(PARTS)


def say(**fields: object) -> None:
    sys.stdout.write(orjson.dumps(fields).decode() + "\n")
    sys.stdout.flush()


async def run(folder: Path, seed: int, accounts: int, stop: asyncio.Event) -> None:
    """Serve all venues, each with so many accounts, until told to stop."""
    clock, sims, players = RealClock(), dict[str, Running](), list[Synthetic | Parts]()
    async with AsyncExitStack() as stack:
        for venue in VENUES:
            listings = list(listings_of(venue))
            place = place_for(venue, clock=clock, instruments=listings, seed=seed, prices=False)
            place.limits = False
            stand_still(place.exchange, listings)
            lively = [
                replace(listing, volatility=VOLATILITY)
                for listing in listings
                if listing.instrument.name in SYMBOLS
            ]
            players.append(Synthetic(place, lively, seed, STEP_MS))
            players.append(Parts(place.exchange, dice(seed, venue, "parts"), clock.now_ms()))
            journal = folder / f"journal-{venue}"
            sim = await stack.enter_async_context(running(venue, place, journal=journal))
            sims[venue] = sim
            say(ready="venue", venue=venue, url=sim.url)
            open_accounts(sim, accounts)
        playing = Playing(clock, players)
        playing.start()
        stack.callback(playing.stop)
        admin = AdminPort(sims)
        await admin.start()
        stack.push_async_callback(admin.stop)
        say(ready="admin", url=admin.url)
        say(ready="all")
        await stop.wait()


def open_accounts(sim: Running, count: int) -> None:
    for number in range(count):
        name = f"{sim.venue}_{number:02}"
        balances = {"USDT": MONEY}
        if pays_in_third(sim.venue, number):
            balances[THIRD] = THIRD_MONEY
        key = sim.client(name, balances)
        if THIRD in balances:
            book = sim.exchange.accounts[name]
            book.fee_from, book.fee_asset = "third", THIRD
        money = {asset: str(units(amount)) for asset, amount in balances.items()}
        say(
            ready="client", venue=sim.venue, name=name, api_key=key.api_key, secret=key.secret,
            balances=money,
        )  # fmt: skip


def pays_in_third(venue: str, number: int) -> bool:
    return venue == "binance" and number % 2 == 1


async def run_until_told(folder: Path, seed: int, accounts: int) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(folder, seed, accounts, stop)


def main(arguments: Sequence[str] | None = None) -> None:
    words = argparse.ArgumentParser(prog="python -m judge.processes.venues")
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--accounts", type=int, default=4, help="at each venue")
    said = words.parse_args(arguments)
    uvloop.run(run_until_told(said.folder, said.seed, said.accounts))


if __name__ == "__main__":
    main()
