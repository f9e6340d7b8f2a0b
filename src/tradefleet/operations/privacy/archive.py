"""All that a user owns as one archive: a file of JSON lines per table, written as it is read."""

import asyncio
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tradefleet.domain.errors import NotThere
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.market import Symbol
from tradefleet.domain.money import money_context
from tradefleet.domain.position import Trade
from tradefleet.drawing import TRADE_COLUMNS, as_json, trade_line
from tradefleet.operations.privacy.records import Records

FORMAT = 1
TRADES = "trades"
README = """This is all that the service keeps of you, of the moment named in manifest.json.

tables/<name>.jsonl   one line of JSON per row; times are UTC, money is text, digit by digit
trades.csv            your closed trades once more, for spreadsheets
manifest.json         how many rows each file has, and its SHA-256

Nothing in here opens anything: API keys, tokens, passwords and the authenticator's secret are kept
sealed or as hashes only, and "held sealed, fingerprint ..." stands in their place.
Tables of the service that hold nothing of anybody's are named in the manifest, each with why.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A finished file; rows by table."""

    file: Path
    made_at: datetime
    rows: Mapping[str, int]
    size: int
    sha256: str


@dataclass(slots=True)
class Part:
    """One file in the archive while it is written."""

    out: Any
    rows: int = 0
    digest: Any = field(default_factory=sha256)

    def write(self, data: bytes, rows: int) -> None:
        self.out.write(data)
        self.digest.update(data)
        self.rows += rows

    def told(self, name: str, **more: object) -> dict[str, object]:
        return {"file": name, "rows": self.rows, "sha256": self.digest.hexdigest(), **more}


async def write_archive(
    records: Records, user_id: UserId, file: Path, *, at: datetime, version: str
) -> Archive:
    """Write a user's archive; NotThere for nobody, and no file is left when it fails."""
    draft = file.with_name(f".{file.name}.making")
    try:
        rows = await _written(records, user_id, draft, at=at, version=version)
        if not rows["users"]:
            raise NotThere(f"There is no user {user_id}.")
        digest = await asyncio.to_thread(digest_of, draft)
        size = await asyncio.to_thread(size_of, draft)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return Archive(file=file, made_at=at, rows=rows, size=size, sha256=digest)


async def _written(
    records: Records, user_id: UserId, draft: Path, *, at: datetime, version: str
) -> dict[str, int]:
    handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    told: list[dict[str, object]] = []
    lines = draft.with_name(f"{draft.name}.csv")
    try:
        with os.fdopen(handle, "wb") as raw, ZipFile(raw, "w", ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", README)
            with sheet(lines) as trades:
                async with records.exporting(user_id) as tables:
                    async for table in tables:
                        name = f"tables/{table.name}.jsonl"
                        with archive.open(name, "w", force_zip64=True) as out:
                            part = Part(out)
                            async for rows in table.rows:
                                await asyncio.to_thread(part.write, in_lines(rows), len(rows))
                                if table.name == TRADES:
                                    trades.write(rows)
                        told.append(part.told(name, table=table.name))
            archive.write(lines, "trades.csv")
            csv_digest = await asyncio.to_thread(digest_of, lines)
            also = {"file": "trades.csv", "rows": trades.rows, "sha256": csv_digest}
            manifest = {
                "format": FORMAT,
                "version": version,
                "user": user_id,
                "made_at": at.isoformat(),
                "files": [*told, also],
                "not_exported": dict(records.not_exported),
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
    finally:
        lines.unlink(missing_ok=True)
    return {str(each["table"]): int(str(each["rows"])) for each in told}


def in_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(as_json(dict(row)) + b"\n" for row in rows)


@dataclass(slots=True)
class Sheet:
    """Trades as comma separated values, in a file of their own until they are all there."""

    out: io.TextIOBase
    rows: int = 0

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        lines = csv.writer(self.out, lineterminator="\r\n")
        with money_context():
            lines.writerows(trade_line(trade_of(row)) for row in rows)
        self.rows += len(rows)


@contextmanager
def sheet(file: Path) -> Iterator[Sheet]:
    handle = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\r\n").writerow(TRADE_COLUMNS)
        yield Sheet(out)


def trade_of(row: Mapping[str, Any]) -> Trade:
    money = ("quantity", "entry_price", "exit_price", "gross_pnl", "fees")
    return Trade(
        id=row["id"],
        user_id=UserId(row["user_id"]),
        account_id=AccountId(row["account_id"]),
        bot_id=BotId(row["bot_id"]),
        symbol=Symbol.parse(row["symbol"]),
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        exit_reason=row["exit_reason"],
        side=row["side"],
        **{name: Decimal(row[name]) for name in money},
    )


def size_of(file: Path) -> int:
    return file.stat().st_size


def digest_of(file: Path) -> str:
    with file.open("rb") as source:
        return file_digest(source, sha256).hexdigest()
