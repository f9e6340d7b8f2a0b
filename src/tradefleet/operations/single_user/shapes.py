"""Makes sense of an old single-user database, whatever its columns are called.

Three kinds of bot_state are known: a row per pair with columns; keys and values; JSON in a column.
Positions and trades may stand in tables of their own, in the JSON, or in the row of their pair.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import AMOUNT_MAX, UNIT, ZERO, round_down, to_unit
from tradefleet.domain.order import Fill
from tradefleet.domain.position import Position
from tradefleet.operations.single_user.files import Row, Tables

STATES = ("bot_state", "bot_states")
POSITIONS = ("positions", "open_positions", "position")
TRADES = ("trades", "trade_history", "closed_trades", "history")
CONFIGS = ("pairs", "config", "bot_config", "settings", "bot_configs")
# What a thing may be called, the likeliest first.
SYMBOL = ("symbol", "pair", "trading_pair")
CASH = ("balance", "cash", "free_balance", "available_balance", "current_balance", "quote_balance")
FIRST = ("initial_balance", "starting_balance", "start_balance", "initial_capital", "capital")
SIZE = (
    "quantity", "qty", "position_size", "position_quantity", "size", "amount", "units", "volume"
)  # fmt: skip
ENTRY = ("entry_price", "entry", "avg_price", "average_price", "buy_price", "open_price", "price")
STOP = ("stop_loss", "stop", "sl", "stop_price", "stop_loss_price", "trailing_stop")
TARGET = ("take_profit", "tp", "target", "take_profit_price", "target_price")
OPENED = ("opened_at", "entry_time", "open_time", "opened", "entry_at", "created_at", "timestamp")
CLOSED = ("closed_at", "exit_time", "close_time", "closed", "exit_at", "timestamp", "created_at")
AT = ("timestamp", "time", "executed_at", "filled_at", "created_at", "date", "ts", *OPENED)
EXIT = ("exit_price", "exit", "close_price", "sell_price")
PNL = ("pnl", "realized_pnl", "net_pnl", "profit", "profit_loss")
FEES = ("fees", "fee", "commission")
SIDE = ("side", "direction", "type", "action")
REASON = ("exit_reason", "close_reason", "reason")
STATUS = ("status", "state")
KEYS, VALUES = ("key", "key_name", "name"), ("value", "value_text", "val")
JSON_COLUMNS = ("data", "state", "state_data", "json", "payload", "value")
LONG, SHORT = {"buy", "long", "bid"}, {"sell", "short", "ask"}
OPEN = {"open", "active", "opened"}
EPOCH_MS = 10**11  # what is larger counts milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OldPosition:
    """What was held: paid is what it cost, in quote."""

    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    opened_at: datetime
    stop: Decimal | None
    target: Decimal | None

    @property
    def paid(self) -> Decimal:
        return to_unit(self.quantity * self.entry_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldTrade:
    """A round trip that ended."""

    name: str  # by which it is known again
    symbol: Symbol
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_at: datetime
    closed_at: datetime
    gross_pnl: Decimal
    fees: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OldBot:
    """Everything an old database holds that has a place here.

    cash: by pair, what is not in a position; notes: what people should know of how it was read.
    """

    cash: Mapping[Symbol, Decimal]
    positions: Mapping[Symbol, OldPosition]
    trades: Sequence[OldTrade]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Line:
    """One row, which knows where it stands; its faults name table, row and column."""

    table: str
    place: int
    row: Row

    def has(self, names: Sequence[str]) -> bool:
        return self.name_of(names) is not None

    def name_of(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if self.row.get(name) not in (None, "")), None)

    def text(self, names: Sequence[str]) -> str:
        name = self.name_of(names)
        return "" if name is None else str(self.row[name]).strip()

    def number(self, names: Sequence[str], what: str) -> Decimal:
        found = self.maybe(names)
        if found is None:
            raise self.lacks(names, what)
        return found

    def maybe(self, names: Sequence[str]) -> Decimal | None:
        name = self.name_of(names)
        if name is None:
            return None
        try:
            value = Decimal(str(self.row[name]))
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or abs(value) > AMOUNT_MAX:
            raise self.fault(name, f"{self.row[name]!r} is no number, or too large for one")
        return to_unit(value)

    def time(self, names: Sequence[str], what: str) -> datetime:
        name = self.name_of(names)
        if name is None:
            raise self.lacks(names, what)
        try:
            return time_of(self.row[name])
        except (ValueError, OverflowError, OSError):
            raise self.fault(name, f"{self.row[name]!r} is no time") from None

    def symbol(self, usual: Symbol | None = None) -> Symbol:
        name = self.name_of(SYMBOL)
        if name is None:
            if usual is None:
                raise self.lacks(SYMBOL, "the pair")
            return usual
        try:
            return Symbol.parse(str(self.row[name]))
        except Refused as refusal:
            raise self.fault(name, str(refusal)) from None

    def lacks(self, names: Sequence[str], what: str) -> Refused:
        there = ", ".join(self.row) or "nothing"
        return Refused(
            f"Table {self.table}, row {self.place}: no column says {what} (looked for "
            f"{', '.join(names)}); it has {there}."
        )

    def fault(self, column: str, why: str) -> Refused:
        return Refused(f"Table {self.table}, row {self.place}, column {column}: {why}")


def time_of(value: Any) -> datetime:
    """Read seconds or milliseconds since 1970, or ISO text; without a zone it is UTC."""
    text = str(value).strip()
    try:
        seconds = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return datetime.fromtimestamp(seconds / 1000 if seconds > EPOCH_MS else seconds, UTC)


# ---- tables


def read_bot(tables: Tables, symbol: Symbol | None = None) -> OldBot:
    """Return what an old database holds; Refused names table and column that make no sense.

    symbol: the pair, where the database does not say it.
    """
    states = [line for name in STATES for line in lines_of(tables, name)]
    if not states:
        known = ", ".join(tables) or "none"
        raise Refused(f"There is no table bot_state with a row in it; the tables are: {known}.")
    states = [part for line in flattened(states) for part in parts_of(line)]
    configs = [line for name in CONFIGS for line in flattened(lines_of(tables, name))]
    said = [line.symbol() for line in [*states, *configs] if line.has(SYMBOL)]
    pairs = list(dict.fromkeys(said))
    usual = symbol or (pairs[0] if len(pairs) == 1 else None)
    notes: list[str] = []
    trades, left_open = read_trades(tables, states, usual)
    positions = read_positions(tables, states, usual) or left_open
    first = [] if usual is None else [usual]
    every = list(dict.fromkeys([*pairs, *first, *positions])) or traded(trades)
    if not every:
        raise states[0].lacks(SYMBOL, "the pair (or say --symbol)")
    cash = read_cash([*states, *configs], every, positions, trades, notes)
    return OldBot(cash=cash, positions=positions, trades=trades, notes=notes)


def traded(trades: Sequence[OldTrade]) -> list[Symbol]:
    return list(dict.fromkeys(trade.symbol for trade in trades))


def lines_of(tables: Tables, name: str) -> list[Line]:
    return [Line(name, place, row) for place, row in enumerate(tables.get(name, ()), 1)]


def flattened(lines: Sequence[Line]) -> list[Line]:
    """Return rows with columns: of keys and values one row, of JSON what is in it."""
    if lines and lines[0].has(KEYS) and any(name in lines[0].row for name in VALUES):
        pairs = {line.text(KEYS).lower(): value_of(line) for line in lines}
        return opened(Line(lines[0].table, 1, pairs))
    return [each for line in lines for each in opened(line)]


def value_of(line: Line) -> Any:
    name = line.name_of(VALUES)
    return None if name is None else parsed(line.row[name])


def parsed(value: Any) -> Any:
    """Return what JSON text says, and any other value as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(("{", "[")):
        return value
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return value


