"""What a venue's own ledger says: every change of an account's money, by the venue's reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradefleet.domain.ids import FillId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import MONEY, UNIT


class EntryKind(StrEnum):
    """Why money moved in an account."""

    TRADE = "trade"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"  # from or to another account of the same owner
    CONVERSION = "conversion"
    REBATE = "rebate"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueEntry:
    """One change of what an account has of an asset; fees are entries of their own.

    id: made of the venue's own, the same whenever it is asked for; no two entries share one.
    amount: below zero what went out. trade_id, order_id: "" where it is no trade, or the ledger
    does not say. word: the venue's own for the kind. step: how finely the venue writes it.
    """

    id: str
    kind: EntryKind
    asset: str
    amount: Decimal
    at: datetime
    trade_id: FillId = FillId("")
    order_id: str = ""
    word: str = ""
    step: Decimal = UNIT


@dataclass(frozen=True, slots=True)
class VenueStatement:
    """What moved an account's money; hidden: what this venue's lists never show."""

    entries: tuple[VenueEntry, ...]
    hidden: tuple[str, ...] = ()


def entries_of_trade(
    *,
    trade_id: FillId,
    order_id: str,
    symbol: Symbol,
    side: Side,
    quantity: Decimal,
    cost: Decimal,
    fee: Decimal,
    fee_asset: str,
    at: datetime,
) -> Iterator[VenueEntry]:
    """Return what a trade moved, for venues that list trades instead of keeping a ledger."""
    bought = side is Side.BUY
    legs = (
        ("base", EntryKind.TRADE, symbol.base, quantity if bought else MONEY.minus(quantity)),
        ("quote", EntryKind.TRADE, symbol.quote, MONEY.minus(cost) if bought else cost),
        ("fee", EntryKind.FEE, fee_asset, MONEY.minus(fee)),
    )
    for name, kind, asset, amount in legs:
        if amount:
            yield VenueEntry(
                id=f"{trade_id}:{name}",
                kind=kind,
                asset=asset,
                amount=amount,
                at=at,
                trade_id=trade_id,
                order_id=order_id,
                word=kind.value,
            )
