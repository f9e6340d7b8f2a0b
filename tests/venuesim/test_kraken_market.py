"""What the simulated Kraken tells everybody: names, filters, fees, tickers, bars, books, trades."""

import re
from dataclasses import replace

import pytest

from tests.venuesim.kraken_asking import Kraken, simulated_kraken
from tests.venuesim.rig import START_MS
from venuesim import kraken
from venuesim.instruments import LISTINGS, pair
from venuesim.kraken.market import Book, Level, checksum
from venuesim.kraken.public import BARS_MAX
from venuesim.units import units

START = START_MS // 1000

# What the answers' rows have, as Kraken's documents show them.
ASSET_KEYS = {
    "aclass", "altname", "decimals", "display_decimals", "collateral_value", "status",
}  # fmt: skip
PAIR_KEYS = {
    "altname", "wsname", "aclass_base", "base", "aclass_quote", "quote", "lot", "cost_decimals",
    "pair_decimals", "lot_decimals", "lot_multiplier", "leverage_buy", "leverage_sell", "fees",
    "fees_maker", "fee_volume_currency", "margin_call", "margin_stop", "ordermin", "costmin",
    "tick_size", "status", "execution_venue",
}  # fmt: skip
TICKER_KEYS = set("abcvptlho")
FIVE_DECIMALS = re.compile(r"\d+\.\d{5}")
EIGHT_DECIMALS = re.compile(r"\d+\.\d{8}")


@pytest.fixture
def venue() -> Kraken:
    return simulated_kraken()


def test_the_time_is_told_in_seconds_and_in_words(venue: Kraken):
    assert venue.public("Time") == {
        "unixtime": START,
        "rfc1123": "Sat, 21 Nov 26 12:00:00 +0000",
    }


# ----------------------------------------------------------------- assets, pairs


def test_old_assets_have_old_names_and_new_ones_their_own(venue: Kraken):
    assets = venue.public("Assets")
    assert {"XXBT", "XETH", "XXDG", "XXRP", "ZUSD", "ZEUR", "SOL", "ADA", "USDT"} <= set(assets)
    assert {key for row in assets.values() for key in row} == ASSET_KEYS
    assert assets["XXBT"] == {
        "aclass": "currency",
        "altname": "XBT",
        "decimals": 10,
        "display_decimals": 5,
        "collateral_value": 1,
        "status": "enabled",
    }
    assert (assets["ZUSD"]["decimals"], assets["ZUSD"]["display_decimals"]) == (4, 2)


def test_assets_are_found_by_each_of_their_names(venue: Kraken):
    for name in ("XBT", "XXBT", "BTC", "xbt"):
        assert set(venue.public("Assets", asset=name)) == {"XXBT"}
    assert list(venue.public("Assets", asset="ETH,USD")) == ["XETH", "ZUSD"]
    assert venue.public_answer("Assets", asset="GOLD")["error"] == ["EQuery:Unknown asset"]


@pytest.mark.parametrize(
    ("symbol", "key", "altname", "wsname"),
    [
        ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD"),
        ("ETH/USD", "XETHZUSD", "ETHUSD", "ETH/USD"),
        ("ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT"),
        ("XRP/USD", "XXRPZUSD", "XRPUSD", "XRP/USD"),
        ("BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT"),
        ("DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD"),
        ("SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD"),
        ("USDT/USD", "USDTZUSD", "USDTUSD", "USDT/USD"),
        ("TRX/BTC", "TRXXBT", "TRXXBT", "TRX/XBT"),
        ("XRP/ETH", "XRPETH", "XRPETH", "XRP/ETH"),
    ],
)
def test_a_pair_is_called_as_kraken_calls_it(
    venue: Kraken, symbol: str, key: str, altname: str, wsname: str
):
    for name in (symbol, key, altname, wsname, symbol.replace("/", ""), key.lower()):
        ((called, row),) = venue.public("AssetPairs", pair=name).items()
        assert called == (name if "/" in name else key)
        assert (row["altname"], row["wsname"]) == (altname, wsname)


def test_a_pairs_row_is_as_in_krakens_documents(venue: Kraken):
    pairs = venue.public("AssetPairs")
    assert all(set(row) == PAIR_KEYS for row in pairs.values())
    row = pairs["XXBTZUSD"]
    assert row["fees"][:2] == [[0, 0.4], [10000, 0.35]]
    assert row["fees"][-1] == [500000000, 0.05]
    assert row["fees_maker"][:2] == [[0, 0.25], [10000, 0.2]]
    del row["fees"], row["fees_maker"]
    assert row == {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
        "execution_venue": "international",
    }


