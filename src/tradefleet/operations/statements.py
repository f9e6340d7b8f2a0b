"""One account's statement now, for the operator: compared, printed, and nothing changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tradefleet.clock import Clock
from tradefleet.command import Reply
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.ids import FillId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.market import Symbol
from tradefleet.domain.order import Order
from tradefleet.domain.user import Account, Mode
from tradefleet.engine.statement import (
    BEGINNINGS,
    Comparison,
    Line,
    compare,
    symbols_of,
    unbooked,
)
from tradefleet.store import Store
from tradefleet.venue import AccountLink, StatementNotPossible, Venue

LISTED_AFTER = timedelta(minutes=1)  # the venue's lists may not show what is younger
BEFORE = timedelta(minutes=5)
WITHOUT_A_MARK = timedelta(days=1)  # where nothing says since when the books are compared
ORDERS_READ = 1000
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StatementTold:
    """A statement as it is printed, and as JSON; is_well: nothing in it is wrong."""

    reply: Reply
    data: dict[str, Any]
    is_well: bool


@dataclass(frozen=True, slots=True)
class Books:
    """What the store has of an account."""

    entries: list[LedgerEntry]
    orders: list[Order]
    symbols: list[Symbol]


async def statement_now(
    store: Store,
    venues: Mapping[str, Venue],
    clock: Clock,
    account_id: str,
    since: datetime | None = None,
) -> StatementTold:
    """Compare an account since a moment, or since its latest statement; Refused says why not.

    Before books and balances agreed for the first time there is nothing to compare.
    """
    account = await find_account(store, account_id)
    venue = venues.get(account.venue)
    if venue is None:
        raise Refused(f"{account.venue} is not switched on in this service.")
    books = await read_books(store, account)
    until = clock.now() - LISTED_AFTER
    begun = [entry.booked_at for entry in books.entries if entry.kind in BEGINNINGS]
    since = max(since or max(begun, default=until - WITHOUT_A_MARK), min(begun, default=EVER))
    if since >= until:
        raise Refused("There is nothing to compare yet; say an earlier moment with --since.")
    link = await venue.link(account, lambda order_id: None)
    try:
        found = await ask(link, books, since, until)
    except StatementNotPossible as why:
        raise Refused(f"A statement of {account.id} is not possible: {why}.") from None
    except VenueUnavailable as fault:
        raise Refused(f"{account.venue} gives no statement now: {fault}") from None
    finally:
        await link.close()
    return told(account, found)


async def find_account(store: Store, account_id: str) -> Account:
    for mode in Mode:
        for account in await store.active_accounts(mode):
            if account.id == account_id:
                return account
    raise Refused(f"There is no connected account {account_id}; say <user>:<exchange>:<mode>.")


async def read_books(store: Store, account: Account) -> Books:
    async with store.open(account.user_id, reading=True) as own:
        entries = list(await own.entries(account.id))
        every = await own.orders(limit=ORDERS_READ)
        bots = await own.bots()
    orders = [order for order in every if order.account_id == account.id]
    symbols = {bot.symbol for bot in bots if bot.account_id == account.id}
    symbols |= {order.symbol for order in orders}
    return Books(entries, orders, sorted(symbols, key=str))


async def ask(link: AccountLink, books: Books, since: datetime, until: datetime) -> Comparison:
    symbols = sorted({*books.symbols, *symbols_of(books.entries, since - BEFORE)}, key=str)
    statement = await link.statement(symbols, since - BEFORE, until + LISTED_AFTER)
    missing = unbooked(statement, books.entries)
    ours: set[FillId] = set()
    if missing:
        names = {order.id for order in books.orders}
        numbers = {order.venue_order_id for order in books.orders if order.venue_order_id}
        ours = {
            trade.id
            for trade in await link.trades_since(books.symbols, since - BEFORE)
            if trade.id in missing and (trade.client_id in names or trade.venue_order_id in numbers)
        }
    return compare(statement, books.entries, since=since, until=until, ours=ours)


# ------------------------------------------------------------------------ for people


def told(account: Account, found: Comparison) -> StatementTold:
    reply = Reply(
        text="\n".join(lines(account, found)),
        columns=("Asset", *KINDS, "Moved there", "In our books", "Difference"),
        rows=tuple(row(line) for line in found.lines),
    )
    return StatementTold(reply, data_of(account, found), found.agrees)


KINDS = ("Trades", "Fees", "Paid in/out", "Else")
COLUMNS = {
    "trade": 0,
    "fee": 1,
    "deposit": 2,
    "withdrawal": 2,
    "transfer": 2,
    "conversion": 3,
    "rebate": 3,
    "other": 3,
}


def row(line: Line) -> tuple[str, ...]:
    sums = [Decimal(0)] * len(KINDS)
    for kind, amount in line.venue.items():
        sums[COLUMNS[kind.value]] += amount
    amounts = (*sums, line.moved, line.books, line.difference)
    return (line.asset, *(plain(amount) for amount in amounts))


def plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"


def lines(account: Account, found: Comparison) -> list[str]:
    verdict = "✅ Both ledgers agree." if found.agrees else "❌ The ledgers do not agree."
    made = [
        f"📒 Statement of {account.id} at {account.venue} ({account.mode.value})",
        f"From {found.since:%Y-%m-%d %H:%M:%S} to {found.until:%Y-%m-%d %H:%M:%S} UTC",
        f"Trades: {found.trades} booked one by one, {found.others} of others",
        verdict,
    ]
    made += [
        f"❌ trade {each.trade_id} of {each.at:%Y-%m-%d %H:%M:%S} {each.trouble}: there "
        f"{amounts(each.theirs)}, here {amounts(each.ours)}"
        for each in found.troubles
    ]
    made += [
        f"{each.kind.value.capitalize()} of {each.at:%Y-%m-%d %H:%M:%S}: "
        f"{plain(each.amount)} {each.asset} ({each.word or each.kind.value})"
        for each in found.explained
    ]
    made += [f"Not in the venue's lists: {each}" for each in found.hidden]
    return made


def amounts(sums: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in sums.items()) or "nothing"


def data_of(account: Account, found: Comparison) -> dict[str, Any]:
    """Return a statement as JSON can say it, every digit kept."""

    def exact(sums: Mapping[Any, Decimal]) -> dict[str, str]:
        return {str(name): f"{amount:f}" for name, amount in sums.items()}

    return {
        "account": account.id,
        "venue": account.venue,
        "mode": account.mode.value,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "agrees": found.agrees,
        "trades": found.trades,
        "others": found.others,
        "assets": [
            {
                "asset": line.asset,
                "venue": exact(line.venue),
                "moved": f"{line.moved:f}",
                "books": f"{line.books:f}",
                "difference": f"{line.difference:f}",
            }
            for line in found.lines
        ],
        "troubles": [
            {
                "trade": each.trade_id,
                "trouble": each.trouble.name.lower(),
                "at": each.at.isoformat(),
                "theirs": exact(each.theirs),
                "ours": exact(each.ours),
            }
            for each in found.troubles
        ],
        "explained": [
            {
                "id": each.id,
                "kind": each.kind.value,
                "asset": each.asset,
                "amount": f"{each.amount:f}",
                "at": each.at.isoformat(),
            }
            for each in found.explained
        ],
        "hidden": list(found.hidden),
    }
