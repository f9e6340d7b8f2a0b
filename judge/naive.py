"""Four ways to place orders that many bots use, in the same weather: the judge must find each.

They are policies, not products: a bot that is flat buys a piece, one that holds something sells it.
Their books are durable at once and their fills are counted once, so whatever goes wrong comes from
how they send, and from what they make of no answer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from judge.evidence import (
    Contract,
    Database,
    Evidence,
    Happened,
    Held,
    Owned,
    Posting,
    StoredFill,
    StoredOrder,
)
from judge.world import menu
from judge.world.chance import Chance
from judge.world.clocks import WorldClock
from judge.world.desk import INSTRUMENTS, Answer, Call, DirectVenue
from judge.world.loop import run_virtual
from judge.world.menu import Fault
from judge.world.network import Network, NoAnswer, NotSent
from judge.world.rules import ALL
from venuesim.seeded import Dice
from venuesim.units import UNITS

SYMBOL = "ETH/USDT"
PIECE = UNITS // 10  # bought at once
MONEY = 10**6 * UNITS
ALLOWED = 5  # fourths of a piece's cost: one piece, and what the price may move
BOTS = 40
MINUTES = 8
STOPS_AT = 0.75  # share of the time after which nothing goes wrong any more
LOST, DELAYED, REPLIES, READS, LATE, CRASH = 0.06, 0.03, 0.06, 0.10, 0.15, 0.004
LAG_MS = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How orders are sent.

    named: under a client id. written_first: a row is there before the order leaves. again: how
    often it is sent once more when no answer came. asks: how often the venue is asked about it by
    its name then; None where that is not done.
    """

    name: str
    text: str
    named: bool
    written_first: bool
    again: int = 0
    asks: int | None = None


POLICIES = (
    Policy(
        name="re-send",
        text="re-send on timeout, no client id",
        named=False,
        written_first=False,
        again=3,
    ),
    Policy(
        name="nothing-happened",
        text="no client id, row after the answer, error = nothing happened",
        named=False,
        written_first=False,
    ),
    Policy(
        name="error-is-failed",
        text="client id, any error = failed",
        named=True,
        written_first=True,
    ),
    Policy(
        name="ask-five-times",
        text='client id, query 5 times, then "rejected"',
        named=True,
        written_first=True,
        asks=5,
    ),
)


class Crash(Exception):
    """The process is gone; what was written stays."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One order as a bot has written it down; state: sent, open, done, failed."""

    id: str
    side: str
    quantity: int
    sent_ms: int
    state: str = "sent"
    venue_id: str = ""
    fills: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def filled(self) -> int:
        return sum(fill["quantity"] for fill in self.fills.values())


class Weather:
    """What goes wrong on the way."""

    def __init__(self, world: "NaiveWorld", roll: Dice) -> None:
        self._world, self._roll = world, roll

    def draw(self, account: str, action: str) -> Fault | None:
        if self._world.is_calm:
            return None
        kind = self._kind(action)
        if not kind:
            return None
        self._world.note("fault", fault=kind, account_id=account, action=action)
        return Fault(kind, seconds=self._roll.choice((3.0, 11.0)))

    def _kind(self, action: str) -> str:
        drawn = self._roll.random()
        if action != "create":
            return menu.ANSWER_LOST if drawn < READS else ""
        if drawn < LOST:
            return menu.REQUEST_LOST
        if drawn < LOST + DELAYED:
            return menu.REQUEST_DELAYED
        if drawn < LOST + DELAYED + REPLIES:
            return self._roll.choice((menu.ANSWER_LOST, menu.BODY_CUT, menu.RESET_AFTER))
        return ""


