"""What is played is read from names and strings; what cannot be read is refused with the cure."""

from decimal import Decimal

import pytest

from tests.makers import BTC
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Timeframe, TradingRules
from tradefleet.simulation.options import MARKET_PARAMETERS, PlayOptions, split_parameters
from tradefleet.simulation.paper_book import Costs
from tradefleet.strategies.ema_cross import STRATEGY


def split(**given):
    return split_parameters(given, STRATEGY)


def test_nothing_given_is_the_defaults():
    """STRATEGIES.md rule 25: fee 0.1 %, steps of 1e-8, no least notional, nothing else."""
    expected = TradingRules(
        price_tick=Decimal("1e-8"),
        quantity_step=Decimal("1e-8"),
        notional_min=Decimal(0),
        fee=Decimal("0.001"),
    )

    assert split() == ({}, expected, Costs(), False)


def test_the_defaults_are_what_the_list_of_parameters_says():
    assert split(**{name: default for name, (default, _) in MARKET_PARAMETERS.items()}) == split()


def test_the_strategy_gets_its_own_parameters_and_the_market_the_others():
    own, rules, costs, limited = split(
        fast="5", fee="0.002", slippage="0.01", volume_share="0.1", step="0.001", tick="0.5",
        min_notional="10", limits="default",
    )  # fmt: skip

    assert own == {"fast": "5"}
    assert rules == TradingRules(
        price_tick=Decimal("0.5"),
        quantity_step=Decimal("0.001"),
        notional_min=Decimal(10),
        fee=Decimal("0.002"),
    )
    assert costs == Costs(slippage=Decimal("0.01"), volume_share=Decimal("0.1"))
    assert limited


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"feee": "0"}, "There is no parameter 'feee' in ema_cross. Did you mean fee?"),
        ({"zzz": "0"}, "There is no parameter 'zzz' in ema_cross. Known: fast, slow, "),
        ({"limits": "on"}, "limits must be off or default, not 'on'."),
        ({"fee": "cheap"}, "fee must be a number, not 'cheap'."),
        ({"fee": ""}, "fee must be a number, not ''."),
        ({"fee": "nan"}, "fee must be 0 or more and at most 1, not nan."),
        ({"fee": "-0.1"}, "fee must be 0 or more and at most 1, not -0.1."),
        ({"fee": "1.1"}, "fee must be 0 or more and at most 1, not 1.1."),
        ({"slippage": "0.6"}, "slippage must be 0 or more and at most 0.5, not 0.6."),
        ({"volume_share": "0"}, "volume_share must be above 0 and at most 1, not 0."),
        ({"step": "0"}, "step must be above 0, not 0."),
        ({"tick": "-1"}, "tick must be above 0, not -1."),
        ({"min_notional": "inf"}, "min_notional must be 0 or more, not inf."),
    ],
)
def test_what_cannot_be_played_is_refused(given, text):
    with pytest.raises(Refused) as refused:
        split(**given)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize("given", [{"fee": "1"}, {"slippage": "0.5"}, {"volume_share": "1"}])
def test_the_most_is_allowed(given):
    split(**given)


def test_limits_are_off_unless_asked_for():
    options = {"symbol": BTC, "timeframe": Timeframe(60), "strategy": "apex", "balance": Decimal(1)}

    assert PlayOptions(**options).limits == RiskLimits()
    assert PlayOptions(**options, limited=True).limits == RiskLimits.default()
