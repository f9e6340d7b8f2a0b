"""/export: your closed trades as a CSV file, the oldest first."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.command import TRADES_MAX, Attachment, CommandSpec, Context, Reply, Route
from tradefleet.domain.position import Trade
from tradefleet.drawing import count, moment

COLUMNS = (
    "trade_id", "symbol", "exchange_account", "side", "opened_at", "closed_at", "quantity",
    "entry_price", "exit_price", "gross_pnl", "fees", "pnl", "pnl_percentage", "quote",
    "exit_reason",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class Export:
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of comma separated values, with a line of names first."""

    name: str
    trades: int
    csv: str


async def export(request: Export, context: Context) -> Reply:
    trades = await context.store.trades(since=request.since, limit=TRADES_MAX)
    name = f"trades-{context.clock.now():%Y-%m-%d}.csv"
    written = as_csv(trades)
    text = f"📎 {name}: {count(len(trades), 'closed trade')}, net of fees, times in UTC."
    if len(trades) == TRADES_MAX:
        text += f"\nThese are the latest {TRADES_MAX}."
    file = Attachment(name, "text/csv", written.encode())
    return Reply(text=text, attachments=(file,), data=Exported(name, len(trades), written))


def as_csv(trades: Iterable[Trade]) -> str:
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    lines.writerows(map(line, trades))
    return written.getvalue()


def line(trade: Trade) -> tuple[str, ...]:
    return (
        harmless(trade.id),
        str(trade.symbol),
        harmless(trade.account_id),
        trade.side,
        moment(trade.opened_at),
        moment(trade.closed_at),
        digits(trade.quantity),
        digits(trade.entry_price),
        digits(trade.exit_price),
        digits(trade.gross_pnl),
        digits(trade.fees),
        digits(trade.pnl),
        digits(trade.pnl_percentage),
        trade.symbol.quote,
        harmless(trade.exit_reason),
    )


def digits(value: Decimal) -> str:
    return f"{value:f}"


def harmless(text: str) -> str:
    """Return a text no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


COMMAND = CommandSpec(
    name="export",
    summary="Your closed trades as a file",
    usage="/export [since]",
    example="/export 2026-01-01",
    request=Export,
    handler=export,
    place=13,
    for_banned=True,
    route=Route("GET", "/trades/export"),
    data=Exported,
)
