"""What accounts share, what one more of them costs, and how little of ccxt is imported."""

import gc
import subprocess
import sys
import tracemalloc

import pytest

from tests.venues.rig import armed, over
from tests.venuesim.rig import simulated
from tradefleet.domain.errors import Refused
from tradefleet.domain.money import MONEY
from tradefleet.domain.user import Mode
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.real_world import RealClock
from tradefleet.venues._ccxt.addresses import Addresses, VenueOptions, moved, placed
from tradefleet.venues._ccxt.wire import trusted
from tradefleet.venues.binance import LIVE

ACCOUNTS = 200
KIB_EACH = 20


async def test_one_more_account_costs_little_even_with_its_stream():
    async with simulated("binance") as sim, over(sim) as made:
        keys = [sim.client(f"a{number}", {}) for number in range(ACCOUNTS + 20)]
        for number in range(20):
            await made.link(keys[number], f"a{number}")
        await made.joined(20)
        gc.collect()
        ours = tracemalloc.Filter(True, "*/tradefleet/*")
        tracemalloc.start()
        links = [await made.link(keys[n], f"a{n}") for n in range(20, ACCOUNTS + 20)]
        await made.joined(ACCOUNTS + 20)
        gc.collect()
        taken = tracemalloc.take_snapshot().filter_traces([ours])
        tracemalloc.stop()
        each = sum(trace.size for trace in taken.statistics("filename")) / len(links) / 1024
        assert each < KIB_EACH
        assert len(made.venue.sides[Mode.LIVE].bells.ropes) == 2


async def test_accounts_share_markets_sockets_and_certificates():
    async with simulated("binance") as sim, over(sim) as made:
        one, other = [await made.link(sim.client(name), name) for name in ("a1", "a2")]
        assert one.asker.environment is other.asker.environment
        await one.balances()
        await other.balances()
        assert sim.server.calls["market"] == 1
        assert len(made.venue.transport._hosts) == 1
    assert trusted() is trusted()


async def test_the_governor_of_the_service_knows_all_that_is_asked_of_it():
    async with Governor(clock=RealClock()) as governor:
        async with simulated("binance") as sim, over(sim, pacer=governor) as made:
            link = await made.link(sim.client("a1", {"USDT": "10000"}))
            await made.joined()
            await link.submit(order := armed("0.01"))
            assert await link.look_up(order)
            assert await link.fills_of(order)
            assert sim.server.statuses.keys() <= {200}
        assert list(governor.entrances) == ["binance"]


# ---- addresses


def test_an_address_given_by_the_operator_replaces_every_host_and_keeps_the_paths():
    here = placed(
        LIVE, VenueOptions(url="http://127.0.0.1:8000", ws_url="ws://127.0.0.1:8001/sim/")
    )
    assert here == Addresses(
        rest={
            "public": "http://127.0.0.1:8000/api/v3",
            "private": "http://127.0.0.1:8000/api/v3",
            "sapi": "http://127.0.0.1:8000/sapi/v1",
        },
        public_stream="ws://127.0.0.1:8001/sim/stream",
        private_stream="ws://127.0.0.1:8001/sim/ws-api/v3",
    )
    assert placed(LIVE, VenueOptions()) == LIVE
    assert moved("", "http://x") == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "127.0.0.1:8000"}, "url must look like https://host:port"),
        ({"url": "ws://127.0.0.1"}, "url must look like https://host:port"),
        ({"url": "http://"}, "url must look like"),
        ({"url": "https://alice:secret@host"}, "url must look like"),
        ({"ws_url": "http://127.0.0.1"}, "ws_url must look like wss://host:port"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_and_not_repeated(options, says):
    with pytest.raises(Refused, match=says) as caught:
        placed(LIVE, VenueOptions(**options))
    assert "secret" not in str(caught.value)


# ---- ccxt

SLIM = """
import sys
from decimal import getcontext
before = repr(getcontext())
from tradefleet.venues._ccxt import library
binance, raised = library.exchange_class("binance")
assert library.exchange_class("binance")[0] is binance
kraken, same = library.exchange_class("kraken")
assert raised is same and issubclass(raised, Exception)
assert binance({}).id == "binance" and kraken({}).id == "kraken"
assert not [name for name in sys.modules if name.partition(".")[0] == "ccxt"]
assert len(library._kept) < 40, len(library._kept)
import ccxt.async_support as whole
assert whole.binance is not binance
assert whole.kraken({}).id == "kraken"
assert library.exchange_class("bybit") == (whole.bybit, whole.BaseError)
assert repr(getcontext()) == before
print("slim, then whole")
"""


@pytest.mark.slow
def test_of_ccxt_only_what_is_needed_is_imported_unless_all_of_it_is_there():
    done = subprocess.run([sys.executable, "-c", SLIM], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "slim, then whole", done.stderr


async def test_prices_of_a_fee_asset_are_asked_for_once_a_minute():
    async with simulated("binance") as sim, over(sim) as made:
        valuation = made.venue.side(Mode.LIVE).valuation
        rates = [await valuation._rate("BNB", "USDT") for _ in range(5)]
        assert len(set(rates)) == 1 and rates[0] is not None
        asked = sim.server.calls.total()
        turned = await valuation._rate("USDT", "BTC")
        assert turned is not None and 0 < turned < 1
        bridged = await valuation._rate("BNB", "BTC")  # over USDT, both of which are known by now
        assert bridged == MONEY.multiply(rates[0], turned)
        assert await valuation._rate("NOSUCH", "USDT") is None
        assert sim.server.calls.total() - asked == 1
