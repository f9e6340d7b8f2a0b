"""Whose everything is: nothing of one owner at another's."""

from collections.abc import Iterable

from judge.case import Case
from judge.finding import Finding


def cross_tenant(case: Case) -> Iterable[Finding]:
    yield from _orders_there(case)
    yield from _rows_here(case)


def _orders_there(case: Case) -> Iterable[Finding]:
    for order in case.placed:
        intent, owned = case.intent(order), case.owned(order)
        if intent is None or owned is None or intent.account_id == owned.account_id:
            continue
        yield Finding(
            counter="cross_tenant",
            at_ms=order.first_ms,
            account_id=owned.account_id,
            text=f"order {order.id} at {order.venue} stands in this account, and its id belongs"
            f" to account {intent.account_id}",
            orders=(order.name,),
        )


def _rows_here(case: Case) -> Iterable[Finding]:
    users = {owned.account_id: owned.user_id for owned in case.evidence.owned}
    bots = {contract.bot_id: owned for owned in case.evidence.owned for contract in owned.contracts}
    database = case.evidence.database
    for order in database.orders:
        bot = bots.get(order.bot_id)
        if bot is not None and bot.account_id != order.account_id:
            yield _wrong(
                case,
                order.account_id,
                f"an order of {order.bot_id}, a bot of {bot.account_id}",
                order.id,
            )
        elif users.get(order.account_id, order.user_id) != order.user_id:
            yield _wrong(case, order.account_id, f"an order of user {order.user_id}", order.id)
    for fill in database.fills:
        intent = case.stored.get(fill.order_id)
        if intent is not None and intent.account_id != fill.account_id:
            text = f"fill {fill.id} of an order of account {intent.account_id}"
            yield _wrong(case, fill.account_id, text, fill.order_id)
        elif users.get(fill.account_id, fill.user_id) != fill.user_id:
            text = f"fill {fill.id} of user {fill.user_id}"
            yield _wrong(case, fill.account_id, text, fill.order_id)
    told: set[str] = set()
    for posting in database.postings:
        owner = bots.get(posting.place.removeprefix("bot:"))
        stranger = owner is not None and owner.account_id != posting.account_id
        strange = stranger or users.get(posting.account_id, posting.user_id) != posting.user_id
        if strange and posting.entry_id not in told:
            told.add(posting.entry_id)
            text = f"ledger entry {posting.entry_id} of user {posting.user_id}"
            yield _wrong(case, posting.account_id, f"{text}, at {posting.place}")
    for held in database.held:
        owner = bots.get(held.bot_id)
        if owner is not None and owner.user_id != held.user_id:
            text = f"a position of {held.bot_id} under user {held.user_id}"
            yield _wrong(case, owner.account_id, text)


def _wrong(case: Case, account_id: str, what: str, *orders: str) -> Finding:
    return Finding(
        counter="cross_tenant",
        at_ms=case.ended_ms,
        account_id=account_id,
        text=f"the database has in this account {what}",
        orders=orders,
    )
