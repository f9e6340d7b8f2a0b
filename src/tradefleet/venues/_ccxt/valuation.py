"""What a fee is worth in quote: at the fill's own price, or at the fee asset's last price."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tradefleet.domain.market import Symbol
from tradefleet.domain.money import MONEY, ONE, ZERO, to_unit
from tradefleet.engine.pace import Priority
from tradefleet.venue import VenueTrade
from tradefleet.venues._ccxt.amounts import understanding
from tradefleet.venues._ccxt.environment import Asker, Environment
from tradefleet.venues._ccxt.listings import Listings

logger = logging.getLogger(__name__)

FRESH = timedelta(minutes=1)
BRIDGE = "USDT"  # through which two assets are compared that have no market of their own
PRICES_MAX = 500


@dataclass(slots=True, eq=False)
class Valuation:
    """Prices of fee assets, asked for when one is needed and good for a minute."""

    environment: Environment
    prices: dict[Symbol, tuple[datetime, Decimal]] = field(default_factory=dict)

    async def fee_in_quote(self, trade: VenueTrade) -> Decimal:
        """Return an execution's fee in quote; VenueUnavailable when no price can be had now.

        An asset that has no price at all on this venue counts as nothing, and the log says so.
        """
        quote = trade.symbol.quote
        if not trade.fee or trade.fee_asset == quote:
            return trade.fee
        if trade.fee_asset == trade.symbol.base:
            return to_unit(MONEY.multiply(trade.fee, trade.price))
        rate = await self._rate(trade.fee_asset, quote)
        if rate is None:
            logger.warning("%s has no price in %s: a fee counts as 0", trade.fee_asset, quote)
            return ZERO
        return to_unit(MONEY.multiply(trade.fee, rate))

    async def _rate(self, asset: str, quote: str) -> Decimal | None:
        """Return how much quote one asset is, None when no market says so."""
        book = await self.environment.book()
        direct = await self._price(book, asset, quote)
        if direct is not None or BRIDGE in (asset, quote):
            return direct
        first = await self._price(book, asset, BRIDGE)
        second = await self._price(book, BRIDGE, quote)
        if first is None or second is None:
            return None
        return MONEY.multiply(first, second)

    async def _price(self, book: Listings, asset: str, quote: str) -> Decimal | None:
        """Return what one market says; zero, where nobody traded yet, is nothing."""
        straight, turned = Symbol(asset, quote), Symbol(quote, asset)
        if straight in book.by_symbol:
            return await self._last(book, straight) or None
        if turned in book.by_symbol:
            price = await self._last(book, turned)
            return MONEY.divide(ONE, price) if price else None
        return None

    async def _last(self, book: Listings, symbol: Symbol) -> Decimal:
        now = self.environment.clock.now()
        known = self.prices.get(symbol)
        if known is not None and now - known[0] <= FRESH:
            return known[1]
        errand = Asker(environment=self.environment).errand(Priority.RECONCILIATION, book)
        dialect = self.environment.dialect
        with understanding(dialect.title, "a price"):
            price = await dialect.last_price(errand, book.by_symbol[symbol])
        if len(self.prices) >= PRICES_MAX:
            self.prices.clear()
        self.prices[symbol] = (now, price)
        return price
