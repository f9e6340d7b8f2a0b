"""The daily look at connected keys: evenly, once, by one process, and told to whom it concerns."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, START
from tests.key_rig import DAY, GOOD, KeyDoor, key_door, vault_under
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.errors import Refused, StoreUnavailable, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.operations.key_checks import CLAIMED, ROUND, KeyChecks

TESTNET = "alice:bybit:testnet"
TOMORROW = START + DAY
WITHDRAWING = replace(GOOD, can_withdraw=True)


class Passing:
    """A clock whose sleeps end at once and move it; ends a run after so many."""

    def __init__(self, door, most=10**6):
        self.door, self.most, self.slept = door, most, []

    def now(self):
        return self.door.still.time

    def monotonic(self):
        return self.now().timestamp()

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.door.still.time += timedelta(seconds=seconds)
        if len(self.slept) >= self.most:
            raise asyncio.CancelledError


def checks_of(door: KeyDoor, **parts) -> KeyChecks:
    given = {
        "store": door.store,
        "vault": door.dispatcher.vault,
        "desk": door.exchange,
        "clock": Passing(door),
        "rules": door.dispatcher.catalog.key_rules,
        **parts,
    }
    return KeyChecks(**given)


async def connected(*users: UserId, **parts) -> KeyDoor:
    """A service with users who have connected a key each, yesterday."""
    door = await key_door(**parts)
    for user_id in users or (ALICE,):
        await door.ask("/start", user_id)
        reply = await door.ask(f"/connect bybit key-of-{user_id} secret-of-{user_id}", user_id)
        assert not reply.refused
    door.exchange.asked.clear()
    await door.messages()
    door.still.time = TOMORROW
    return door


async def told(door):
    due = await door.store.due_notices(now=door.still.time, limit=99)
    return [(each.notice.user_id, each.notice.text.splitlines()[0]) for each in due]


async def switches(door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return [(each.halt, each.reason) for each in await store.switches()]


async def test_a_key_is_checked_a_day_after_it_was_connected_and_then_every_day():
    door = await connected()
    checks = checks_of(door)
    door.still.time -= timedelta(microseconds=1)
    assert await checks.check_due() == 0
    for day in (1, 2, 3):
        door.still.time = START + day * DAY
        assert await checks.check_due() == 1
        assert await checks.check_due() == 0
        assert (await door.account(TESTNET)).key.checked_at == START + day * DAY
    assert door.exchange.asked == [("bybit", "key-of-alice", Mode.TESTNET)] * 3
    assert (await told(door), await switches(door)) == ([], [])


async def test_a_key_that_may_withdraw_now_stops_its_account_and_its_user_is_told():
    door = await connected(ALICE, BOB)
    good = door.exchange.answer

    async def answer_by_user():
        last = door.exchange.asked[-1][1]
        door.exchange.answer = WITHDRAWING if last == "key-of-alice" else good

    door.exchange.watched = answer_by_user
    await checks_of(door).check_due()
    assert await switches(door) == [(Halt.STOP, "This key may withdraw.")]
    assert await switches(door, BOB) == []
    assert await told(door) == [
        (
            ALICE,
            "🔑 bybit (testnet): This key may withdraw. No new entries there until that is "
            "mended; open positions are still looked after.",
        )
    ]
    assert await door.messages() == [("switches_changed", {})]


async def test_an_exchange_that_is_away_is_asked_again_in_an_hour():
    door = await connected()
    door.exchange.answer = KeyRefused(KeyFault.MAINTENANCE, "")
    checks = checks_of(door)
    assert await checks.check_due() == 1
    assert (await told(door), await switches(door)) == ([], [])
    door.still.time = TOMORROW + timedelta(minutes=59)
    assert await checks.check_due() == 0
    door.still.time = TOMORROW + timedelta(hours=1)
    assert await checks.check_due() == 1


@pytest.mark.parametrize("error", [Refused("not open here"), VenueUnavailable("key-of-alice")])
async def test_a_venue_that_is_not_open_here_is_left_to_another_process(error, caplog):
    door = await connected()
    door.exchange.answer = error
    checks = checks_of(door)
    await checks.check_due()
    assert "key-of-alice" not in caplog.text
    door.still.time = TOMORROW + CLAIMED - timedelta(seconds=7)
    assert await checks.check_due() == 0
    door.still.time = TOMORROW + CLAIMED
    assert await checks.check_due() == 1


async def test_of_two_processes_one_checks_a_key():
    door = await connected()
    one, other = checks_of(door), checks_of(door)

    async def meanwhile():
        door.exchange.watched = None
        await other.check(ALICE, TESTNET)

    door.exchange.watched = meanwhile
    await one.check(ALICE, TESTNET)
    assert len(door.exchange.asked) == 1


@pytest.mark.parametrize("message", ["/disconnect bybit", "/connect bybit another-key secret"])
async def test_what_was_asked_of_a_key_that_went_meanwhile_is_not_written_down(message):
    door = await connected()
    door.exchange.answer = WITHDRAWING

    async def meanwhile():
        door.exchange.watched, door.exchange.answer = None, GOOD
        await door.ask(message)
        door.exchange.answer = WITHDRAWING

    door.exchange.watched = meanwhile
    await checks_of(door).check_due()
    assert (await told(door), await switches(door)) == ([], [])


async def test_no_transaction_is_open_while_an_exchange_is_asked():
    door = await connected()

    async def look():
        async with door.store.open(ALICE) as store:
            await store.audit("meanwhile", {})

    door.exchange.watched = look
    assert await checks_of(door).check_due() == 1


async def test_a_key_that_cannot_be_opened_stops_nobody_else(caplog):
    door = await connected()
    door.dispatcher = replace(door.dispatcher, vault=vault_under(1))
    await door.ask("/start", BOB)
    await door.ask("/connect bybit key-of-bob secret", BOB)
    door.exchange.asked.clear()
    door.still.time = TOMORROW + DAY
    assert await checks_of(door).check_due() == 2
    assert [key for _, key, _ in door.exchange.asked] == ["key-of-bob"]
    assert "another ENCRYPTION_KEY" in caplog.text


async def test_no_more_keys_are_checked_in_a_minute_than_may_be():
    users = [UserId(f"user{number}") for number in range(7)]
    door = await connected(*users)
    clock = Passing(door, most=8)
    checks = checks_of(door, clock=clock, per_minute=3)
    times = []

    async def note():
        times.append(door.still.time)

    door.exchange.watched = note
    with pytest.raises(asyncio.CancelledError):
        await checks.run()
    assert len(times) == 7
    assert all(
        later - first >= timedelta(seconds=60)
        for first, later in zip(times, times[3:], strict=False)
    )
    assert clock.slept == [20.0] * 7 + [ROUND]


async def test_a_store_that_is_away_is_tried_again(caplog, monkeypatch):
    door = await connected()
    caplog.set_level(logging.WARNING)

    async def away(now):
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(door.store, "drop_late_keys", away)
    assert await checks_of(door).check_due() == 0
    assert "the disk is full" in caplog.text


async def test_keys_that_nobody_confirmed_are_forgotten():
    door = await connected()
    await door.ask("/connect bybit live-key secret no")
    door.still.time += timedelta(minutes=5)
    await checks_of(door).check_due()
    async with door.store.open(ALICE, reading=True) as store:
        assert await store.pending_key() is None


# ---- the operator's rules


async def test_live_accounts_stop_where_the_operator_forbids_them_and_go_on_again():
    door = await connected()
    confirmation = (await door.say("/connect bybit live-key secret no")).splitlines()[-1]
    assert "Connected" in await door.say(confirmation)
    banned = checks_of(door, rules=KeyRules(live_ban="Trading is disabled."))
    for _ in range(2):
        await banned.obey_rules()
        assert await switches(door) == [(Halt.STOP, "Trading is disabled.")]
    await checks_of(door).obey_rules()
    assert await switches(door) == [(Halt.RUN, "its key is in order again")]
    assert (await door.account("alice:bybit:live")).key.stopped == ""
