"""Records of checkpoints: how far chains had come, signed, each bound to the one before it."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradefleet.domain.audit import ChainKeys, Head
from tradefleet.domain.ids import UserId

VERSION = 1
USE = b"checkpoint of the audit log\n"  # so that no line of a chain can stand for a record


@dataclass(frozen=True, slots=True)
class Record:
    """What one line of a file of checkpoints says."""

    number: int
    at: str
    heads: tuple[Head, ...]
    previous: str
    key_id: str
    mac: str


def record_text(keys: ChainKeys, last: Record | None, at: str, heads: Sequence[Head]) -> str:
    """Return the record that follows the last one, None: the first one, as one line."""
    said = {
        "v": VERSION,
        "n": 1 if last is None else last.number + 1,
        "at": at,
        "heads": [[head.user_id, head.number, head.hash] for head in heads],
        "prev": "" if last is None else last.mac,
        "key": keys.current,
    }
    return json.dumps({**said, "mac": mac_of(keys.keys[keys.current], said)}, separators=(",", ":"))


def mac_of(key: bytes, said: Mapping[str, Any]) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, USE + text.encode(), "sha256").hex()


def read_record(line: str) -> Record | None:
    """Return what a line says, None: it is no record; whether it is true, is_signed tells."""
    try:
        said = json.loads(line)
        heads = tuple(Head(UserId(str(u)), int(n), str(h)) for u, n, h in said["heads"])
        return Record(
            number=int(said["n"]),
            at=str(said["at"]),
            heads=heads,
            previous=str(said["prev"]),
            key_id=str(said["key"]),
            mac=str(said["mac"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def is_signed(line: str, record: Record, keys: ChainKeys) -> bool:
    """Say whether a record was written by the service."""
    key = keys.keys.get(record.key_id)
    said = json.loads(line)
    said.pop("mac")
    return key is not None and hmac.compare_digest(mac_of(key, said), record.mac)
