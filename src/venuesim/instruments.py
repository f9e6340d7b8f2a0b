"""What a simulated venue trades: the filters, steps and fees of each pair."""

from dataclasses import dataclass, field

from venuesim.units import UNITS, units


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One pair; all numbers but decimals and fees in units of 10^-8, fees in millionths.

    amount_decimals is how finely costs and fees in quote are booked and shown.
    """

    base: str
    quote: str
    tick: int
    step: int
    quantity_min: int
    quantity_max: int = 10**9 * UNITS
    notional_min: int = 5 * UNITS
    price_decimals: int = 2
    quantity_decimals: int = 8
    amount_decimals: int = 8
    maker_fee: int = 1000
    taker_fee: int = 1000

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"


def pair(name: str, tick: str, step: str, minimum: str, notional: str = "5") -> Instrument:
    """Return an instrument from numbers as people write them."""
    base, quote = name.split("/")
    tick_units = units(tick)
    decimals = next(d for d in range(9) if tick_units % 10 ** (8 - d) == 0)
    step_units = units(step)
    step_decimals = next(d for d in range(9) if step_units % 10 ** (8 - d) == 0)
    return Instrument(
        base=base,
        quote=quote,
        tick=tick_units,
        step=step_units,
        quantity_min=units(minimum),
        notional_min=units(notional),
        price_decimals=decimals,
        quantity_decimals=step_decimals,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """A pair and the price it starts at on the synthetic market."""

    instrument: Instrument
    price: int
    volatility: float = field(default=0.0004)  # of one second's return


LISTINGS = [
    Listing(pair("BTC/USDT", "0.01", "0.00001", "0.00001"), units("65000")),
    Listing(pair("ETH/USDT", "0.01", "0.0001", "0.0001"), units("3200")),
    Listing(pair("SOL/USDT", "0.01", "0.001", "0.001"), units("150")),
    Listing(pair("XRP/USDT", "0.0001", "0.1", "0.1"), units("0.62")),
    Listing(pair("ADA/USDT", "0.0001", "0.1", "0.1"), units("0.45")),
    Listing(pair("DOGE/USDT", "0.00001", "1", "1"), units("0.12")),
    Listing(pair("BTC/USDC", "0.01", "0.00001", "0.00001"), units("65000")),
    Listing(pair("BTC/USD", "0.1", "0.00001", "0.00001"), units("65000")),
    Listing(pair("ETH/USD", "0.01", "0.0001", "0.0001"), units("3200")),
    Listing(pair("SOL/USD", "0.01", "0.001", "0.001"), units("150")),
    Listing(pair("ETH/BTC", "0.00001", "0.0001", "0.0001", "0.0001"), units("0.05")),
    Listing(pair("XRP/ETH", "0.00000001", "0.1", "0.1", "0.001"), units("0.0002")),
    Listing(pair("TRX/BTC", "0.00000001", "1", "1", "0.0001"), units("0.0000015")),
    Listing(pair("ETC/BTC", "0.000001", "0.01", "0.01", "0.0001"), units("0.0004")),
    Listing(pair("XLM/BTC", "0.00000001", "1", "1", "0.0001"), units("0.000002")),
    Listing(pair("BNB/USDT", "0.01", "0.001", "0.001"), units("600")),
]


def invented(count: int) -> list[Listing]:
    """Return so many more pairs, of coins that nobody has heard of."""
    return [
        Listing(pair(f"C{number:04}/USDT", "0.0001", "0.01", "0.01"), units(str(1 + number % 90)))
        for number in range(count)
    ]