def test_pairs_can_be_asked_for_a_part_of_their_row(venue: Kraken):
    part = venue.public("AssetPairs", pair="XBTUSD", info="fees")["XXBTZUSD"]
    assert set(part) == {"fees", "fees_maker", "fee_volume_currency"}
    part = venue.public("AssetPairs", pair="XBTUSD", info="margin")["XXBTZUSD"]
    assert part == {"margin_call": 80, "margin_stop": 40}
    wrong = venue.public_answer("AssetPairs", info="weather")
    assert wrong["error"] == ["EGeneral:Invalid arguments:info"]


def test_several_pairs_are_separated_by_commas_and_an_unknown_one_is_refused(venue: Kraken):
    assert list(venue.public("AssetPairs", pair="ETHUSD,XBTUSD")) == ["XETHZUSD", "XXBTZUSD"]
    wrong = venue.public_answer("AssetPairs", pair="XBTUSD,XBTGOLD")
    assert wrong == {"error": ["EQuery:Unknown asset pair"]}


def test_a_pair_listed_later_is_known_at_once(venue: Kraken):
    assert venue.public_answer("Ticker", pair="GNOUSD")["error"] == ["EQuery:Unknown asset pair"]
    venue.exchange.instruments["GNO/USD"] = pair("GNO/USD", "0.01", "0.00000001", "0.01")
    venue.tick("GNO/USD", "120")
    assert venue.public("Ticker", pair="GNOUSD")["GNOUSD"]["c"][0].startswith("120.0")


def test_the_mode_of_the_venue_is_the_status_of_its_pairs(venue: Kraken):
    venue.place.maintenance = "cancel_only"
    assert {row["status"] for row in venue.public("AssetPairs").values()} == {"cancel_only"}


def test_books_with_the_usual_steps_are_shown_as_fine_as_they_are():
    venue = simulated_kraken(instruments=LISTINGS)
    row = venue.public("AssetPairs", pair="XBTUSD")["XXBTZUSD"]
    assert (row["lot_decimals"], row["cost_decimals"], row["pair_decimals"]) == (5, 8, 1)
    alice = venue.client(USD="100.12345678")
    assert alice.ask("Balance") == {"ZUSD": "100.12345678"}


# ----------------------------------------------------------------------- prices


def test_a_ticker_has_krakens_fields_and_decimals(venue: Kraken):
    venue.tick("BTC/USD", "66000", "0.5")
    venue.tick("BTC/USD", "64000", "0.25")
    venue.tick("BTC/USD", "65000", "0.25")
    row = venue.public("Ticker", pair="XBTUSD")["XXBTZUSD"]
    assert set(row) == TICKER_KEYS
    assert row["c"] == ["65000.00000", "0.25000000"]
    assert row["v"] == ["1.00000000", "1.00000000"]
    assert row["p"] == ["65250.00000", "65250.00000"]
    assert row["t"] == [3, 3]
    assert row["l"] == ["64000.00000", "64000.00000"]
    assert row["h"] == ["66000.00000", "66000.00000"]
    assert row["o"] == "66000.00000"
    for price, whole, lots in (row["a"], row["b"]):
        assert FIVE_DECIMALS.fullmatch(price)
        assert lots == f"{whole}.000"
    assert row["b"][0] < row["c"][0] < row["a"][0]


def test_todays_figures_begin_at_midnight_and_the_others_a_day_ago(venue: Kraken):
    venue.tick("BTC/USD", "66000", "1")
    venue.later(13 * 3600)  # one o'clock of the next day
    venue.tick("BTC/USD", "65000", "2")
    row = venue.public("Ticker", pair="XBTUSD")["XXBTZUSD"]
    assert (row["v"], row["t"]) == (["2.00000000", "3.00000000"], [1, 2])
    assert row["h"] == ["65000.00000", "66000.00000"]
    venue.later(20 * 3600)
    assert venue.public("Ticker", pair="XBTUSD")["XXBTZUSD"]["v"][1] == "2.00000000"


def test_all_tickers_are_those_of_pairs_that_have_a_price():
    venue = simulated_kraken(prices=False)
    assert venue.public("Ticker") == {}
    venue.tick("BTC/USD", "65000")
    assert list(venue.public("Ticker")) == ["XXBTZUSD"]


