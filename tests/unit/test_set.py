"""Risk limits, as their users change them: what is written is what holds, the rest is refused."""

from dataclasses import fields, replace
from decimal import Decimal

import pytest

from tests.doors import ALICE, PAPER, Door
from tradefleet.domain.limits import RiskLimits
from tradefleet.drawing import limit_text

DEFAULT = RiskLimits.default()


async def said(*messages: str) -> tuple[str, RiskLimits | None]:
    """Return the last answer, and the limits that are stored then."""
    door = Door(PAPER)
    await door.ask("/start")
    text = ""
    for message in messages:
        text = await door.say(message)
    async with door.store.open(ALICE, reading=True) as store:
        return text, await store.limits()


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("daily_loss_share 0.04", {"daily_loss_share": Decimal("0.04")}),
        ("DAILY_LOSS_SHARE off", {"daily_loss_share": None}),
        ("open_positions_max 3", {"open_positions_max": 3}),
        ("position_quote_max 250.5", {"position_quote_max": Decimal("250.5")}),
        ("symbols_allowed btcusdt,ETH/USDT", {"symbols_allowed": {"BTC/USDT", "ETH/USDT"}}),
        ("symbols_blocked BTC/USDT", {"symbols_blocked": {"BTC/USDT"}}),
        ("breaker_hours 12", {"breaker_hours": Decimal(12)}),
        ("losses_in_row_max default", {}),
    ],
)
async def test_a_limit_is_as_it_was_written(words, changed):
    text, limits = await said(f"/set {words}")
    assert text.startswith("✅ ")
    assert limits == replace(DEFAULT, **changed)


async def test_a_limit_goes_back_to_what_it_was_at_first():
    _, limits = await said("/set daily_loss_share off", "/set daily_loss_share default")
    assert limits == DEFAULT


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("nothing 1", "no setting"),
        ("daily_loss_share", "Say what"),
        ("daily_loss_share 5", "part of 1"),
        ("daily_loss_share -0.1", "above zero"),
        ("daily_loss_share much", "not a number"),
        ("open_positions_max 0", "whole number"),
        ("open_positions_max 1.5", "whole number"),
        ("open_positions_max 99999999999", "whole number"),
        ("symbols_allowed everything", "not a pair"),
        ("breaker_hours off", "cannot be off"),
        ("breaker_hours 100000", "at most"),
    ],
)
async def test_what_is_no_limit_is_refused_and_changes_nothing(words, why):
    text, limits = await said(f"/set {words}")
    assert why in text
    assert limits is None


@pytest.mark.parametrize("name", [field.name for field in fields(RiskLimits)])
async def test_what_is_shown_may_be_given_back(name):
    shown = limit_text(getattr(DEFAULT, name))
    text, limits = await said(f"/set {name} {shown}")
    assert (limits == DEFAULT) or "cannot be off" in text


async def test_settings_show_every_limit_by_its_name():
    text, _ = await said("/set daily_loss_share 0.04", "/settings")
    assert all(field.name in text for field in fields(RiskLimits))
    assert "0.04" in text