def opened(line: Line) -> list[Line]:
    """Put what JSON columns hold beside the other columns of a row."""
    columns = {name: parsed(value) for name, value in line.row.items()}
    for name in JSON_COLUMNS:
        inner = columns.get(name)
        if isinstance(inner, dict):
            del columns[name]
            columns |= {str(key).lower(): value for key, value in inner.items()}
    return [replace(line, row=columns)]


def parts_of(line: Line) -> Iterator[Line]:
    """Yield the row of each pair: itself, and what stands under `pairs` in it."""
    inner = line.row.get("pairs") or line.row.get("symbols")
    if isinstance(inner, Mapping):
        inner = [{"symbol": name, **as_row(each)} for name, each in inner.items()]
    if not isinstance(inner, list):
        yield line
        return
    rest = {name: value for name, value in line.row.items() if name not in ("pairs", "symbols")}
    yield replace(line, row=rest)
    for each in inner:
        row = {"symbol": each} if isinstance(each, str) else as_row(each)
        yield Line(f"{line.table}.pairs", line.place, row)


def as_row(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key).lower(): each for key, each in value.items()}
    return {"balance": value}


# ---- positions


def read_positions(
    tables: Tables, states: Sequence[Line], usual: Symbol | None
) -> dict[Symbol, OldPosition]:
    lines = [line for name in POSITIONS for line in lines_of(tables, name)]
    found: dict[Symbol, OldPosition] = {}
    for line, of in [*((line, usual) for line in lines), *inner_positions(states, usual)]:
        if is_closed(line) or not (line.has(SIZE) and line.maybe(SIZE)):
            continue
        position = position_of(line, of)
        if position.symbol in found:
            raise line.fault(line.name_of(SYMBOL) or "symbol", "a second position of the pair")
        found[position.symbol] = position
    return found