def test_bars_are_rows_of_eight_with_the_running_one_last(venue: Kraken):
    venue.tick("BTC/USD", "65000", "1")
    venue.tick("BTC/USD", "65300", "2")
    venue.later(60)
    venue.tick("BTC/USD", "65100", "1")
    found = venue.public("OHLC", pair="XBTUSD", interval=1)
    assert found["XXBTZUSD"] == [
        [START, "65000.0", "65300.0", "65000.0", "65300.0", "65200.0", "3.00000000", 2],
        [START + 60, "65100.0", "65100.0", "65100.0", "65100.0", "65100.0", "1.00000000", 1],
    ]
    assert found["last"] == START


def test_since_last_gives_what_is_committed_after_it_and_the_running_bar(venue: Kraken):
    for _ in range(4):
        venue.tick("BTC/USD", "65000")
        venue.later(60)
    venue.tick("BTC/USD", "65000")
    found = venue.public("OHLC", pair="XBTUSD", since=START + 60)
    assert [row[0] for row in found["XXBTZUSD"]] == [START + 120, START + 180, START + 240]
    assert found["last"] == START + 180
    again = venue.public("OHLC", pair="XBTUSD", since=found["last"])
    assert [row[0] for row in again["XXBTZUSD"]] == [START + 240]
    future = venue.public("OHLC", pair="XBTUSD", since=START + 9999)
    assert [row[0] for row in future["XXBTZUSD"]] == [START + 240]


def test_where_nothing_was_traded_the_bars_stand_still(venue: Kraken):
    venue.tick("BTC/USD", "65000")
    venue.later(180)
    rows = venue.public("OHLC", pair="XBTUSD")["XXBTZUSD"]
    assert [row[0] for row in rows] == [START, START + 60, START + 120, START + 180]
    still = ["65000.0"] * 4
    assert rows[-1][1:] == [*still, "0.0", "0.00000000", 0]


def test_bars_of_a_week_begin_on_a_thursday_and_no_more_than_720_are_told(venue: Kraken):
    venue.tick("BTC/USD", "65000")
    venue.later(10 * 86400)
    venue.tick("BTC/USD", "66000")
    weeks = venue.public("OHLC", pair="XBTUSD", interval=10080)["XXBTZUSD"]
    assert [row[0] % 604800 for row in weeks] == [0, 0]
    assert [row[4] for row in weeks] == ["65000.0", "66000.0"]
    halves = venue.public("OHLC", pair="XBTUSD", interval=21600)["XXBTZUSD"]
    assert all(row[0] % 1296000 == 0 for row in halves)
    assert len(venue.public("OHLC", pair="XBTUSD", interval=1)["XXBTZUSD"]) == BARS_MAX


def test_a_pair_without_trades_has_no_bars(venue: Kraken):
    assert venue.public("OHLC", pair="XBTUSD") == {"XXBTZUSD": [], "last": 0}


@pytest.mark.parametrize(
    ("method", "values", "error"),
    [
        ("OHLC", {"pair": "XBTUSD", "interval": 7}, "EGeneral:Invalid arguments:interval"),
        ("OHLC", {"pair": "XBTUSD", "interval": "x"}, "EGeneral:Invalid arguments:interval"),
        ("OHLC", {}, "EGeneral:Invalid arguments:pair"),
        ("Depth", {"pair": "XBTUSD", "count": 501}, "EGeneral:Invalid arguments:count"),
        ("Depth", {"pair": "XBTGOLD"}, "EQuery:Unknown asset pair"),
        ("Trades", {"pair": "XBTUSD", "count": 0}, "EGeneral:Invalid arguments:count"),
        ("Trades", {"pair": "XBTUSD", "since": "noon"}, "EGeneral:Invalid arguments:since"),
        ("Spread", {"pair": "XBTUSD,ETHUSD"}, "EGeneral:Invalid arguments:pair"),
    ],
)
def test_what_cannot_be_asked_for_is_an_invalid_argument(
    venue: Kraken, method: str, values: dict[str, object], error: str
):
    assert venue.public_answer(method, **values) == {"error": [error]}


def test_a_book_has_as_many_levels_as_asked_best_first(venue: Kraken):
    book = venue.public("Depth", pair="XBTUSD", count=20)["XXBTZUSD"]
    bids, asks = ([float(row[0]) for row in book[side]] for side in ("bids", "asks"))
    assert (len(bids), len(asks)) == (20, 20)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    price, quantity, at = book["bids"][0]
    assert FIVE_DECIMALS.fullmatch(price)
    assert float(quantity) > 0
    assert at == START
    assert len(venue.public("Depth", pair="XBTUSD")["XXBTZUSD"]["asks"]) == 100


