"""Before the first host runs: users connect accounts and start bots, by what they would type."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from judge.processes.host import NO_LIMITS
from judge.processes.rhythm import NAME, TIMEFRAME, rhythm
from judge.processes.venues import SYMBOLS
from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.ids import UserId
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry
from tradefleet.domain.limits import RiskLimits
from tradefleet.drawing import draw
from tradefleet.surfaces.cli.loop import run_on_loop
from tradefleet.wiring.demo import TO_CONFIRM
from tradefleet.wiring.ground import Ground, open_ground

ALLOCATION = 1000  # of each bot, in USDT
UNITS = 10**8
AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One account at a venue, of one user; balances in units of 10^-8."""

    venue: str
    name: str
    api_key: str
    secret: str
    balances: Mapping[str, int]

    @property
    def user(self) -> str:
        return f"user_{self.name}"


class Unfounded(Exception):
    """A command was refused that every user begins with; the text is the reply."""


def found(
    folder: Path,
    log: Path,
    variables: Mapping[str, str],
    clients: Sequence[Client],
    symbols: int,
    period: int,
) -> None:
    """Fill the database, in a freshly forked process."""
    os.chdir(folder)
    os.environ.update(variables)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(handle, number)
    run_on_loop(_found(clients, symbols, period))


async def _found(clients: Sequence[Client], symbols: int, period: int) -> None:
    async with open_ground(None, limits=NO_LIMITS) as ground:
        door = ground.door()
        known = dict(door.catalog.strategies) | {NAME: rhythm(closing=False)}
        door = replace(door, catalog=replace(door.catalog, strategies=known))
        for number, client in enumerate(clients):
            await join(ground, door, client, number, symbols, period)
        await hear(ground)


async def hear(ground: Ground) -> None:
    """Read, as their host, what these users' commands left for it; nothing of them runs yet.

    Or the first hosts, none of which lives for long, would begin with hundreds of messages.
    """
    store, owner = ground.store, "founding"
    now = ground.clock.now()
    while await store.take_leases(owner, now=now, ttl=60.0, limit=AT_ONCE):
        pass
    while messages := await store.host_messages(owner, AT_ONCE):
        await store.drop_messages([message.id for message in messages])
    await store.release_leases(owner)


async def join(
    ground: Ground, door: Dispatcher, client: Client, number: int, symbols: int, period: int
) -> None:
    """Let one user connect their account and start a bot on each of so many pairs."""
    user = UserId(client.user)
    await ask(door, user, "/start")
    keys = f"{client.api_key} {client.secret}"
    question = await ask(door, user, f"/connect {client.venue} {keys} testnet=false")
    confirm = TO_CONFIRM.search(question)
    if confirm is None:
        raise Unfounded(question)
    await ask(door, user, confirm[0])
    await pay_in(ground, user, client)
    for place, symbol in enumerate(SYMBOLS[:symbols]):
        phase = (number * symbols + place) % period
        words = f"strategy={NAME} timeframe={TIMEFRAME} period={period} phase={phase}"
        await ask(door, user, f"/addpair {symbol} {ALLOCATION} {client.venue} {words}")
    await ask(door, user, "/start_trading")


async def ask(door: Dispatcher, user: UserId, message: str) -> str:
    name, words = name_and_words(message)
    reply = await door.run(user, name, words, username=user)
    text = draw(reply)
    if reply.refused:
        raise Unfounded(text)
    return text


async def pay_in(ground: Ground, user: UserId, client: Client) -> None:
    """Book what the account has at its venue already, as its first comparison would have.

    That takes a host twenty quiet seconds, and none here lives so long. And no loss stops a bot.
    """
    async with ground.store.open(user) as store:
        await store.save_limits(RiskLimits())
        (account,) = await store.accounts()
        for asset, amount in client.balances.items():
            await store.book(
                LedgerEntry.of_transfer(
                    id=f"opening:{account.id}:{asset}",
                    user_id=user,
                    account_id=account.id,
                    kind="external",
                    at=ground.clock.now(),
                    asset=asset,
                    amount=Decimal(amount) / UNITS,
                    source=EXTERNAL,
                    target=FREE,
                )
            )
