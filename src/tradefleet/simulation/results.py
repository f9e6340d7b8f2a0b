"""What a replay or backtest has come to, in the one shape that other programs read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tradefleet.domain.ids import BotId
from tradefleet.domain.ledger import Balances, LedgerEntry, place_of
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import ZERO, money_context, show
from tradefleet.domain.position import Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class BotResult:
    """One bot at the end: closed trades, free quote, base still held, and its ledger's word."""

    name: str
    trades: Sequence[Trade]
    quote: Decimal
    base: Decimal
    last_close: Decimal
    ledger_balanced: bool

    @property
    def equity(self) -> Decimal:
        with money_context():
            return self.quote + self.base * self.last_close


def ledger_agrees(
    entries: Iterable[LedgerEntry],
    *,
    bot_id: BotId,
    symbol: Symbol,
    quote: Decimal,
    base: Decimal,
    venue: Mapping[str, Decimal],
) -> bool:
    """Say whether the ledger balances to the last unit, with the bot and with the venue.

    Every entry sums to zero; the bot's place holds its free quote and its position; what the
    account holds in all is what the venue says.
    """
    with money_context():
        balances = Balances()
        for entry in entries:
            balances.book(entry)
        totals = balances.account_totals()
        return (
            all(amount == 0 for amount in balances.everything().values())
            and balances.of(place_of(bot_id), symbol.quote) == quote
            and balances.of(place_of(bot_id), symbol.base) == base
            and all(
                totals.get(asset, ZERO) == venue.get(asset, ZERO)
                for asset in totals.keys() | venue.keys()
            )
        )


def iso(at: datetime) -> str:
    """Return a UTC time as 2018-01-10T04:55:00Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def trade_json(trade: Trade) -> dict[str, str]:
    return {
        "opened_at": iso(trade.opened_at),
        "closed_at": iso(trade.closed_at),
        "side": trade.side,
        "quantity": show(trade.quantity),
        "entry_price": show(trade.entry_price),
        "exit_price": show(trade.exit_price),
        "gross_pnl": show(trade.gross_pnl),
        "fees": show(trade.fees),
        "pnl": show(trade.pnl),
        "exit_reason": trade.exit_reason,
    }


def bot_json(bot: BotResult) -> dict[str, Any]:
    return {
        "trades": [trade_json(trade) for trade in bot.trades],
        "final": {"quote": show(bot.quote), "base": show(bot.base), "equity": show(bot.equity)},
        "ledger_balanced": bot.ledger_balanced,
    }


def result_json(
    *, bars: int, gaps: int, signals: int, bots: Sequence[BotResult], elapsed: float
) -> dict[str, Any]:
    """Return the result as JSON: one bot's fields at the top, several under "bots"."""
    head: dict[str, Any] = {"bars": bars, "gaps": gaps, "signals": signals}
    if len(bots) == 1:
        head |= bot_json(bots[0])
    else:
        head["bots"] = [{"bot": bot.name, **bot_json(bot)} for bot in bots]
        head["ledger_balanced"] = all(bot.ledger_balanced for bot in bots)
    return head | {"elapsed_s": round(elapsed, 3)}
