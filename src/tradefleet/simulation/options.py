"""What a replay or backtest is asked to play, read from names and strings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.market import Symbol, Timeframe, TradingRules
from tradefleet.domain.money import ZERO
from tradefleet.simulation.paper_book import Costs
from tradefleet.strategy import StrategySpec

MARKET_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "fee": ("0.001", "share of each fill's notional, in quote"),
    "slippage": ("0", "share of the price every fill moves against the order"),
    "volume_share": ("off", "most of a bar's volume one order may take"),
    "step": ("0.00000001", "smallest step of a quantity"),
    "tick": ("0.00000001", "smallest step of a price"),
    "min_notional": ("0", "smallest order, in quote"),
    "limits": ("off", "off, or default for tiers and risk limits"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """One strategy on one recorded market: what both commands take.

    balance is each bot's allocation in quote; strategy_params go to the strategy as they are.
    """

    symbol: Symbol
    timeframe: Timeframe
    strategy: str
    balance: Decimal
    bots: int = 1
    strategy_params: Mapping[str, str] = field(default_factory=dict)
    rules: TradingRules = TradingRules()
    costs: Costs = Costs()
    limited: bool = False

    @property
    def limits(self) -> RiskLimits:
        return RiskLimits.default() if self.limited else RiskLimits()


def split_parameters(
    given: Mapping[str, str], spec: StrategySpec
) -> tuple[dict[str, str], TradingRules, Costs, bool]:
    """Tell the strategy's parameters from the market's; Refused for what neither knows."""
    own = {name: value for name, value in given.items() if name in spec.parameters}
    market = {name: value for name, value in given.items() if name not in own}
    for name in market:
        if name not in MARKET_PARAMETERS:
            known = [*spec.parameters, *MARKET_PARAMETERS]
            near = get_close_matches(name, known, n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else f" Known: {', '.join(known)}."
            raise Refused(f"There is no parameter {name!r} in {spec.name}.{hint}")
    limits = market.get("limits", "off")
    if limits not in ("off", "default"):
        raise Refused(f"limits must be off or default, not {limits!r}.")
    share = market.get("volume_share", "off")
    rules = TradingRules(
        price_tick=_number("tick", market, above_zero=True),
        quantity_step=_number("step", market, above_zero=True),
        notional_min=_number("min_notional", market),
        fee=_number("fee", market, most=Decimal(1)),
    )
    costs = Costs(
        slippage=_number("slippage", market, most=Decimal("0.5")),
        volume_share=None
        if share == "off"
        else _number("volume_share", market, above_zero=True, most=Decimal(1)),
    )
    return own, rules, costs, limits == "default"


def _number(
    name: str, given: Mapping[str, str], *, above_zero: bool = False, most: Decimal | None = None
) -> Decimal:
    text = given.get(name, MARKET_PARAMETERS[name][0])
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Refused(f"{name} must be a number, not {text!r}.") from None
    low_enough = most is None or (value.is_finite() and value <= most)
    if not (value.is_finite() and value >= ZERO and low_enough and (value or not above_zero)):
        least = "above 0" if above_zero else "0 or more"
        top = "" if most is None else f" and at most {most}"
        raise Refused(f"{name} must be {least}{top}, not {text}.")
    return value
