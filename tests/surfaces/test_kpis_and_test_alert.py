"""/kpis and /testalert: what operators read, and that nobody else may."""

from dataclasses import replace

import pytest

from tests.doors import ALICE, Door
from tests.makers import after_start
from tradefleet.commands.kpis import NO_PRICES
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.user import Role
from tradefleet.figures import Dealings, Presence, Timed


async def operators_door(**known):
    door = Door()
    await door.ask("/start")
    async with door.store.open(ALICE) as own:
        await own.save_user(replace(await own.user(), role=Role.ADMIN))
    catalog = replace(door.dispatcher.catalog, **known)
    return door, replace(door.dispatcher, catalog=catalog)


@pytest.mark.parametrize("name", ["kpis", "testalert"])
async def test_users_know_no_such_command(name):
    door = Door()
    await door.ask("/start")
    with pytest.raises(NotThere):
        await door.dispatcher.run(ALICE, name)


async def test_a_test_says_what_each_receiver_answered():
    async def test():
        return [("slack", True, "it answered 200 ok"), ("discord", False, "it answered 404")]

    _, dispatcher = await operators_door(alert_test=test)
    reply = await dispatcher.run(ALICE, "testalert")
    assert reply.rows == (
        ("slack", "✅", "it answered 200 ok"),
        ("discord", "❌", "it answered 404"),
    )
    assert "2 receivers" in reply.text
    assert reply.data.receivers[1].took is False


async def test_where_alerts_go_nowhere_or_are_out_of_reach_it_says_so():
    async def nobody():
        return []

    _, dispatcher = await operators_door(alert_test=nobody)
    assert "SLACK_WEBHOOK_URL" in (await dispatcher.run(ALICE, "testalert")).text
    _, dispatcher = await operators_door()
    with pytest.raises(Refused, match="check alerts"):
        await dispatcher.run(ALICE, "testalert")


async def test_figures_of_success_are_counted_from_what_happened():
    door, dispatcher = await operators_door()
    door.still.time = after_start(days=40)
    users = {
        "a": Presence(after_start(), after_start(days=39)),
        "b": Presence(after_start(days=1), after_start(days=3)),
        "c": Presence(after_start(days=38), None),
    }
    at = after_start(days=39)
    orders = [
        Timed(at, at.replace(second=2), at.replace(second=5)),
        Timed(at, at.replace(second=1), None),
        Timed(at, at.replace(second=1), at),
    ]

    class Figures:
        async def dealings(self, since):
            assert since == after_start(days=10)
            return Dealings(
                users=users,
                tiers={"free": 2, "premium": 1},
                trades={"apex": (10, 6), "ema_cross": (2, 0)},
                orders=orders,
            )

    door.store.figures = Figures()
    reply = await dispatcher.run(ALICE, "kpis")
    found = reply.data
    assert found.new == (0, 1, 1)
    assert [(each.came, each.stayed) for each in found.retention] == [(3, 2), (2, 1), (2, 1)]
    assert found.converted == 33.3
    assert (found.revenue_per_user, found.revenue_note) == (None, NO_PRICES)
    assert (found.accuracy.trades, found.accuracy.won, found.accuracy.percent) == (12, 6, 50.0)
    assert [(each.strategy, each.percent) for each in found.by_strategy] == [
        ("apex", 60.0),
        ("ema_cross", 0.0),
    ]
    assert (found.sent.p50, found.sent.p95) == (1.0, 2.0)
    assert (found.filled.p50, found.filled.p95) == (3.0, 3.0)
    rows = dict(reply.rows)
    assert rows["Still there after 7 days"] == "50 % (1 of 2)"
    assert rows["Revenue per user"] == "not known"
    assert NO_PRICES in reply.text


async def test_of_nothing_no_figure_is_made_up():
    _, dispatcher = await operators_door()
    found = (await dispatcher.run(ALICE, "kpis")).data
    assert found.converted == 0
    assert found.accuracy.percent is None
    assert found.retention[2].percent is None
    assert found.sent.p50 is None
