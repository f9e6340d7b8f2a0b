"""Rival entries are ranked by score, then strength, then name, and paid from one purse."""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bot_rig import Rig, enter
from tests.makers import ACCOUNT, BTC, ETH, USER
from tradefleet.domain.ids import BotId, UniverseId
from tradefleet.domain.limits import Denied, RiskLimits
from tradefleet.domain.market import Symbol
from tradefleet.domain.signal import Entry
from tradefleet.domain.universe import UniverseSpec
from tradefleet.engine.universe import Universe, ranked, standing

SOL = Symbol("SOL", "USDT")


def entry(score: int, strength: float = 0.0) -> Entry:
    return Entry(Decimal(90), Decimal("0.05"), score, strength, ())


def test_score_beats_strength_and_strength_beats_the_name():
    rivals = [
        (BTC, entry(3, 0.9)),
        (SOL, entry(4, 0.1)),
        (ETH, entry(4, 0.1)),
        (Symbol("XRP", "USDT"), entry(4, 0.2)),
    ]

    assert [str(symbol) for symbol, _ in ranked(rivals)] == [
        "XRP/USDT",
        "ETH/USDT",
        "SOL/USDT",
        "BTC/USDT",
    ]


def test_nothing_ranks_to_nothing():
    assert ranked([]) == []


@settings(deadline=None)
@given(st.permutations([(BTC, entry(3)), (ETH, entry(3)), (SOL, entry(4)), (SOL, entry(2))]))
def test_the_order_of_coming_does_not_matter(rivals):
    assert [s.base for s, _ in ranked(iter(rivals))] == ["SOL", "BTC", "ETH", "SOL"]


# ---- the purse


@dataclass
class Bot:
    cash: Decimal = Decimal(0)
    invested: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    is_engaged: bool = False


def universe(*bots: Bot, most: int | None = None) -> Universe:
    spec = UniverseSpec(
        id=UniverseId("U"),
        user_id=USER,
        account_id=ACCOUNT,
        name="main",
        asset="USDT",
        allocation=Decimal(1000),
        carried=Decimal(-50),
        positions_max=most,
    )
    return Universe(spec, {BotId(f"b{n}"): bot for n, bot in enumerate(bots)})


def test_a_new_universe_has_what_it_was_given_and_what_bots_have_left_there():
    made = universe(Bot(), Bot())
    assert (made.cash, made.balance, made.free) == (950, 950, 950)


def test_what_is_held_is_spent_but_in_the_balance_and_what_is_reserved_is_not_free():
    made = universe(Bot(cash=Decimal(-101), invested=Decimal(100)), Bot(reserved=Decimal(60)))
    assert (made.cash, made.balance, made.free) == (849, 949, 789)


def test_as_many_positions_as_the_limit_and_a_bots_own_does_not_count_against_it():
    made = universe(Bot(is_engaged=True), Bot(), most=1)
    assert made.review(BotId("b0")) is None
    denied = made.review(BotId("b1"))
    assert denied == Denied(
        "universe_positions",
        "1 positions and entries are open in the universe main; the limit is 1.",
    )
    assert universe(Bot(is_engaged=True), Bot()).review(BotId("b1")) is None


def test_an_entry_is_told_how_it_stands_among_its_rivals():
    rivals = [(BTC, entry(5)), (ETH, entry(4)), (SOL, entry(3, 0.123))]
    assert standing(0, rivals) == "place 1 of 3 entries of this bar (score 5, strength 0.00)"
    assert standing(2, rivals) == (
        "place 3 of 3 entries of this bar (score 3, strength 0.12), after BTC/USDT, ETH/USDT"
    )
    assert standing(0, rivals[:1]) == ""
    assert standing(4, 5 * rivals[:1]).count("BTC/USDT") == 3


def test_a_universe_shares_what_its_bots_own_limits_are_shares_of():
    shared = universe()
    limits = RiskLimits(position_share_max=Decimal("0.05"))
    rig = Rig(universe=shared, allocation=Decimal(0), universe_id=shared.spec.id, limits=limits)
    rig.closes(100, enter(fraction="0.06"))
    (decided,) = rig.decided
    assert decided.guard == "position_size"
    assert "5% of 950" in decided.reason
    rig.closes(100, enter(fraction="0.05"))
    assert rig.newest.quantity == Decimal("0.475")


def test_a_part_that_was_bought_is_no_longer_reserved():
    shared = universe()
    rig = Rig(universe=shared, allocation=Decimal(0), universe_id=shared.spec.id)
    rig.closes(100, enter(fraction="0.1"))
    assert shared.free == Decimal(950) - Decimal("95.095")
    rig.due()
    rig.accept()
    rig.fill(100, "0.475")
    assert shared.free == Decimal(950) - Decimal("95.095")
    rig.end(order=rig.newest)
    assert shared.free == Decimal(950) - Decimal("47.5475")
