"""What a host remembers of a real account's ledger."""

import pytest

from tests.makers import ACCOUNT, BOT, START, USER, after_start, fill
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, LedgerEntry, place_of
from tradefleet.runtime import account_books
from tradefleet.runtime.account_books import AccountBooks


def moved(source: str, target: str, at=START) -> LedgerEntry:
    return LedgerEntry.of_transfer(
        id=f"{source} {target}",
        user_id=USER,
        account_id=ACCOUNT,
        kind="external",
        at=at,
        asset="USDT",
        amount=fill().cost,
        source=source,
        target=target,
    )


def test_books_were_compared_when_something_came_from_outside():
    allocation = moved(FREE, place_of(BOT), after_start(minutes=3))
    books = AccountBooks([allocation])
    assert books.compared_at is None
    books.take(moved(EXTERNAL, FREE, after_start(minutes=2)))
    books.take(moved(EXTERNAL, OWN, after_start(minutes=1)))
    assert books.compared_at == after_start(minutes=2)
    assert books.newest == after_start(minutes=3)
    assert books.changes == 3


def test_trades_that_are_booked_are_known_whoever_made_them():
    ours = LedgerEntry.of_fill(fill(id="t:1"), user_id=USER, account_id=ACCOUNT, bot_id=BOT)
    theirs = LedgerEntry.of_external_trade(
        fill(id="t:2"), user_id=USER, account_id=ACCOUNT, place=OWN
    )
    assert set(AccountBooks([ours, theirs, moved(EXTERNAL, OWN)]).trades) == {"t:1", "t:2"}


def test_a_trade_is_added_once():
    ours = LedgerEntry.of_fill(fill(id="t1"), user_id=USER, account_id=ACCOUNT, bot_id=BOT)
    books = AccountBooks([ours, ours])
    assert books.balances.of(place_of(BOT), "BTC") == 1
    assert books.changes == 1


def test_only_the_latest_trades_are_kept_in_mind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(account_books, "TRADES_KEPT", 3)
    books = AccountBooks([])
    for number in range(5):
        books.know(fill(id=f"t{number}").id)
    assert list(books.trades) == ["t2", "t3", "t4"]
