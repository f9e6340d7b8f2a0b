"""Evidence made by hand: a venue's real books and journal, and a database that agrees with them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
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
from venuesim.clock import ManualClock
from venuesim.exchange import Account, Exchange
from venuesim.instruments import pair
from venuesim.journal import Journal
from venuesim.orders import Kind, NewOrder, Order, Side, Trade
from venuesim.units import UNITS, units

PAIR = pair("ETH/USDT", "0.01", "0.0001", "0.0001")
THIRD = pair("BNB/USDT", "0.01", "0.001", "0.001")
START_MS = 1_000_000
COST_MAX = units("400")  # one entry of 300, with room; two are 600
USERS = ("alice", "bob")


def name_of(user: str, seq: int) -> str:
    return f"{user}{seq:05}".ljust(12, "0") + "5" + "0" * 3 + "8" + "0" * 15


def amount(units_: int) -> Decimal:
    return Decimal(units_).scaleb(-8)


class Books(Exchange):
    """Books that take any name twice."""

    def _check_id(self, book: Account, request: NewOrder) -> None:
        return None


class Made:
    """Two users with an account and a bot each at one venue; everything goes well at first."""

    def __init__(self, venue: str = "binance", **books: Any) -> None:
        self.venue = venue
        self.clock = ManualClock(START_MS)
        self.exchange = Books(
            clock=self.clock,
            instruments={PAIR.name: PAIR, THIRD.name: THIRD},
            **{"spread": 0, "fill_parts": 2, **books},
        )
        self.journal = Journal(clock=self.clock)
        self.journal.follow(self.exchange)
        self.diary: list[Happened] = []
        self.orders: list[StoredOrder] = []
        self.fills: list[StoredFill] = []
        self.postings: list[Posting] = []
        self.held: list[Held] = []
        self.epochs = dict.fromkeys(USERS, 1)
        self.exchange.tick(PAIR.name, units("3000"))
        self.exchange.tick(THIRD.name, units("600"))
        for user in USERS:
            self.exchange.open_account(f"{user} there")
            self.deposit(user, "USDT", "10000")
            self.happened("lease", user_id=user, host=f"host of {user}", epoch=1)
            self.happened("canary", secret=f"secret-of-{user}-0123456789", of=user)

    # ---------------------------------------------------------------- what goes on

    def happened(self, kind: str, **fields: object) -> None:
        self.diary.append(Happened(at_ms=self.clock.now_ms(), kind=kind, fields=fields))

    def wait(self, seconds: float) -> None:
        self.clock.set(self.clock.now_ms() + int(seconds * 1000))

    def deposit(self, user: str, asset: str, text: str) -> None:
        self.exchange.deposit(f"{user} there", asset, units(text))
        number = len(self.postings)
        for place, sign in (("external", -1), ("free", 1)):
            self._post(user, f"deposit:{number}", place, asset, sign * Decimal(text))

    def _post(self, user: str, entry: str, place: str, asset: str, what: Decimal) -> None:
        self.postings.append(
            Posting(
                user_id=user,
                account_id=f"{user} account",
                entry_id=entry,
                place=place,
                asset=asset,
                amount=what,
            )
        )

    def place(
        self, user: str, seq: int, side: str, quantity: str, *, name: str | None = None, **more: Any
    ) -> Order:
        """Place an order at the venue alone."""
        request = NewOrder(
            symbol=PAIR.name,
            side=Side(side),
            kind=more.pop("kind", Kind.MARKET),
            quantity=units(quantity),
            client_id=name_of(user, seq) if name is None else name,
            **more,
        )
        order = self.exchange.place(f"{user} there", request)
        self.call(user, "create", client_id=request.client_id, order=order.id)
        return order

    def call(self, user: str, action: str, **more: Any) -> None:
        given = {"status": 200, "order": 0, "fault": "", "code": "", "client_id": "", **more}
        self.journal.write(
            "call",
            venue=self.venue,
            arrived_ms=self.clock.now_ms(),
            action=action,
            account=f"{user} there",
            **given,
        )

    def trade(self, user: str, seq: int, side: str, quantity: str, **more: Any) -> StoredOrder:
        """Decide, send, accept, fill and book an order, all as it should be."""
        decided = self.clock.now_ms()
        self.wait(0.2)
        sent = self.clock.now_ms()
        self.wait(0.1)
        order = self.place(user, seq, side, quantity, **more)
        stored = self.store(user, seq, order, decided_ms=decided, sent_ms=sent)
        for trade in order.trades:
            self.book(user, trade, stored)
        return stored

    def store(self, user: str, seq: int, order: Order, **changes: Any) -> StoredOrder:
        now = self.clock.now_ms()
        sent = changes.get("sent_ms", now)
        stored = StoredOrder(
            **{
                "id": order.client_id,
                "user_id": user,
                "account_id": f"{user} account",
                "bot_id": f"{user} bot",
                "seq": seq,
                "symbol": order.symbol,
                "side": order.side.value,
                "purpose": "entry" if order.side is Side.BUY else "exit",
                "kind": "market",
                "quantity": amount(order.quantity),
                "state": "open" if order.is_live else "done",
                "filled": amount(order.filled),
                "reserved": Decimal(300),
                "venue_order_id": str(order.id),
                "epoch": self.epochs[user],
                "decided_ms": now,
                "sent_ms": sent,
                "deadline_ms": sent + 5000,
                **changes,
            }
        )
        self.orders.append(stored)
        return stored

    def book(self, user: str, trade: Trade, stored: StoredOrder) -> None:
        self.fills.append(
            StoredFill(
                id=f"T{trade.id}",
                user_id=user,
                account_id=f"{user} account",
                order_id=stored.id,
                symbol=trade.symbol,
                side=trade.side.value,
                quantity=amount(trade.quantity),
                price=amount(trade.price),
                cost=amount(trade.cost),
                fee=amount(trade.fee),
                fee_asset=trade.fee_asset,
            )
        )
        self.enter(user, trade, f"bot:{user} bot")

    def enter(self, user: str, trade: Trade, place: str) -> None:
        sign = 1 if trade.side is Side.BUY else -1
        for asset, other, change in (
            ("ETH", "market", sign * trade.quantity),
            ("USDT", "market", -sign * trade.cost),
            (trade.fee_asset, "fees", -trade.fee),
        ):
            entry = f"fill:{user} account:T{trade.id}"
            self._post(user, entry, place, asset, amount(change))
            self._post(user, entry, other, asset, amount(-change))

    def hold(self, user: str, quantity: str) -> None:
        self.held.append(
            Held(user_id=user, bot_id=f"{user} bot", symbol=PAIR.name, quantity=Decimal(quantity))
        )

    # ------------------------------------------------------------------- the end

    def end(self, after_seconds: float = 300) -> Evidence:
        self.happened("quiet")
        self.wait(after_seconds)
        self.happened("ended")
        self.journal.write("closed")
        return Evidence(
            owned=[
                Owned(
                    account_id=f"{user} account",
                    user_id=user,
                    venue=self.venue,
                    venue_account=f"{user} there",
                    contracts=[Contract(bot_id=f"{user} bot", symbol=PAIR.name, cost_max=COST_MAX)],
                )
                for user in USERS
            ],
            journals={self.venue: list(self.journal.entries())},
            diary=self.diary,
            database=Database(
                orders=self.orders, fills=self.fills, postings=self.postings, held=self.held
            ),
            crash_points=("P3", "P4"),
            fault_kinds=("request lost", "answer lost"),
        )


def traded(venue: str = "binance", **books: Any) -> Made:
    """Return a run in which both users bought, sold, bought again and hold with a stop."""
    made = Made(venue, **books)
    for user in USERS:
        made.trade(user, 1, "buy", "0.1")
        made.wait(5)
        made.trade(user, 2, "sell", "0.0999")
        made.wait(60)
        made.happened("fault", fault="answer lost", account_id=f"{user} account", action="create")
        made.happened(
            "crash", host=f"host of {user}", point="P3", fault="answer lost", venue=venue,
            account_id=f"{user} account",
        )  # fmt: skip
        made.wait(2)
        made.happened("lease", user_id=user, host=f"host of {user}", epoch=2)
        made.epochs[user] = 2
        made.happened("recovered", user_id=user, host=f"host of {user}")
        made.trade(user, 3, "buy", "0.09")
        made.wait(1)
        stop = made.place(
            user, 4, "sell", "0.0899", kind=Kind.STOP_MARKET, stop_price=units("2900")
        )
        made.store(user, 4, stop, purpose="exit")
        made.hold(user, "0.0899")
    return made


def journal_again(
    evidence: Evidence, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> Evidence:
    """Return the evidence with other lines in its journals, their chain made good again."""
    journals: dict[str, list[Mapping[str, object]]] = {}
    for venue, lines in evidence.journals.items():
        clock = ManualClock(START_MS)
        journal = Journal(clock=clock)
        for line in change([dict(line) for line in lines]):
            at, kind = int(line.pop("at_ms")), str(line.pop("kind"))
            clock.set(max(at, clock.now_ms()))
            journal.write(kind, **{k: v for k, v in line.items() if k not in ("n", "hash")})
        journals[venue] = list(journal.entries())
    return replace(evidence, journals=journals)


def with_database(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, database=replace(evidence.database, **changes))


ONE = Decimal(1) / UNITS
