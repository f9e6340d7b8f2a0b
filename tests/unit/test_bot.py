"""What a bot is asked to do names what it follows, and what it remembers says its worth."""

from decimal import Decimal

from tests.makers import BOT, USER, fill, spec
from tradefleet.domain.bot import BotMemory
from tradefleet.domain.market import Stream, Timeframe
from tradefleet.domain.position import Position


def memory(**changes) -> BotMemory:
    return BotMemory(bot_id=BOT, user_id=USER, cash=Decimal(900), **changes)


def test_bots_of_one_group_follow_the_same_signals():
    one = spec(1, params={"fast": "9", "slow": "21"})
    two = spec(2, params={"slow": "21", "fast": "9"}, allocation=Decimal(5))

    assert one.stream == Stream("paper", one.symbol, Timeframe(60))
    assert one.group == two.group == "paper BTC/USDT 1m|ema_cross|fast=9,slow=21"
    assert spec(3, params={"fast": "8"}).group != one.group


def test_a_flat_bot_is_worth_its_cash():
    assert memory(last_price=Decimal(5)).equity == 900


def test_a_position_is_worth_the_last_price_or_what_it_cost_at_first():
    position = Position.opened_by(fill("2", "50"))

    assert memory(position=position).equity == 1000
    assert memory(position=position, last_price=Decimal("50.5")).equity == 1001