def inner_positions(
    states: Sequence[Line], usual: Symbol | None
) -> Iterator[tuple[Line, Symbol | None]]:
    """Yield what bot_state itself says of positions: in JSON, or in columns of a pair's row."""
    for line in states:
        own = line.symbol() if line.has(SYMBOL) else usual
        for name in POSITIONS:
            inner = line.row.get(name)
            if isinstance(inner, Mapping) and any(key in inner for key in SIZE):
                inner = [inner]
            elif isinstance(inner, Mapping):
                inner = [{"symbol": key, **as_row(each)} for key, each in inner.items()]
            for row in inner if isinstance(inner, list) else ():
                yield Line(f"{line.table}.{name}", line.place, as_row(row)), own
        if line.has(("entry_price", "buy_price", "avg_price")):
            yield line, own


def is_closed(line: Line) -> bool:
    status = line.text(STATUS).lower()
    return line.has(("closed_at", "exit_price", "exit_time")) or status in ("closed", "flat")


def position_of(line: Line, usual: Symbol | None) -> OldPosition:
    quantity = line.number(SIZE, "how much is held")
    if quantity < 0 or line.text(SIDE).lower() in SHORT:
        raise line.fault(line.name_of(SIDE) or "quantity", "a short position has no place here")
    entry = line.number(ENTRY, "the price of the entry")
    if entry <= 0:
        raise line.fault(line.name_of(ENTRY) or "entry_price", "a price is above zero")
    stop, target = line.maybe(STOP), line.maybe(TARGET)
    return OldPosition(
        symbol=line.symbol(usual),
        quantity=round_down(quantity, UNIT),
        entry_price=entry,
        opened_at=line.time(OPENED, "when the position was opened"),
        stop=stop or None,
        target=target or None,
    )


# ---- trades


def read_trades(
    tables: Tables, states: Sequence[Line], usual: Symbol | None
) -> tuple[list[OldTrade], dict[Symbol, OldPosition]]:
    """Return round trips, and what rows of trades say is still open."""
    lines = [line for name in TRADES for line in lines_of(tables, name)]
    for state in states:
        for name in TRADES:
            inner = state.row.get(name)
            rows = inner if isinstance(inner, list) else []
            table = f"{state.table}.{name}"
            lines += [Line(table, place, as_row(row)) for place, row in enumerate(rows, 1)]
    trips = [line for line in lines if line.has(EXIT)]
    others = [line for line in lines if not line.has(EXIT)]
    still = [line for line in others if line.text(STATUS).lower() in OPEN]
    positions = {each.symbol: each for each in (position_of(line, usual) for line in still)}
    singles = [line for line in others if line not in still]
    return [*(trip_of(line, usual) for line in trips), *paired(singles, usual)], positions


def trip_of(line: Line, usual: Symbol | None) -> OldTrade:
    quantity = line.number(SIZE, "how much was traded")
    if line.text(SIDE).lower() in {"short"}:
        raise line.fault(line.name_of(SIDE) or "side", "a short trade has no place here")
    entry, exit = line.number(ENTRY, "the price of the entry"), line.number(EXIT, "the exit")
    fees = line.maybe(FEES) or ZERO
    net = line.maybe(PNL)
    gross = to_unit((exit - entry) * quantity) if net is None else net + fees
    opened_at = line.time(OPENED, "when it was opened")
    return OldTrade(
        name=f"{line.table}:{line.text(('id',)) or line.place}",
        symbol=line.symbol(usual),
        quantity=quantity,
        entry_price=entry,
        exit_price=exit,
        opened_at=opened_at,
        closed_at=max(line.time(CLOSED, "when it was closed"), opened_at),
        gross_pnl=gross,
        fees=fees,
        reason=line.text(REASON) or "imported",
    )


