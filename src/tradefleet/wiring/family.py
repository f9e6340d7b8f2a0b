"""The master and the members of the environment: connected at start, a universe of pairs each."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from tradefleet.clock import Clock
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.credentials import Credentials, KeyReport
from tradefleet.domain.errors import Refused
from tradefleet.domain.family import Member, family_of, listed_from
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import UNIT, ZERO, money_context, round_down
from tradefleet.domain.user import Mode, Role, User
from tradefleet.operations.family import (
    Connection,
    Say,
    check_lines,
    connect_family,
    connect_one,
    connection_lines,
    cycle_line,
    exit_code,
    summary_lines,
)
from tradefleet.operations.provision import Provision, provide
from tradefleet.settings import Settings, raw_variables
from tradefleet.wiring.ground import Ground, open_ground
from tradefleet.wiring.keys import key_rules

VENUE = "kraken"
TIER = "enterprise"
AGAIN_SECONDS = 60.0  # between two tries to connect an account whose fault may pass
TIMEFRAME = Timeframe(300)


def members_of(settings: Settings) -> list[Member]:
    """Return the master and the members; Refused when the users file or an id is wrong."""
    return family_of(raw_variables(), listed_from(read_users(settings.users_file)))


def read_users(file: Path | None) -> Mapping[str, object]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"USERS_FILE {file} cannot be read: {error}") from None


def universe_of(settings: Settings) -> list[Symbol]:
    """Return the symbols every account of the family scans."""
    names = [name for name in settings.kraken_symbols.split(",") if name.strip()]
    return list(dict.fromkeys(Symbol.parse(name) for name in names))


@dataclass(slots=True, kw_only=True, eq=False)
class Family:
    """Connects the accounts, gives them bots, and tells of their cycles."""

    ground: Ground
    members: Sequence[Member]
    say: Say
    door: Dispatcher
    trading: list[Connection] = field(default_factory=list)
    failed: list[Connection] = field(default_factory=list)
    cycle: int = 0

    async def start(self) -> None:
        """Connect everybody in order and say how each fared; one that fails stops no other."""
        found = await connect_family(self.members, self._connect, self.say)
        self.trading = [connection for connection in found if connection.connected]
        self.failed = [connection for connection in found if not connection.connected]
        for connection in self.trading:
            await self._add_bots(connection)
        for line in summary_lines(found):
            self.say(line)

    async def _connect(self, member: Member) -> Connection:
        connection = await check_one(self.ground, member)
        return await self._provided(connection) if connection.connected else connection

    async def _provided(self, connection: Connection) -> Connection:
        """Keep the account's key, set its owner's limits, and see to it that its bots run."""
        ground, member = self.ground, connection.member
        assert member.credentials is not None and connection.answer is not None
        now = ground.clock.now()
        role = Role.ADMIN if member.is_master else Role.USER
        user = User(id=member.id, username=member.id, created_at=now, tier=TIER, role=role)
        given = Provision(user=user, venue=VENUE, mode=Mode.LIVE, credentials=member.credentials)
        rules = key_rules(ground.settings)
        provided = await provide(ground.store, ground.vault, given, connection.answer, rules, now)
        if not provided.connected:
            return replace(connection, fault=provided.fault)
        async with ground.store.open(member.id) as store:
            if await store.limits() is None:
                await store.save_limits(member.limits)
        return connection

    async def _add_bots(self, connection: Connection) -> None:
        """Let an account scan the universe, its pairs sharing what it holds of their quote."""
        member, symbols = connection.member, universe_of(self.ground.settings)
        for quote in dict.fromkeys(symbol.quote for symbol in symbols):
            await self._add_universe(connection, quote, [s for s in symbols if s.quote == quote])
        async with self.ground.store.open(member.id, reading=True) as store:
            there = {bot.symbol for bot in await store.bots() if bot.venue == VENUE}
        for symbol in symbols:
            if symbol in there:
                await self._run(member, "start_trading", [str(symbol)])

    async def _add_universe(
        self, connection: Connection, quote: str, symbols: Sequence[Symbol]
    ) -> None:
        """Add the pairs that are new; one that is refused is said and stops no other."""
        member, name = connection.member, quote.lower()
        async with self.ground.store.open(member.id, reading=True) as store:
            bots = [bot for bot in await store.bots() if bot.venue == VENUE]
            universes = [each for each in await store.universes() if each.asset == quote]
        known, exists = {bot.symbol for bot in bots}, any(each.name == name for each in universes)
        with money_context():
            own = [bot.allocation for bot in bots if bot.symbol.quote == quote]
            given = sum([*own, *(universe.allocation for universe in universes)], ZERO)
            purse = round_down(connection.holds(quote) - given, UNIT)
        fresh = [symbol for symbol in symbols if symbol not in known]
        if fresh and not exists and purse <= 0:
            self.say(f"   ⚠️  {member.short}: there is no {quote} to trade with")
            return
        for symbol in fresh:
            words = {
                "symbols": str(symbol),
                "balance": None if exists else f"{purse:f}",
                "exchange": VENUE,
                "name": name,
                "timeframe": str(TIMEFRAME),
            }
            exists = await self._run(member, "adduniverse", words) or exists

    async def _run(
        self, member: Member, command: str, words: Sequence[str] | Mapping[str, object]
    ) -> bool:
        what = words.get("symbols") if isinstance(words, Mapping) else words[0]
        try:
            # On their behalf: nobody is there to read the risk notice.
            door = replace(self.door, catalog=replace(self.door.catalog, notice=None))
            reply = await door.run(member.id, command, words, username=member.id)
        except Refused as refusal:
            self.say(f"   ⚠️  {member.short} {what}: {refusal}")
            return False
        if reply.refused:
            self.say(f"   ⚠️  {member.short} {what}: {reply.text}")
        return not reply.refused

    async def keep_trying(self) -> None:
        """Try accounts again whose fault may pass by itself, until cancelled."""
        while True:
            await self.ground.clock.sleep(AGAIN_SECONDS)
            for connection in [each for each in self.failed if each.passes]:
                again = await self._connect(connection.member)
                if again.connected:
                    self.failed.remove(connection)
                    self.trading.append(again)
                    for line in connection_lines(again):
                        self.say(line)
                    await self._add_bots(again)

    async def tell_cycles(self) -> None:
        """Say at each bar's close which accounts scan their universe, until cancelled."""
        clock, period = self.ground.clock, TIMEFRAME.delta
        while True:
            await clock.sleep(until_next(clock, period))
            self.cycle += 1
            for connection in self.trading:
                self.say(cycle_line(connection.member, self.cycle))


def until_next(clock: Clock, period: timedelta) -> float:
    """Return the seconds until a bar of this length closes."""
    now = clock.now()
    begun = now.timestamp() % period.total_seconds()
    return period.total_seconds() - begun


async def check_one(ground: Ground, member: Member) -> Connection:
    """Ask Kraken about a member's key, through the desk that asks for everybody."""

    async def ask(credentials: Credentials) -> KeyReport:
        return await ground.desk.check_key(VENUE, credentials, Mode.LIVE)

    return await connect_one(member, ask, key_rules(ground.settings), ground.clock.now())


async def check_connections(db: str | None, say: Say) -> int:
    """Ask Kraken about everybody's key, change nothing, and return the exit code."""
    async with open_ground(db) as ground:
        found = [await check_one(ground, member) for member in members_of(ground.settings)]
    for line in check_lines(found):
        say(line)
    return exit_code(found)
