"""Other people's clients trade on the simulated Kraken over real sockets and notice nothing."""

import json
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.venuesim.rig import simulated, simulated_process
from tests.venuesim.talking import told_by
from venuesim.running import Running
from venuesim.units import units

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
MONEY = {"USD": "100000", "BTC": "1"}
needs_clients = pytest.mark.skipif(
    not PYTHON.exists(), reason="no .venv-clients here: `make test` makes it"
)


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("kraken") as running:
        running.place.limits = False
        running.tick("BTC/USD", "65000")
        yield running


def test_the_venue_runs_by_itself_with_krakens_own_pairs():
    with simulated_process("kraken") as process:
        connection = HTTPConnection(process.url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/api.kraken.com/0/public/AssetPairs?pair=XBTUSD")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        row = answer["result"]["XXBTZUSD"]
        assert (row["lot_decimals"], row["tick_size"], row["fees"][0]) == (8, "0.1", [0, 0.4])
        assert len(process.admin.client("alice", MONEY)["api_key"]) == 56


@needs_clients
async def test_krakenex_trades_and_notices_nothing(sim: Running):
    told = await told_by(PYTHON, "kraken_krakenex.py", sim, MONEY)
    assert told["SystemStatus"]["status"] == "online"
    assert set(told["Assets"]) == {"XXBT", "XETH", "ZUSD"}
    assert told["AssetPairs"]["XXBTZUSD"]["wsname"] == "XBT/USD"
    assert set(told["Ticker"]) == {"XXBTZUSD", "XETHZUSD"}
    assert len(told["OHLC"]["XXBTZUSD"][-1]) == 8
    assert len(told["Depth"]["XXBTZUSD"]["asks"]) == 3
    assert told["Trades"]["XXBTZUSD"][0][0] == "65000.00000"
    assert len(told["Spread"]["XXBTZUSD"][0]) == 3
    assert told["balance"] == {"XXBT": "1.0000000000", "ZUSD": "100000.0000"}
    assert told["extended"]["ZUSD"] == {"balance": "100000.0000", "hold_trade": "0.0000"}
    assert "withdraw-funds" not in told["rights"]
    assert told["placed"]["descr"]["order"] == "buy 0.10000000 XBTUSD @ limit 60000.0"
    assert (told["open"]["status"], told["open"]["cl_ord_id"]) == ("open", "mine")
    assert (told["closed"]["status"], told["closed"]["fee"]) == ("closed", "15.00000")
    assert told["trades"]["count"] == 1
    assert told["ledger"]["count"] == 4
    assert told["cancelled"] == {"count": 1}
    assert told["cancelled again"] == ["EOrder:Unknown order"]
    assert told["history"] == "canceled"
    assert told["too dear"] == ["EOrder:Insufficient funds"]
    assert told["too small"] == ["EOrder:Order minimum not met"]
    assert told["wrong key"] == ["EAPI:Invalid key"]
    assert told["wrong secret"] == ["EAPI:Invalid signature"]
    assert told["first use"] is True
    assert told["same nonce"] == ["EAPI:Invalid nonce"]


@needs_clients
async def test_python_kraken_sdk_trades_and_listens_and_notices_nothing(sim: Running):
    told = await told_by(PYTHON, "kraken_sdk.py", sim, MONEY)
    assert told["assets"]["XXBT"]["decimals"] == 10
    assert set(told["pairs"]) == {"XXBTZUSD", "XETHZUSD"}
    assert told["ticker"]["XXBTZUSD"]["c"][0] == "65000.00000"
    assert told["bars"]["XXBTZUSD"][-1][4] == "65000.0"
    assert len(told["book"]["XXBTZUSD"]["bids"]) == 5
    assert told["market trades"]["last"].isdigit()
    assert told["status"]["status"] == "online"
    assert told["unknown pair"].startswith("KrakenUnknownAsset")
    # orders
    assert told["balances"]["ZUSD"]["balance"] == "100000.0000"
    assert told["balance"]["balance"] == 100000
    assert told["worth"]["eb"] == "165000.0000"
    assert set(told["checked"]) == {"descr"}
    assert (told["open"]["userref"], told["open"]["oflags"]) == (7, "fciq,post")
    assert set(told["amended"]) == {"amend_id"}
    assert (told["filled"]["status"], told["filled"]["price"]) == ("closed", "60100.00000")
    assert told["filled"]["trades"] == list(told["trades"]["trades"])
    assert told["ledger"]["count"] == 2
    assert told["volume"]["fees"]["XXBTZUSD"]["fee"] == "0.4000"
    assert told["stop"]["descr"]["price2"] == "49900.0"
    assert told["cancelled"] == {"count": 1}
    assert [set(row) for row in told["batch"]["orders"]] == [{"txid", "descr"}] * 2
    assert told["alarm"] is True
    assert told["cancelled batch"] == {"count": 2}
    assert told["cancelled all"] == {"count": 0}
    assert told["unknown order"] == "KrakenUnknownOrderError"
    assert told["too dear"] == "KrakenInsufficientFundsError"
    assert told["too small"] == "KrakenOrderMinimumNotMetError"
    assert told["late"] == "KrakenDeadlineElapsedError"
    assert told["wrong key"] == "KrakenInvalidAPIKeyError"
    assert told["wrong secret"] == "KrakenInvalidSignatureError"
    assert told["same nonce"] == "KrakenInvalidNonceError"
    # streams
    assert (told["stream status"], told["pong"]) == ("online", "pong")
    assert told["stream ticker"][0]["last"] == 60500.3
    assert told["stream trade"][0]["price"] == 60500.3
    assert told["stream ohlc"][0]["close"] == 60500.3
    added, traded, filled = (
        told[f"stream {what}"] for what in ("added", "trade of mine", "filled")
    )
    assert added["order_userref"] == 9
    assert added["order_id"] == traded["order_id"] == filled["order_id"]
    assert (traded["last_price"], traded["last_qty"]) == (60000, 0.01)
    assert filled["order_status"] == "filled"
    assert told["stream balance"][0]["asset"] == "USD"
    assert told["stream cancelled"] == {"count": 0}
    assert (told["subscriptions"], told["private subscriptions"]) == (3, 2)
    assert told["book valid"] is True
    assert told["book sides"] == [10, 10]
    book = sim.exchange.accounts["alice"]
    assert book.free["BTC"] == units("1.11")
