"""Whatever is traded, paid, told twice or late, all books agree with plain integers to the unit."""

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.makers import BTC, ETH, fill
from tests.properties.effort import hunts, tries
from tests.properties.stores import KINDS, Kept, tell
from tests.store_rig import ALICE, account, batch, booked, bot, order_of, register, take
from tradefleet.domain import ledger
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.effects import EntryBooked, OrderPlaced, Record
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, Balances, LedgerEntry, place_of
from tradefleet.domain.market import Side
from tradefleet.domain.money import money_context
from tradefleet.domain.order import Fill
from tradefleet.domain.position import Position
from tradefleet.engine.reconcile import Claim, judge, movement_entry

BOTS = (bot(ALICE, symbol=BTC), bot(ALICE, 2, symbol=ETH))
ACCOUNT = account(ALICE).id
ASSETS = ("USDT", "BTC", "ETH", "BNB")
OUTSIDE = ("market", "fees", "external")
AMOUNTS = st.sampled_from([1, 7, 10**8, 12_345_678_901, 99_999_999_999_999_999])
NUMBERS = st.integers(0, 99)


def money(units: int) -> Decimal:
    return Decimal(units).scaleb(-8)


@dataclass(frozen=True, slots=True)
class Traded:
    """One execution of a bot, and what it does to every place, in units."""

    owner: BotSpec
    fill: Fill
    moves: tuple[tuple[str, str, int], ...]


