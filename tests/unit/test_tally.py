"""What is counted while it happens."""

from tradefleet.domain.tally import RequestTally, Spread, answer_spread, write_spread


def test_a_value_counts_below_the_first_bound_it_does_not_exceed():
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        spread.add(value)
    assert spread.counts == [2, 2, 1]
    assert (spread.count, spread.total) == (5, 14.0)


def test_writes_are_told_apart_from_a_millisecond_on_and_answers_up_to_ten_seconds():
    for spread, value in ((write_spread(), 0.002), (answer_spread(), 7.0)):
        spread.add(value)
        assert list(spread.bounds) == sorted(spread.bounds)
        assert spread.counts[0] == spread.counts[-1] == 0, "between the first and the last bound"


def test_requests_are_counted_by_route_and_the_kind_of_their_answer():
    tally = RequestTally()
    tally.add("GET", "/stats", 200, 0.25)
    tally.add("GET", "/stats", 404, 0.25)
    tally.add("GET", "/bots/{symbol}", 503, 1.5)
    assert tally.routes["GET", "/stats"].answers == {2: 1, 4: 1}
    assert tally.routes["GET", "/stats"].seconds == 0.5
    assert (tally.failures, tally.took.count, tally.took.total) == (1, 3, 2.0)


def test_what_monitors_are_told_is_neither_a_failure_nor_of_users():
    tally = RequestTally()
    tally.add("GET", "/readyz", 503, 0.25, of_monitor=True)
    assert tally.routes["GET", "/readyz"].answers == {5: 1}
    assert (tally.failures, tally.took.count) == (0, 0)
