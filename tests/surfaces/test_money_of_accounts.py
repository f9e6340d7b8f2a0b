"""What a pair is given of a real account is there: its exchange is asked first."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.doors import ALICE
from tests.key_rig import GOOD, KeyDoor, key_door
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.ids import AccountId
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, LedgerEntry

ACCOUNT = AccountId("alice:bybit:testnet")


@pytest.fixture
async def door() -> KeyDoor:
    """Alice has connected an account that holds 1,000 USDT."""
    made = await key_door()
    await made.ask("/connect bybit key-of-alice-0123456789 secret-of-alice")
    made.exchange.asked.clear()
    return made


async def booked(door: KeyDoor, amount: int, target: str, id: str = "x1") -> None:
    entry = LedgerEntry.of_transfer(
        id=id,
        user_id=ALICE,
        account_id=ACCOUNT,
        kind="external",
        at=door.still.now(),
        asset="USDT",
        amount=Decimal(amount),
        source=EXTERNAL,
        target=target,
    )
    async with door.store.open(ALICE) as store:
        await store.book(entry)


async def test_a_pair_gets_what_is_there_and_the_reply_says_what_is_left(door):
    assert await door.say("/addpair BTC/USDT 600") == (
        "✅ Trading Pair Added\nSymbol: BTC/USDT\nExchange: bybit\nBalance: $600.00\n"
        "Left on bybit (testnet): $400.00"
    )
    assert [venue for venue, *_ in door.exchange.asked] == ["bybit"]
    assert await door.say("/addpair ETH/USDT 400.01") == (
        "❌ bybit holds 400 USDT that no pair owns; you asked for 400.01."
    )
    assert "Left on bybit (testnet): $0.00" in await door.say("/addpair ETH/USDT 400")


async def test_what_its_user_keeps_there_besides_is_not_given_away(door):
    await booked(door, 700, FREE)
    await booked(door, 300, OWN, "x2")
    assert await door.say("/addpair BTC/USDT 701") == (
        "❌ bybit holds 700 USDT that no pair owns; you asked for 701."
    )
    assert "Left on bybit (testnet): $0.00" in await door.say("/addpair BTC/USDT 700")


@pytest.mark.parametrize(
    "answer",
    [KeyRefused(KeyFault.NETWORK, ""), replace(GOOD, can_read=None), replace(GOOD, can_read=False)],
    ids=["silent", "not said", "may not"],
)
async def test_a_pair_is_not_added_while_its_exchange_does_not_say_what_it_holds(door, answer):
    door.exchange.answer = answer
    assert await door.say("/addpair BTC/USDT 600") == (
        "❌ bybit does not say now what it holds; try again later."
    )
    assert await door.bots() == {}


async def test_a_universe_gets_what_is_there_too(door):
    assert await door.say("/adduniverse BTC/USDT,ETH/USDT 1001") == (
        "❌ bybit holds 1000 USDT that no pair owns; you asked for 1001."
    )
    assert "Universe Added" in await door.say("/adduniverse BTC/USDT,ETH/USDT 1000")
    assert "holds 0 USDT that no pair owns" in await door.say("/addpair ADA/USDT 10")
    asked = len(door.exchange.asked)
    assert "Universe Extended" in await door.say("/adduniverse SOL/USDT")
    assert len(door.exchange.asked) == asked, "it gets no money"


async def test_nobody_is_asked_about_an_account_on_paper(door):
    await door.ask("/connect paper")
    assert "Left on" not in await door.say("/addpair BTC/USDT 5000 paper")
    assert door.exchange.asked == []