def paired(lines: Sequence[Line], usual: Symbol | None) -> Iterator[OldTrade]:
    """Yield the round trips that single buys and sells were, first in, first out."""
    fills = sorted(
        ((fill_of(line, usual), line) for line in lines), key=lambda pair: pair[0].filled_at
    )
    held: dict[Symbol, Position] = {}
    for fill, line in fills:
        position = held.get(fill.symbol)
        if fill.side is Side.BUY:
            after = Position.opened_by(fill) if position is None else position.after(fill)
            held[fill.symbol] = after
            continue
        if position is None or position.quantity < fill.quantity:
            raise line.fault(line.name_of(SIZE) or "quantity", "more was sold than was bought")
        after = position.after(fill)
        held[fill.symbol] = after
        if after.quantity == 0:
            del held[fill.symbol]
            yield OldTrade(
                name=f"{line.table}:{line.text(('id',)) or line.place}",
                symbol=fill.symbol,
                quantity=after.original,
                entry_price=to_unit(after.entry_price),
                exit_price=to_unit(after.exit_price),
                opened_at=after.opened_at,
                closed_at=fill.filled_at,
                gross_pnl=after.gross_pnl,
                fees=after.fees_quote,
                reason=line.text(REASON) or "imported",
            )


def fill_of(line: Line, usual: Symbol | None) -> Fill:
    said = line.text(SIDE).lower()
    if said not in LONG | SHORT:
        raise line.fault(line.name_of(SIDE) or "side", f"{said!r} is neither buy nor sell")
    symbol = line.symbol(usual)
    quantity = line.number(SIZE, "how much was traded")
    price = line.number(("price", "executed_price", *ENTRY), "the price")
    fee = line.maybe(FEES) or ZERO
    return Fill(
        id=FillId(f"{line.table}:{line.place}"),
        order_id=OrderId(""),
        symbol=symbol,
        side=Side.BUY if said in LONG else Side.SELL,
        quantity=quantity,
        price=price,
        cost=to_unit(quantity * price),
        fee=fee,
        fee_asset=symbol.quote,
        fee_quote=fee,
        filled_at=line.time(AT, "when it was traded"),
    )


# ---- money


def read_cash(
    lines: Sequence[Line],
    pairs: Sequence[Symbol],
    positions: Mapping[Symbol, OldPosition],
    trades: Sequence[OldTrade],
    notes: list[str],
) -> dict[Symbol, Decimal]:
    """Return each pair's money: its own, or a part of what all have together."""
    own = {line.symbol(): line for line in lines if line.has(SYMBOL) and line.has((*CASH, *FIRST))}
    shared = [line for line in lines if not line.has(SYMBOL) and line.has((*CASH, *FIRST))]
    without = [pair for pair in pairs if pair not in own]
    cash = {pair: cash_of(own[pair], [pair], positions, trades, notes) for pair in own}
    if not without:
        return {pair: cash[pair] for pair in pairs}
    if not shared:
        if not own:
            raise lines[0].lacks((*CASH, *FIRST), "the balance")
        return {pair: cash.get(pair, ZERO) for pair in pairs}
    whole = cash_of(shared[0], without, positions, trades, notes)
    part = round_down(whole / len(without), UNIT)
    if len(without) > 1:
        names = ", ".join(map(str, without))
        notes.append(f"{names} shared one balance of {whole:f}: each gets {part:f} of it.")
    return {pair: cash.get(pair, part) for pair in pairs}


def cash_of(
    line: Line,
    pairs: Sequence[Symbol],
    positions: Mapping[Symbol, OldPosition],
    trades: Sequence[OldTrade],
    notes: list[str],
) -> Decimal:
    """Return what is not in a position: as it is said, or what it began with and won since."""
    found = line.maybe(CASH)
    if found is None:
        first = line.number(FIRST, "the balance")
        won = sum((each.gross_pnl - each.fees for each in trades if each.symbol in pairs), ZERO)
        paid = sum((positions[pair].paid for pair in pairs if pair in positions), ZERO)
        found = first + won - paid
        notes.append(
            f"No balance is said in {line.table}: {first:f} at the beginning, {won:+f} by trades, "
            f"{paid:f} in positions make {found:f}."
        )
    if found < 0:
        name = line.name_of((*CASH, *FIRST)) or CASH[0]
        raise line.fault(name, f"a balance of {found:f} is below zero")
    return round_down(found, UNIT)
