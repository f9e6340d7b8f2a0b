"""What a run came to is told in one shape, and its ledger is believed only to the last unit."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.makers import ACCOUNT, BOT, BTC, START, USER, Number, after_start, fill, trade
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry, place_of
from tradefleet.domain.market import Side
from tradefleet.simulation.results import (
    BotResult,
    bot_json,
    iso,
    ledger_agrees,
    result_json,
    trade_json,
)


def result(name: str = "first", balanced: bool = True) -> BotResult:
    return BotResult(
        name=name,
        trades=[trade("-0.5")],
        quote=Decimal("999.5"),
        base=Decimal("0.001"),
        last_close=Decimal("123.456789"),
        ledger_balanced=balanced,
    )


# ---- the shape


def test_equity_is_free_quote_and_what_is_held_at_the_last_close():
    assert result().equity == Decimal("999.623456789")


def test_a_trade_is_told_in_strings_of_eight_decimals():
    told = trade_json(
        replace(
            trade("-0.5", at=after_start(minutes=5)),
            fees=Decimal("0.2"),
            entry_price=Decimal("100.123456785"),
        )
    )

    assert told == {
        "opened_at": "2026-01-01T00:00:00Z",
        "closed_at": "2026-01-01T00:05:00Z",
        "side": "long",
        "quantity": "1.00000000",
        "entry_price": "100.12345678",
        "exit_price": "99.50000000",
        "gross_pnl": "-0.50000000",
        "fees": "0.20000000",
        "pnl": "-0.70000000",
        "exit_reason": "stop",
    }


def test_zero_has_no_sign():
    assert trade_json(trade("-0"))["pnl"] == "0.00000000"


def test_times_are_utc_with_z():
    assert iso(START) == "2026-01-01T00:00:00Z"


def test_one_bot_is_told_at_the_top():
    told = result_json(bars=10, gaps=1, signals=2, bots=[result()], elapsed=1.23456)

    assert told == {
        "bars": 10,
        "gaps": 1,
        "signals": 2,
        "trades": [trade_json(trade("-0.5"))],
        "final": {"quote": "999.50000000", "base": "0.00100000", "equity": "999.62345679"},
        "ledger_balanced": True,
        "elapsed_s": 1.235,
    }


@pytest.mark.parametrize("balanced", [True, False])
def test_several_bots_are_told_one_by_one(balanced):
    bots = [result("first"), result("second", balanced)]
    told = result_json(bars=10, gaps=1, signals=2, bots=bots, elapsed=0)

    assert told["bots"] == [{"bot": bot.name, **bot_json(bot)} for bot in bots]
    assert told["ledger_balanced"] is balanced
    assert "trades" not in told


# ---- the ledger's word


def moved(kind: str, source: str, target: str, amount: Number = 1000) -> LedgerEntry:
    return LedgerEntry.of_transfer(
        id=kind,
        user_id=USER,
        account_id=ACCOUNT,
        kind=kind,
        at=START,
        asset="USDT",
        amount=Decimal(amount),
        source=source,
        target=target,
    )


def traded(*args, **changes) -> LedgerEntry:
    return LedgerEntry.of_fill(fill(*args, **changes), user_id=USER, account_id=ACCOUNT, bot_id=BOT)


BOOKED = (
    moved("deposit", EXTERNAL, FREE, 1500),
    moved("allocation", FREE, place_of(BOT)),
    traded(2, 100, fee="0.2"),
    traded(1, 110, Side.SELL, "f2", fee="0.11"),
)


def agrees(entries=BOOKED, quote="909.69", base=1, usdt="1409.69", btc=1, **more) -> bool:
    venue = {"USDT": Decimal(usdt), "BTC": Decimal(btc), **more}
    return ledger_agrees(
        entries,
        bot_id=BOT,
        symbol=BTC,
        quote=Decimal(quote),
        base=Decimal(base),
        venue=venue,
    )


def test_a_ledger_that_explains_bot_and_venue_agrees():
    assert agrees()
    assert agrees(DUST=Decimal(0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"quote": "909.69000001"},
        {"base": "0.99999999"},
        {"usdt": "1409.68999999"},
        {"btc": 0},
        {"DUST": Decimal("1e-8")},
        {"entries": BOOKED[:-1]},
        {"entries": [*BOOKED, BOOKED[-1]]},
        {"entries": ()},
    ],
    ids=lambda wrong: ",".join(wrong),
)
def test_a_unit_too_much_or_too_little_anywhere_is_seen(wrong):
    assert not agrees(**wrong)


def test_an_entry_that_does_not_sum_to_zero_is_seen():
    bent = BOOKED[-1]
    lopsided = object.__new__(LedgerEntry)
    for name in LedgerEntry.__dataclass_fields__:
        object.__setattr__(lopsided, name, getattr(bent, name))
    object.__setattr__(lopsided, "postings", bent.postings[:-1])  # no fee was received

    assert not agrees(entries=[*BOOKED[:-1], lopsided])
