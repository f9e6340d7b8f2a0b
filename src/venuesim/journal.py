"""What a venue was asked and decided: lines of JSON, each holding a hash over all before it.

A judge reads nothing but these lines; so they are written here, where no engine can reach.
A line that is changed, taken out, put in or moved breaks the chain at its place. Lines cut off
at the end are missed only if the closing line is gone too, which verify says.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import orjson

from venuesim.clock import Clock, RealClock
from venuesim.exchange import BalanceChanged, Exchange, Happening, OrderChanged
from venuesim.orders import Order, Trade

BUFFER = 256 * 1024  # bytes not written yet, at most
KEPT_LINES = 200_000  # in memory, when there is no file
START = "0" * 64
MOVED = ("deposit", "withdrawal")  # other changes of money follow from orders and trades
HASH = b',"hash":"'
TAIL = len(HASH) + 64 + len(b'"}')


@dataclass(frozen=True, slots=True)
class Checked:
    """What verify found: broken is the number of the first wrong line, 0 for none."""

    lines: int
    broken: int
    closed: bool  # its last line says that nothing follows
    fault: str = ""
    hash: str = START  # of the last good line

    @property
    def is_whole(self) -> bool:
        return self.broken == 0


class Journal:
    """Append-only; lines go to a file in blocks, or are kept when there is none."""

    def __init__(self, path: Path | None = None, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or RealClock()
        self.path = path
        self.written = 0
        self.hash = START
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._bytes = 0
        if path is not None:
            self._continue(path)
            self._file = path.open("ab")

    def _continue(self, path: Path) -> None:
        """Go on with a file that is there; ValueError when it is not whole."""
        if not path.exists():
            return
        found = verify(path)
        if not found.is_whole:
            raise ValueError(f"{path.name} is broken at line {found.broken}: {found.fault}")
        self.written, self.hash = found.lines, found.hash

    def write(self, kind: str, **fields: object) -> None:
        self.written += 1
        head = {"n": self.written, "at_ms": self.clock.now_ms(), "kind": kind, **fields}
        open_line = orjson.dumps(head)[:-1]
        self.hash = sha256(self.hash.encode() + open_line).hexdigest()
        line = open_line + HASH + self.hash.encode() + b'"}\n'
        self._waiting.append(line)
        self._bytes += len(line)
        if self._file is None:
            if len(self._waiting) > KEPT_LINES:
                del self._waiting[: KEPT_LINES // 10]
        elif self._bytes >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand over to the system what is waiting."""
        if self._file is not None and self._waiting:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
            self._waiting.clear()
            self._bytes = 0

    def close(self) -> None:
        """Say that nothing follows, and let go of the file."""
        if self._file is not None:
            self.write("closed")
            self.flush()
            self._file.close()
            self._file = None

    def entries(self, kind: str = "") -> Iterator[dict[str, object]]:
        """Return the lines so far, of one kind if it is named."""
        self.flush()
        lines = list(self._waiting) if self.path is None else _lines(self.path)
        for line in lines:
            entry = orjson.loads(line)
            if kind in ("", entry["kind"]):
                yield entry

    def follow(self, exchange: Exchange) -> None:
        """Write down every order, trade and change of money of these books."""
        exchange.recorders.append(self._hear)

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            if happening.trade is None:
                self.write("order", what=happening.what, **told_order(happening.order))
            else:
                self.write("trade", **told_trade(happening.trade))
        elif isinstance(happening, BalanceChanged) and happening.cause in MOVED:
            self.write(
                happening.cause,
                account=happening.account,
                asset=happening.asset,
                change=happening.change,
                free=happening.free,
                locked=happening.locked,
            )


def told_order(order: Order) -> dict[str, object]:
    """Return an order in integers."""
    request = order.request
    return {
        "order": order.id,
        "account": order.account,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_kind": order.kind,
        "lifetime": request.lifetime,
        "quantity": order.quantity,
        "price": request.price,
        "stop_price": request.stop_price,
        "status": order.status,
        "filled": order.filled,
        "cost": order.cost,
        "list": order.oco,
    }


def told_trade(trade: Trade) -> dict[str, object]:
    """Return a trade in integers."""
    return {
        "trade": trade.id,
        "order": trade.order_id,
        "account": trade.account,
        "symbol": trade.symbol,
        "side": trade.side,
        "price": trade.price,
        "quantity": trade.quantity,
        "cost": trade.cost,
        "fee": trade.fee,
        "fee_asset": trade.fee_asset,
        "maker": trade.maker,
    }


@lru_cache(maxsize=4096)
def masked(key: str) -> str:
    """Return so much of a key that two can be told apart, and neither can be used."""
    return f"{key[:4]}…{sha256(key.encode()).hexdigest()[:8]}" if key else ""


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def read(path: Path) -> Iterator[Mapping[str, object]]:
    """Return the entries of a file, unchecked."""
    for line in _lines(path):
        yield orjson.loads(line)


def verify(path: Path) -> Checked:
    """Walk the chain of a file from its first line."""
    before, number, last = START, 0, b""
    for line in _lines(path):
        number, last = number + 1, line
        open_line, tail = line[: -TAIL - 1], line[-TAIL - 1 :]
        told = tail[len(HASH) : len(HASH) + 64].decode(errors="replace")
        if not tail.startswith(HASH) or not line.endswith(b'"}\n'):
            return Checked(number, number, False, "not a whole line", before)
        if sha256(before.encode() + open_line).hexdigest() != told:
            return Checked(
                number, number, False, "its hash is not that of what stands before", before
            )
        if not open_line.startswith(b'{"n":%d,' % number):
            return Checked(number, number, False, "its number is not the next", before)
        before = told
    return Checked(number, 0, b'"kind":"closed"' in last, hash=before)
