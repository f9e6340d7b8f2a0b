"""Backtests trade by trade as the written rules say, and never know what comes later."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bars import RECORDED, generated, recorded
from tests.bot_rig import APEX, PLAIN
from tests.played import Recording, Scripted, built, course, minutes, played
from tests.simulation.written_play import play
from tradefleet.domain.market import TradingRules
from tradefleet.domain.signal import Entry, Signal

D = Decimal
EAGER = {"apex": {"warmup": "60", "filters_min": "3", "score_min": "2"}, "ema_cross": {}}


# ---- the rules, written a second time


def market(seed: int, count: int = 250):
    """Return bars with gaps, signals at random closes, and how they are to be played."""
    random = Random(seed)
    bars = [b for b in generated(seed % 97, count) if random.random() > 0.05]
    signals = {}
    for number, bar in enumerate(bars):
        chance = random.random()
        stop = bar.close * D(random.randint(950, 1002)) / 1000
        entry = Entry(stop, D(random.choice(["0.02", "0.1", "0.9", "1"])), 4, 0.5, ("a test",))
        if chance < 0.3:
            signals[number] = Signal(entry)
        elif chance < 0.35:
            signals[number] = Signal(exit_reason=random.choice(["ema_cross", "opposite_signal"]))
        elif chance < 0.4:
            signals[number] = Signal(entry, "opposite_signal")
    rules = TradingRules(
        price_tick=random.choice([D("1e-8"), D("0.00001")]),
        quantity_step=random.choice([D("1e-8"), D("0.01"), D(1)]),
        notional_min=random.choice([D(0), D(0), D("0.05")]),
        fee=random.choice([D(0), D("0.001"), D("0.01")]),
    )
    trail = random.choice([None, D("0.0001"), D("0.0007")])
    return bars, signals, random.choice([APEX, PLAIN]), trail, rules, random.choice([D(1), D(10)])


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6))
def test_trades_are_those_of_the_rules_written_a_second_time(seed):
    bars, signals, plan, trail, rules, balance = market(seed)
    test = played(Scripted(signals, plan, trail), bars, rules=rules, balance=balance)

    trades, cash, base = play(bars, signals, plan, trail, rules, balance, minutes(1))

    found = [
        (t.opened_at, t.closed_at, t.quantity, t.entry_price, t.gross_pnl, t.fees, t.exit_reason,
         f"{t.exit_price:.20f}")
        for t in test.trades
    ]  # fmt: skip
    assert found == [(*t[:-1], f"{t[-1]:.20f}") for t in trades]
    position = test.engine.position
    assert (test.engine.cash, position.quantity if position else 0) == (cash, base)


# ---- no look ahead


def check_cuts(name, bars, every, timeframe="1m"):
    """Cutting the end off changes no trade that was closed before."""
    whole = played(built(name, **EAGER[name]), bars, timeframe=timeframe)
    assert len(whole.trades) > 2
    for end in range(every, len(bars), every):
        cut = played(built(name, **EAGER[name]), bars[:end], timeframe=timeframe)
        assert cut.trades == [t for t in whole.trades if t.closed_at < bars[end].opened_at]
        assert cut.equity(bars[:end]) == whole.equity(bars)[:end]


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("seed", range(3))
def test_no_trade_depends_on_generated_bars_that_come_later(name, seed):
    check_cuts(name, generated(seed, 600), 97)


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("file", ["ETH_BTC-5m", "XRP_ETH-1m"])
def test_no_trade_depends_on_recorded_bars_that_come_later(name, file):
    check_cuts(name, recorded(file)[:2400], 601, frame_of(file))


def frame_of(file):
    return file.rpartition("-")[2]


def said_from(name, file, start):
    """Return the backtest that starts there, and what the strategy says of each bar."""
    strategy = Recording(built(name))
    test = played(strategy, recorded(file)[start:], timeframe=frame_of(file))
    return test, strategy.said


def flat_since(test, at):
    """Return the first moment from at on at which no trade of the test is open."""
    for trade in test.trades:
        if trade.opened_at <= at <= trade.closed_at:
            at = trade.closed_at + minutes(1)
    return at


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("file", RECORDED)
def test_a_bot_that_starts_later_says_and_trades_the_same_once_it_is_warm(name, file):
    bars = recorded(file)
    start = min(700, len(bars) // 3)
    early, all_said = said_from(name, file, 0)
    late, late_said = said_from(name, file, start)
    warm = min(500, len(bars) - start - 50)

    assert [s for _, s in late_said[warm:]] == [s for _, s in all_said[start + warm :]]
    # From a moment when both are flat they do the same, whatever they have won until then.
    since = bars[start + warm].opened_at
    for _ in range(20):
        since = flat_since(late, flat_since(early, since))
    after = [[t for t in course(test) if t[0] > since] for test in (early, late)]
    assert after[0] == after[1]
    assert after[0] != []


@pytest.mark.parametrize("name", EAGER)
@pytest.mark.parametrize("balance", ["0.01", "0.1", "1000000"])
def test_what_a_bot_does_does_not_depend_on_how_much_it_has(name, balance):
    bars = recorded("ETH_BTC-5m")
    [rich, poor] = (
        played(built(name), bars, balance=amount, timeframe="5m") for amount in (10, balance)
    )

    assert len(rich.trades) > 100
    assert course(rich) == course(poor)


def test_the_same_bars_come_to_the_same():
    bars = generated(5, 800)
    [one, two] = (played(built("apex", **EAGER["apex"]), bars) for _ in range(2))

    assert (one.trades, one.fills, one.holdings) == (two.trades, two.fills, two.holdings)
