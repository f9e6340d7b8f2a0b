"""A signal becomes a size: a share of what is free, rounded down, never more than can be paid."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import Number
from tradefleet.domain.limits import Denied
from tradefleet.domain.market import TradingRules
from tradefleet.domain.money import money_context
from tradefleet.domain.signal import Entry, TradePlan
from tradefleet.engine.sizing import Sized, size_entry

RULES = TradingRules(
    price_tick=Decimal("0.01"), quantity_step=Decimal("0.001"), notional_min=Decimal(10)
)


def sized(
    free: Number = 10_000,
    fraction: Number = "0.06",
    close: Number = 100,
    stop: Number = 98,
    *,
    rules: TradingRules = RULES,
    **plan: Decimal,
) -> Sized | Denied:
    entry = Entry(Decimal(stop), Decimal(fraction), 4, 0.5, ("a test",))
    with money_context():
        return size_entry(
            entry,
            free_quote=Decimal(free),
            close=Decimal(close),
            rules=rules,
            plan=TradePlan(**plan),
        )


def test_six_percent_of_ten_thousand_is_six_hundred():
    """SPEC 4.1: balance 10,000, ADX 35, score 4 → 600; the fee comes on top."""
    assert sized() == Sized(Decimal(6), Decimal(98), Decimal("600.6"))


def test_a_quantity_is_rounded_down_to_the_step():
    assert sized(100, 1, 7, 6).quantity == Decimal("14.285")
    assert sized(100, 1, "7.0001", 6).quantity == Decimal("14.285")


@pytest.mark.parametrize(
    ("stop", "rounded"),
    [("97.904", "97.90"), ("97.905", "97.90"), ("97.915", "97.92"), ("97.9051", "97.91")],
)
def test_a_stop_stands_on_the_nearest_tick_half_to_even(stop, rounded):
    assert sized(stop=stop).stop == Decimal(rounded)


@pytest.mark.parametrize("stop", ["100", "99.995", "101", "0", "0.005", "-1"])
def test_a_stop_must_stand_between_zero_and_the_close(stop):
    denied = sized(stop=stop)

    assert denied.guard == "stop"
    assert denied.reason.endswith("is not between zero and the close 100")


def test_an_order_below_the_least_notional_is_not_made():
    assert sized(100, "0.1").quantity == Decimal("0.1")  # worth 10, which is enough
    assert sized(100, "0.09999") == Denied(
        "notional_min", "0.099 at 100 is below the venue's minimum order of 10"
    )


def test_an_order_below_the_least_quantity_is_not_made():
    rules = replace(RULES, quantity_min=Decimal("0.2"))

    assert sized(100, "0.2", rules=rules).quantity == Decimal("0.2")
    assert sized(100, "0.1999", rules=rules) == Denied(
        "quantity_min", "0.199 is below the venue's minimum quantity of 0.2"
    )


def test_a_quantity_of_nothing_is_not_an_order():
    free = TradingRules(quantity_step=Decimal(1))

    assert sized(99, 1, rules=free) == Denied(
        "notional_min", "0 at 100 is below the venue's minimum order of 0"
    )
    assert sized(0).guard == "notional_min"
    assert sized(-5).guard == "notional_min"


# ---- the optional caps


def test_no_more_is_risked_at_the_stop_than_the_plan_allows():
    """1 % of 10,000 is 100; the stop is 5 away: 20, though 60 % would buy 60."""
    assert sized(fraction="0.6", stop=95, risk_per_trade=Decimal("0.01")).quantity == 20


def test_a_cap_on_the_risk_never_raises_a_size():
    assert sized(fraction="0.06", stop=99, risk_per_trade=Decimal("0.5")).quantity == 6


def test_a_stop_may_be_too_near():
    assert sized(stop=99, min_stop=Decimal("0.01")).quantity == 6
    assert sized(stop="99.01", min_stop=Decimal("0.01")) == Denied(
        "min_stop", "the stop 99.01 is closer than 1% to 100"
    )


# ---- whatever the numbers

prices = st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-2))
shares = st.integers(1, 10_000).map(lambda n: Decimal(n).scaleb(-4))
steps = st.integers(-8, 2).map(lambda n: Decimal(1).scaleb(n))


@given(prices, shares, prices, shares, steps, shares)
def test_a_size_never_takes_more_than_its_share(free, fraction, close, distance, step, risk):
    rules = TradingRules(price_tick=Decimal("0.0001"), quantity_step=step)
    stop = close * (1 - distance)

    got = sized(free, fraction, close, stop, rules=rules, risk_per_trade=risk)

    if isinstance(got, Denied):
        return
    with money_context():
        assert got.quantity % step == 0
        assert 0 < got.quantity * close <= free * fraction
        assert got.quantity * (close - got.stop) <= free * risk
        cost, fee = got.quantity * close, got.quantity * close * rules.fee
        assert abs(got.reserve - cost - fee) <= Decimal("0.5e-8")
