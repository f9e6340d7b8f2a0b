"""What the simulated Kraken trades, with Kraken's own steps, minimums and fees."""

from dataclasses import replace

from venuesim.instruments import Instrument, Listing, pair
from venuesim.kraken.fees import STEPS
from venuesim.kraken.names import FIAT
from venuesim.units import units

LOT_STEP = "0.00000001"
# Pair, tick, least quantity, price to start at. Costs below COST_MIN of the quote are refused.
TABLE = (
    ("BTC/USD", "0.1", "0.00005", "65000"),
    ("ETH/USD", "0.01", "0.001", "3200"),
    ("SOL/USD", "0.01", "0.02", "150"),
    ("XRP/USD", "0.00001", "2", "0.62"),
    ("ADA/USD", "0.000001", "5", "0.45"),
    ("DOGE/USD", "0.0000001", "13", "0.12"),
    ("LTC/USD", "0.01", "0.04", "84"),
    ("BTC/USDT", "0.1", "0.00005", "65000"),
    ("ETH/USDT", "0.01", "0.001", "3200"),
    ("SOL/USDT", "0.01", "0.02", "150"),
    ("XRP/USDT", "0.00001", "2", "0.62"),
    ("ADA/USDT", "0.000001", "5", "0.45"),
    ("DOGE/USDT", "0.0000001", "13", "0.12"),
    ("BNB/USDT", "0.01", "0.005", "600"),
    ("BTC/USDC", "0.01", "0.00005", "65000"),
    ("BTC/EUR", "0.1", "0.00005", "60000"),
    ("ETH/EUR", "0.01", "0.001", "2950"),
    ("USDT/USD", "0.00001", "5", "1"),
    ("ETH/BTC", "0.00001", "0.001", "0.05"),
    ("XRP/ETH", "0.00000001", "2", "0.0002"),
    ("TRX/BTC", "0.00000001", "40", "0.0000015"),
    ("ETC/BTC", "0.000001", "0.2", "0.0004"),
    ("XLM/BTC", "0.00000001", "20", "0.000002"),
)
COST_MIN = {"BTC": "0.00002", "ETH": "0.0002", "EUR": "0.45"}
COST_MIN_ELSE = "0.5"
# How finely costs and fees are booked: no finer than the quote's own books.
FIAT_DECIMALS, STABLE_DECIMALS, COIN_DECIMALS = 4, 5, 8
STABLE = ("USDT", "USDC")


def _instrument(name: str, tick: str, least: str) -> Instrument:
    quote = name.split("/")[1]
    found = pair(name, tick, LOT_STEP, least, COST_MIN.get(quote, COST_MIN_ELSE))
    coin = STABLE_DECIMALS if quote in STABLE else COIN_DECIMALS
    return replace(
        found,
        amount_decimals=FIAT_DECIMALS if quote in FIAT else coin,
        taker_fee=STEPS[0][1],
        maker_fee=STEPS[0][2],
    )


LISTINGS = [
    Listing(_instrument(name, tick, least), units(price)) for name, tick, least, price in TABLE
]
