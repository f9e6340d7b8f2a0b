"""What Binance's adapter says of a key, and what to do about one that is of no use."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.venues.rig import (
    Adapter,
    FreePacer,
    ShiftedClock,
    adapter,
    credentials_of,
    http,
    listed,
    over,
    teller,
)
from tests.venuesim.rig import simulated
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, Secret
from tradefleet.domain.user import Mode
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues._ccxt.addresses import VenueOptions
from tradefleet.venues._ccxt.keys import CURES
from tradefleet.venues.binance import report_of
from venuesim.faults import Fault, FaultKind

UNKNOWN = Credentials(api_key=Secret("u" * 64), api_secret=Secret("n" * 64))


async def test_a_good_key_may_trade_may_not_withdraw_and_shows_the_balances():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice", {"USDT": "1000", "BTC": "0.5"}, ips=["127.0.0.1"])
        report = await made.venue.check_key(credentials_of(key), Mode.LIVE)
        assert (report.can_read, report.can_trade, report.can_withdraw) == (True, True, False)
        assert (report.missing, report.ip_restricted, report.expires_at) == ((), True, None)
        assert report.balances == {"USDT": Decimal(1000), "BTC": Decimal("0.5")}
        assert abs(report.clock_offset) < timedelta(milliseconds=500)


async def test_a_key_that_is_bound_to_no_address_says_until_when_it_may_trade():
    async with simulated("binance") as sim, over(sim) as made:
        report = await made.venue.check_key(credentials_of(sim.client("alice")), Mode.LIVE)
        assert report.ip_restricted is False
        assert report.expires_at is not None
        left = report.expires_at - RealClock().now()
        assert timedelta(days=89) < left <= timedelta(days=90)


@pytest.mark.parametrize("right", ["withdraw", "transfer"])
async def test_a_key_that_may_move_money_out_says_so(right):
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice", permissions=["read", "trade", right])
        report = await made.venue.check_key(credentials_of(key), Mode.LIVE)
        assert report.can_withdraw is True


async def test_a_key_that_may_not_trade_names_the_right_it_lacks():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice", permissions=["read"])
        report = await made.venue.check_key(credentials_of(key), Mode.LIVE)
        assert (report.can_trade, report.missing) == (False, ("enableSpotAndMarginTrading",))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"enableWithdrawals": False},
        {"enableWithdrawals": False, "enableInternalTransfer": False},
        {"enableWithdrawals": None, "enableInternalTransfer": False, "permitsUniversalTransfer": 0},
        {"enableWithdrawals": "false"},
    ],
)
def test_what_is_not_said_about_withdrawing_is_not_known(said):
    assert report_of(said, can_trade=True, balances={}).can_withdraw is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.HTML, status=403),
        Fault(kind=FaultKind.STATUS, status=502),
        Fault(kind=FaultKind.BODY_CUT, at=20),
        Fault(kind=FaultKind.ANSWER_LOST),
        Fault(kind=FaultKind.JSON_TRUNCATED, at=10),
    ],
    ids=str,
)
async def test_rights_that_cannot_be_had_are_not_known(fault):
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice")
        sim.faults.once(action="key", fault=fault, times=2)
        report = await made.venue.check_key(credentials_of(key), Mode.LIVE)
        assert (report.can_trade, report.can_withdraw, report.ip_restricted) == (None, None, None)


async def test_the_testnet_says_nothing_of_rights():
    async with simulated("binance") as sim, over(sim) as made:
        report = await made.venue.check_key(credentials_of(sim.client("alice")), Mode.TESTNET)
        assert (report.can_read, report.can_trade, report.can_withdraw) == (True, True, None)


# ---- keys that are of no use


async def refused(made: Adapter, credentials: Credentials, mode: Mode = Mode.LIVE) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught:
        await made.venue.check_key(credentials, mode)
    for hidden in (credentials.api_key.reveal(), credentials.api_secret.reveal(), "signature="):
        assert hidden not in str(caught.value)
        assert hidden not in repr(caught.value)
    return caught.value


async def test_a_key_the_venue_does_not_know_is_invalid():
    async with simulated("binance") as sim, over(sim) as made:
        failed = await refused(made, UNKNOWN)
        assert failed.fault is KeyFault.INVALID
        assert "Copy it again" in str(failed)
        badly_formed = Credentials(api_key=Secret("sh0rt"), api_secret=Secret("5hort"))
        assert (await refused(made, badly_formed)).fault is KeyFault.INVALID


async def test_a_wrong_secret_is_told_from_a_wrong_key():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice")
        wrong = Credentials(api_key=Secret(key.api_key), api_secret=Secret("w" * 64))
        failed = await refused(made, wrong)
        assert failed.fault is KeyFault.SIGNATURE
        assert "secret does not fit" in str(failed)


PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----"


async def test_a_key_of_another_kind_is_told_from_a_wrong_one():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice")
        other = Credentials(api_key=Secret(key.api_key), api_secret=Secret(PEM))
        failed = await refused(made, other)
        assert failed.fault is KeyFault.SIGNATURE
        assert "of kind HMAC" in str(failed)


@pytest.mark.parametrize("text", ["", "two words", "k\r\nX-Other: 1", "schlüssel"])
async def test_what_cannot_be_a_key_is_not_sent(text):
    async with teller() as told, adapter(told.url, "ws://127.0.0.1:9") as made:
        with pytest.raises(KeyRefused) as caught:
            bad = Credentials(api_key=Secret(text), api_secret=Secret("s"))
            await made.venue.check_key(bad, Mode.LIVE)
        assert caught.value.fault is KeyFault.INVALID
        assert told.heard == []


async def test_a_key_bound_to_other_addresses_is_told_from_an_invalid_one():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("alice", ips=["192.0.2.7"])
        failed = await refused(made, credentials_of(key))
        assert failed.fault is KeyFault.ADDRESS
        assert "Add this server's address" in str(failed)


async def test_a_key_that_may_ask_for_its_rights_but_not_for_the_account_lacks_a_right():
    now_ms = int(RealClock().now().timestamp() * 1000)
    denied = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
    answers = (http(f'{{"serverTime":{now_ms}}}'), http(denied, 401), http("{}"))
    async with teller(*answers) as told, adapter(told.url, "ws://127.0.0.1:9") as made:
        listed(made)
        assert (await refused(made, UNKNOWN)).fault is KeyFault.PERMISSION


async def test_clocks_that_differ_are_the_clocks_fault():
    clock = ShiftedClock(timedelta(seconds=3))
    async with simulated("binance") as sim, over(sim, clock=clock) as made:
        failed = await refused(made, credentials_of(sim.client("alice")))
        assert failed.fault is KeyFault.CLOCK
        assert "set the clock" in str(failed)


async def test_a_venue_that_cannot_be_reached_is_the_networks_fault():
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9") as made:
        failed = await refused(made, UNKNOWN)
        assert failed.fault is KeyFault.NETWORK
        assert "cannot be reached" in str(failed)


async def test_a_venue_in_maintenance_is_told_from_one_that_is_away():
    async with simulated("binance") as sim, over(sim) as made:
        sim.place.maintenance = "maintenance"
        failed = await refused(made, credentials_of(sim.client("alice")))
        assert failed.fault is KeyFault.MAINTENANCE


@pytest.mark.parametrize(
    "answer",
    [
        http('{"code":-1003,"msg":"Too much request weight used."}', 429, Retry_After="30"),
        http("<html>429</html>", 429),
        http("<html>403</html>", 403),
    ],
)
async def test_too_many_requests_are_no_fault_of_the_key(answer):
    async with teller(answer) as told, adapter(told.url, "ws://127.0.0.1:9") as made:
        assert (await refused(made, UNKNOWN)).fault is KeyFault.RATE_LIMIT


async def test_a_door_that_our_governor_keeps_closed_is_no_fault_of_the_key():
    pacer = FreePacer(closed="binance takes no requests from us until 12:00 UTC")
    async with adapter("http://127.0.0.1:9", "ws://127.0.0.1:9", pacer=pacer) as made:
        failed = await refused(made, UNKNOWN)
        assert failed.fault is KeyFault.RATE_LIMIT
        assert "12:00 UTC" in str(failed)


async def test_a_key_of_the_other_environment_is_told_from_an_invalid_one():
    async with simulated("binance") as live, simulated("binance", seed=2) as test:
        key = test.client("alice")
        async with over(live) as made:
            made.venue.side(Mode.LIVE)
            made.venue.options = VenueOptions(url=test.url, ws_url=test.ws_url)
            made.venue.side(Mode.TESTNET)
            made.venue.options = VenueOptions()  # each environment at its own address, as in life
            failed = await refused(made, credentials_of(key))
            assert failed.fault is KeyFault.WRONG_MODE
            assert (await refused(made, UNKNOWN)).fault is KeyFault.INVALID


def test_every_fault_has_its_own_cure():
    assert set(CURES) == set(KeyFault)
    assert len(set(CURES.values())) == len(CURES)


# ---- a key that is refused while it is used


async def test_a_key_that_is_taken_away_is_told_to_whoever_asks_for_a_list():
    async with simulated("binance") as sim, over(sim) as made:
        key = sim.client("a1")
        link = await made.link(key)
        assert await link.balances()
        key.revoked = True
        with pytest.raises(KeyRefused) as caught:
            await link.balances()
        assert caught.value.fault is KeyFault.INVALID
