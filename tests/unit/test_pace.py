"""Buckets, quotas and back-off never grant more than they say, and always say when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradefleet.domain.errors import BrokenInvariant
from tradefleet.engine.pace import Allowance, Backoff, Priority, Quota, TokenBucket

# ---- buckets


def test_a_full_bucket_grants_its_burst_and_then_its_rate():
    bucket = TokenBucket(rate=2, burst=3)

    assert [bucket.take(0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert bucket.take(0.5) == 0
    assert bucket.take(0.5) == 0.5


def test_a_bucket_never_holds_more_than_its_burst():
    bucket = TokenBucket(rate=100, burst=2)
    bucket.take(0)

    assert [bucket.take(1000) for _ in range(3)] == [0, 0, 0.01]


def test_a_weight_above_the_burst_waits_for_a_full_bucket_and_overdraws_it():
    bucket = TokenBucket(rate=1, burst=5)
    assert bucket.take(0, 20) == 0

    assert bucket.take(0, 1) == 16


def test_who_goes_last_leaves_tokens_for_who_goes_first():
    bucket = TokenBucket(rate=1, burst=3)
    bucket.take(0)

    assert bucket.take(0, keep=2) == 1
    assert bucket.take(0) == bucket.take(0) == 0


def test_a_pause_asked_for_by_the_venue_is_kept():
    bucket = TokenBucket(rate=10, burst=50)
    bucket.pause(0, 30)

    assert bucket.take(0) == pytest.approx(30)
    assert bucket.take(29.9) > 0
    assert bucket.take(30) == 0


def test_a_short_pause_does_not_end_a_long_one():
    bucket = TokenBucket(rate=10, burst=50)
    bucket.pause(0, 30)
    bucket.pause(1, 2)

    assert bucket.take(1) == pytest.approx(29)


def test_a_clock_set_back_gives_nothing_away():
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(100)
    bucket.take(50)

    assert bucket.take(100.5) == 0.5


@settings(deadline=None)
@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 20),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), max_size=50),
)
def test_a_bucket_grants_no_more_than_burst_and_rate_allow(rate, burst, steps):
    bucket, now, granted = TokenBucket(rate, burst), 0.0, 0
    for pause, n in steps:
        now += pause
        wait = bucket.take(now, n)
        if wait:
            now += wait
            assert bucket.take(now, n) <= 1e-6  # waiting as told is enough
        granted += n
        assert granted <= burst + now * rate + 5 + 1e-3  # the last may overdraw


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_bucket_that_never_fills_cannot_be_made(rate, burst):
    with pytest.raises(BrokenInvariant):
        TokenBucket(rate, burst)


# ---- quotas


def test_a_quota_counts_over_a_sliding_window():
    quota = Quota(limit=2, period=60)

    assert [quota.take(0), quota.take(50), quota.take(55)] == [0, 0, 5]
    assert quota.left(55) == 0
    assert quota.take(60) == 0
    assert quota.retry_after(61) == 49
    assert quota.left(110) == 1


def test_asking_a_quota_counts_nothing():
    quota = Quota(limit=1, period=60)

    assert quota.retry_after(0) == quota.retry_after(0) == 0
    assert quota.left(0) == 1


@settings(deadline=None)
@given(
    limit=st.integers(1, 5),
    period=st.floats(0.5, 60),
    pauses=st.lists(st.floats(0, 30), max_size=60),
)
def test_no_window_holds_more_than_the_limit(limit, period, pauses):
    quota, now, granted = Quota(limit, period), 0.0, []
    for pause in pauses:
        now += pause
        wait = quota.take(now)
        if wait:
            now += wait
            assert quota.take(now) == 0  # waiting as told is enough
        granted.append(now)
    for first, beyond in zip(granted, granted[limit:], strict=False):
        assert beyond - first >= period - 1e-6


@pytest.mark.parametrize(("limit", "period"), [(0, 1), (1, 0)])
def test_a_quota_of_nothing_cannot_be_made(limit, period):
    with pytest.raises(BrokenInvariant):
        Quota(limit, period)


# ---- back-off


def test_waiting_grows_up_to_the_most():
    backoff = Backoff(first=1, factor=2, most=10)

    assert [backoff.wait(n) for n in range(7)] == [0, 1, 2, 4, 8, 10, 10]
    assert backoff.wait(10**6) == 10


def test_jitter_takes_up_to_half_away():
    backoff = Backoff(first=4, factor=2, most=60)

    assert [backoff.wait(1, jitter) for jitter in (0, 0.5, 1)] == [4, 3, 2]


def test_a_factor_of_one_waits_the_same_each_time():
    assert Backoff(first=5, factor=1, most=9).wait(10**9) == 5


@pytest.mark.parametrize("given", [(0, 2, 10), (5, 2, 4), (1, 0.5, 10)])
def test_a_backoff_that_never_ends_cannot_be_made(given):
    with pytest.raises(BrokenInvariant):
        Backoff(*given)


def test_exits_go_first_and_reads_last():
    assert sorted(Priority) == [
        Priority.EXIT,
        Priority.CANCEL,
        Priority.PROTECTIVE,
        Priority.RECONCILIATION,
        Priority.ENTRY,
        Priority.READ,
    ]


# ---- what a venue allows


def test_a_bucket_can_be_looked_into_charged_and_lowered():
    bucket = TokenBucket(rate=1, burst=5)
    assert bucket.wait(0, 3) == 0
    bucket.spend(0, 7)
    assert bucket.left(0) == -2
    assert bucket.wait(0, 3) == 5
    bucket.at_most(10, 1)
    bucket.at_most(10, 4)
    assert bucket.left(10) == 1


@given(
    limit=st.floats(1, 10_000),
    period=st.floats(1, 1000),
    share=st.floats(0.1, 1),
    at_once=st.floats(0.1, 0.9),
)
def test_a_windowed_allowance_never_uses_more_than_its_share_in_any_window(
    limit, period, share, at_once
):
    allowance = Allowance.windowed(limit, period, share=share, at_once=at_once)
    bucket = allowance.bucket()
    bucket.spend(0, bucket.burst)
    assert bucket.burst + bucket.left(period) <= limit * share * 1.000001


def test_a_leaking_allowance_never_lets_the_counter_reach_its_limit():
    allowance = Allowance.leaking(15, 0.33)
    bucket = allowance.bucket()
    counter = now = 0.0
    for _ in range(200):
        wait = bucket.take(now)
        if wait:
            now += wait
            counter = max(0.0, counter - wait * 0.33)
            continue
        counter += 1
        assert counter <= 13.5 + 1e-6


def test_a_resized_allowance_keeps_its_proportions():
    resized = Allowance.windowed(100, 10).resized(50)
    assert resized == Allowance.windowed(50, 10)
