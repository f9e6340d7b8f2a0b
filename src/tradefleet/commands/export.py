"""/export: your closed trades as a CSV file, the oldest first."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import TRADES_MAX, Attachment, CommandSpec, Context, Reply, Route
from tradefleet.domain.position import Trade
from tradefleet.drawing import TRADE_COLUMNS, count, trade_line

CSV = "text/csv"


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
    file = Attachment(name, CSV, written.encode())
    return Reply(text=text, attachments=(file,), data=Exported(name, len(trades), written))


def as_csv(trades: Iterable[Trade]) -> str:
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(TRADE_COLUMNS)
    lines.writerows(map(trade_line, trades))
    return written.getvalue()


COMMAND = CommandSpec(
    name="export",
    summary="Your closed trades as a file",
    usage="/export [since]",
    example="/export 2026-01-01",
    request=Export,
    handler=export,
    place=13,
    for_banned=True,
    route=Route("GET", "/trades/export", or_file=CSV),
    data=Exported,
)
