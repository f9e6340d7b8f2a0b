"""Limits can be overridden one by one, and the tiers are those that are sold."""

from decimal import Decimal

from tradefleet.domain.limits import TIERS, RiskLimits


def test_nobody_who_never_chose_is_without_limits():
    default = RiskLimits.default()

    assert default.daily_loss_share == Decimal("0.05")
    assert default.losses_in_row_max == 5
    assert default.drawdown_share_max == Decimal("0.15")
    assert default.monthly_loss_share_max is None
    assert default.breaker_hours == 4


def test_what_is_set_takes_the_place_of_the_default_and_the_rest_stays():
    own = RiskLimits(
        losses_in_row_max=3,
        symbols_blocked=frozenset({"DOGE/USDT"}),
        position_quote_max=Decimal(0),
    )

    assert RiskLimits.default().overridden_by(own) == RiskLimits(
        daily_loss_share=Decimal("0.05"),
        losses_in_row_max=3,
        drawdown_share_max=Decimal("0.15"),
        symbols_blocked=frozenset({"DOGE/USDT"}),
        position_quote_max=Decimal(0),
    )
    assert own.overridden_by(RiskLimits()) == own


def test_the_tiers_are_those_of_the_price_list():
    rows = {
        name: (
            tier.entries_per_day,
            tier.open_positions,
            tier.api_calls_per_minute,
            tier.bots,
            tier.signal_channels,
            tier.advanced_signals,
            tier.custom_strategies,
            tier.priority,
        )
        for name, tier in TIERS.items()
    }

    assert rows == {
        "free": (5, 2, 10, 3, 2, False, False, False),
        "premium": (25, 5, 30, 10, 10, True, False, True),
        "enterprise": (100, 20, 100, 50, 50, True, True, True),
    }
    assert all(tier.name == name for name, tier in TIERS.items())