def test_the_same_price_has_the_same_quantity_wherever_the_best_is(venue: Kraken):
    before = {row[0]: row[1] for row in venue.public("Depth", pair="XBTUSD")["XXBTZUSD"]["bids"]}
    venue.tick("BTC/USD", "64990")
    after = {row[0]: row[1] for row in venue.public("Depth", pair="XBTUSD")["XXBTZUSD"]["bids"]}
    shared = set(before) & set(after)
    assert len(shared) > 80
    assert all(before[price] == after[price] for price in shared)


def test_trades_go_on_after_the_mark_that_was_told_last(venue: Kraken):
    venue.tick("BTC/USD", "65000", "0.5")
    venue.tick("BTC/USD", "64000", "0.25")
    found = venue.public("Trades", pair="XBTUSD")
    rows = found["XXBTZUSD"]
    assert [(row[0], row[1], row[3:6]) for row in rows] == [
        ("65000.00000", "0.50000000", ["b", "m", ""]),
        ("64000.00000", "0.25000000", ["s", "m", ""]),
    ]
    assert rows[1][6] == rows[0][6] + 1
    assert found["last"].isdigit()
    assert len(found["last"]) == 19
    venue.later(1)
    venue.tick("BTC/USD", "65500", "1")
    newer = venue.public("Trades", pair="XBTUSD", since=found["last"])
    assert [row[0] for row in newer["XXBTZUSD"]] == ["65500.00000"]
    nothing = venue.public("Trades", pair="XBTUSD", since=newer["last"])
    assert nothing == {"XXBTZUSD": [], "last": newer["last"]}
    seconds = venue.public("Trades", pair="XBTUSD", since=START + 1, count=1)["XXBTZUSD"]
    assert [row[0] for row in seconds] == ["65500.00000"]
    assert len(venue.public("Trades", pair="XBTUSD", count=2)["XXBTZUSD"]) == 2


def test_spreads_are_told_when_they_change(venue: Kraken):
    venue.tick("BTC/USD", "65000")
    venue.tick("BTC/USD", "65000")
    venue.later(5)
    venue.tick("BTC/USD", "65100")
    found = venue.public("Spread", pair="XBTUSD")
    assert [row[0] for row in found["XXBTZUSD"]] == [START, START + 5]
    assert all(FIVE_DECIMALS.fullmatch(price) for row in found["XXBTZUSD"] for price in row[1:])
    assert found["last"] == START + 5
    newer = venue.public("Spread", pair="XBTUSD", since=START + 1)["XXBTZUSD"]
    assert [row[0] for row in newer] == [START + 5]


# --------------------------------------------------------------------- checksum


def test_a_books_checksum_is_that_of_krakens_own_example():
    asks = (
        "45285.2 0.00100000 45286.4 1.54571953 45286.6 1.54571109 45289.6 1.54560911 "
        "45290.2 0.15890660 45291.8 1.54553491 45294.7 0.04454749 45296.1 0.35380000 "
        "45297.5 0.09945542 45299.5 0.18772827"
    )
    bids = (
        "45283.5 0.10000000 45283.4 1.54582015 45282.1 0.10000000 45281.0 0.10000000 "
        "45280.3 1.54592586 45279.0 0.07990000 45277.6 0.03310103 45277.5 0.30000000 "
        "45277.3 1.54602737 45276.6 0.15445238"
    )

    def levels(text: str) -> tuple[Level, ...]:
        words = [units(word) for word in text.split()]
        return tuple(map(Level, words[::2], words[1::2]))

    venue = simulated_kraken()
    names = venue.desk.floor.names.by_symbol("BTC/USD")
    book = Book(levels(bids), levels(asks))
    assert checksum(book, names) == 3310070434
    more = replace(book, bids=(*book.bids, Level(units("1"), units("1"))))
    assert checksum(more, names) == 3310070434


def test_krakens_listings_can_be_traded_at_their_prices():
    for listing in kraken.LISTINGS:
        instrument = listing.instrument
        assert listing.price % instrument.tick == 0, instrument.name
        assert instrument.quantity_min % instrument.step == 0
        assert (instrument.taker_fee, instrument.maker_fee) == (4000, 2500)
