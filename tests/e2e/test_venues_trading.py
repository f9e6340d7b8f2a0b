"""A master and two users trade APEX at simulated venues over real sockets, and the books agree.

Every account's ledger equals the venue's books to the last unit, every fill is booked once with
its fee, and no order is known on one side only.
"""

from collections.abc import Sequence
from datetime import datetime

import pytest

from tests.e2e.venue_rig import (
    BAR,
    FIRST,
    MASTER,
    SECOND,
    VENUES,
    World,
    generated_market,
    recorded_market,
    world,
)
from tests.makers import START
from tradefleet.domain.ids import UserId
from tradefleet.domain.order import OrderKind, OrderState

RECORDED_FROM = datetime.fromisoformat("2018-01-10T04:55:00+00:00")
PLACES = [(venue,) for venue in VENUES] + [VENUES]  # all at one venue, and each at another
EASY = "warmup=60 score_min=3 filters_min=4"  # so that APEX trades bars nobody traded
PAIRS = {
    MASTER: ("ETH/BTC 1 {venue}", "ETC/BTC 1 {venue}"),
    FIRST: ("ETH/BTC 1 {venue}",),
    SECOND: ("ETC/BTC 1 {venue}",),
}


async def play(
    it: World, venues: Sequence[str], until: datetime, pairs: dict[UserId, tuple[str, ...]]
) -> dict[UserId, str]:
    """Let the users connect and trade until then, and stop cleanly; return who is where."""
    service = await it.service()
    places = {user: venues[number % len(venues)] for number, user in enumerate(pairs)}
    for user, venue in places.items():
        await it.connect(service, user, venue, {"BTC": "3"})
        await it.unleash(service, user)
        await it.trade(service, user, *(pair.format(venue=venue) for pair in pairs[user]))
    await service.join(len(pairs))
    await it.time.pass_until(until)
    await it.time.pass_by(150)
    await service.stop()
    return places


async def judge(it: World, places: dict[UserId, str]) -> None:
    for user, venue in places.items():
        await it.judge(user, venue)
    it.judge_journals()


async def reasons(it: World, user: UserId) -> set[str]:
    return {trade.exit_reason for trade in await it.trades(user)}


@pytest.mark.parametrize("venues", PLACES, ids="+".join)
async def test_apex_trades_recorded_bars_and_all_books_agree(
    venues, sqlite_url, tmp_path, monkeypatch
):
    market = recorded_market(3435, 61, "ETH_BTC", "ETC_BTC")
    start = RECORDED_FROM + 3435 * BAR
    async with world(venues, sqlite_url, tmp_path, monkeypatch, market=market, start=start) as it:
        places = await play(it, venues, start + 59 * BAR, PAIRS)
        await judge(it, places)
        trades = {user: len(await it.trades(user)) for user in places}
        assert trades == {MASTER: 8, FIRST: 6, SECOND: 2}
        assert await reasons(it, MASTER) >= {"ema_cross", "trail"}
        await stops_rested(it, places)


async def stops_rested(it: World, places: dict[UserId, str]) -> None:
    """Check that every position had a stop at the venue, and that none was left there."""
    for user, venue in places.items():
        stops = [o for o in await it.orders(user) if o.kind is OrderKind.RESTING_STOP]
        assert len(stops) >= len(await it.trades(user))
        assert all(o.state is OrderState.DONE for o in stops), stops
        assert not it.sims[venue].exchange.accounts[user].live


async def test_apex_trades_generated_bars_on_either_database(sql_url, tmp_path, monkeypatch):
    market, start = generated_market(28, 62), START + 500 * BAR
    pairs = dict.fromkeys((MASTER, FIRST, SECOND), (f"ETH/BTC 1 {{venue}} {EASY}",))
    async with world(VENUES, sql_url, tmp_path, monkeypatch, market=market, start=start) as it:
        places = await play(it, VENUES, start + 60 * BAR, pairs)
        await judge(it, places)
        for user in places:
            assert await reasons(it, user) >= {"ema_cross", "trail"}
        await stops_rested(it, places)
