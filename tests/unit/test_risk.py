"""An entry is reviewed against the bot's own figures; every refusal names them."""

import decimal
from decimal import Decimal

import pytest

from tests.makers import RULES, order
from tradefleet.domain.limits import Approved, Denied, RiskLimits
from tradefleet.domain.market import TradingRules
from tradefleet.domain.order import Purpose
from tradefleet.engine.risk import figure, percent, review


def verdict(quantity="1", price=100, free=1000, balance=1000, rules=RULES, **limits):
    return review(
        order(quantity),
        price=Decimal(price),
        free_quote=Decimal(free),
        balance=Decimal(balance),
        limits=RiskLimits(**limits),
        rules=rules,
    )


def test_an_entry_that_keeps_every_limit_is_approved():
    assert (
        verdict(
            position_quote_max=Decimal(100),
            position_share_max=Decimal("0.1"),
            leverage_max=Decimal(1),
            symbols_allowed=frozenset({"BTC/USDT", "ETH/USDT"}),
            symbols_blocked=frozenset({"DOGE/USDT"}),
        )
        == Approved()
    )


def test_an_exit_is_never_refused():
    exit_order = order("0.00000001", purpose=Purpose.EXIT)

    assert (
        review(
            exit_order,
            price=Decimal(1),
            free_quote=Decimal(0),
            balance=Decimal(0),
            limits=RiskLimits(position_quote_max=Decimal(0), symbols_allowed=frozenset()),
            rules=RULES,
        )
        == Approved()
    )


@pytest.mark.parametrize(
    ("given", "guard", "reason"),
    [
        ({"quantity": "0.04"}, "notional_min", "The order is worth 4; the venue's least is 5."),
        (
            {"quantity": "0", "rules": TradingRules()},
            "notional_min",
            "The order is worth 0; the venue's least is 0.",
        ),
        (
            {"quantity": "0.9", "rules": TradingRules(quantity_min=Decimal(1))},
            "quantity_min",
            "The order is for 0.9; the venue's least is 1.",
        ),
        (
            {"position_quote_max": Decimal("99.99")},
            "position_size",
            "The position would cost 100; the limit is 99.99.",
        ),
        (
            {"position_share_max": Decimal("0.05")},
            "position_size",
            "The position would cost 100; the limit is 5% of 1000, which is 50.",
        ),
        (
            {"symbols_blocked": frozenset({"BTC/USDT"})},
            "symbol",
            "BTC/USDT is on the list of blocked symbols.",
        ),
        (
            {"symbols_allowed": frozenset({"SOL/USDT", "ETH/USDT"})},
            "symbol",
            "BTC/USDT is not among the allowed symbols (ETH/USDT, SOL/USDT).",
        ),
        (
            {"symbols_allowed": frozenset()},
            "symbol",
            "BTC/USDT is not among the allowed symbols (none).",
        ),
        (
            {"free": 20, "leverage_max": Decimal("2.5")},
            "leverage",
            "The order costs 100; with leverage 2.5 at most 50 on the free 20.",
        ),
        (
            {"free": 100},
            "free_funds",
            "The order costs 100 and a fee of 0.1; 100 is free.",
        ),
    ],
)
def test_a_refusal_names_the_guard_the_figures_and_the_limit(given, guard, reason):
    assert verdict(**given) == Denied(guard, reason)


def test_leverage_carries_more_than_is_free():
    assert verdict(free=51, leverage_max=Decimal(2)) == Approved()
    assert verdict(free=50, leverage_max=Decimal(2)).guard == "free_funds"


def test_what_is_free_must_pay_the_fee_too():
    assert verdict(free="100.1") == Approved()
    assert verdict(free="100.09999999").guard == "free_funds"


def test_the_global_decimal_context_changes_no_verdict():
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_DOWN):
        assert verdict("1.00001", 1000, free="1001.01001").__class__ is Approved
        assert verdict("1.00001", 1000, free="1001.01000").reason == (
            "The order costs 1000.01 and a fee of 1.00001; 1001.01 is free."
        )


@pytest.mark.parametrize(
    ("value", "text"), [("100", "100"), ("-0", "0"), ("0.10", "0.1"), ("1E+3", "1000")]
)
def test_figures_are_written_for_people(value, text):
    assert figure(Decimal(value)) == text


def test_shares_are_written_as_percentages():
    assert percent(Decimal("0.125")) == "12.5%"
