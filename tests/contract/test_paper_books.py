"""What holds for the paper venue's books in every store."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.makers import START, fill
from tests.store_rig import ALICE, BOB, LATE, LONG, UNIT, bot, full_order, order_of
from tradefleet.domain.errors import StoreError
from tradefleet.domain.order import Side
from tradefleet.store import PaperAccountState, PaperChange, PaperOrder

OWN = bot(ALICE)
ONE, TWO = OWN.account_id, bot(BOB).account_id


def paper(id, **changes):
    given = {"venue_order_id": f"P {id}", "order": order_of(OWN, id), **changes}
    return PaperOrder(**given)


def change(number, *orders, account_id=ONE, **rest):
    return PaperChange(account_id=account_id, number=number, orders=orders, **rest)


@pytest.fixture
def books(store):
    return store.paper_books


async def test_an_unknown_account_has_nothing(books):
    assert await books.load(ONE) is None
    assert await books.order(ONE, "o1") is None
    assert await books.fills_of(ONE, "o1") == []
    await books.write([])


async def test_what_was_written_comes_back_exactly(books):
    full = PaperOrder(
        venue_order_id="P1",
        order=full_order(OWN),
        open=False,
        filled=LONG,
        reject_reason="insufficient USDT",
    )
    fills = (
        replace(fill(LONG, UNIT, id="f2", order_id="full"), cost=LONG, fee=UNIT, fee_quote=LONG),
        fill(UNIT, 1, Side.SELL, id="f1", order_id="full", at=LATE),
        fill(id="f3", order_id="other"),
    )
    balances = {"USDT": -LONG, "BTC": UNIT, "deposited USDT": Decimal("1E-8")}
    await books.write([change(7, full, paper("o2"), fills=fills, balances=balances)])
    assert await books.load(ONE) == PaperAccountState(
        account_id=ONE, number=7, balances=balances, open_orders=[paper("o2")]
    )
    assert await books.order(ONE, "full") == full
    assert await books.fills_of(ONE, "full") == list(fills[:2])
    both = await books.fills_between(ONE, START, LATE)
    assert [each.id for each in both] == ["f2", "f3", "f1"]
    assert [each.id for each in await books.fills_between(ONE, START, START)] == ["f2", "f3"]
    assert await books.fills_between(TWO, START, LATE) == []


async def test_open_orders_come_in_the_order_they_were_accepted(books):
    await books.write([change(1, paper("z"), paper("a")), change(2, paper("m"))])
    await books.write([change(3, paper("z", filled=UNIT)), change(4, paper("b"))])
    await books.write([change(5, paper("a", open=False))])
    state = await books.load(ONE)
    assert [each.order.id for each in state.open_orders] == ["z", "m", "b"]
    assert state.open_orders[0] == paper("z", filled=UNIT)


async def test_of_what_changes_twice_at_once_the_last_counts(books):
    await books.write(
        [
            change(1, paper("o1"), balances={"USDT": Decimal(1), "BTC": Decimal(2)}),
            change(2, paper("o1", filled=UNIT), paper("o1", open=False), balances={"USDT": UNIT}),
        ]
    )
    state = await books.load(ONE)
    assert (state.number, state.balances) == (2, {"USDT": UNIT, "BTC": Decimal(2)})
    assert await books.order(ONE, "o1") == paper("o1", open=False)


async def test_a_change_without_balances_leaves_them(books):
    await books.write([change(1, balances={"USDT": LONG})])
    await books.write([change(2, paper("o1"))])
    assert (await books.load(ONE)).balances == {"USDT": LONG}


async def test_accounts_share_nothing(books):
    await books.write(
        [
            change(1, paper("o1"), fills=(fill(),), balances={"USDT": UNIT}),
            change(9, paper("o1", filled=UNIT), account_id=TWO),
        ]
    )
    assert (await books.load(ONE)).balances == {"USDT": UNIT}
    assert (await books.load(TWO)).balances == {}
    assert (await books.order(TWO, "o1")).filled == UNIT
    assert await books.fills_of(ONE, "o1") == [fill()]
    assert await books.fills_of(TWO, "o1") == []


@pytest.mark.parametrize("number", [3, 2])
async def test_who_does_not_know_the_last_change_cannot_write(books, number):
    await books.write([change(3, balances={"USDT": UNIT})])
    with pytest.raises(StoreError, match="changed by another"):
        await books.write(
            [change(1, paper("o1"), account_id=TWO), change(number, balances={"USDT": LONG})]
        )
    assert (await books.load(ONE)).balances == {"USDT": UNIT}
    assert await books.load(TWO) is None


async def test_many_orders_are_written_at_once(books):
    orders = [paper(f"o{number:04}") for number in range(700)]
    await books.write([change(1, *orders)])
    assert (await books.load(ONE)).open_orders == orders
