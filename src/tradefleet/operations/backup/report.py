"""What is said of backups: one that was made, those that are kept, a drill, a restored database."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tradefleet.drawing import size_text
from tradefleet.operations.backup.backups import SCHEDULED, Drill, Made, Restored
from tradefleet.operations.backup.copying import Picture
from tradefleet.operations.backup.shelf import DAILY, Kept

FAILURES_TOLD = 3
HOW_TO_LIFT = (
    "Safe mode: nothing new is opened for anybody; exits go on. Start the service, let it "
    "reconcile its accounts, look at what differs (tradefleet accounts statement <account>), "
    "and end it with /killswitch platform run."
)


def made_lines(made: Made) -> Iterator[str]:
    size = size_text(made.size)
    yield f"Backup: {made.file} ({size}, made and tried out in {made.seconds:.1f} s)"
    yield f"{same(made.picture)}."
    for file in made.removed:
        yield f"Removed: {file.name}"


def same(picture: Picture) -> str:
    return (
        f"Restored beside and compared: {picture.rows} rows in {len(picture.tables)} tables and "
        f"{picture.sums} sums of the ledger are equal, schema {picture.schema}"
    )


def shelf_lines(
    kept: Sequence[Kept], history: Sequence[Mapping[str, Any]], now: datetime
) -> list[str]:
    lines = [
        f"{each.header.taken_at:%Y-%m-%d %H:%M:%S} UTC  {each.reason:7}  "
        f"{size_text(each.size):>9}  {each.file.name}"
        for each in kept
    ]
    if kept:
        lines.append(f"The newest is {words(now - kept[0].header.taken_at)} old.")
    failures = [line for line in history if not line.get("made")][-FAILURES_TOLD:]
    return [*lines, *(f"Failed at {each['at']}: {each['why']}" for each in failures)]


def drill_lines(drill: Drill) -> Iterator[str]:
    made = drill.made
    yield f"Backup: {size_text(made.size)}, made and tried out in {made.seconds:.1f} s"
    yield f"{same(made.picture)}."
    yield (
        f"RTO: {drill.restoring:.1f} s to open, restore, check and prepare; then the service starts"
    )
    at_most = f"by schedule at most {words(SCHEDULED[DAILY])}"
    if drill.loss is None:
        yield f"RPO: everything, for no backup is kept yet; {at_most}"
    else:
        yield f"RPO: {words(drill.loss)}, the age of the newest backup kept; {at_most}"
    yield "The drill passed; nothing of it is kept."


def restored_lines(done: Restored, place: str) -> Iterator[str]:
    taken = done.header.taken_at
    yield f"Restored: {place}, as it was at {taken:%Y-%m-%d %H:%M:%S} UTC, in {done.seconds:.1f} s"
    yield f"{same(done.picture)}."
    if done.aside is not None:
        yield f"What stood there is kept: {done.aside}"
    if done.before is None:
        return
    counts = {name: (done.picture.tables.get(name, 0), n) for name, n in done.before.tables.items()}
    changed = [f"{name} {now} (was {was})" for name, (now, was) in counts.items() if now != was]
    yield f"Rows that differ from it: {', '.join(changed) or 'none'}"
    if done.before.ledger != done.picture.ledger:
        yield "The ledger differs from it: what was booked since the backup is missing."


def words(time: timedelta) -> str:
    minutes = int(time.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 72 else f"{hours // 24} days"
