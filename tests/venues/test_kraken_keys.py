"""What Kraken says of a key, and what is wrong with one that it refuses."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.kraken_rig import World, world
from tests.venues.rig import ShiftedClock, adapter, credentials_of
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport, Secret
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyDenied, KeyRules, judge
from tradefleet.venues import kraken
from tradefleet.venues.kraken import permissions_in, report_on
from venuesim.faults import Fault, FaultKind
from venuesim.keys import Key
from venuesim.kraken.keys import RIGHTS

EVERYTHING = [
    "query-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
]
TITLES = {
    "query-funds": "Query Funds",
    "query-open-trades": "Query Open Orders & Trades",
    "query-closed-trades": "Query Closed Orders & Trades",
    "modify-trades": "Create & Modify Orders",
    "close-trades": "Cancel/Close Orders",
}


async def report(at: World, key: Key) -> KeyReport:
    return await at.ours.venue.check_key(credentials_of(key), Mode.LIVE)


async def refusal(at: World, credentials: Credentials) -> KeyRefused:
    """Return how a key is refused; what is said of it holds nothing of it."""
    with pytest.raises(KeyRefused) as caught:
        await at.ours.venue.check_key(credentials, Mode.LIVE)
    assert credentials.api_key.reveal() not in str(caught.value)
    assert credentials.api_secret.reveal() not in str(caught.value)
    return caught.value


async def test_a_key_that_may_trade_and_nothing_more_is_a_good_one():
    async with world() as at:
        told = await report(at, at.key(*EVERYTHING, ips=("127.0.0.1",)))
        assert (told.can_read, told.can_trade, told.can_withdraw) == (True, True, False)
        assert (told.missing, told.ip_restricted, told.expires_at) == ((), True, None)
        assert told.balances == {"USDT": 10000, "BTC": 1}
        assert told.clock_offset == timedelta(0)


@pytest.mark.parametrize("lacking", EVERYTHING)
async def test_a_right_that_is_missing_is_named_as_on_krakens_own_page(lacking):
    async with world() as at:
        told = await report(at, at.key(*(right for right in EVERYTHING if right != lacking)))
        assert told.missing == (TITLES[lacking],)
        assert told.can_trade is (lacking not in ("modify-trades", "close-trades"))
        assert told.can_read is (not lacking.startswith("query"))
        assert (told.balances == {}) is (lacking == "query-funds")
        verdict = judge(
            told,
            venue="kraken",
            mode=Mode.LIVE,
            rules=KeyRules(live_ban=""),
            now=datetime.now(UTC),
        )
        assert isinstance(verdict, KeyDenied)
        assert TITLES[lacking] in verdict.text


@pytest.mark.parametrize(
    "right", ["withdraw-funds", "add-withdraw-address", "update-withdraw-address"]
)
async def test_a_key_that_may_take_money_out_or_prepare_it_says_so(right):
    async with world() as at:
        assert (await report(at, at.key(*EVERYTHING, right))).can_withdraw is True


async def test_other_rights_do_no_harm():
    harmless = [r for r in RIGHTS if "withdraw" not in r]
    async with world() as at:
        told = await report(at, at.key(*harmless))
        assert (told.can_trade, told.can_withdraw, told.missing) == (True, False, ())


async def test_the_checks_of_many_keys_do_not_wait_for_each_others_budgets():
    async with world() as at:
        names = []
        for user in ("bob", "carol"):
            key = at.sim.client(user, permissions=EVERYTHING)
            for _ in range(2):
                await report(at, key)
            found = {call.key for call in at.ours.pacer.calls if call.key}
            names.append(found)
            assert len(found) == 1 and key.api_key not in str(found)
            at.ours.pacer.calls.clear()
        assert names[0] != names[1]


async def test_when_a_key_ends_and_that_it_works_from_anywhere():
    async with world() as at:
        key = at.key()
        key.expires_ms = int(datetime(2027, 2, 19, tzinfo=UTC).timestamp() * 1000)
        told = await report(at, key)
        assert (told.expires_at, told.ip_restricted) == (datetime(2027, 2, 19, tzinfo=UTC), False)


async def test_what_is_on_hold_is_in_the_balances():
    async with world() as at:
        key = at.key()
        book = at.sim.exchange.accounts["alice"]
        book.free["BTC"] -= 25_000_000
        book.locked["BTC"] += 25_000_000
        assert (await report(at, key)).balances["BTC"] == 1


TOLD: dict[str, Any] = {
    "permissions": EVERYTHING,
    "validUntil": "0",
    "queryFrom": "0",
    "queryTo": "0",
    "ipAllowlist": [],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (True, True, False, ())),
        ({"permissions": None}, (None, None, None, ())),
        ({"permissions": "query-funds"}, (None, None, None, ())),
        ({"permissions": ["query-funds", 7]}, (None, None, None, ())),
        ({"permissions": []}, (False, False, False, tuple(TITLES.values()))),
        (
            {"queryFrom": "1700000000"},
            (True, True, False, ("a query range without start and end date",)),
        ),
        (
            {"queryTo": "1700000000"},
            (True, True, False, ("a query range without start and end date",)),
        ),
        ({"queryFrom": None, "queryTo": None}, (True, True, False, ())),
    ],
)
def test_what_is_not_told_of_a_key_is_not_known(changes, expected):
    said = TOLD | changes
    told = report_on(said, permissions_in(said), {"BTC": Decimal(1)})
    assert (told.can_read, told.can_trade, told.can_withdraw, told.missing) == expected


@pytest.mark.parametrize(
    ("ips", "restricted"), [([], False), (["1.2.3.4"], True), (None, None), ("", None)]
)
def test_from_where_a_key_may_be_used(ips, restricted):
    said = TOLD | {"ipAllowlist": ips}
    assert report_on(said, permissions_in(said), {}).ip_restricted is restricted


# ---- keys that are of no use


async def test_each_fault_of_a_key_is_told_from_the_others():
    async with world() as at:
        good = at.key()
        elsewhere = at.key(ips=("192.0.2.7",))
        revoked = at.key()
        revoked.revoked = True
        over = at.key()
        over.expires_ms = 1
        secret = Secret(b64encode(b"wrong" * 16).decode())
        wrong = Credentials(api_key=Secret(good.api_key), api_secret=secret)
        none = Credentials(api_key=Secret(good.api_key), api_secret=Secret("no base64 at all"))
        unknown = Credentials(api_key=Secret("u" * 56), api_secret=secret)
        for credentials, fault in (
            (wrong, KeyFault.SIGNATURE),
            (none, KeyFault.SIGNATURE),
            (unknown, KeyFault.INVALID),
            (credentials_of(elsewhere), KeyFault.ADDRESS),
            (credentials_of(revoked), KeyFault.INVALID),
            (credentials_of(over), KeyFault.INVALID),
        ):
            assert (await refusal(at, credentials)).fault is fault


async def test_a_key_with_which_another_program_counts_higher_is_refused_with_the_cure():
    async with world() as at:
        key = at.key()
        key.nonce = 10**18 * 2  # nanoseconds
        refused = await refusal(at, credentials_of(key))
        assert refused.fault is KeyFault.INVALID
        assert "another program uses the key" in str(refused)
        assert "EAPI:Invalid nonce" in str(refused)
        assert at.refusals.total() < 10  # too many failures lock the address out


async def test_a_key_that_was_used_with_milliseconds_before_is_a_good_one():
    async with world() as at:
        key = at.key()
        key.nonce = int(datetime.now(UTC).timestamp() * 1000) + 60_000
        assert (await report(at, key)).can_trade


async def test_clocks_that_differ_are_the_clocks_fault():
    async with world(clock=ShiftedClock(timedelta(seconds=4))) as at:
        assert (await refusal(at, credentials_of(at.key()))).fault is KeyFault.CLOCK


async def test_a_venue_that_cannot_be_reached_is_the_networks_fault():
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9", of=kraken) as ours:
        with pytest.raises(KeyRefused) as caught:
            await ours.venue.check_key(
                Credentials(api_key=Secret("k"), api_secret=Secret("s")), Mode.LIVE
            )
        assert caught.value.fault is KeyFault.NETWORK


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('{"error":["EService:Unavailable"]}', KeyFault.MAINTENANCE),
        ('{"error":["EAPI:Rate limit exceeded"]}', KeyFault.RATE_LIMIT),
        ('{"error":["EGeneral:Temporary lockout"]}', KeyFault.RATE_LIMIT),
        ('{"error":["EGeneral:Internal error"]}', KeyFault.NETWORK),
    ],
)
async def test_what_says_nothing_of_the_key_is_told_apart(body, fault):
    async with world() as at:
        key = at.key()
        told = Fault(kind=FaultKind.STATUS, status=200, body=body)
        at.sim.faults.once(fault=told, action="key")
        assert (await refusal(at, credentials_of(key))).fault is fault


async def test_a_key_that_is_taken_away_is_told_to_whoever_asks_for_a_list():
    async with world() as at:
        key = at.key()
        link = await at.ours.link(key)
        assert await link.balances()
        key.revoked = True
        with pytest.raises(KeyRefused) as caught:
            await link.balances()
        assert caught.value.fault is KeyFault.INVALID
