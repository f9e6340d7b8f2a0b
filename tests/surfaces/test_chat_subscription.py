"""/subscription and /tier, word for word; and what the audit keeps of them."""

from dataclasses import replace

import pytest

from tests.doors import ALICE, BINANCE, BOB, Door, trade
from tests.surfaces.api_rig import app_over, failure, signed, talking
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.effects import GuardChanged
from tradefleet.domain.limits import GuardMemory
from tradefleet.domain.user import Role
from tradefleet.quota import Quotas

NEW_USER = """
> /subscription
⭐ Your tier: free
Advanced signals: no, custom strategies: no, priority: no
More: premium has 25 entries a day, 5 open positions, 10 pairs, 30 API calls a minute; enterprise \
has 100 entries a day, 20 open positions, 50 pairs, 100 API calls a minute. Ask the operator of \
this service to change yours.
Exits and protective orders are never refused by any quota.

Quota               Used  Of  Free again
entries today          0   5  at 00:00 UTC
open positions         0   2  when one is closed
pairs                  0   3  when one is removed
signal channels        -   2  when one is removed
API calls a minute     -  10  within a minute
"""

OPERATOR = """
> /tier bob - Asked.
⭐ bob: tier free.
> /tier bob premium Paid.
✅ bob: tier premium now (before: tier free).
> /tier @bob - entries_per_day=40 bots=12 Paid for it.
✅ bob: tier premium, with bots 12, entries_per_day 40 now (before: tier premium).
> /tier bob - bots=tier As before.
✅ bob: tier premium, with entries_per_day 40 now (before: tier premium, with bots 12, \
entries_per_day 40).
> /tier bob premium Paid.
⭐ bob: tier premium, with entries_per_day 40.
> /tier bob gold
There is no tier 'gold'; there is: free, premium, enterprise.
> /tier bob free entrys_per_day=4
There is no limit 'entrys_per_day'; did you mean entries_per_day?
> /tier bob free bots=many
bots must be a whole number up to 1000000, or tier.
> /tier nobody premium
There is no user 'nobody'.
"""


@pytest.fixture
async def door() -> Door:
    door = Door(BINANCE)
    for user in (ALICE, BOB):
        await door.ask("/start", user)
    return door


async def make_admin(door: Door) -> None:
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))


def audited(door: Door, user) -> list[tuple[str, object]]:
    return [(line.action, line.detail) for line in door.store._rows[user].audit]


async def test_a_new_user_has_used_nothing(door):
    await door.talk(NEW_USER)


async def test_what_is_used_is_told_and_when_it_is_free_again(door):
    await trade(door)
    today = door.still.now().date()
    await door.record(GuardChanged(GuardMemory(user_id=ALICE, day=today, entries_today=4)))
    data = (await door.ask("/subscription")).data
    used = {each.name: (each.used, each.allowed) for each in data.quotas}
    assert used == {
        "entries today": (4, 5),
        "open positions": (1, 2),
        "pairs": (1, 3),
        "signal channels": (None, 2),
        "API calls a minute": (None, 10),
    }
    assert data.quotas[0].resets_at.isoformat() == "2026-01-02T00:00:00+00:00"
    door.still.time = data.quotas[0].resets_at
    assert (await door.ask("/subscription")).data.quotas[0].used == 0, "a day has its own"


async def test_calls_of_this_minute_are_told_over_http(door):
    quotas = Quotas(counters=MemoryCounters(door.still))
    dispatcher = replace(door.dispatcher, quotas=quotas)
    async with talking(app_over(dispatcher, quotas=quotas)) as client:
        client.headers.update(signed(ALICE))
        await client.get("/api/v1/bots")
        told = (await client.get("/api/v1/subscription")).json()["data"]
    calls = told["quotas"][-1]
    assert (calls["name"], calls["used"], calls["allowed"]) == ("API calls a minute", 2, 10)
    assert calls["resets_at"] == "2026-01-01T00:01:00+00:00"


async def test_an_operator_changes_a_tier_and_limits(door):
    await make_admin(door)
    await door.talk(OPERATOR)
    data = (await door.ask("/subscription", BOB)).data
    assert (data.tier, data.overridden) == ("premium", ("entries_per_day",))
    assert [each.allowed for each in data.quotas] == [40, 5, 10, 10, 30]
    assert ("switches_changed", {}) in await door.messages()


async def test_before_and_after_stand_in_both_audits(door):
    await make_admin(door)
    await door.ask("/tier bob premium entries_per_day=40 Paid.")
    before = {"tier": "free", "overrides": {}}
    after = {"tier": "premium", "overrides": {"entries_per_day": 40}}
    changed = {"before": before, "after": after}
    assert ("tier_changed", changed) in audited(door, BOB)
    assert ("tier_set", {**changed, "user": BOB}) in audited(door, ALICE)


async def test_for_users_the_operators_command_does_not_exist(door):
    assert (await door.say("/tier alice enterprise")).startswith("I do not know that command.")
    async with talking(app_over(door.dispatcher)) as client:
        answer = await client.patch(
            "/api/v1/users/alice", json={"tier": "premium"}, headers=signed(ALICE, "admin")
        )
    assert failure(answer) == (404, "not_found")
    assert (await door.ask("/subscription")).data.tier == "free"


async def test_an_operator_changes_a_tier_over_http(door):
    await make_admin(door)
    given = {"tier": "enterprise", "overrides": {"bots": "60"}, "reason": "Paid."}
    async with talking(app_over(door.dispatcher)) as client:
        client.headers.update(signed(ALICE, "admin"))
        told = (await client.patch("/api/v1/users/bob", json=given)).json()["data"]
        assert failure(await client.patch("/api/v1/users/no", json=given)) == (404, "not_found")
    assert told == {
        "user": "bob",
        "tier": "enterprise",
        "overrides": {"bots": 60},
        "tier_before": "free",
        "overrides_before": {},
        "changed": True,
    }
