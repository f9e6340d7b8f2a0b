"""All that a user owns, as they are given it: where the putting together stands, and the file."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MyData:
    """An archive; rows: of all tables. content: the file itself where it is small enough."""

    stage: Stage
    name: str = ""
    size: int = 0
    rows: int = 0
    tables: int = 0
    sha256: str = ""
    kept_minutes: int = 0
    content: bytes = field(default=b"", repr=False)