class Counted(Kept):
    """An account with two bots; places and venue count everything a second time, in integers."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.places: Counter[tuple[str, str]] = Counter()  # what must be in the ledger
        self.venue: Counter[str] = Counter()
        self.unwritten: list[Traded] = []
        self.written: list[Traded] = []
        self.done: list[Record] = []
        self.numbers = count(1)
        self.is_moved = False

    @initialize()
    def begin(self) -> None:
        self.run(register(self.store, ALICE, *BOTS))
        self.lease = self.run(take(self.store))[ALICE]
        self.is_paid_in("USDT", 5_000_000 * 10**8)
        self.is_paid_in("BNB", 50 * 10**8)
        for each in BOTS:
            self.is_allocated(each, 2_000_000 * 10**8)

    def write(self, *records: Record) -> None:
        (error,) = self.run(self.store.write([batch(self.lease, *records)]))
        assert error is None
        self.done += records

    def move(self, source: str, target: str, asset: str, amount: int, kind: str) -> None:
        """Book a transfer as commands do."""
        entry = LedgerEntry.of_transfer(
            id=f"{kind}:{next(self.numbers)}",
            user_id=ALICE,
            account_id=ACCOUNT,
            kind=kind,
            at=self.clock.now(),
            asset=asset,
            amount=money(amount),
            source=source,
            target=target,
        )
        self.run(self.book(entry))
        self.places[source, asset] -= amount
        self.places[target, asset] += amount

    async def book(self, entry: LedgerEntry) -> None:
        async with self.store.open(ALICE) as own:
            await own.book(entry)
            await own.book(entry)  # twice is harmless

    # ---------------------------------------------------------------- movements

    @rule(asset=st.sampled_from(ASSETS), amount=AMOUNTS)
    def is_paid_in(self, asset: str, amount: int) -> None:
        self.venue[asset] += amount
        self.move(EXTERNAL, FREE, asset, amount, "deposit")

    def is_allocated(self, owner: BotSpec, amount: int) -> None:
        self.move(FREE, place_of(owner.id), "USDT", amount, "allocation")

    @rule(number=NUMBERS, percentage=st.integers(1, 100), back=st.booleans())
    def an_allocation_changes(self, number: int, percentage: int, back: bool) -> None:
        place = place_of(BOTS[number % 2].id)
        source, target = (place, FREE) if back else (FREE, place)
        amount = max(0, self.free_cash(source)) * percentage // 100
        if amount:
            self.move(source, target, "USDT", amount, "allocation")

    def free_cash(self, place: str) -> int:
        """Return the cash of a place, less what executions nobody has written down yet spent."""
        spent = [m for each in self.unwritten for m in each.moves if m[:2] == (place, "USDT")]
        return self.places[place, "USDT"] + sum(amount for *_, amount in spent)

    @rule(asset=st.sampled_from(ASSETS), amount=AMOUNTS, out=st.booleans())
    def somebody_moves_money(self, asset: str, amount: int, out: bool) -> None:
        """The owner pays in or out at the venue, and tells nobody."""
        owns = self.places[FREE, asset] + self.places[OWN, asset]
        self.venue[asset] += -min(amount, max(owns, 0)) if out else amount
        self.is_moved = True

    # ------------------------------------------------------------------- trades

    @rule(
        number=NUMBERS,
        size=st.sampled_from([1, 333, 10**5, 10**8, 7 * 10**8]),
        price=st.sampled_from([1, 99, 3_217, 65_001]),
        paid_in=st.sampled_from(["quote", "base", "third"]),
        is_late=st.booleans(),
    )
    def trades(self, number: int, size: int, price: int, paid_in: str, is_late: bool) -> None:
        owner = BOTS[number % 2]
        place, base = place_of(owner.id), owner.symbol.base
        held = self.places[place, base] if not self.unwritten else 0
        sells = held > 1 and number % 3 > 0
        if sells:
            size = min(size, held)
        elif size * price * 2 > self.free_cash(place):
            return
        fee = size // 1000 * (price if paid_in == "quote" else 1)
        if sells and paid_in == "base":
            fee = min(fee, held - size)
        asset = {"quote": "USDT", "base": base, "third": "BNB"}[paid_in]
        sign = -1 if sells else 1
        done = replace(
            fill(
                money(size),
                price,
                Side.SELL if sells else Side.BUY,
                f"t{next(self.numbers)}",
                order_id=f"o{next(self.numbers)}",
                fee=money(fee),
                fee_asset=asset,
                fee_quote=money(size // 1000 * price),
                symbol=owner.symbol,
                at=self.clock.now(),
            ),
            cost=money(size * price),
        )
        moves = (
            (place, base, sign * size), ("market", base, -sign * size),
            (place, "USDT", -sign * size * price), ("market", "USDT", sign * size * price),
            (place, asset, -fee), ("fees", asset, fee),
        )  # fmt: skip
        for where, what, amount in moves:
            self.venue[what] += amount if where == place else 0
        traded = Traded(owner, done, moves)
        self.unwritten.append(traded)
        if not is_late:
            self.is_written(len(self.unwritten) - 1)

    @rule(number=NUMBERS)
    @precondition(lambda self: self.unwritten)
    def is_written(self, number: int) -> None:
        """An execution becomes known, in whatever order."""
        traded = self.unwritten.pop(number % len(self.unwritten))
        placed = OrderPlaced(order_of(traded.owner, traded.fill.order_id, side=traded.fill.side))
        self.write(placed, booked(traded.fill, traded.owner))
        self.written.append(traded)
        for where, what, amount in traded.moves:
            self.places[where, what] += amount

    @rule(number=NUMBERS, other=NUMBERS)
    @precondition(lambda self: self.written)
    def is_told_again(self, number: int, other: int) -> None:
        """The same executions once more, in one batch, one of them read anew."""
        again = self.written[number % len(self.written)]
        record = self.done[other % len(self.done)]
        kept = list(self.done)
        self.write(booked(again.fill, again.owner), record)
        self.done = kept

    @rule(amount=AMOUNTS)
    def somebody_else_trades(self, amount: int) -> None:
        """The owner buys by hand, and the venue lists it."""
        size = amount % 10**8 + 1
        done = replace(
            fill(money(size), 2, id=f"x{next(self.numbers)}", at=self.clock.now()),
            cost=money(2 * size),
        )
        entry = LedgerEntry.of_external_trade(done, user_id=ALICE, account_id=ACCOUNT, place=OWN)
        self.write(EntryBooked(entry))
        for where, what, moved in (
            (OWN, "BTC", size), ("market", "BTC", -size),
            (OWN, "USDT", -2 * size), ("market", "USDT", 2 * size),
        ):  # fmt: skip
            self.places[where, what] += moved
            self.venue[what] += moved if where == OWN else 0

    # ------------------------------------------------------------ reconciliation

    @rule()
    @precondition(lambda self: self.is_moved and not self.unwritten)
    def is_reconciled(self) -> None:
        """In a quiet moment what moved besides us is booked: then the venue is met to the unit."""
        books = self.run(self.replayed())
        venue = {asset: money(amount) for asset, amount in self.venue.items()}
        claims = [
            Claim(
                each.symbol,
                books.of(place_of(each.id), "USDT"),
                books.of(place_of(each.id), each.symbol.base),
            )
            for each in BOTS
        ]
        finding = judge(books.account_totals(), venue, claims)
        for asset in ASSETS:
            moved = self.venue[asset] - self.held(asset)
            assert finding.moved.get(asset, 0) == money(moved)
        entry = movement_entry(
            finding.moved,
            books,
            user_id=ALICE,
            account_id=ACCOUNT,
            kind="external",
            at=self.clock.now(),
            place=OWN,
        )
        bots = {place_of(each.id) for each in BOTS}
        assert not bots & {posting.place for posting in entry.postings}, "bots paid for the owner"
        entry = replace(entry, id=f"{entry.id}.{next(self.numbers)}")
        self.write(EntryBooked(entry))
        for posting in entry.postings:
            self.places[posting.place, posting.asset] += int(posting.amount.scaleb(8))
        self.is_moved = False
        books.book(entry)
        assert {k: v for k, v in books.account_totals().items() if v} == {
            k: v for k, v in venue.items() if v
        }, "the ledger differs from the venue"

    def held(self, asset: str) -> int:
        inside = [v for (p, a), v in self.places.items() if a == asset and p not in OUTSIDE]
        return sum(inside)

    async def replayed(self) -> Balances:
        async with self.store.open(ALICE, reading=True) as own:
            entries = list(await own.entries(ACCOUNT))
        Random(len(entries)).shuffle(entries)  # the order of booking does not matter
        books = Balances()
        for entry in entries:
            sums: Counter[str] = Counter()
            for posting in entry.postings:
                sums[posting.asset] += int(posting.amount.scaleb(8))
            assert not any(sums.values()), "an entry makes money appear"
            books.book(entry)
        return books

    # -------------------------------------------------------------- what holds

    @rule()
    def is_replayed_from_zero(self) -> None:
        books = self.run(self.replayed())
        for (place, asset), amount in self.places.items():
            assert books.of(place, asset) == money(amount), f"{place} {asset}"
        assert set(books.everything().values()) <= {0}, "money appeared"
        if not self.is_moved and not self.unwritten:
            for asset in ASSETS:
                total = books.account_totals().get(asset, Decimal(0))
                assert total == money(self.venue[asset]), f"{asset} differs from the venue"
        for each in BOTS:
            assert books.of(place_of(each.id), each.symbol.base) >= 0 or self.unwritten
            assert books.of(place_of(each.id), "USDT") >= 0 or self.unwritten

    def finish(self) -> None:
        if not hasattr(self, "lease"):
            return
        while self.unwritten:
            self.is_written(0)
        self.is_replayed_from_zero()
        self.run(self.each_fill_is_kept_once())
        for each in BOTS:
            self.is_the_position_the_ledgers(each)

    async def each_fill_is_kept_once(self) -> None:
        async with self.store.open(ALICE, reading=True) as own:
            names = sorted({each.fill.order_id for each in self.written})
            kept = await own.fills(names)
        assert sorted(each.id for each in kept) == sorted(each.fill.id for each in self.written)

    def is_the_position_the_ledgers(self, owner: BotSpec) -> None:
        mine = [each.fill for each in self.written if each.owner is owner]
        position: Position | None = None
        with money_context():
            for done in sorted(mine, key=lambda each: int(each.id[1:])):
                position = position.after(done) if position else Position.opened_by(done)
        held = self.places[place_of(owner.id), owner.symbol.base]
        assert (position.quantity if position else Decimal(0)) == money(held)


@pytest.mark.parametrize("kind", KINDS)
def test_all_books_agree_with_plain_integers(kind):
    tell(lambda: Counted(kind), tries(40 if kind == "memory" else 5, steps=25))


# ------------------------------------------------------------------ is it able to fail?


def forgets_fees(patch: pytest.MonkeyPatch) -> None:
    real = ledger._postings_of
    patch.setattr(ledger, "_postings_of", lambda fill, place: real(fill, place)[:4])


def books_what_is_told_twice(patch: pytest.MonkeyPatch) -> None:
    real, numbers = LedgerEntry.of_fill, count()

    def named_anew(*given, **more):  # type: ignore[no-untyped-def]
        entry = real(*given, **more)
        return replace(entry, id=f"{entry.id}:{next(numbers)}")

    patch.setattr(LedgerEntry, "of_fill", named_anew)


def counts_in_floats(patch: pytest.MonkeyPatch) -> None:
    def book(self, entry):  # type: ignore[no-untyped-def]
        for posting in entry.postings:
            key = posting.place, posting.asset
            self._amounts[key] = Decimal(float(self._amounts[key]) + float(posting.amount))

    patch.setattr(Balances, "book", book)


def pays_fees_with_the_wrong_asset(patch: pytest.MonkeyPatch) -> None:
    real = ledger._postings_of

    def in_quote(fill, place):  # type: ignore[no-untyped-def]
        return real(replace(fill, fee_asset="USDT"), place)

    patch.setattr(ledger, "_postings_of", in_quote)


def loses_a_unit_of_a_lot(patch: pytest.MonkeyPatch) -> None:
    real = Position.after
    patch.setattr(
        Position, "after", lambda self, fill: real(self, replace(fill, quantity=fill.quantity / 2))
    )


def charges_bots_for_their_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tradefleet.engine.reconcile.OWN", place_of(BOTS[0].id))


@pytest.mark.parametrize(
    "breaks",
    [
        forgets_fees,
        books_what_is_told_twice,
        counts_in_floats,
        pays_fees_with_the_wrong_asset,
        loses_a_unit_of_a_lot,
        charges_bots_for_their_owner,
    ],
    ids=lambda each: each.__name__,
)
def test_the_story_sees_a_ledger_that(breaks, monkeypatch):
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        tell(lambda: Counted("memory"), hunts(100, steps=25))