class NaiveBot:
    """One bot of one account, with its durable rows."""

    def __init__(self, world: "NaiveWorld", number: int) -> None:
        self.world, self.name = world, f"bot-{number:03d}"
        self.key = world.venue.open_account(self.name, fee_from="quote")
        world.venue.books.deposit(self.name, "USDT", MONEY)
        self.rows: list[Row] = []
        self._roll = world.chance.of(self.name)
        self._number = 0

    async def run(self) -> None:
        """Trade until the world ends, from the rows alone after every crash."""
        while not self.world.is_over:
            await asyncio.sleep(1 + self._roll.random() * 2)
            try:
                await self._turn()
            except Crash:
                self.world.note(
                    "crash", host=self.name, point="", fault="", venue="", account_id=self.name
                )
                await asyncio.sleep(1)

    async def _turn(self) -> None:
        for row in self.rows:
            if row.state == "sent":  # it was on its way when we crashed
                await self._without_answer(row)
            if row.state == "open":
                await self._look(row)
        if any(row.state in ("sent", "open") for row in self.rows) or self.world.is_calm:
            return
        held = sum(row.filled if row.side == "buy" else -row.filled for row in self.rows)
        await self._place("sell" if held > 0 else "buy", held if held > 0 else PIECE)

    def _may_crash(self) -> None:
        if not self.world.is_calm and self._roll.random() < CRASH:
            raise Crash

    async def _place(self, side: str, quantity: int) -> None:
        policy, now = self.world.policy, self.world.clock.now_ms()
        row = Row(id=f"{self.name}-{now}", side=side, quantity=quantity, sent_ms=now)
        if policy.written_first:
            self.rows.append(row)
        self._may_crash()
        for _ in range(1 + policy.again):
            try:
                answer = await self._create(row)
            except (NotSent, NoAnswer):
                continue
            self._may_crash()
            if not policy.written_first:
                self.rows.append(row)
            self._heard(row, answer)
            return
        await self._without_answer(row)

    async def _create(self, row: Row) -> Answer:
        now = self.world.clock.now_ms()
        client = self.world.venue.client_of(self.name)
        if not self.world.is_calm and self._roll.random() < LATE:
            client.lag_ms, client.lags_until_ms = LAG_MS, now + 2 * LAG_MS
        body = {
            "symbol": SYMBOL,
            "side": row.side,
            "quantity": row.quantity,
            "client_id": row.id if self.world.policy.named else "",
            "sent_ms": now,
            "deadline_ms": now + 5000,
        }
        return await self._ask("create", body)

    async def _ask(self, action: str, body: Mapping[str, Any]) -> Answer:
        self._number = max(self._number + 1, self.world.clock.now_us())
        call = Call(action, self.key, body, number=self._number, request=self._number)
        return await self.world.network.ask(self.name, call)

    @staticmethod
    def _heard(row: Row, answer: Answer) -> None:
        if answer.is_good:
            row.state, row.venue_id = "open", str(answer.payload)
        else:
            row.state = "failed"

    async def _without_answer(self, row: Row) -> None:
        """Make of no answer what the policy makes of it."""
        body = {"client_id": row.id, "order": ""}
        for _ in range(self.world.policy.asks or 0):
            await asyncio.sleep(1)
            try:
                answer = await self._ask("order", body)
            except (NotSent, NoAnswer):
                continue
            if answer.is_good and answer.payload is not None:
                row.state, row.venue_id = "open", answer.payload["order"]
                return
        row.state = "failed"

    async def _look(self, row: Row) -> None:
        body = {"client_id": "", "order": row.venue_id}
        try:
            order = await self._ask("order", body)
            fills = await self._ask("fills", body)
        except (NotSent, NoAnswer):
            return
        if not (order.is_good and fills.is_good) or order.payload is None:
            return
        self._may_crash()
        row.fills |= {fill["trade"]: fill for fill in fills.payload}
        if not order.payload["open"] and row.filled == order.payload["filled"]:
            row.state = "done"


