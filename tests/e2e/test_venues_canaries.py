"""No key leaks while it trades: everything that is written, said or logged is searched for it.

Accounts at every venue go through connecting, refusals, faults of the wire, bugs of ours, a
revoked key, a kill and a takeover, with every logger at its most talkative.
"""

import base64
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.bot_rig import enter, leave
from tests.e2e.test_canaries import forms_of
from tests.e2e.test_venues_faults import FRAME, PRICE, START, SYMBOL
from tests.e2e.venue_rig import VENUES, Service, World, world
from tradefleet.domain.errors import VenueError
from tradefleet.domain.ids import UserId
from tradefleet.venues._ccxt.wire import Wire
from venuesim.faults import Fault, FaultKind

K = FaultKind
FAULTS = (
    Fault(kind=K.ANSWER_LOST),
    Fault(kind=K.BODY_CUT, at=10),
    Fault(kind=K.JSON_TRUNCATED, at=10),
    Fault(kind=K.HTML, status=403),
    Fault(kind=K.STATUS, status=500),
    Fault(kind=K.RESET_AFTER),
    Fault(kind=K.ID_MISSING),
)


def secrets_of(it: World) -> Iterator[tuple[str, str]]:
    """Yield every key and secret that a venue has ever made, with whose they are."""
    for venue, sim in it.sims.items():
        for key in sim.place.keys.by_key.values():
            yield f"key of {key.account} at {venue}", key.api_key
            yield f"secret of {key.account} at {venue}", key.secret


def hits(it: World, everything: bytes) -> Iterator[str]:
    for whose, secret in secrets_of(it):
        forms = forms_of(secret)
        if "kraken" in whose and whose.startswith("secret"):  # what signs is what it decodes to
            raw = base64.b64decode(secret)
            forms |= {raw, raw.hex().encode(), repr(raw)[2:-1].encode()}
        for form in forms:
            if form in everything:
                at = everything.index(form)
                yield f"{whose}: {everything[max(0, at - 100) : at + 100]!r}"


def written_by(it: World) -> bytes:
    """Return the bytes of the database and of what lies beside it, but for the venues' journals."""
    files = [file for file in it.folder.iterdir() if not file.name.startswith("journal")]
    assert any(file.name.endswith(".db") for file in files)
    return b"\0".join(file.read_bytes() for file in files)


async def everything_that_can_happen(it: World) -> list[str]:
    """Trade through all kinds of trouble; return what was said, told, reported and raised."""
    service = await it.service("first", 15.0)
    users = {UserId(f"{venue}_{name}"): venue for venue in VENUES for name in ("a", "b")}
    for user, venue in users.items():
        await refused_keys(it, service, user, venue)
        await it.connect(service, user, venue, {"USDT": "10000"})
        await it.trade(service, user, f"{SYMBOL} 1000 {venue} strategy=script timeframe=5m")
    await it.time.pass_finely(5, 1)
    noted: list[str] = []
    for bar, said in ((0, enter(60000)), (1, leave())):
        for number, (user, venue) in enumerate(users.items()):
            fault = FAULTS[(number + 3 * bar) % len(FAULTS)]
            it.sims[venue].faults.once(fault=fault, account=user, times=2)
        buggy = {key.api_key for (user, _), key in it.keys.items() if user.endswith("_b")}
        service.traffic.leaving = Bug(buggy)
        await signal(it, bar, said)
        await ticking(it, 5)
        if bar == 0:
            noted += await errors_of(service)
            await service.kill()
            service = await it.service("second", 15.0)
        await ticking(it, 50)
    for user, venue in users.items():
        it.keys[user, venue].revoked = True
    await ticking(it, 70)
    noted += await errors_of(service)
    for user, venue in users.items():
        for words in ("/accounts", "/status", "/balance", f"/connect {venue}", "/trades"):
            await service.ask(user, words)
        await service.ask(user, f"/disconnect {venue}")
    noted += [repr(service.node.readings())]
    noted += [repr(each.told.notices) for each in it.services]
    await service.stop()
    return [*noted, *it.said]


async def refused_keys(it: World, service: Service, user: UserId, venue: str) -> None:
    """Offer keys that are refused: one that may withdraw, one unknown, one with a wrong secret."""
    sim = it.sims[venue]
    greedy = sim.client(user, {}, ("read", "trade", "withdraw"))
    gone = sim.client(user, {})
    gone.revoked = True
    good = sim.client(user, {})
    await service.ask(user, "/start")
    for key, secret in ((greedy, greedy.secret), (gone, gone.secret), (good, greedy.secret)):
        said = await service.ask(user, f"/connect {venue} {key.api_key} {secret} testnet=false")
        assert said.startswith("❌"), said
    await service.ask(user, f"/conect {venue} {good.api_key} {good.secret}")
    await service.ask(user, f"/connect nowhere {good.api_key} {good.secret}")


@dataclass
class Bug:
    """Fails as only our own code can, with the whole request at hand: once for each key."""

    keys: set[str]

    async def __call__(self, wire: Wire) -> None:
        for key in self.keys & set(wire.headers.values()):
            if wire.method == "POST" and "rder" in wire.url:
                self.keys.discard(key)
                raise ZeroDivisionError("a bug of ours")


async def errors_of(service: Service) -> list[str]:
    """Ask every account something that may fail; return how its key is shown, and tracebacks."""
    found = []
    for user in list(service.node.host.users.values()):
        for lane in user.lanes.values():
            found.append(repr(lane.link.asker.credentials))
            try:
                await service.world.time.run(lane.link.balances())
            except (VenueError, ZeroDivisionError) as error:
                found += [repr(error), "".join(traceback.format_exception(error))]
    return found


async def signal(it: World, bar: int, said: Any) -> None:
    opened = START + bar * FRAME
    it.theatre.lines["a"][opened] = said
    while it.time.now < opened + FRAME - timedelta(seconds=5):
        tick(it)
        await it.time.pass_finely(5, 5)
    await it.time.pass_until(opened + FRAME)
    tick(it)
    await it.time.pass_by(0.5)
    tick(it)
    await it.time.settle()


def tick(it: World) -> None:
    for sim in it.sims.values():
        sim.tick(SYMBOL, str(PRICE))


async def ticking(it: World, seconds: int) -> None:
    for _ in range(seconds):
        await it.time.pass_finely(1, 1)
        tick(it)


async def test_no_key_is_written_said_or_logged_while_it_trades(
    sqlite_url, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    async with world(VENUES, sqlite_url, tmp_path, monkeypatch, start=START) as it:
        noted = await everything_that_can_happen(it)
        texts = "\0".join([*noted, caplog.text]).encode(errors="replace")
        everything = b"\0".join([texts, written_by(it)])
        assert "a bug of ours" in caplog.text and any("Traceback" in each for each in noted)
        assert b"does not know this key" in everything
        for key in it.keys.values():
            assert f"{key.api_key[:4]}…".encode() in everything, "as much as may be shown"
        assert list(hits(it, everything)) == []


async def test_a_key_that_was_written_would_be_found(tmp_path, monkeypatch, sqlite_url):
    async with world(VENUES, sqlite_url, tmp_path, monkeypatch, start=START) as it:
        for venue, sim in it.sims.items():
            key = sim.client(f"somebody at {venue}", {})
            for leak in (key.api_key, key.secret, key.secret[: len(key.secret) // 2]):
                for form in (leak.encode(), leak.encode().hex().encode(), repr(leak).encode()):
                    assert list(hits(it, b"apiKey=" + form + b"&x=1"))
            assert not list(hits(it, f"{key.api_key[:4]}…{key.api_key[-4:]}".encode()))
