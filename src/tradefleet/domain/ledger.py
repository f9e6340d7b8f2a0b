"""Double-entry book-keeping: money moves, it never appears.

Places inside one venue account: "bot:<id>" what a bot may use or holds, "universe:<id>" what the
bots of a universe were given together, "free" what no bot owns, and "external:own" what its user
keeps there besides, which nobody trades with. What a bot of a universe buys is booked at the bot,
whose quote falls below zero by it: bot and universe together say what is left. Outside the
account: "market" the other side of every trade, "fees", and "external" where deposits come from.
The sum of free, own, all universes and all bots is the account's balance at the venue.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import AccountId, BotId, UniverseId, UserId
from tradefleet.domain.market import Side
from tradefleet.domain.money import MONEY, ZERO
from tradefleet.domain.order import Fill

FREE = "free"
MARKET = "market"
FEES = "fees"
EXTERNAL = "external"
OWN = "external:own"
OUTSIDE = frozenset({MARKET, FEES, EXTERNAL})
FILL_OF, TRADE_OF = "fill:", "external_trade:"  # what the ids of entries of trades begin with


def place_of(bot_id: BotId) -> str:
    """Return the ledger place of what a bot owns."""
    return f"bot:{bot_id}"


def place_of_universe(universe_id: UniverseId) -> str:
    """Return the ledger place of what a universe was given."""
    return f"universe:{universe_id}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: amount of asset added to (or taken from) one place."""

    place: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One balanced movement of money; its id names its cause, so booking twice is harmless."""

    id: str
    user_id: UserId
    account_id: AccountId
    kind: str  # fill, deposit, allocation, opening, external, external_trade, unexplained
    booked_at: datetime
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for posting in self.postings:
            sums[posting.asset] = MONEY.add(sums[posting.asset], posting.amount)
        if any(sums.values()):
            raise BrokenInvariant(f"entry {self.id} does not balance")

    @classmethod
    def of_fill(
        cls,
        fill: Fill,
        *,
        user_id: UserId,
        account_id: AccountId,
        bot_id: BotId,
        beyond: Fill | None = None,
    ) -> Self:
        """Book a fill: base against the market, quote against the market, the fee to fees.

        beyond: the part of the same fill that sold more than the bot held: it came out of what
        the user keeps there besides.
        """
        postings = _postings_of(fill, place_of(bot_id)) if fill.quantity else ()
        return cls(
            id=f"{FILL_OF}{account_id}:{fill.id}",
            user_id=user_id,
            account_id=account_id,
            kind="fill",
            booked_at=fill.filled_at,
            postings=postings if beyond is None else (*postings, *_postings_of(beyond, OWN)),
        )

    @classmethod
    def of_external_trade(
        cls, fill: Fill, *, user_id: UserId, account_id: AccountId, place: str
    ) -> Self:
        """Book what somebody traded in the account besides us."""
        return cls(
            id=f"{TRADE_OF}{account_id}:{fill.id}",
            user_id=user_id,
            account_id=account_id,
            kind="external_trade",
            booked_at=fill.filled_at,
            postings=_postings_of(fill, place),
        )

    @classmethod
    def of_transfer(
        cls,
        *,
        id: str,
        user_id: UserId,
        account_id: AccountId,
        kind: str,
        at: datetime,
        asset: str,
        amount: Decimal,
        source: str,
        target: str,
    ) -> Self:
        """Book amount of asset moving from one place to another."""
        return cls(
            id=id,
            user_id=user_id,
            account_id=account_id,
            kind=kind,
            booked_at=at,
            postings=(
                Posting(source, asset, MONEY.minus(amount)),
                Posting(target, asset, amount),
            ),
        )


def _postings_of(fill: Fill, place: str) -> tuple[Posting, ...]:
    bought = fill.side is Side.BUY
    base = fill.quantity if bought else MONEY.minus(fill.quantity)
    quote = MONEY.minus(fill.cost) if bought else fill.cost
    return (
        Posting(place, fill.symbol.base, base),
        Posting(MARKET, fill.symbol.base, MONEY.minus(base)),
        Posting(place, fill.symbol.quote, quote),
        Posting(MARKET, fill.symbol.quote, MONEY.minus(quote)),
        Posting(place, fill.fee_asset, MONEY.minus(fill.fee)),
        Posting(FEES, fill.fee_asset, fill.fee),
    )


class Balances:
    """The sums of many entries: (place, asset) to amount, for one account."""

    def __init__(self) -> None:
        self._amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def book(self, entry: LedgerEntry) -> None:
        for posting in entry.postings:
            key = posting.place, posting.asset
            self._amounts[key] = MONEY.add(self._amounts[key], posting.amount)

    def of(self, place: str, asset: str) -> Decimal:
        return self._amounts.get((place, asset), ZERO)

    def account_totals(self) -> dict[str, Decimal]:
        """Return what the venue should say the account holds, by asset."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for (place, asset), amount in self._amounts.items():
            if place not in OUTSIDE:
                totals[asset] = MONEY.add(totals[asset], amount)
        return dict(totals)

    def everything(self) -> dict[str, Decimal]:
        """Return the sum over all places, by asset: zero, or money has appeared."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for (_, asset), amount in self._amounts.items():
            totals[asset] = MONEY.add(totals[asset], amount)
        return dict(totals)
