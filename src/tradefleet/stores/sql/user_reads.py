"""What a user did and what was decided for them, read inside one transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, Table, bindparam, or_, select

from tradefleet.domain.consent import Consent
from tradefleet.domain.effects import Decided
from tradefleet.domain.ids import AccountId, BotId, OrderId, UserId
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.order import Fill, Order, OrderState
from tradefleet.domain.paging import Page
from tradefleet.domain.position import Trade
from tradefleet.store import Answer, ErasureRequest, SignalNote
from tradefleet.stores.sql import queries, shapes, tables
from tradefleet.stores.sql.glance import known
from tradefleet.stores.sql.queries import WHOSE, Reading, entries_of, own, rows

ANSWER = known(
    select(tables.idempotency).where(
        tables.idempotency.c.user_id == WHOSE, tables.idempotency.c.key == bindparam("key")
    )
)
LEDGER = tables.ledger_entries.c
ENTRIES = own(tables.ledger_entries, LEDGER.booked_at, LEDGER.entry_id, LEDGER.line)
ENTRIES_OF_ACCOUNT = known(ENTRIES.where(LEDGER.account_id == bindparam("account")))
CONSENTS = known(
    select(tables.consents)
    .where(tables.consents.c.user_id == WHOSE)
    .order_by(tables.consents.c.version)
)
ERASURE = known(select(tables.erasure_requests).where(tables.erasure_requests.c.user_id == WHOSE))
PARTS = ("working", "final")  # of all orders; each has its index


@cache
def latest(
    table: Table,
    time: str,
    *,
    part: str = "",
    of_bot: bool = False,
    has_before: bool = False,
    has_since: bool = False,
    has_symbol: bool = False,
) -> Select[Any]:
    """Return the query of a user's latest rows, made once for each way to ask."""
    at, id = table.c[time], table.c.id
    query = select(table).where(table.c.user_id == WHOSE).order_by(at.desc(), id.desc())
    query = query.limit(bindparam("limit", type_=Integer()))
    if part:
        query = query.where(tables.is_working if part == "working" else tables.is_final)
    if of_bot:
        query = query.where(table.c.bot_id == bindparam("bot"))
    if has_before:
        before = bindparam("before", type_=at.type)
        older = or_(at < before, id < bindparam("before_id", type_=id.type))
        query = query.where(at <= before, older)  # the first half is the index's
    if has_since:
        query = query.where(at >= bindparam("since", type_=at.type))
    if has_symbol:
        query = query.where(table.c.symbol == bindparam("symbol"))
    kept: Select[Any] = known(query)
    return kept


def page_query(table: Table, time: str, page: Page, part: str = "") -> Select[Any]:
    return latest(
        table,
        time,
        part=part,
        has_before=page.before is not None,
        has_since=page.since is not None,
        has_symbol=page.symbol is not None,
    )


class UserReads:
    """The reading half of a user's store."""

    def __init__(self, connection: Reading, user_id: UserId) -> None:
        self._connection = connection
        self._user_id = user_id

    @property
    def user_id(self) -> UserId:
        return self._user_id

    async def guard(self) -> GuardMemory | None:
        return await queries.read_guard(self._connection, self._user_id)

    async def orders(self, bot_id: BotId | None = None, limit: int = 100) -> Sequence[Order]:
        found: list[Order] = []
        given = {"whose": self._user_id, "limit": limit, "bot": bot_id}
        for part in PARTS:
            query = latest(tables.orders, "decided_at", part=part, of_bot=bot_id is not None)
            found += [shapes.ORDER.read(row) for row in await rows(self._connection, query, given)]
        return sorted(found, key=lambda order: (order.decided_at, order.id))[-limit:]

    async def order(self, order_id: OrderId) -> Order | None:
        table = tables.orders
        query = select(table).where(table.c.user_id == self._user_id, table.c.id == order_id)
        found = await rows(self._connection, query)
        return shapes.ORDER.read(found[0]) if found else None

    async def order_page(
        self, page: Page, *, states: Collection[OrderState] | None = None
    ) -> Sequence[Order]:
        found: list[Order] = []
        for part in PARTS:
            query = page_query(tables.orders, "decided_at", page, part)
            if states is not None:
                query = query.where(tables.orders.c.state.in_(states))
            told = await rows(self._connection, query, self._given(page))
            found += [shapes.ORDER.read(row) for row in told]
        newest = sorted(found, key=lambda order: (order.decided_at, order.id), reverse=True)
        return newest[: page.limit]

    async def trade_page(self, page: Page) -> Sequence[Trade]:
        query = page_query(tables.trades, "closed_at", page)
        found = await rows(self._connection, query, self._given(page))
        return [shapes.TRADE.read(row) for row in found]

    def _given(self, page: Page) -> dict[str, Any]:
        before = page.before
        return {
            "whose": self._user_id,
            "limit": page.limit,
            "before": before and before.at,
            "before_id": before and before.id,
            "since": page.since,
            "symbol": str(page.symbol),
        }

    async def fills(self, order_ids: Sequence[OrderId]) -> Sequence[Fill]:
        table = tables.fills
        query = (
            select(table)
            .where(table.c.user_id == self._user_id, table.c.order_id.in_(order_ids))
            .order_by(table.c.filled_at, table.c.id)
        )
        return [shapes.FILL.read(row) for row in await rows(self._connection, query)]

    async def trades(
        self, *, since: datetime | None = None, bot_id: BotId | None = None, limit: int = 1000
    ) -> Sequence[Trade]:
        query = latest(
            tables.trades, "closed_at", of_bot=bot_id is not None, has_since=since is not None
        )
        given = {"whose": self._user_id, "limit": limit, "bot": bot_id, "since": since}
        found = await rows(self._connection, query, given)
        return [shapes.TRADE.read(row) for row in reversed(found)]

    async def entries(self, account_id: AccountId | None = None) -> Sequence[LedgerEntry]:
        query = ENTRIES if account_id is None else ENTRIES_OF_ACCOUNT
        given = {"whose": self._user_id, "account": account_id}
        return entries_of(await rows(self._connection, query, given, beside=True))

    async def decisions(self, bot_id: BotId, limit: int = 20) -> Sequence[Decided]:
        table = tables.decisions
        query = (
            select(table)
            .where(table.c.user_id == self._user_id, table.c.bot_id == bot_id)
            .order_by(table.c.at.desc(), table.c.outcome.desc(), table.c.guard.desc())
            .limit(limit)
        )
        found = await rows(self._connection, query)
        return [shapes.DECIDED.read(row) for row in reversed(found)]

    async def signal_notes(self, group: str, limit: int = 20) -> Sequence[SignalNote]:
        table = tables.signals
        query = select(table).where(table.c.follower_group == group)
        found = await rows(self._connection, query.order_by(table.c.id.desc()).limit(limit))
        return [
            SignalNote(group=group, at=row["at"], kind=row["kind"], text=row["text"])
            for row in reversed(found)
        ]

    async def answer(self, key: str) -> Answer | None:
        found = await rows(self._connection, ANSWER, {"whose": self._user_id, "key": key})
        return shapes.ANSWER.read(found[0]) if found else None

    async def consents(self) -> Sequence[Consent]:
        given = {"whose": self._user_id}
        found = await rows(self._connection, CONSENTS, given)
        return [shapes.CONSENT.read(row) for row in found]

    async def erasure(self) -> ErasureRequest | None:
        found = await rows(self._connection, ERASURE, {"whose": self._user_id})
        return shapes.ERASURE_REQUEST.read(found[0]) if found else None
