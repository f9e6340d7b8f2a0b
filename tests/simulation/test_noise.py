"""Noise: the same number for the same place, whoever asks and in whatever order."""

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.simulation.noise import GOLDEN, TABLE_MAX, WORD, add_waves, key_of, lattice, mix


def waves(first: int, count: int, period: int, stride: int = 1) -> list[float]:
    values = [0.0] * count
    add_waves(values, partial(lattice, key_of(1, "waves")), period, first, stride)
    return values


def test_the_mixer_is_splitmix64():
    states = [(1234567 + n * GOLDEN) & WORD for n in (1, 2, 3)]
    assert [mix(state) for state in states] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_a_key_depends_on_the_seed_and_on_every_name():
    keys = {key_of(1, "a", "bc"), key_of(2, "a", "bc"), key_of(1, "ab", "c"), key_of(1, "a"), 1}
    assert len(keys) == 5
    assert key_of(-1, 5) == key_of(-1, "5")


def test_lattice_noise_is_evenly_spread():
    noise = [lattice(key_of(7), place) for place in range(-5_000, 5_000)]
    assert all(-1 <= value < 1 for value in noise)
    assert abs(sum(noise)) < 150
    assert 0.32 < sum(value * value for value in noise) / len(noise) < 0.35


@settings(deadline=None)
@given(
    st.integers(-(10**9), 10**9),
    st.integers(1, 60),
    st.sampled_from([1, 2, 7, 100, TABLE_MAX, TABLE_MAX + 1, 10**6]),
    st.integers(1, 30),
)
def test_a_stretch_of_waves_is_what_single_looks_see(first, count, period, stride):
    singles = [waves(first + i * stride, 1, period)[0] for i in range(count)]
    assert waves(first, count, period, stride) == singles


@settings(deadline=None)
@given(st.integers(-1000, 1000), st.sampled_from([1, 5, 5000]))
def test_a_wave_passes_through_its_heights_and_stays_between_them(cell, period):
    here, there = (lattice(key_of(1, "waves"), place) for place in (cell, cell + 1))
    path = waves(cell * period, period, period)
    assert path[0] == here
    assert all(min(here, there) <= value <= max(here, there) for value in path)


def test_waves_are_added_to_what_is_there():
    values = [10.0, 20.0]
    add_waves(values, lambda cell: 1.0, 4, 3)
    assert values == [11.0, 21.0]
