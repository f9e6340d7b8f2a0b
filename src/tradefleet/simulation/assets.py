"""What the synthetic market knows of each asset: a plausible price, liveliness and turnover."""

from dataclasses import dataclass
from functools import lru_cache

from tradefleet.domain.market import Symbol
from tradefleet.simulation.noise import key_of

ASSETS_KEPT = 4096
SYMBOLS_KEPT = 4096
CURRENCY = 0.12  # how lively a currency is, measured by BTC


@dataclass(frozen=True, slots=True)
class Asset:
    """worth: about what one unit costs, in dollars; turnover: millions of dollars a day.

    volatility: how lively its price is; 1 is about 4 % a day, 0 stands for a dollar.
    """

    worth: float
    volatility: float
    turnover: float


ASSETS = {
    "AAVE": Asset(140, 1.4, 120),
    "ADA": Asset(0.45, 1.3, 400),
    "ALGO": Asset(0.18, 1.3, 40),
    "APT": Asset(8.5, 1.5, 100),
    "ARB": Asset(0.75, 1.5, 120),
    "ATOM": Asset(7.2, 1.3, 60),
    "AVAX": Asset(28, 1.4, 250),
    "BCH": Asset(380, 1.3, 150),
    "BNB": Asset(560, 0.9, 600),
    "BTC": Asset(62_000, 1.0, 9000),
    "CRV": Asset(0.38, 1.6, 70),
    "DOGE": Asset(0.12, 1.5, 900),
    "DOT": Asset(5.4, 1.3, 120),
    "EGLD": Asset(32, 1.4, 20),
    "ETC": Asset(22, 1.3, 100),
    "ETH": Asset(2_900, 1.1, 5000),
    "FIL": Asset(4.2, 1.4, 100),
    "FLOW": Asset(0.65, 1.4, 15),
    "GRT": Asset(0.19, 1.5, 40),
    "HBAR": Asset(0.08, 1.4, 80),
    "ICP": Asset(9.1, 1.4, 70),
    "IMX": Asset(1.4, 1.5, 30),
    "INJ": Asset(21, 1.6, 80),
    "LDO": Asset(1.3, 1.6, 60),
    "LINK": Asset(13, 1.3, 250),
    "LTC": Asset(72, 1.2, 300),
    "MANA": Asset(0.33, 1.4, 30),
    "MKR": Asset(1_900, 1.3, 50),
    "NEAR": Asset(4.6, 1.5, 200),
    "OP": Asset(1.6, 1.6, 120),
    "PEPE": Asset(0.00001, 1.9, 700),
    "QNT": Asset(74, 1.2, 15),
    "RENDER": Asset(5.9, 1.6, 100),
    "RUNE": Asset(4.4, 1.6, 90),
    "SAND": Asset(0.29, 1.4, 40),
    "SEI": Asset(0.36, 1.7, 100),
    "SHIB": Asset(0.000018, 1.6, 250),
    "SNX": Asset(1.6, 1.5, 20),
    "SOL": Asset(145, 1.4, 2500),
    "STX": Asset(1.6, 1.6, 50),
    "SUI": Asset(1.1, 1.7, 400),
    "THETA": Asset(1.3, 1.4, 25),
    "TIA": Asset(5.8, 1.7, 90),
    "TON": Asset(6.5, 1.2, 200),
    "TRX": Asset(0.14, 0.8, 300),
    "UNI": Asset(7.4, 1.4, 150),
    "VET": Asset(0.025, 1.3, 40),
    "WIF": Asset(1.9, 1.9, 250),
    "XLM": Asset(0.1, 1.2, 80),
    "XMR": Asset(155, 0.9, 60),
    "XRP": Asset(0.55, 1.2, 900),
    "XTZ": Asset(0.7, 1.3, 20),
    "USD": Asset(1, 0, 9000),
    "USDC": Asset(1, 0, 9000),
    "USDT": Asset(1, 0, 9000),
    "EUR": Asset(1.08, CURRENCY, 2000),
    "GBP": Asset(1.27, CURRENCY, 1500),
    "CHF": Asset(1.12, CURRENCY, 800),
    "AUD": Asset(0.66, CURRENCY, 800),
    "NZD": Asset(0.61, CURRENCY, 400),
    "CAD": Asset(0.73, CURRENCY, 800),
    "JPY": Asset(0.0067, CURRENCY, 1500),
    "XAU": Asset(2_400, 0.25, 1000),
    "XAG": Asset(29, 0.4, 300),
}
DOLLARS = frozenset({"USD", "USDC", "USDT"})


@lru_cache(ASSETS_KEPT)
def asset_of(name: str) -> Asset:
    """Return what is known of the asset; of a stranger, what its name makes plausible."""
    known = ASSETS.get(name)
    if known is not None:
        return known
    key = key_of(0, name)
    worth = (1 + key % 900 / 100) * (0.01, 0.1, 1.0, 10.0)[key >> 32 & 3]
    return Asset(worth, 1.0 + (key >> 40) % 80 / 100, 20.0 + (key >> 48) % 180)


@lru_cache(SYMBOLS_KEPT)
def digits_of(symbol: Symbol) -> tuple[int, int]:
    """Return the decimals of its prices (five figures or more count) and of its quantities."""
    base, quote = asset_of(symbol.base), asset_of(symbol.quote)
    price = next(n for n in range(2, 9) if n == 8 or base.worth / quote.worth * 10**n >= 1e5)
    quantity = next(n for n in range(9) if n == 8 or base.worth / 10**n <= 1)
    return price, quantity
