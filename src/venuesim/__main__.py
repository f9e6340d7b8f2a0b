"""Runs simulated venues: python -m venuesim --venue binance|bybit|kraken|all --port P."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from ssl import SSLContext

import orjson
import uvloop

from venuesim.admin import AdminPort
from venuesim.certificate import serving, write_certificate
from venuesim.clock import Clock, ManualClock, Player, RealClock
from venuesim.instruments import Listing, invented
from venuesim.market import MANUAL_STEP_MS, STEP_MS, Playing, Synthetic, stand_still
from venuesim.orders import Refusal
from venuesim.recorded import (
    BadRecording,
    Recorded,
    Recording,
    fit_to_clock,
    listed,
    parse_time,
    read_recording,
)
from venuesim.running import VENUES, Running, listings_of, place_for, running
from venuesim.units import units
from venuesim.wire import Place

SYNTHETIC, STILL = "synthetic", "none"
MOVING_MAX = 64  # pairs of the synthetic market whose prices move; the others stand still


class CannotStart(Exception):
    """What was asked for cannot be run, in words."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who has an account from the start, and what its key is a function of."""

    name: str
    seed: str


def client_named(text: str) -> Client:
    name, _, seed = text.partition(":")
    if not name or not seed:
        raise argparse.ArgumentTypeError("say name:SECRETSEED")
    return Client(name, seed)


def balance_named(text: str) -> tuple[str, str]:
    asset, _, amount = text.partition(":")
    try:
        units(amount)
    except ValueError as error:
        raise argparse.ArgumentTypeError("say ASSET:AMOUNT") from error
    return asset, amount


def time_named(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("say a time like 2018-01-12T00:00:00Z") from error


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="python -m venuesim", description="Simulated venues that speak real wire protocols."
    )
    add = words.add_argument
    add("--venue", choices=(*VENUES, "all"), required=True)
    add("--port", type=int, default=0, help="of the first venue; the others follow (0: any free)")
    add("--admin-port", type=int, help="0: any free; not said: no admin port")
    add(
        "--market", nargs="+", default=[SYNTHETIC], metavar="FILE",
        help="synthetic, none (prices stand still), or recorded CSV files, plain or gzip",
    )  # fmt: skip
    add("--symbol", default="", help="the pair of a single file whose name does not say it")
    add("--bar-seconds", type=int, default=0, help="play recorded bars as bars of so many seconds")
    add("--clock", choices=("real", "manual"), default="real")
    add("--start", type=time_named, metavar="ISO", help="the time a manual clock begins at")
    add("--seed", type=int, default=1)
    add("--journal", type=Path, metavar="FILE", help="with several venues: FILE-binance and so on")
    add("--more-pairs", type=int, default=0, metavar="N", help="list N invented pairs, too")
    add("--no-limits", action="store_true", help="count no rates and ban nobody")
    add(
        "--tls", type=Path, metavar="FILE",
        help="speak TLS; its certificate is made now and written there, for clients to trust",
    )  # fmt: skip
    add(
        "--client", type=client_named, action="append", default=[], metavar="name:SECRETSEED",
        help="open an account; its key and secret are printed",
    )  # fmt: skip
    add(
        "--balance", type=balance_named, action="append", default=[], metavar="ASSET:AMOUNT",
        help="what each such account has (USDT:10000)",
    )  # fmt: skip
    return words