class NaiveWorld:
    """Bots of one policy at one venue, for some minutes that are made up."""

    def __init__(self, policy: Policy, seed: int, venue: str) -> None:
        self.policy, self.chance = policy, Chance(seed)
        self.clock = WorldClock(asyncio.get_running_loop())
        self.venue = DirectVenue(ALL[venue], self.clock, self.chance)
        self.network = Network(venue=self.venue, chance=self.chance)
        self.network.weather = Weather(self, self.chance.of("weather"))
        self.diary: list[Happened] = []
        self.is_calm = self.is_over = False
        self.bots = [NaiveBot(self, number) for number in range(BOTS)]

    def note(self, kind: str, **fields: object) -> None:
        self.diary.append(Happened(at_ms=self.clock.now_ms(), kind=kind, fields=fields))

    async def run(self) -> Evidence:
        async with asyncio.TaskGroup() as tasks:
            for bot in self.bots:
                tasks.create_task(bot.run())
            await self._market(MINUTES * 60 * STOPS_AT)
            self.is_calm = True
            self.note("quiet")
            await self._market(MINUTES * 60 * (1 - STOPS_AT))
            self.is_over = True
        self.note("ended")
        self.venue.closing_line()
        return self.evidence()

    async def _market(self, seconds: float) -> None:
        """Let the price walk."""
        books, roll = self.venue.books, self.chance.of("prices")
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            books.tick(SYMBOL, books.prices[SYMBOL] + roll.randrange(-200, 201) * UNITS // 100)

    def evidence(self) -> Evidence:
        price = INSTRUMENTS[SYMBOL][1]
        allowed = PIECE * price // UNITS * ALLOWED // 4
        return Evidence(
            owned=[
                Owned(
                    account_id=bot.name,
                    user_id=bot.name,
                    venue=self.venue.rules.name,
                    venue_account=bot.name,
                    contracts=[Contract(bot_id=bot.name, symbol=SYMBOL, cost_max=allowed)],
                )
                for bot in self.bots
            ],
            journals={self.venue.rules.name: self.venue.lines()},
            diary=self.diary,
            database=Database(
                orders=[stored(bot, row, n) for bot in self.bots for n, row in enumerate(bot.rows)],
                fills=[fill for bot in self.bots for fill in fills_of(bot)],
                postings=[posting for bot in self.bots for posting in postings_of(bot)],
                held=[held_by(bot) for bot in self.bots],
            ),
        )


STATES = {"sent": "unknown", "open": "open", "done": "done", "failed": "rejected"}


def amount(units: int) -> Decimal:
    return Decimal(units).scaleb(-8)


def stored(bot: NaiveBot, row: Row, number: int) -> StoredOrder:
    return StoredOrder(
        id=row.id,
        user_id=bot.name,
        account_id=bot.name,
        bot_id=bot.name,
        seq=number,
        symbol=SYMBOL,
        side=row.side,
        purpose="entry" if row.side == "buy" else "exit",
        kind="market",
        quantity=amount(row.quantity),
        state=STATES[row.state],
        filled=amount(row.filled),
        reserved=Decimal(0),
        venue_order_id=row.venue_id,
        epoch=1,
        decided_ms=row.sent_ms,
        sent_ms=row.sent_ms,
        deadline_ms=row.sent_ms + 5000,
    )


def fills_of(bot: NaiveBot) -> list[StoredFill]:
    return [
        StoredFill(
            id=trade,
            user_id=bot.name,
            account_id=bot.name,
            order_id=row.id,
            symbol=SYMBOL,
            side=row.side,
            quantity=amount(fill["quantity"]),
            price=amount(fill["price"]),
            cost=amount(fill["cost"]),
            fee=amount(fill["fee"]),
            fee_asset=fill["fee_asset"],
        )
        for row in bot.rows
        for trade, fill in row.fills.items()
    ]


def postings_of(bot: NaiveBot) -> list[Posting]:
    """Return what the bot has booked: its deposit, and every fill with its fee."""
    place, found = f"bot:{bot.name}", []

    def post(entry: str, where: str, asset: str, change: int) -> None:
        found.append(
            Posting(
                user_id=bot.name,
                account_id=bot.name,
                entry_id=entry,
                place=where,
                asset=asset,
                amount=amount(change),
            )
        )

    post("deposit", place, "USDT", MONEY)
    post("deposit", "external", "USDT", -MONEY)
    for row in bot.rows:
        for trade, fill in row.fills.items():
            sign = 1 if row.side == "buy" else -1
            for asset, change, other in (
                ("ETH", sign * fill["quantity"], "market"),
                ("USDT", -sign * fill["cost"], "market"),
                (fill["fee_asset"], -fill["fee"], "fees"),
            ):
                post(trade, place, asset, change)
                post(trade, other, asset, -change)
    return found


def held_by(bot: NaiveBot) -> Held:
    held = sum(row.filled if row.side == "buy" else -row.filled for row in bot.rows)
    return Held(user_id=bot.name, bot_id=bot.name, symbol=SYMBOL, quantity=amount(held))


def run(policy: Policy, seed: int, venue: str = "binance") -> Evidence:
    """Let bots of a policy trade for some minutes; the same seed gives the same evidence."""

    async def world() -> Evidence:
        return await NaiveWorld(policy, seed, venue).run()

    return run_virtual(world())
