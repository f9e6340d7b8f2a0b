"""Each trade at the venue against the fills in the books: none missing, none twice, fees alike."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from judge.case import Case, units_of
from judge.checks.exposure import shown
from judge.evidence import StoredFill, StoredOrder
from judge.finding import Finding
from judge.journals import VenueTrade

Key: TypeAlias = tuple[object, ...]
Pair: TypeAlias = tuple[VenueTrade, StoredFill]


def fills_and_fees(case: Case) -> Iterable[Finding]:
    for intent in case.evidence.database.orders:
        if intent.account_id in case.owners:
            yield from _of_order(case, intent)
    for order_id, fills in case.fills.items():
        if order_id not in case.stored:
            for fill in fills:
                yield _double(case, fill, "its order is not in the database")


def _of_order(case: Case, intent: StoredOrder) -> Iterator[Finding]:
    """Match fills and trades as they are, not by names: venues name trades in their own ways."""
    trades = [trade for order in case.there(intent) for trade in order.trades]
    fills = [fill for fill in case.fills[intent.id] if fill.account_id == intent.account_id]
    strays = [fill for fill in case.fills[intent.id] if fill.account_id != intent.account_id]
    _, trades, fills = _matched(trades, fills, _whole_trade, _whole_fill)
    pairs, trades, fills = _matched(trades, fills, _trade, _fill)
    for trade, fill in pairs:
        yield _fee_diff(intent, trade, fill)
    for trade in trades:
        yield Finding(
            counter="lost_fills",
            at_ms=trade.at_ms,
            account_id=intent.account_id,
            text=f"a {trade.side} of {shown(trade.quantity)} {trade.symbol} at"
            f" {shown(trade.price)} (trade {trade.id}) is not booked",
            orders=(intent.id,),
        )
    for fill in fills:
        yield _double(case, fill, "no trade of that order stands behind it")
    for fill in strays:
        yield _double(case, fill, "it is booked in another account than its order's")


def _matched(
    trades: list[VenueTrade],
    fills: list[StoredFill],
    of_trade: Callable[[VenueTrade], Key],
    of_fill: Callable[[StoredFill], Key],
) -> tuple[list[Pair], list[VenueTrade], list[StoredFill]]:
    """Pair what is alike, each once; return the pairs and what is left of both."""
    waiting: defaultdict[Key, list[VenueTrade]] = defaultdict(list)
    for trade in trades:
        waiting[of_trade(trade)].append(trade)
    pairs, left = [], []
    for fill in fills:
        alike = waiting.get(of_fill(fill))
        if alike:
            pairs.append((alike.pop(0), fill))
        else:
            left.append(fill)
    return pairs, [trade for alike in waiting.values() for trade in alike], left


def _trade(trade: VenueTrade) -> Key:
    return (trade.symbol, trade.side, trade.quantity, trade.price, trade.cost)


def _fill(fill: StoredFill) -> Key:
    amounts = (units_of(fill.quantity), units_of(fill.price), units_of(fill.cost))
    return (fill.symbol, fill.side, *amounts)


def _whole_trade(trade: VenueTrade) -> Key:
    return (*_trade(trade), trade.fee, trade.fee_asset if trade.fee else "")


def _whole_fill(fill: StoredFill) -> Key:
    return (*_fill(fill), units_of(fill.fee), fill.fee_asset if fill.fee else "")


def _fee_diff(intent: StoredOrder, trade: VenueTrade, fill: StoredFill) -> Finding:
    booked = units_of(fill.fee)
    same = fill.fee_asset == trade.fee_asset
    return Finding(
        counter="fee_diff_units",
        at_ms=trade.at_ms,
        account_id=intent.account_id,
        text=f"the venue took {shown(trade.fee)} {trade.fee_asset} for trade {trade.id},"
        f" and {shown(booked)} {fill.fee_asset} is booked",
        orders=(intent.id,),
        asset=trade.fee_asset,
        amount=abs(trade.fee - booked) if same else abs(trade.fee) + abs(booked),
    )


def _double(case: Case, fill: StoredFill, why: str) -> Finding:
    return Finding(
        counter="double_fills",
        at_ms=case.ended_ms,
        account_id=fill.account_id,
        text=f"fill {fill.id} books a {fill.side} of {fill.quantity} {fill.symbol}, and {why}",
        orders=(fill.order_id,),
    )