def say(**fields: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(orjson.dumps(fields).decode() + "\n")
    sys.stdout.flush()


def read_market(words: argparse.Namespace) -> list[Recording]:
    """Return the recordings that were named; CannotStart says what is wrong with them."""
    if words.market in ([SYNTHETIC], [STILL]):
        return []
    if words.symbol and len(words.market) > 1:
        raise CannotStart("--symbol is for a single file; name several files like ETH_BTC-5m.csv")
    try:
        return [read_recording(Path(name), words.symbol) for name in words.market]
    except BadRecording as error:
        raise CannotStart(str(error)) from error


def start_of(words: argparse.Namespace, recordings: Sequence[Recording]) -> int:
    """Return when a clock that is set by hand begins."""
    if words.start is not None:
        return int(words.start)
    if not recordings:
        raise CannotStart("--clock manual needs --start, or a recording to begin with")
    return min(recording.first_ms for recording in recordings)


def players_of(
    words: argparse.Namespace,
    place: Place,
    recordings: Iterable[Recording],
    listings: Sequence[Listing],
) -> list[Player]:
    """Return what moves a venue's prices."""
    stand_still(place.exchange, listings)
    if words.market == [SYNTHETIC]:
        step_ms = MANUAL_STEP_MS if isinstance(place.clock, ManualClock) else STEP_MS
        return [Synthetic(place, listings[:MOVING_MAX], words.seed, step_ms)]
    try:
        return [
            Recorded(place, fit_to_clock(recording, place.exchange, words.bar_seconds))
            for recording in recordings
        ]
    except BadRecording as error:
        raise CannotStart(str(error)) from error


def certificate_of(words: argparse.Namespace) -> SSLContext | None:
    if words.tls is None:
        return None
    try:
        write_certificate(words.tls)
        return serving(words.tls)
    except OSError as error:
        raise CannotStart(f"{words.tls} cannot be used: {error.strerror}") from error


def journal_of(words: argparse.Namespace, venue: str) -> Path | None:
    path: Path | None = words.journal
    if path is None or words.venue != "all":
        return path
    return path.with_name(f"{path.stem}-{venue}{path.suffix}")


async def run(words: argparse.Namespace, stop: asyncio.Event) -> None:
    """Serve until told to stop; CannotStart when that is not possible."""
    recordings, tls = read_market(words), certificate_of(words)
    clock: Clock = (  # one for all, so that setting it moves every venue
        ManualClock(start_of(words, recordings)) if words.clock == "manual" else RealClock()
    )
    venues: dict[str, Running] = {}
    players: list[Player] = []
    async with AsyncExitStack() as stack:
        for number, venue in enumerate(VENUES if words.venue == "all" else (words.venue,)):
            known = [*listings_of(venue), *invented(words.more_pairs)]
            listings = listed(recordings, known)
            place = place_for(
                venue, clock=clock, instruments=listings, seed=words.seed, prices=False
            )
            place.limits = not words.no_limits
            players += players_of(words, place, recordings, listings)
            port = words.port + number if words.port else 0
            try:
                sim = await stack.enter_async_context(
                    running(venue, place, port=port, journal=journal_of(words, venue), tls=tls)
                )
            except (OSError, ImportError, ValueError) as error:
                raise CannotStart(f"{venue} cannot be served: {error}") from error
            venues[venue] = sim
            say(ready="venue", venue=venue, url=sim.url, ws_url=sim.ws_url)
            open_accounts(words, sim)
        playing = Playing(clock, players)
        playing.start()
        stack.callback(playing.stop)
        if words.admin_port is not None:
            await start_admin(stack, venues, words.admin_port)
        say(ready="all")
        await stop.wait()


def open_accounts(words: argparse.Namespace, sim: Running) -> None:
    balances = dict(words.balance) or {"USDT": "10000"}
    for client in words.client:
        seed, ring = sim.place.keys.seed, sim.place.keys
        ring.seed = int.from_bytes(sha256(client.seed.encode()).digest()[:8])
        try:
            key = sim.client(client.name, balances)
        except Refusal as refusal:
            raise CannotStart(f"{client.name}: {refusal}") from refusal
        finally:
            ring.seed = seed
        say(
            ready="client", venue=sim.venue, name=client.name, api_key=key.api_key,
            secret=key.secret,
        )  # fmt: skip


async def start_admin(stack: AsyncExitStack, venues: dict[str, Running], port: int) -> None:
    admin = AdminPort(venues)
    try:
        await admin.start(port)
    except OSError as error:
        raise CannotStart(f"the admin port cannot be served: {error}") from error
    stack.push_async_callback(admin.stop)
    say(ready="admin", url=admin.url)


async def run_until_told(words: argparse.Namespace) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(words, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 after a signal, 2 when nothing could be started."""
    words = parser().parse_args(arguments)
    try:
        uvloop.run(run_until_told(words))
    except CannotStart as error:
        sys.stderr.write(f"venuesim: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
