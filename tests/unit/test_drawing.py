"""How money, times and tables are written for people."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tradefleet.command import Reply
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.user import Account, Mode
from tradefleet.drawing import (
    account_name,
    count,
    draw,
    draw_table,
    halt_texts,
    moment,
    money,
    percent,
    pnl,
    price,
    quantity,
    status_text,
)


@pytest.mark.parametrize(
    ("amount", "asset", "text"),
    [
        ("1000", "USDT", "$1000.00"),
        ("50", "USD", "$50.00"),
        ("-20", "USDC", "-$20.00"),
        ("0", "USDT", "$0.00"),
        ("-0.004", "USDT", "$0.00"),
        ("-0.006", "USDT", "-$0.01"),
        ("1234567.899", "USDT", "$1234567.90"),
        ("1E+3", "USDT", "$1000.00"),
        ("0.05", "BTC", "0.05000000 BTC"),
        ("-0.05", "ETH", "-0.05000000 ETH"),
        ("-1e-9", "BTC", "0.00000000 BTC"),
        ("12.5", "EUR", "12.50000000 EUR"),
    ],
)
def test_money_has_two_decimals_in_dollars_and_eight_in_anything_else(amount, asset, text):
    assert money(Decimal(amount), asset) == text


@pytest.mark.parametrize(
    ("value", "asset", "text"),
    [
        ("100", "USDT", "$100.00"),
        ("100.5", "USDT", "$100.50"),
        ("0.00001234", "USDT", "$0.00001234"),
        ("0.1234567890", "USDT", "$0.12345679"),
        ("0.03", "BTC", "0.03000000 BTC"),
    ],
)
def test_a_price_has_the_decimals_it_needs(value, asset, text):
    assert price(Decimal(value), asset) == text


@pytest.mark.parametrize(
    ("value", "text"), [("100", "100"), ("0.50", "0.5"), ("0", "0"), ("0.00000001", "0.00000001")]
)
def test_a_quantity_has_no_zeros_it_does_not_need(value, text):
    assert quantity(Decimal(value)) == text


@pytest.mark.parametrize(
    ("amount", "of", "text"),
    [
        ("50", "1000", "$50.00 (5.00%)"),
        ("-20", "500", "-$20.00 (-4.00%)"),
        ("0", "1000", "$0.00 (0.00%)"),
        ("-0.001", "1000", "$0.00 (0.00%)"),
        ("5", "0", "$5.00 (0.00%)"),
    ],
)
def test_a_result_has_its_sign_before_the_dollar_and_its_share_behind(amount, of, text):
    assert pnl(Decimal(amount), Decimal(of), "USDT") == text


def test_small_words():
    assert percent(Decimal("0.1234")) == "12.34%"
    assert moment(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == "2026-01-01T00:05:00Z"
    assert (count(1, "pair"), count(0, "pair"), count(3, "pair")) == (
        "1 pair",
        "0 pairs",
        "3 pairs",
    )
    assert all(map(status_text, BotStatus))
    assert halt_texts(None, datetime(2026, 1, 1, tzinfo=UTC)) == []


def test_an_account_is_named_by_its_venue_and_what_kind_it_is():
    def account(venue: str, mode: Mode) -> Account:
        return Account(
            id="a", user_id="u", venue=venue, mode=mode, created_at=datetime(2026, 1, 1, tzinfo=UTC)
        )

    assert account_name(account("paper", Mode.PAPER)) == "paper"
    assert account_name(account("binance", Mode.TESTNET)) == "binance (testnet)"


def test_numbers_stand_right_and_words_left():
    columns = ("Pair", "PnL", "#")
    rows = [("BTC/USDT", "$10.00", "1"), ("A", "-$2.00", "12"), ("B", "-", "3")]
    assert draw_table(columns, rows).splitlines() == [
        "Pair         PnL   #",
        "BTC/USDT  $10.00   1",
        "A         -$2.00  12",
        "B              -   3",
    ]


def test_a_reply_is_its_text_and_its_table():
    @dataclass(frozen=True)
    class Data:
        pass

    assert draw(Reply(text="hello", data=Data())) == "hello"
    assert draw(Reply(text="hello", columns=("a",), rows=(("1",),))) == "hello\n\na\n1"
