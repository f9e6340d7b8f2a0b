"""What Bybit says of a key, and what is wrong with one that it refuses."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.bybit_rig import FUNDS, World, world
from tests.venues.rig import ShiftedClock, adapter, credentials_of
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport, Secret
from tradefleet.domain.user import Mode
from tradefleet.venues import bybit
from tradefleet.venues.bybit import report_of
from venuesim.faults import Fault, FaultKind
from venuesim.keys import Key
from venuesim.units import UNITS


async def report(at: World, key: Key, mode: Mode = Mode.LIVE) -> KeyReport:
    return await at.ours.venue.check_key(credentials_of(key), mode)


async def refusal(at: World, credentials: Credentials) -> KeyFault:
    """Return why a key is refused; what is said of it holds nothing of it."""
    with pytest.raises(KeyRefused) as caught:
        await at.ours.venue.check_key(credentials, Mode.LIVE)
    assert credentials.api_key.reveal() not in str(caught.value)
    assert credentials.api_secret.reveal() not in str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.TESTNET])
async def test_a_key_that_may_trade_and_nothing_more_is_a_good_one(mode):
    async with world() as at:
        key = at.key(ips=("127.0.0.1",))
        told = await report(at, key, mode)
        assert (told.can_read, told.can_trade, told.can_withdraw) == (True, True, False)
        assert (told.missing, told.ip_restricted, told.expires_at) == ((), True, None)
        assert told.balances == {"USDT": 10000, "BTC": 1}
        assert abs(told.clock_offset) < timedelta(milliseconds=200)


async def test_a_key_without_addresses_ends_after_ninety_days():
    async with world() as at:
        told = await report(at, at.key())
        assert told.ip_restricted is False
        assert told.expires_at is not None
        left = told.expires_at - datetime.now(UTC)
        assert timedelta(days=89) < left < timedelta(days=91)


async def test_what_is_locked_in_orders_is_in_the_balances():
    async with world() as at:
        key = at.key()
        book = at.sim.exchange.accounts["alice"]
        book.free["BTC"] -= UNITS // 4
        book.locked["BTC"] += UNITS // 4
        assert (await report(at, key)).balances["BTC"] == 1


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ({"read"}, (True, False, False, ("Read-Write",))),
        ({"read", "transfer"}, (True, False, False, ("SpotTrade",))),
        ({"read", "trade", "withdraw"}, (True, True, True, ())),
        ({"trade"}, (False, True, False, ())),
    ],
)
async def test_the_rights_of_a_key_are_told(permissions, expected):
    async with world() as at:
        told = await report(at, at.key(*permissions))
        assert (told.can_read, told.can_trade, told.can_withdraw, told.missing) == expected


RIGHTS: dict[str, Any] = {
    "readOnly": 0,
    "permissions": {"Spot": ["SpotTrade"], "Wallet": []},
    "ips": ["*"],
    "deadlineDay": -2,
    "expiredAt": "1970-01-01T00:00:00Z",
    "uta": 1,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (True, False, ())),
        ({"uta": 0}, (False, False, ("Unified Trading Account",))),
        ({"readOnly": 1}, (False, False, ("Read-Write",))),
        ({"readOnly": None}, (None, False, ())),
        ({"permissions": None}, (None, None, ())),
        ({"permissions": {"Spot": [], "Wallet": ["Withdraw"]}}, (False, True, ("SpotTrade",))),
        ({"permissions": {"Spot": ["SpotTrade"]}}, (True, None, ())),
        ({"permissions": {"Wallet": ["AccountTransfer"]}}, (None, False, ())),
        ({"permissions": {"Spot": "SpotTrade", "Wallet": "Withdraw"}}, (None, None, ())),
    ],
)
def test_what_is_not_told_of_a_key_is_not_known(changes, expected):
    told = report_of(RIGHTS | changes, {"BTC": Decimal(1)})
    assert (told.can_trade, told.can_withdraw, told.missing) == expected


@pytest.mark.parametrize(
    ("ips", "restricted"), [(["*"], False), ([], False), (["1.2.3.4"], True), (None, None)]
)
def test_from_where_a_key_may_be_used(ips, restricted):
    assert report_of(RIGHTS | {"ips": ips}, {}).ip_restricted is restricted


def test_when_a_key_ends():
    assert report_of(RIGHTS, {}).expires_at is None
    told = report_of(RIGHTS | {"expiredAt": "2027-02-19T08:00:00Z"}, {})
    assert told.expires_at == datetime(2027, 2, 19, 8, tzinfo=UTC)
    assert report_of(RIGHTS | {"expiredAt": ""}, {}).expires_at is None


async def test_each_fault_of_a_key_is_told_from_the_others():
    async with world() as at:
        key = credentials_of(at.key())
        unknown = Credentials(api_key=Secret("U" * 18), api_secret=key.api_secret)
        assert await refusal(at, unknown) is KeyFault.INVALID
        wrong = Credentials(api_key=key.api_key, api_secret=Secret("w" * 36))
        assert await refusal(at, wrong) is KeyFault.SIGNATURE
        elsewhere = at.sim.client("bob", FUNDS, ips=("203.0.113.7",))
        assert await refusal(at, credentials_of(elsewhere)) is KeyFault.ADDRESS
        ended = at.sim.client("carol", FUNDS)
        ended.expires_ms = at.desk.memory.now_ms - 1
        assert await refusal(at, credentials_of(ended)) is KeyFault.EXPIRED
        revoked = at.sim.client("dave", FUNDS)
        revoked.revoked = True
        assert await refusal(at, credentials_of(revoked)) is KeyFault.INVALID


async def test_a_key_that_ends_while_it_is_looked_at_is_refused():
    async with world() as at:
        key = credentials_of(at.key())
        said = '{"retCode":33004,"retMsg":"Your api key has expired.","result":{}}'
        told = Fault(kind=FaultKind.STATUS, status=200, body=said)
        at.sim.faults.once(fault=told, action="balance")
        assert await refusal(at, key) is KeyFault.EXPIRED


async def test_a_key_that_is_answered_with_an_empty_401_is_not_known():
    async with world() as at:
        key = credentials_of(at.key())
        at.sim.faults.once(fault=Fault(kind=FaultKind.STATUS, status=401), action="key")
        assert await refusal(at, key) is KeyFault.INVALID


async def test_the_balances_of_an_account_that_is_not_unified_are_not_asked_for():
    async with world() as at:
        said = {"retCode": 0, "retMsg": "", "result": RIGHTS | {"uta": 0}}
        told = Fault(kind=FaultKind.STATUS, status=200, body=json.dumps(said))
        at.sim.faults.once(fault=told, action="key")
        found = await report(at, at.key())
        assert found.missing == ("Unified Trading Account",)
        assert not at.sim.server.calls["balance"]


async def test_our_clock_is_no_fault_of_the_key():
    async with world(clock=ShiftedClock(timedelta(seconds=-3))) as at:
        assert await refusal(at, credentials_of(at.key())) is KeyFault.CLOCK


async def test_a_closed_venue_tells_nothing_of_a_key():
    async with world() as at:
        key = credentials_of(at.key())
        at.sim.place.maintenance = "system"
        assert await refusal(at, key) is KeyFault.MAINTENANCE
        at.sim.place.maintenance = ""
        at.sim.faults.once(fault=Fault(kind=FaultKind.STATUS, status=503), action="key")
        assert await refusal(at, key) is KeyFault.MAINTENANCE


async def test_too_many_questions_are_no_fault_of_the_key():
    async with world() as at:
        key = credentials_of(at.key())
        calls = at.desk.limits.calls["alice", "/v5/user/query-api"]
        calls.extend([at.desk.memory.now_ms + 500] * 10)
        assert await refusal(at, key) is KeyFault.RATE_LIMIT
        assert at.ours.pacer.held == [(1.0, False)]
        at.desk.limits.banned["127.0.0.1"] = at.desk.memory.now_ms + 600_000
        assert await refusal(at, key) is KeyFault.RATE_LIMIT


async def test_without_a_network_nothing_is_known_of_a_key():
    key = Credentials(api_key=Secret("k" * 18), api_secret=Secret("s" * 36))
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9", of=bybit) as ours:
        with pytest.raises(KeyRefused) as caught:
            await ours.venue.check_key(key, Mode.TESTNET)
    assert caught.value.fault is KeyFault.NETWORK


@pytest.mark.parametrize(("given", "other"), [(Mode.TESTNET, Mode.LIVE), (Mode.LIVE, Mode.TESTNET)])
async def test_a_key_of_the_other_environment_is_recognised(given, other):
    """Two venues stand for the real one and the testnet."""
    async with world() as at, world(seed=2) as there:
        key = credentials_of(there.key())
        assert at.ours.venue.side(given).environment.addresses.rest["private"] == at.sim.url
        elsewhere = there.ours.venue.side(other)
        at.ours.venue.sides[other] = elsewhere
        at.ours.venue.options = bybit.VenueOptions()
        with pytest.raises(KeyRefused) as caught:
            await at.ours.venue.check_key(key, given)
        assert caught.value.fault is KeyFault.WRONG_MODE
