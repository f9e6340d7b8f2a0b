"""Everything that can go wrong, by name and by where it strikes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REQUEST_LOST = "request lost"
REQUEST_DELAYED = "request delayed"
REQUEST_DUPLICATED = "request duplicated"
ANSWER_LOST = "answer lost"
ANSWER_DELAYED = "answer delayed"
RESET_BEFORE = "reset before"
RESET_AFTER = "reset after"
REFUSED = "connection refused"
BODY_CUT = "body cut"
JSON_TRUNCATED = "json truncated"
HTML_200 = "html 200"
HTML_403 = "html 403"
STATUS_429 = "status 429"
STATUS_418 = "status 418"
STATUS_5XX = "status 5xx"
STATUS_52X = "status 52x"
ID_MISSING = "id missing"
LOOKUP_LAG = "lookup lag"
HISTORY_PURGED = "history purged"
MAINTENANCE = "maintenance"
PARTIAL_FILLS = "partial fills"
THIRD_FEE = "fee in third asset"
CANCEL_RACES = "cancel races fill"
SELF_TRADE = "self-trade expiry"
BALANCE_CHANGED = "balance changed by the owner"
MESSAGE_DROPPED = "message dropped"
MESSAGE_DUPLICATED = "message duplicated"
MESSAGES_SWAPPED = "messages swapped"
STREAM_CUT = "stream cut"
STREAM_GAP = "stream gap"
CLOCK_SKEW = "clock skew"
STOOD_STILL = "stood still"
TAKEN_OVER = "lease taken over"
BEFORE_COMMIT = "database before commit"
AFTER_COMMIT = "database after commit"
FAILOVER = "database failover"
DISK_FULL = "disk full"
VAULT = "vault unavailable"

# Drawn for a call on its way to the venue and back.
OF_CALLS: Sequence[str] = (
    REQUEST_LOST,
    REQUEST_DELAYED,
    REQUEST_DUPLICATED,
    ANSWER_LOST,
    ANSWER_DELAYED,
    RESET_BEFORE,
    RESET_AFTER,
    REFUSED,
    BODY_CUT,
    JSON_TRUNCATED,
    HTML_200,
    HTML_403,
    STATUS_429,
    STATUS_418,
    STATUS_5XX,
    STATUS_52X,
    ID_MISSING,
    LOOKUP_LAG,
    HISTORY_PURGED,
    MAINTENANCE,
)
# States and moves of the venue, drawn for the order or the cancel that meets them.
OF_ORDERS: Sequence[str] = (PARTIAL_FILLS, THIRD_FEE, CANCEL_RACES, SELF_TRADE)
OF_STREAMS: Sequence[str] = (
    MESSAGE_DROPPED,
    MESSAGE_DUPLICATED,
    MESSAGES_SWAPPED,
    STREAM_CUT,
    STREAM_GAP,
)
OF_DATABASES: Sequence[str] = (BEFORE_COMMIT, AFTER_COMMIT, FAILOVER, DISK_FULL)
OF_HOSTS: Sequence[str] = (CLOCK_SKEW, STOOD_STILL, TAKEN_OVER, VAULT, BALANCE_CHANGED)
KINDS: Sequence[str] = (*OF_CALLS, *OF_ORDERS, *OF_STREAMS, *OF_DATABASES, *OF_HOSTS)
NETWORK = frozenset({*OF_CALLS, *OF_STREAMS} - {LOOKUP_LAG, HISTORY_PURGED, MAINTENANCE})

POINTS: Mapping[str, str] = {
    "P0": "before the intent is written",
    "P1": "the intent is written, nothing else",
    "P2": "armed, and not one byte has left",
    "P3": "the request is on its way",
    "P4": "the answer is here, and not written",
    "P5": "the answer is written",
    "P6": "fills are read, and not written",
    "P7": "some of the fills are written",
    "P8": "over at the venue, fills missing here",
    "P9": "a cancel is on its way",
    "P10": "while absence is being decided",
    "P11": "the database loses its last commits",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one call; text is how journals name it."""

    kind: str
    seconds: float = 0.0
    processed: bool = False

    @property
    def text(self) -> str:
        return f"{self.kind}, {self.seconds:g} s" if self.seconds else self.kind
