"""However hosts take, renew, lose and use leases, two never own a user and no stale one writes."""

from datetime import datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.makers import START
from tests.properties.effort import hunts, tries
from tests.properties.stores import KINDS, Kept, tell
from tests.store_rig import ALICE, BOB, TTL, batch, bot, order_of, register
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.errors import LeaseLost, StoreError
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.store import KillSwitched, Lease
from tradefleet.stores.memory.shared import Shared
from tradefleet.stores.sql import leases as sql_leases
from tradefleet.stores.sql.journal import sqlite

USERS = (ALICE, BOB)
HOSTS = ("first host", "second host", "third host")
host = st.sampled_from(HOSTS)
user = st.sampled_from(USERS)


class Fenced(Kept):
    """Hosts that run, stand still and come back, each with the leases it was given once.

    owner, epoch, ends and kills are what is true of each user by the contract's own words.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.given: dict[tuple[str, UserId], Lease] = {}
        self.owner: dict[UserId, str] = dict.fromkeys(USERS, "")
        self.epoch = dict.fromkeys(USERS, 0)
        self.ends: dict[UserId, datetime] = dict.fromkeys(USERS, START)
        self.kills = dict.fromkeys(USERS, 0)
        self.orders: dict[UserId, list[str]] = {each: [] for each in USERS}

    @initialize()
    def begin(self) -> None:
        for each in USERS:
            self.run(register(self.store, each, bot(each)))

    # ------------------------------------------------------------------- hosts

    @rule(host=host, limit=st.integers(1, 2))
    def takes(self, host: str, limit: int) -> None:
        now = self.clock.now()
        free = [u for u in USERS if not self.owner[u] or self.ends[u] <= now]
        taken = self.run(self.store.take_leases(host, now=now, ttl=TTL, limit=limit))
        assert {each.user_id for each in taken} <= set(free), "a lease that is held was taken"
        assert len(taken) == min(limit, len(free)), "a lease that is free was not taken"
        for lease in taken:
            u = lease.user_id
            assert lease.epoch > self.epoch[u], "an epoch came twice"
            self.owner[u], self.epoch[u] = host, lease.epoch
            self.holds(lease, host)

    @rule(host=host)
    def renews(self, host: str) -> None:
        now = self.clock.now()
        held = [u for u in USERS if self.owner[u] == host and self.ends[u] > now]
        renewed = self.run(self.store.renew_leases(host, now=now, ttl=TTL))
        assert [lease.user_id for lease in renewed] == held
        for lease in renewed:
            assert lease.epoch == self.epoch[lease.user_id], "a renewal changed the epoch"
            self.holds(lease, host)

    def holds(self, lease: Lease, host: str) -> None:
        u, ends = lease.user_id, self.clock.now() + timedelta(seconds=TTL)
        assert (lease.owner, lease.expires_at, lease.kill_version) == (host, ends, self.kills[u])
        self.ends[u] = ends
        self.given[host, u] = lease

    @rule(host=host)
    def lets_go(self, host: str) -> None:
        self.run(self.store.release_leases(host))
        for u in USERS:
            if self.owner[u] == host:
                self.owner[u] = ""

    @rule(seconds=st.sampled_from([0.001, 1.0, TTL - 0.001, TTL, 3 * TTL]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))

    # ------------------------------------------------------------------ writing

    def expected(self, lease: Lease, version: int | None) -> type[StoreError] | None:
        if lease.epoch != self.epoch[lease.user_id]:
            return LeaseLost
        stale = version is not None and version != self.kills[lease.user_id]
        return KillSwitched if stale else None

    @rule(number=st.integers(0, 5), arms=st.sampled_from([True, True, False]), both=st.booleans())
    @precondition(lambda self: self.given)
    def writes(self, number: int, arms: bool, both: bool) -> None:
        """A host writes with what it was given, whether it still holds or not."""
        host, user = list(self.given)[number % len(self.given)]
        held = [
            lease for (by, u), lease in self.given.items() if by == host and (both or u == user)
        ]
        batches, expected = [], []
        for lease in held:
            version = lease.kill_version if arms else None
            name = f"{lease.user_id} {len(self.orders[lease.user_id])} of {host}"
            order = order_of(bot(lease.user_id), name)
            batches.append(batch(lease, OrderPlaced(order), kill_version=version))
            expected.append(self.expected(lease, version))
            if expected[-1] is None:
                self.orders[lease.user_id].append(name)
        errors = self.run(self.store.write(batches))
        assert [type(error) if error else None for error in errors] == expected

    @rule(user=user, forward=st.sampled_from([-1, 1, 1000]))
    def nobody_guesses_an_epoch(self, user: UserId, forward: int) -> None:
        guessed = Lease(
            user_id=user,
            owner="",
            epoch=self.epoch[user] + forward,
            expires_at=self.clock.now(),
            kill_version=0,
        )
        (error,) = self.run(
            self.store.write([batch(guessed, OrderPlaced(order_of(bot(user), "guessed")))])
        )
        assert isinstance(error, LeaseLost)

    # ------------------------------------------------------------ kill switches

    @rule(user=user, halt=st.sampled_from(list(Halt)))
    def a_user_switches(self, user: UserId, halt: Halt) -> None:
        self.run(self.switches(user, halt))
        self.kills[user] += 1

    async def switches(self, user: UserId, halt: Halt) -> None:
        async with self.store.open(user) as own:
            await own.set_switch(switch(Scope.USER, user, halt))

    @rule(halt=st.sampled_from(list(Halt)))
    def the_platform_switches(self, halt: Halt) -> None:
        self.run(self.store.set_platform_switch(switch(Scope.PLATFORM, "*", halt)))
        for each in USERS:
            self.kills[each] += 1

    # -------------------------------------------------------------- what holds

    @invariant()
    def owners_are_known(self) -> None:
        assert self.run(self.store.lease_owners()) == sorted(set(self.owner.values()) - {""})

    @invariant()
    def of_two_hosts_at_most_one_holds(self) -> None:
        now = self.clock.now()
        for each in USERS:
            valid = [
                by
                for (by, u), lease in self.given.items()
                if u == each and lease.expires_at > now and lease.epoch == self.epoch[each]
            ]
            assert len(valid) <= 1, "two own a user"

    def finish(self) -> None:
        self.run(self.nothing_else_is_written())

    async def nothing_else_is_written(self) -> None:
        for each in USERS:
            async with self.store.open(each, reading=True) as own:
                kept = [order.id for order in await own.orders(limit=1000)]
            assert sorted(kept) == sorted(self.orders[each]), "a stale host's write was kept"


def switch(scope: Scope, scope_id: str, halt: Halt) -> Switch:
    return Switch(scope=scope, scope_id=scope_id, halt=halt, reason="a drill", changed_at=START)


@pytest.mark.parametrize("kind", KINDS)
def test_no_stale_host_writes_and_two_never_own(kind):
    tell(lambda: Fenced(kind), tries(40 if kind == "memory" else 8))


# ------------------------------------------------------------------ is it able to fail?


def writes_whatever_the_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sqlite, "refusals", lambda batches, leases: [None for _ in batches])


def forgets_the_kill_version(patch: pytest.MonkeyPatch) -> None:
    real = sqlite.refusals

    def blind(batches, leases):  # type: ignore[no-untyped-def]
        return [e if isinstance(e, LeaseLost) else None for e in real(batches, leases)]

    patch.setattr(sqlite, "refusals", blind)


def takes_what_another_holds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sql_leases, "NOBODY", HOSTS[0])


def takes_without_a_new_epoch(patch: pytest.MonkeyPatch) -> None:
    real = sql_leases.changed

    async def unchanged(connection, change, which):  # type: ignore[no-untyped-def]
        return await real(connection, change.values(epoch=sql_leases.LEASE.epoch), which)

    patch.setattr(sql_leases, "changed", unchanged)


def forgets_to_raise_the_kill_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shared, "raise_kill_version", lambda self, user_id: None)


@pytest.mark.parametrize(
    ("kind", "breaks"),
    [
        ("sqlite", writes_whatever_the_epoch),
        ("sqlite", forgets_the_kill_version),
        ("sqlite", takes_what_another_holds),
        ("sqlite", takes_without_a_new_epoch),
        ("memory", forgets_to_raise_the_kill_version),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_the_story_sees_a_store_that(kind, breaks, monkeypatch):
    breaks(monkeypatch)
    with pytest.raises((AssertionError, StoreError)):
        tell(lambda: Fenced(kind), hunts(100))
