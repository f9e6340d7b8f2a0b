"""What Kraken calls assets and pairs: old codes with X and Z, short names, stream names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from venuesim.instruments import Instrument
from venuesim.kraken.errors import Error, Refused

# Code → Kraken's own name and alternative name; every other asset is called by its code.
OLD_NAMES = {
    "BTC": ("XXBT", "XBT"),
    "DOGE": ("XXDG", "XDG"),
    "ETC": ("XETC", "ETC"),
    "ETH": ("XETH", "ETH"),
    "LTC": ("XLTC", "LTC"),
    "MLN": ("XMLN", "MLN"),
    "REP": ("XREP", "REP"),
    "XLM": ("XXLM", "XLM"),
    "XMR": ("XXMR", "XMR"),
    "XRP": ("XXRP", "XRP"),
    "ZEC": ("XZEC", "ZEC"),
    "AUD": ("ZAUD", "AUD"),
    "CAD": ("ZCAD", "CAD"),
    "EUR": ("ZEUR", "EUR"),
    "GBP": ("ZGBP", "GBP"),
    "JPY": ("ZJPY", "JPY"),
    "USD": ("ZUSD", "USD"),
}
# Pairs of two old assets that came when pairs were already named by alternative names.
NEW_PAIRS = {"DOGE/EUR", "DOGE/USD", "LTC/ETH", "XRP/ETH", "ETH/AUD", "XRP/AUD", "XRP/GBP"}
OLD_PAIRS = {"USDT/USD": "USDTZUSD"}

FIAT = {"AUD", "CAD", "EUR", "GBP", "JPY", "USD"}
DECIMALS = {"BTC": 10, "ETH": 10, "SOL": 10, "BNB": 8, "XLM": 8, "XRP": 8, "DOGE": 8}
SHOWN_DECIMALS = {"BTC": 5, "ETH": 5, "SOL": 5, "USDT": 4, "USDC": 4, "DOGE": 2, "ADA": 6}
COST_DECIMALS_LEAST = 5


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset; decimals is how finely Kraken keeps its books."""

    code: str
    key: str
    altname: str
    decimals: int
    display_decimals: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair with all its names; symbol is ours and that of streams, BTC/USD."""

    instrument: Instrument
    key: str
    altname: str
    wsname: str
    base: Asset
    quote: Asset

    @property
    def symbol(self) -> str:
        return self.instrument.name

    @property
    def price_decimals(self) -> int:
        return self.instrument.price_decimals

    @property
    def lot_decimals(self) -> int:
        return self.instrument.quantity_decimals

    @property
    def cost_decimals(self) -> int:
        """How costs, fees and most prices are written."""
        finest = max(self.instrument.amount_decimals, self.price_decimals)
        return max(finest, COST_DECIMALS_LEAST)


def asset(code: str) -> Asset:
    key, altname = OLD_NAMES.get(code, (code, code))
    fiat = code in FIAT
    return Asset(
        code=code,
        key=key,
        altname=altname,
        decimals=4 if fiat else DECIMALS.get(code, 8),
        display_decimals=2 if fiat else SHOWN_DECIMALS.get(code, 5),
    )


def pair(instrument: Instrument) -> Pair:
    base, quote = asset(instrument.base), asset(instrument.quote)
    altname = base.altname + quote.altname
    symbol = instrument.name
    old = base.code in OLD_NAMES and quote.code in OLD_NAMES and symbol not in NEW_PAIRS
    return Pair(
        instrument=instrument,
        key=OLD_PAIRS.get(symbol, base.key + quote.key if old else altname),
        altname=altname,
        wsname=f"{base.altname}/{quote.altname}",
        base=base,
        quote=quote,
    )


class Names:
    """Finds assets and pairs by any of their names; follows pairs that are listed later."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._read: tuple[Instrument, ...] = ()
        self._pairs: dict[str, Pair] = {}
        self._by_name: dict[str, Pair] = {}
        self._assets: dict[str, Asset] = {}

    def _fresh(self) -> None:
        listed = tuple(self._instruments.values())
        if listed == self._read:
            return
        self._read = listed
        self._pairs = {instrument.name: pair(instrument) for instrument in listed}
        self._by_name = {}
        self._assets = {}
        for found in self._pairs.values():
            short = found.base.code + found.quote.code
            for name in (found.key, found.altname, found.wsname, found.symbol, short):
                self._by_name[name.upper()] = found
            for one in (found.base, found.quote):
                for name in (one.key, one.altname, one.code):
                    self._assets[name.upper()] = one

    def pairs(self) -> Iterable[Pair]:
        self._fresh()
        return self._pairs.values()

    def by_symbol(self, symbol: str) -> Pair:
        """Return the pair of one of our own symbols; KeyError when there is none."""
        if symbol not in self._pairs:
            self._fresh()
        return self._pairs[symbol]

    def find(self, name: str) -> Pair:
        """Return a pair by any of its names; Refused when Kraken knows none."""
        self._fresh()
        found = self._by_name.get(name.strip().upper())
        if found is None:
            raise Refused(Error.UNKNOWN_PAIR)
        return found

    def assets(self) -> list[Asset]:
        self._fresh()
        return sorted(set(self._assets.values()), key=lambda one: one.key)

    def find_asset(self, name: str) -> Asset:
        self._fresh()
        found = self._assets.get(name.strip().upper())
        if found is None:
            raise Refused(Error.UNKNOWN_ASSET)
        return found

    def asset_of(self, code: str) -> Asset:
        """Return an asset an account has, traded here or not."""
        self._fresh()
        return self._assets.get(code) or asset(code)
