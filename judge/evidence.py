"""What the verdict reads: the venues' journals, the system's final database, and the world's diary.

Plain values, and no import of the system that is judged: whoever fills these can be judged. Money
at a venue is in integer units (10^-8), as its books are; money in the database is Decimal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a bot's strategy allows on one symbol of one account.

    cost_max: the most that its holding plus its live buys may ever have cost together, in units
    of quote: one entry, with room for slippage and fees, and far from two.
    """

    bot_id: str
    symbol: str  # BASE/QUOTE
    cost_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One account: whose it is, its name at the venue, and what its strategies allow."""

    account_id: str
    user_id: str
    venue: str
    venue_account: str
    contracts: Sequence[Contract]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something the world did or saw, on the world's own clock (milliseconds, unskewed).

    kind and what its fields hold:
      fault      fault, account_id, action (create, cancel, order, orders, trades, balance,
                 stream, database…): a fault that struck
      crash      host, point (P0…P11), fault: the latest that struck the account before, "" for
                 none; venue, account_id
      recovered  host, user_id: a crashed or stopped owner's user is run again
      frozen     host, seconds: stands still (SIGSTOP); thawed  host
      lease      user_id, host, epoch: taken
      kill       user_id, scope, mode: the switch is written; released  user_id. Either may name
                 a scope_id (of scope account or bot) or a venue it is limited to; no user_id is
                 everybody
      manual     account_id, order: the venue's number of an order its owner placed by hand
      unprotected account_id, symbol, seconds: a position without a stop, once it is over
      unknown    account_id, order, seconds: an order whose fate was in doubt, once that is over
      reserved   account_id, bot_id, amount, order: what is still set apart in the end though no
                 order of the bot is under way
      quiet      faults have stopped for good
      ended      nothing is expected to change any more
      canary     secret, of: a value that must be nowhere but in the vault
      leak       where, of: a canary that was found there
      note       text: for the story only
    """

    at_ms: int
    kind: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """An order as the system's database has it in the end."""

    id: str  # the client order id
    user_id: str
    account_id: str
    bot_id: str
    seq: int
    symbol: str
    side: str
    purpose: str  # entry, exit
    kind: str
    quantity: Decimal
    state: (
        str  # created, void, sending, unknown, quarantined, open, closing, done, rejected, absent
    )
    filled: Decimal
    reserved: Decimal
    venue_order_id: str
    epoch: int
    decided_ms: int
    sent_ms: int | None
    deadline_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFill:
    """A fill as the system booked it."""

    id: str  # the venue's trade id
    user_id: str
    account_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of a ledger entry; those of an entry sum to zero per asset."""

    user_id: str
    account_id: str
    entry_id: str
    place: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a bot says it holds in the end."""

    user_id: str
    bot_id: str
    symbol: str
    quantity: Decimal


@dataclass(slots=True, kw_only=True)
class Database:
    """The system's own account of what happened, read after its last process has ended."""

    orders: Sequence[StoredOrder] = ()
    fills: Sequence[StoredFill] = ()
    postings: Sequence[Posting] = ()
    held: Sequence[Held] = ()


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that one run left behind. journals: by venue, the lines of its hash-chained journal."""

    owned: Sequence[Owned]
    journals: Mapping[str, Sequence[Mapping[str, object]]]
    diary: Sequence[Happened]
    database: Database
    crash_points: Sequence[str] = ()  # which the coverage matrix must show, per venue
    fault_kinds: Sequence[str] = ()
