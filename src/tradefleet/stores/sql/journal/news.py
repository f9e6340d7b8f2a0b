"""What of a journal's batches is told to who listens: numbered, and written with what it tells."""

from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from tradefleet.domain.effects import MemoryChanged
from tradefleet.domain.errors import StoreError
from tradefleet.domain.ids import BotId, UserId
from tradefleet.domain.live import Held, news_of
from tradefleet.live import numbered
from tradefleet.store import Batch
from tradefleet.stores.sql.journal import sheets
from tradefleet.stores.sql.journal.plan import Rows
from tradefleet.stores.sql.journal.sheets import Sheet

POSITIONS = (
    "user_id, bot_id, symbol, quantity, stop, stop_kind, targets, targets_done"  # as `held` reads
)


@dataclass(slots=True)
class Leases:
    """What is known of the users of batches: who may write, and to whom somebody listens."""

    fences: dict[UserId, tuple[int, int]] = field(default_factory=dict)
    listening: set[UserId] = field(default_factory=set)


def read_leases(found: Iterable[Sequence[Any]]) -> Leases:
    """Read rows of user, epoch, kill version and whether somebody listens."""
    leases = Leases()
    for user_id, epoch, version, is_heard in found:
        leases.fences[user_id] = (epoch, version)
        if is_heard:
            leases.listening.add(user_id)
    return leases


def movers(batches: Sequence[Batch], listening: Collection[UserId]) -> list[UserId]:
    """Return the users somebody listens to whose positions may change."""
    found = {
        batch.user_id
        for batch in batches
        if batch.user_id in listening
        and any(isinstance(record, MemoryChanged) for record in batch.records)
    }
    return sorted(found)


Positions = MutableMapping[UserId, dict[BotId, Held]]


def read_positions(found: Iterable[Sequence[Any]]) -> Positions:
    """Read rows of positions, as both databases give them."""
    positions: Positions = {}
    for user_id, bot_id, symbol, quantity, stop, kind, targets, done in found:
        levels = tuple((Decimal(level), Decimal(much)) for level, much in orjson.loads(targets))
        held = Held(symbol, Decimal(quantity), Decimal(stop), kind, levels, done)
        positions.setdefault(user_id, {})[bot_id] = held
    return positions


def kept(
    batches: Sequence[Batch], errors: Sequence[StoreError | None], listening: Collection[UserId]
) -> dict[UserId, list[Batch]]:
    """Return what was written for users somebody listens to, in the order of users."""
    found: dict[UserId, list[Batch]] = {}
    if not listening:
        return found
    for batch, error in zip(batches, errors, strict=True):
        if error is None and batch.user_id in listening and batch.records:
            found.setdefault(batch.user_id, []).append(batch)
    return dict(sorted(found.items()))


def steps(
    written: Mapping[UserId, list[Batch]],
    positions: Positions,
    lasts: Mapping[UserId, int],
    at: datetime,
) -> list[tuple[Sheet, Rows]]:
    """Return what to write of what is told: the events, and where each sequence stands then."""
    events: Rows = []
    heads: Rows = []
    for user_id, batches in written.items():
        held = positions.setdefault(user_id, {})
        records = (record for batch in batches for record in batch.records)
        told = numbered(news_of(records, held), lasts.get(user_id, 0), at)
        if told:
            events += [[user_id, each.number, each.at, each.kind, each.data] for each in told]
            heads.append([user_id, told[-1].number])
    return [(sheets.EVENTS, events), (sheets.HEADS, heads)]
