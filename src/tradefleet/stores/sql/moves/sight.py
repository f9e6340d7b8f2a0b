"""What is seen of a database while its rows pass by, to be compared with another's, row by row."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, Table

from tradefleet.stores.sql import tables
from tradefleet.stores.sql.copies.sums import SUMMING

Row = Mapping[str, Any]
DIGEST_BYTES = 16
WHOLE = 1 << (8 * DIGEST_BYTES)
Place = tuple[str, str, str]  # account, place, asset


def plain(value: Any) -> str:
    """Return a value as text that is the same from every database, to the last digit."""
    match value:
        case None:
            return "-"
        case bool():
            return str(value)
        case Decimal():
            return number(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case float():
            return repr(value)
        case _:
            return f"={value}"


def number(value: Decimal) -> str:
    """Return a number without zeros at its end; it is never rounded."""
    if not value.is_finite():
        return str(value)
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    places = int(exponent) + len(text) - len(kept)
    return f"{'-' * sign}{kept}e{places}" if kept else "0"


def plain_json(text: str) -> str:
    """Return JSON in one order and one writing of numbers: PostgreSQL keeps it in its own."""
    return json.dumps(
        tidy(json.loads(text, parse_float=Decimal, parse_int=Decimal)), sort_keys=True
    )


def tidy(value: Any) -> Any:
    match value:
        case Decimal():
            return {"number": number(value)}
        case dict():
            return {f"key {key}": tidy(each) for key, each in value.items()}
        case list():
            return [tidy(each) for each in value]
        case _:
            return value


@dataclass(slots=True)
class Sight:
    """What one database holds: how many rows, what they say, the ledger's sums, the chains' ends.

    The digest of a table does not depend on the order of its rows, which no two databases share.
    """

    counts: dict[str, int] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    sums: dict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    ends: dict[str, tuple[int, str]] = field(default_factory=dict)

    def begin(self, table: Table) -> "Reader":
        self.counts[table.name] = self.digests[table.name] = 0
        is_json = [isinstance(column.type, JSON) for column in table.columns]
        return Reader(table, [plain_json if each else plain for each in is_json])

    def add(self, reader: "Reader", rows: Sequence[Row]) -> None:
        name = reader.table.name
        self.counts[name] += len(rows)
        self.digests[name] = (self.digests[name] + sum(map(reader.digest, rows))) % WHOLE
        if reader.table is tables.ledger_entries:
            self._add_up(rows)
        elif reader.table is tables.audit_log:
            self._follow(rows)

    def _add_up(self, rows: Iterable[Row]) -> None:
        for row in rows:
            place = row["account_id"], row["place"], row["asset"]
            self.sums[place] = SUMMING.add(self.sums[place], row["amount"])

    def _follow(self, rows: Iterable[Row]) -> None:
        for row in rows:
            seen = row["number"], row["hash"]
            self.ends[row["user_id"]] = max(seen, self.ends.get(row["user_id"], seen))

    def differences(self, other: "Sight") -> list[str]:
        """Say where another database is not the same; [] when it is."""
        found = [
            f"table {name}: {count} rows, and {other.counts.get(name, 0)}"
            for name, count in self.counts.items()
            if count != other.counts.get(name, 0)
        ]
        found += [
            f"table {name}: its rows do not say the same"
            for name, digest in self.digests.items()
            if digest != other.digests.get(name) and self.counts[name] == other.counts.get(name)
        ]
        found += [
            f"ledger of {place[0]}, {place[1]}, {place[2]}: {amount}, and {other.sums.get(place)}"
            for place, amount in self.sums.items()
            if amount != other.sums.get(place)
        ]
        found += [
            f"audit log of {user_id or 'the service'}: it does not end in the same line"
            for user_id, end in self.ends.items()
            if end != other.ends.get(user_id)
        ]
        return found


@dataclass(frozen=True, slots=True)
class Reader:
    """How one table's rows are digested."""

    table: Table
    ways: Sequence[Callable[[Any], str]]

    def digest(self, row: Row) -> int:
        said = "\0".join(
            "-" if value is None else way(value)
            for way, value in zip(self.ways, row.values(), strict=True)
        )
        digest = hashlib.blake2b(said.encode(), digest_size=DIGEST_BYTES).digest()
        return int.from_bytes(digest, "big")
