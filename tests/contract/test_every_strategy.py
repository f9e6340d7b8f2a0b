"""Rules that hold for every strategy in the folder, present and future."""

from decimal import Decimal

import pytest

from tests.bars import RECORDED, generated, recorded
from tests.makers import bar
from tradefleet import strategies
from tradefleet.domain.errors import Refused
from tradefleet.plugins import find_plugins

SPECS = list(find_plugins(strategies, "STRATEGY").values())
BARS = generated(1, 2500)
# What a strategy cannot be built without, by its name.
NEEDED: dict[str, dict[str, str]] = {}
JUNK = ["", " ", "x", "nan", "inf", "-1", "1e400", "0x1", "1,2", "None", "9" * 400, "Ω", "\0"]


def built(spec, **params):
    return spec.build({**NEEDED.get(spec.name, {}), **params})


def signals_of(strategy, bars):
    return [strategy.on_bar(b) for b in bars]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
class TestEveryStrategy:
    def test_says_what_it_is(self, spec):
        assert spec.name.isidentifier()
        assert spec.summary.endswith(".")
        assert spec.bars_needed >= 1

    def test_decides_the_same_twice(self, spec):
        assert signals_of(built(spec), BARS) == signals_of(built(spec), BARS)

    @pytest.mark.parametrize("end", range(600, 2500, 37))
    def test_can_be_rebuilt_from_the_bars_it_says_it_needs(self, spec, end):
        old, rebuilt = built(spec), built(spec)
        signals = signals_of(old, BARS[:end])
        again = signals_of(rebuilt, BARS[max(end - spec.bars_needed, 0) : end])
        assert again[-1] == signals[-1]
        assert rebuilt.why_not() == old.why_not()
        assert rebuilt.trail_distance() == old.trail_distance()

    @pytest.mark.parametrize("name", RECORDED)
    def test_can_be_rebuilt_from_recorded_bars(self, spec, name):
        bars = recorded(name)
        signals = signals_of(built(spec), bars)
        for end in range(spec.bars_needed, len(bars), 401):
            again = signals_of(built(spec), bars[end - spec.bars_needed : end])
            assert again[-1] == signals[end - 1]

    def test_refuses_a_parameter_it_does_not_know(self, spec):
        with pytest.raises(Refused, match="no_such_thing"):
            built(spec, no_such_thing="1")

    def test_lists_parameters_with_the_defaults_it_has(self, spec):
        for name, (default, meaning) in spec.parameters.items():
            assert meaning, name
            assert built(spec, **{name: default}).plan == built(spec).plan
        listed = {name: default for name, (default, _) in spec.parameters.items()}
        assert signals_of(built(spec, **listed), BARS) == signals_of(built(spec), BARS)

    @pytest.mark.parametrize("junk", JUNK)
    def test_takes_or_refuses_any_text_for_a_parameter(self, spec, junk):
        for name in spec.parameters:
            try:
                built(spec, **{name: junk})
            except Refused as refused:
                assert name in str(refused)

    def test_asks_for_a_share_of_the_balance_and_has_a_stop_below_the_price(self, spec):
        entries = [
            (signal.entry, b)
            for signal, b in zip(signals_of(built(spec), BARS), BARS, strict=True)
            if signal and signal.entry
        ]
        for entry, b in entries:
            assert 0 < entry.fraction <= Decimal("0.10")
            assert 0 < entry.stop < b.close
            assert entry.reasons

    def test_says_why_with_every_signal_and_never_signals_nothing(self, spec):
        for signal in filter(None, signals_of(built(spec), BARS)):
            assert signal.entry or signal.exit_reason
            assert signal.reasons

    def test_says_why_not_exactly_when_there_is_no_entry(self, spec):
        strategy = built(spec)
        assert strategy.why_not()
        for b in BARS[:800]:
            signal = strategy.on_bar(b)
            assert (strategy.why_not() == "") == bool(signal and signal.entry)

    def test_has_a_plan_that_can_be_carried_out(self, spec):
        plan = built(spec).plan
        multiples = [multiple for multiple, _ in plan.targets]
        assert multiples == sorted(set(multiples))
        assert all(multiple > 0 for multiple in multiples)
        assert all(0 <= share <= 1 for _, share in plan.targets)
        assert sum(share for _, share in plan.targets) <= 1

    @pytest.mark.parametrize(
        "bars",
        [
            [bar(100, n, high=100, low=100, volume=0) for n in range(300)],
            [bar(100, n, high=100, low=100) for n in range(300)],
            [bar(100, n, volume=0) for n in range(300)],
            [bar(Decimal("1e-8"), n, high="1e-8", low="1e-8") for n in range(300)],
            [bar(Decimal(10) ** (n % 30 - 15), n, low="1e-16") for n in range(300)],
            [bar(Decimal(10) ** (n % 9 * 76 - 305), n, low="1e-320") for n in range(300)],
            [bar(2, n, low=1, volume=10 ** (n % 300)) for n in range(300)],
            [*BARS[:150], *(bar(3, n, high=3, low=3, volume=0) for n in range(300))],
        ],
        ids=["dead", "flat", "no volume", "one tick", "leaping", "absurd", "bursts", "dies"],
    )
    def test_never_fails_on_a_bar(self, spec, bars):
        strategy = built(spec)
        for b in bars:
            strategy.on_bar(b)
            assert isinstance(strategy.why_not(), str)
            distance = strategy.trail_distance()
            assert distance is None or distance >= 0
