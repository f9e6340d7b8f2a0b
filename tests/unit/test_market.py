"""Symbols, timeframes, rules and bars: what people and venues write, and what cannot be."""

import decimal
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.makers import BTC, START, bar
from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.domain.market import (
    Bar,
    Side,
    Stream,
    Symbol,
    Timeframe,
    TradingRules,
    bar_fault,
    slipped,
)

# ---- symbols


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BTC/USDT", Symbol("BTC", "USDT")),
        (" btcusdt ", Symbol("BTC", "USDT")),
        ("btc-usdt", Symbol("BTC", "USDT")),
        ("BTC_USDT", Symbol("BTC", "USDT")),
        ("BTC/USDT:USDT", Symbol("BTC", "USDT", "USDT")),
        ("BTCUSDT:USDT", Symbol("BTC", "USDT", "USDT")),
        ("BTC/USDT:", Symbol("BTC", "USDT")),
        ("1000PEPE/USDT", Symbol("1000PEPE", "USDT")),
        ("ETHBTC", Symbol("ETH", "BTC")),
        ("BTCFDUSD", Symbol("BTC", "FDUSD")),
        ("BTCEUR", Symbol("BTC", "EUR")),
        ("EURUSD", Symbol("EUR", "USD", slash=False)),
        ("xauusd.m", Symbol("XAU", "USD", slash=False)),
        ("EUR/USD", Symbol("EUR", "USD")),
        ("XAUUSDT", Symbol("XAU", "USDT")),
        ("DOTUSD", Symbol("DOT", "USD")),
        ("BNBUSD", Symbol("BNB", "USD")),
        ("SHIBUSD", Symbol("SHIB", "USD")),
        ("USDTUSD", Symbol("USDT", "USD")),
        ("BTC/TUSD", Symbol("BTC", "TUSD")),
    ],
)
def test_a_pair_is_read_as_people_and_venues_write_it(text, symbol):
    assert Symbol.parse(text) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "BTC",
        "USDT",
        "BUSDT",
        "BTC/",
        "/USDT",
        "BTC/USDT/ETH",
        "BTC/BTC",
        "USDTUSDT",
        "EUREUR",
        "B/USDT",
        "B\u0422C/USDT",  # a Cyrillic letter
        "BTC/USDT:us dt",
        "BTC USDT",
        "A" * 16 + "/USDT",
    ],
)
def test_what_is_no_pair_is_refused_with_the_cure(text):
    with pytest.raises(Refused, match="write it like BTC/USDT"):
        Symbol.parse(text)


@pytest.mark.parametrize("text", ["BTC/USDT", "BTC/USDT:USDT", "EURUSD"])
def test_a_pair_is_written_as_it_is_read(text):
    assert str(Symbol.parse(text)) == text


codes = st.from_regex(r"[A-Z0-9]{2,8}", fullmatch=True)


@settings(deadline=None)
@given(codes, codes, st.one_of(st.just(""), codes))
def test_a_written_pair_is_read_back(base, quote, settle):
    symbol = Symbol(base, quote, settle)
    if base != quote:
        assert Symbol.parse(str(symbol)) == symbol


# ---- timeframes and streams


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("15s", 15, "15s"),
        ("1m", 60, "1m"),
        ("90s", 90, "90s"),
        ("60m", 3600, "1h"),
        (" 4h ", 14400, "4h"),
        ("1d", 86400, "1d"),
        ("7d", 604800, "1w"),
    ],
)
def test_a_timeframe_is_read_and_shown_in_its_largest_unit(text, seconds, shown):
    timeframe = Timeframe.parse(text)

    assert (timeframe.seconds, str(timeframe)) == (seconds, shown)
    assert timeframe.delta == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "m", "1", "0m", "-1m", "1.5h", "1M", "1y", "99999m", "1 m"])
def test_what_is_no_timeframe_is_refused(text):
    with pytest.raises(Refused, match="write it like 1m"):
        Timeframe.parse(text)


@settings(deadline=None)
@given(st.integers(1, 9999), st.sampled_from("smhdw"))
def test_a_shown_timeframe_is_read_back(size, unit):
    timeframe = Timeframe.parse(f"{size}{unit}")

    assert Timeframe.parse(str(timeframe)) == timeframe


