"""How money, times and tables are written for people, and replies for programs: one way for all."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import orjson

from tradefleet.command import Reply
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.money import MONEY, UNIT, ZERO, show
from tradefleet.domain.position import Trade
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, AccountKey

DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI"})
CENT = Decimal("0.01")
NUMERIC = re.compile(r"[+-]?\$?\d[\d.]*( [A-Z0-9]+|%)?|-|")

TRADE_COLUMNS = (
    "trade_id", "symbol", "exchange_account", "side", "opened_at", "closed_at", "quantity",
    "entry_price", "exit_price", "gross_pnl", "fees", "pnl", "pnl_percentage", "quote",
    "exit_reason",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run

STATUS_TEXTS = {
    BotStatus.RUNNING: "🟢 Running",
    BotStatus.STOPPED: "🔴 Stopped",
    BotStatus.SET_ASIDE: "⚠️ Set aside",
}


def status_text(status: BotStatus) -> str:
    """Write whether a bot trades."""
    return STATUS_TEXTS[status]


def account_name(account: Account) -> str:
    """Write which account: paper, or binance (testnet)."""
    mode = account.mode.value
    return account.venue if account.venue == mode else f"{account.venue} ({mode})"


def positions_text(universe: UniverseSpec) -> str:
    """Write how many positions a universe may have."""
    if universe.positions_max is None:
        return "as many at once as your limits allow"
    return f"at most {universe.positions_max} at once"


def rights(key: AccountKey) -> str:
    """Write what a key may do: read, trade, not withdraw; a ? where its exchange does not say."""
    written = {True: "{}", False: "not {}", None: "{}?"}
    said = (("read", key.can_read), ("trade", key.can_trade), ("withdraw", key.can_withdraw))
    return ", ".join(written[allowed].format(right) for right, allowed in said)


def halt_texts(guard: GuardMemory | None, now: datetime) -> list[str]:
    """Say what a user's guard has against new entries now."""
    if guard is None:
        return []
    texts = []
    if guard.circuit_open_until and guard.circuit_open_until > now:
        until = moment(guard.circuit_open_until)
        texts.append(f"Circuit breaker until {until}: {guard.circuit_reason}")
    if guard.paused_reason:
        texts.append(f"Paused until /resume: {guard.paused_reason}")
    return texts


def money(amount: Decimal, asset: str) -> str:
    """Write an amount: $1000.00 for what counts dollars, 0.05000000 BTC for anything else."""
    if asset not in DOLLARS:
        return f"{show(amount)} {asset}"
    cents = amount.quantize(CENT, ROUND_HALF_EVEN, MONEY)
    return f"{'-' if cents < 0 else ''}${abs(cents):f}"


def price(value: Decimal, asset: str) -> str:
    """Write a price: like money, but dollars with as many decimals as it needs, two at least."""
    if asset not in DOLLARS:
        return money(value, asset)
    whole, _, digits = f"{value.quantize(UNIT, ROUND_HALF_EVEN, MONEY):f}".partition(".")
    return f"${whole}.{digits.rstrip('0').ljust(2, '0')}"


def quantity(value: Decimal) -> str:
    """Write a quantity of base without the zeros it does not need."""
    text = show(value)
    return text.rstrip("0").rstrip(".")


def percent(share: Decimal) -> str:
    """Write a share: 5.00% for 0.05."""
    points = (share * 100).quantize(CENT, ROUND_HALF_EVEN, MONEY)
    return f"{abs(points) if points == 0 else points:f}%"


def pnl(amount: Decimal, of: Decimal, asset: str) -> str:
    """Write a profit or loss and its share of what it was made with: -$20.00 (-4.00%)."""
    share = MONEY.divide(amount, of) if of > 0 else ZERO
    return f"{money(amount, asset)} ({percent(share)})"


def moment(at: datetime) -> str:
    """Write a time: 2026-01-01T00:05:00Z."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def size_text(number: int) -> str:
    """Write how large something of so many bytes is: 12.0 KiB, 3.4 MiB."""
    if number < 1 << 20:
        return f"{number / 1024:.1f} KiB"
    return f"{number / (1 << 20):.1f} MiB"


def count(number: int, noun: str) -> str:
    """Write a number of things: 1 pair, 3 pairs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def trade_line(trade: Trade) -> tuple[str, ...]:
    """Write a trade as a line of comma separated values, in the order of TRADE_COLUMNS."""
    return (
        harmless(trade.id),
        str(trade.symbol),
        harmless(trade.account_id),
        trade.side,
        moment(trade.opened_at),
        moment(trade.closed_at),
        *(
            f"{value:f}"
            for value in (
                trade.quantity,
                trade.entry_price,
                trade.exit_price,
                trade.gross_pnl,
                trade.fees,
                trade.pnl,
                trade.pnl_percentage,
            )
        ),
        trade.symbol.quote,
        harmless(trade.exit_reason),
    )


def harmless(text: str) -> str:
    """Return a text no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def limit_text(value: object) -> str:
    """Write a limit as it may be given back: off, 5, 0.05, BTC/USDT,ETH/USDT."""
    if value is None or value == frozenset():
        return "off"
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def as_json(value: object) -> bytes:
    """Write what a reply holds for programs: every digit of an amount, times with their zone."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no place in a reply")


def draw(reply: Reply) -> str:
    """Return a reply as plain text, its table below the text."""
    text = f"{reply.text}\nOlder ones: {reply.older}" if reply.older else reply.text
    return f"{text}\n\n{draw_table(reply.columns, reply.rows)}" if reply.rows else text


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a monospaced font; a column of numbers is aligned to the right."""
    lines = [columns, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    right = [all(map(NUMERIC.fullmatch, cells)) for cells in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(cells, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, lines))
