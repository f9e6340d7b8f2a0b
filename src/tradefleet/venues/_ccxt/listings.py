"""A venue's markets as we need them: made from ccxt's once, shared by every account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import CODE, Symbol, TradingRules

NEAR_MAX = 3  # pairs named in a refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One symbol as a venue lists it.

    id is the venue's name for it, stream_id the one on its streams, names what its answers call
    it where they differ; kinds: the venue's words for the orders it takes.
    """

    symbol: Symbol
    id: str
    stream_id: str
    rules: TradingRules
    is_active: bool = True
    status: str = ""
    kinds: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listings:
    """All symbols of one environment of a venue; assets: our names of assets by the venue's."""

    venue: str
    by_symbol: Mapping[Symbol, Listing]
    by_id: Mapping[str, Listing]
    assets: Mapping[str, str] = field(default_factory=dict)

    def asset(self, code: str) -> str:
        return self.assets.get(code, code)

    def known(self, symbol: Symbol) -> Listing:
        """Return a symbol that is listed, traded at the moment or not; Refused when it is not."""
        listing = self.by_symbol.get(symbol)
        if listing is None:
            raise Refused(f"{self.venue} does not trade {symbol}; {self._hint(symbol)}")
        return listing

    def tradable(self, symbol: Symbol) -> Listing:
        """Return a symbol that is traded now; Refused, with what to do, when it is not."""
        listing = self.known(symbol)
        if not listing.is_active:
            state = f" (it says {listing.status})" if listing.status else ""
            raise Refused(f"{self.venue} has halted {symbol}{state}; choose another pair for now.")
        return listing

    def _hint(self, symbol: Symbol) -> str:
        if symbol.settle:
            return f"it is used for spot here: write {symbol.base}/{symbol.quote}."
        names = {str(each): each for each in self.by_symbol}
        same_base = [str(each) for each in names.values() if each.base == symbol.base]
        near = get_close_matches(str(symbol), same_base or names, NEAR_MAX, cutoff=0.4)
        return f"did you mean {' or '.join(near)}?" if near else "try BTC/USDT."


class MakeListing(Protocol):
    """Turns one of ccxt's spot markets into a Listing."""

    def __call__(self, symbol: Symbol, market: Mapping[str, Any]) -> Listing: ...


def listings_of(
    venue: str, markets: Mapping[str, Any], assets: Mapping[str, str], make: MakeListing
) -> Listings:
    """Return the spot markets of ccxt's list that can be written as a Symbol."""
    found: list[Listing] = []
    for market in markets.values():
        codes = (str(market["base"]), str(market["quote"]))
        is_pair = all(map(CODE.fullmatch, codes)) and codes[0] != codes[1]
        # What is called otherwise, or with more to it, is something else than the pair itself.
        if market["spot"] and is_pair and market["symbol"] == "/".join(codes):
            found.append(make(Symbol(*codes), market))
    return Listings(
        venue=venue,
        by_symbol={each.symbol: each for each in found},
        by_id={each.id: each for each in found},
        assets={code: name for code, name in assets.items() if code != name},
    )