def test_a_stream_names_venue_symbol_and_timeframe():
    assert str(Stream("kraken", BTC, Timeframe(300))) == "kraken BTC/USDT 5m"


# ---- rules and prices


def test_a_quantity_is_cut_to_the_venues_step():
    rules = TradingRules(quantity_step=Decimal("0.001"))

    assert rules.round_quantity(Decimal("1.23456")) == Decimal("1.234")


@pytest.mark.parametrize(
    ("quantity", "whole"), [("1.234", True), ("2", True), ("1.2345", False), ("0", False)]
)
def test_only_whole_steps_can_be_ordered(quantity, whole):
    with decimal.localcontext(prec=3):
        assert TradingRules(quantity_step=Decimal("0.001")).is_on_step(Decimal(quantity)) == whole


@pytest.mark.parametrize(
    ("quantity", "allowed"), [("0.05", True), ("0.0499999", False), ("0", False), ("-1", False)]
)
def test_an_order_must_be_large_enough_for_the_venue(quantity, allowed):
    rules = TradingRules(notional_min=Decimal(5))

    with decimal.localcontext(prec=3):
        assert rules.allows(Decimal(quantity), Decimal(100)) == allowed


@pytest.mark.parametrize(("quantity", "allowed"), [("0.05", True), ("0.0499999", False)])
def test_an_order_must_be_as_large_as_the_venue_wants_whatever_it_is_worth(quantity, allowed):
    rules = TradingRules(notional_min=Decimal(5), quantity_min=Decimal("0.05"))

    assert rules.allows(Decimal(quantity), Decimal(10_000)) == allowed
    assert not rules.allows(Decimal("0.05"), Decimal(99))


def test_without_a_minimum_anything_above_zero_is_large_enough():
    assert TradingRules().allows(Decimal("1e-8"), Decimal("1e-8"))
    assert not TradingRules().allows(Decimal(0), Decimal(1))


def test_slippage_moves_the_price_against_us():
    with decimal.localcontext(prec=3):
        bought = slipped(Decimal("12345.67"), Side.BUY, Decimal("0.001"))
        sold = slipped(Decimal("12345.67"), Side.SELL, Decimal("0.001"))

    assert (bought, sold) == (Decimal("12358.01567"), Decimal("12333.32433"))
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


# ---- bars


def test_a_bar_offers_its_numbers_as_floats_too():
    assert bar(100, open=99, high="102.5", low=98, volume=7).numbers == (99, 102.5, 98, 100, 7)


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [
        ("1 2 0.5 1.5 0", None),
        ("1 1 1 1 0", None),
        ("NaN 2 1 1 0", "not a finite number"),
        ("1 Infinity 1 1 0", "not a finite number"),
        ("1 2 1 1 NaN", "not a finite number"),
        ("1 1 0 1 0", "not above zero"),
        ("0 1 0 1 0", "a price is zero"),
        ("-5 1 -5 1 0", "not above zero"),
        ("1 1 2 1 0", "high 1 is below low 2"),
        ("3 2 1 1 0", "outside low 1 … high 2"),
        ("1 2 1 0.5 0", "outside low 1 … high 2"),
        ("1 2 1 2 -1", "volume -1 is negative"),
    ],
)
def test_what_is_impossible_about_a_bar_is_said(numbers, fault):
    found = bar_fault(*map(Decimal, numbers.split()))

    assert found is None if fault is None else fault in found


def test_an_impossible_bar_cannot_be_made():
    with pytest.raises(BrokenInvariant, match="bar of 2026-01-01T00:00:00Z: high 1 is below low 2"):
        bar(1, high=1, low=2)


def test_a_bar_needs_an_aware_time():
    one = Decimal(1)
    with pytest.raises(BrokenInvariant, match="aware"):
        Bar(datetime(2026, 1, 1), one, one, one, one, one)  # noqa: DTZ001
    assert Bar(START, one, one, one, one, one).opened_at.tzinfo is UTC


prices = st.integers(-1, 6)


@settings(deadline=None)
@given(prices, prices, prices, prices, st.integers(-1, 2))
def test_a_bar_without_fault_keeps_all_the_rules(open_, high, low, close, volume):
    possible = 0 < low <= min(open_, close) <= max(open_, close) <= high and volume >= 0

    fault = bar_fault(*map(Decimal, (open_, high, low, close, volume)))
    assert (fault is None) == possible
