"""A dispatcher over a store in memory, and people who talk to it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.effects import (
    Decided,
    FillBooked,
    MemoryChanged,
    OrderPlaced,
    Record,
    TradeClosed,
)
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import FillId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.market import Side, Symbol, TradingRules
from tradefleet.domain.order import Fill, Order, OrderState, Purpose
from tradefleet.domain.position import Position, Trade
from tradefleet.domain.user import Mode
from tradefleet.drawing import draw
from tradefleet.store import Batch, SignalNote
from tradefleet.stores.memory import MemoryStore
from tradefleet.venue import VenueSpec
from tradefleet.wiring import build_dispatcher

START = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = UserId("alice"), UserId("bob")
PAPER = VenueSpec(name="paper", summary="Live prices, pretended orders.", needs_keys=False)
# Stands for a venue whose adapter is there; what it needs to connect is not the question here.
BINANCE = VenueSpec(name="binance", summary="A venue of the tests.", needs_keys=False)
BYBIT = VenueSpec(
    name="bybit",
    summary="A venue that asks for keys.",
    needs_keys=True,
    modes=(Mode.TESTNET, Mode.LIVE),
)
TRADED = {"BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT", "ETH/BTC", "BTC/USDC"}


class Still:
    """A clock that stands still unless it is set, and ids that count."""

    def __init__(self) -> None:
        self.time = START
        self.count = 0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")

    def new(self) -> str:
        self.count += 1
        return f"{self.count:032x}"


async def rules_of(venue: str, symbol: Symbol) -> TradingRules:
    if str(symbol) not in TRADED:
        raise Refused(f"{symbol} is not traded on {venue}.")
    return TradingRules(notional_min=Decimal(5) if symbol.quote != "BTC" else Decimal("0.0001"))


class Door:
    """One service: its store, and the dispatcher in front of it."""

    def __init__(self, *venues: VenueSpec, **parts: object) -> None:
        self.still = Still()
        self.store = MemoryStore(self.still)
        parts.setdefault("web_url", "https://bots.example.org")
        self.dispatcher: Dispatcher = build_dispatcher(
            self.store,
            self.still,
            self.still,
            rules=rules_of,
            known_venues={venue.name: venue for venue in venues or (PAPER,)},
            **parts,
        )

    async def ask(self, message: str, user_id: UserId = ALICE):
        """Return the reply to a message."""
        name, words = name_and_words(message)
        return await self.dispatcher.run(user_id, name, words)

    async def say(self, message: str, user_id: UserId = ALICE) -> str:
        """Return what the user reads after a message, refused or not."""
        try:
            return draw(await self.ask(message, user_id))
        except Refused as refusal:
            return str(refusal)

    async def talk(self, transcript: str, user_id: UserId = ALICE) -> None:
        """Hold a conversation: lines that begin with > are said, those below are the answer."""
        for turn in transcript.strip().removeprefix("> ").split("\n> "):
            said, _, expected = turn.partition("\n")
            assert await self.say(said, user_id) == expected.rstrip(), said

    async def bots(self, user_id: UserId = ALICE) -> Mapping[str, BotSpec]:
        async with self.store.open(user_id, reading=True) as store:
            return {str(bot.symbol): bot for bot in await store.bots()}

    async def memory(self, symbol: str, user_id: UserId = ALICE) -> BotMemory:
        async with self.store.open(user_id, reading=True) as store:
            return (await store.memories())[(await self.bots(user_id))[symbol].id]

    async def record(self, *records: Record, user_id: UserId = ALICE) -> None:
        """Write down what a host would."""
        leases = await self.store.take_leases(
            "host", now=self.still.now(), ttl=1e6, limit=100
        ) or await self.store.renew_leases("host", now=self.still.now(), ttl=1e6)
        held = {lease.user_id: lease for lease in leases}
        batch = Batch(user_id=user_id, epoch=held[user_id].epoch, records=records)
        assert await self.store.write([batch]) == [None]

    async def messages(self) -> list[tuple[str, Mapping[str, object]]]:
        """What waits for the host, and forget it."""
        await self.store.take_leases("host", now=self.still.now(), ttl=1e6, limit=100)
        messages = await self.store.host_messages("host", 1000)
        await self.store.drop_messages([message.id for message in messages])
        return [(message.subject, message.payload) for message in messages]


async def trade(door: Door, user_id=ALICE, mark: str = "", venue: str = "binance") -> None:
    """Let a user have closed one trade in BTC/USDT and hold another; mark stands in its texts."""
    await door.ask(f"/addpair BTC/USDT 1000 {venue}", user_id)
    bot = (await door.bots(user_id))["BTC/USDT"]
    memory = await door.memory("BTC/USDT", user_id)
    order = Order(
        id=OrderId(f"{user_id}-1"),
        user_id=user_id,
        account_id=bot.account_id,
        bot_id=bot.id,
        seq=1,
        symbol=bot.symbol,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        purpose=Purpose.ENTRY,
        decided_at=START + timedelta(minutes=5),
        reason=f"entry{mark}",
        state=OrderState.DONE,
        filled=Decimal("0.5"),
    )
    fill = Fill(
        id=FillId(f"{user_id}-f1"),
        order_id=order.id,
        symbol=bot.symbol,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal(100),
        cost=Decimal(50),
        fee=Decimal("0.05"),
        fee_asset="USDT",
        fee_quote=Decimal("0.05"),
        filled_at=START + timedelta(minutes=6),
    )
    closed = Trade(
        id=f"{bot.id}-1",
        user_id=user_id,
        account_id=bot.account_id,
        bot_id=bot.id,
        symbol=bot.symbol,
        opened_at=START + timedelta(minutes=6),
        closed_at=START + timedelta(minutes=9),
        quantity=Decimal("0.5"),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        gross_pnl=Decimal(5),
        fees=Decimal("0.1"),
        exit_reason=f"target_1{mark}",
    )
    held = replace(Position.opened_by(fill), stop=Decimal(95), highest=Decimal(100))
    entry = LedgerEntry.of_fill(fill, user_id=user_id, account_id=bot.account_id, bot_id=bot.id)
    at = order.decided_at
    await door.record(
        OrderPlaced(order),
        FillBooked(fill, entry),
        TradeClosed(closed),
        MemoryChanged(
            replace(memory, cash=Decimal("954.95"), position=held, last_price=Decimal(104))
        ),
        Decided(bot.id, user_id, at, "entered", "", f"size 5 %{mark}"),
        user_id=user_id,
    )
    note = SignalNote(bot.group, at, "entry", "ADX 35")
    await door.store.note_signals([note], keep=50)
    door.still.time = START + timedelta(minutes=10)
