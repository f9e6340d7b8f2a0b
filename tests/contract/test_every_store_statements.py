"""What holds for every store's entries that move nothing: they come back, and stay one."""

from decimal import Decimal

from tests.makers import START, after_start
from tests.store_rig import ALICE, account, register
from tradefleet.domain.effects import EntryBooked
from tradefleet.domain.statement import EntryKind, VenueEntry
from tradefleet.engine.statement import Comparison, marks_of
from tradefleet.runtime.account_books import AccountBooks
from tradefleet.store import Batch

OWN = account(ALICE)


def marks(until, *rows):
    nothing = Comparison.of_nothing(until)
    found = Comparison(
        **{name: getattr(nothing, name) for name in Comparison.__slots__} | {"explained": rows}
    )
    assets = ["USDT", "ETH.S"]
    return marks_of(found, user_id=ALICE, account_id=OWN.id, assets=assets)


async def test_a_statement_is_kept_once_and_says_where_the_next_begins(store):
    await register(store, ALICE)
    paid = VenueEntry(
        id="L1:USDT",
        kind=EntryKind.DEPOSIT,
        asset="USDT",
        amount=Decimal("1e-8"),
        at=after_start(minutes=1),
    )
    made = marks(after_start(hours=24), paid)
    async with store.open(ALICE) as own:
        for entry in [*marks(START), *made, *made]:
            await own.book(entry)
    async with store.open(ALICE, reading=True) as own:
        kept = list(await own.entries(OWN.id))
    assert sorted(kept, key=lambda entry: entry.id) == sorted(
        [*marks(START), *made], key=lambda entry: entry.id
    )
    books = AccountBooks(kept)
    assert books.begun == after_start(hours=24)
    assert not any(books.balances.everything().values())
    assert not any(books.balances.account_totals().values())


async def test_a_host_that_lost_its_lease_writes_no_statement(store):
    await register(store, ALICE)
    records = tuple(EntryBooked(entry) for entry in marks(START))
    (refused,) = await store.write([Batch(user_id=ALICE, epoch=7, records=records)])
    assert refused is not None
    async with store.open(ALICE, reading=True) as own:
        assert list(await own.entries(OWN.id)) == []
