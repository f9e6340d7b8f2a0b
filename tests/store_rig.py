"""What tests of stores share: users with an account and bots, and a host that holds them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.makers import BTC, START, after_start, order, spec
from tradefleet.domain.bot import BotMemory, BotSpec, BotStatus
from tradefleet.domain.effects import FillBooked, Record
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.order import CancelState, Fill, Order, OrderKind, OrderState, Purpose
from tradefleet.domain.position import Lot, Position
from tradefleet.domain.user import Account, Mode, User
from tradefleet.store import Batch, Lease, Store

ALICE, BOB = UserId("alice_id"), UserId("bob_id")
TTL = 15.0


def user(user_id: UserId, **changes: Any) -> User:
    return User(**{"id": user_id, "username": f"name of {user_id}", "created_at": START, **changes})


def account(user_id: UserId, number: int = 1) -> Account:
    return Account(
        id=AccountId(f"account{number} of {user_id}"),
        user_id=user_id,
        venue="paper",
        mode=Mode.PAPER,
        created_at=after_start(minutes=number),
    )


def bot(user_id: UserId, number: int = 1, **changes: Any) -> BotSpec:
    """Return the number-th bot of a user, on its first account, running."""
    given = {
        "id": f"bot{number} of {user_id}",
        "user_id": user_id,
        "account_id": account(user_id).id,
        "status": BotStatus.RUNNING,
        **changes,
    }
    return spec(number, **given)


def order_of(owner: BotSpec, id: str = "o1", **changes: Any) -> Order:
    given = {"user_id": owner.user_id, "account_id": owner.account_id, **changes}
    return order(id=id, bot=owner.id, symbol=owner.symbol, **given)


def booked(fill: Fill, owner: BotSpec) -> FillBooked:
    entry = LedgerEntry.of_fill(
        fill, user_id=owner.user_id, account_id=owner.account_id, bot_id=owner.id
    )
    return FillBooked(fill, entry)


async def register(store: Store, user_id: UserId, *bots: BotSpec, **changes: Any) -> None:
    """Let a user have an account and bots."""
    async with store.open(user_id) as own:
        await own.save_user(user(user_id, **changes))
        await own.save_account(account(user_id))
        for each in bots:
            await own.add_bot(each)


async def take(store: Store, owner: str = "host", now: datetime = START) -> dict[UserId, Lease]:
    leases = await store.take_leases(owner, now=now, ttl=TTL, limit=1000)
    return {lease.user_id: lease for lease in leases}


def batch(lease: Lease, *records: Record, **changes: Any) -> Batch:
    given = {"user_id": lease.user_id, "epoch": lease.epoch, "records": records, **changes}
    return Batch(**given)


async def write(store: Store, lease: Lease, *records: Record, **changes: Any) -> None:
    """Write one batch and insist that it was kept."""
    (error,) = await store.write([batch(lease, *records, **changes)])
    if error:
        raise error


# Values in which every field says something, down to the last digit.

UNIT = Decimal("0.00000001")
LONG = Decimal("123456789012345.12345678")
LATE = after_start(days=3, hours=1, seconds=1, microseconds=123456)


def full_order(owner: BotSpec, id: str = "full") -> Order:
    return order_of(
        owner,
        id,
        seq=2**40,
        quantity=LONG,
        purpose=Purpose.EXIT,
        decided_at=LATE,
        reason="a reason with 'quotes', a % and an ü",
        kind=OrderKind.TARGET,
        price=UNIT,
        reserved=LONG + UNIT,
        hold_until=after_start(seconds=6),
        lapses_at=after_start(seconds=60),
        lapse_price=Decimal("1E-8"),
        state=OrderState.UNKNOWN,
        cancel=CancelState.UNKNOWN,
        filled=UNIT,
        venue_filled=Decimal("0E-8"),
        venue_order_id="V-1",
        epoch=7,
        sent_at=after_start(microseconds=1),
        deadline=after_start(seconds=5),
        negatives=3,
        note="EOrder:Unknown",
    )


def full_memory(owner: BotSpec) -> BotMemory:
    position = Position(
        symbol=BTC,
        opened_at=LATE,
        lots=(Lot(UNIT, LONG), Lot(LONG, UNIT)),
        original=LONG + UNIT,
        bought=LONG,
        sold_quantity=UNIT,
        sold=Decimal("1E-7"),
        fees_quote=Decimal("0.1"),
        base_fees_quote=Decimal("0.01"),
        sell_fees=Decimal("0.001"),
        realized=-LONG,
        stop=Decimal("97.90"),
        stop_kind="trail",
        targets=((Decimal(102), UNIT), (Decimal("104.5"), LONG)),
        targets_done=2,
        highest=Decimal("103.3"),
    )
    return BotMemory(
        bot_id=owner.id,
        user_id=owner.user_id,
        cash=-LONG,
        seq=2**40,
        decided_at=LATE,
        position=position,
        last_price=UNIT,
        last_exit_reason="stop",
    )


def flat(memory: BotMemory) -> BotMemory:
    return replace(memory, position=None)


def many(store_bots: Iterable[BotSpec], count: int) -> list[Order]:
    """Return count orders for each bot, each with an id of its own."""
    return [
        order_of(each, f"{each.id} #{number}", seq=number)
        for each in store_bots
        for number in range(count)
    ]
