"""Moving a database, for the command line."""

from collections.abc import Callable

from tradefleet.stores.sql import moves
from tradefleet.stores.sql.address import read_address

DONE = (
    "Moved {rows:,} rows of {tables} tables in {seconds:.1f} s; every row was read again and is "
    "the same, {sums:,} sums of the ledger and {chains:,} ends of the audit log among them.\n"
    "{source} is not used any more. Say DATABASE_URL for {target} and start the service; the "
    "master key stays where it is."
)


async def move(source: str, target: str, say: Callable[[str], None]) -> None:
    done = await moves.move(source, target, say)
    say(
        DONE.format(
            rows=sum(done.counts.values()),
            tables=len(done.counts),
            seconds=done.seconds,
            sums=done.sums,
            chains=done.chains,
            source=read_address(source),
            target=read_address(target),
        )
    )
