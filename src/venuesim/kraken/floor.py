"""All that Kraken's handlers stand on: the books, names, counters and what was seen of late."""

from dataclasses import dataclass, field

from venuesim.exchange import Exchange
from venuesim.kraken.access import Access
from venuesim.kraken.errors import Error, Refused
from venuesim.kraken.ledger import Ledger
from venuesim.kraken.limits import Limits
from venuesim.kraken.market import Market
from venuesim.kraken.names import Names
from venuesim.orders import Order, Trade
from venuesim.wire import Place


@dataclass(slots=True)
class Floor:
    """One simulated Kraken. alarms: when all of an account's orders are to be cancelled."""

    place: Place
    names: Names
    limits: Limits
    access: Access
    ledger: Ledger
    market: Market
    alarms: dict[str, int] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.place.exchange

    @property
    def now_ms(self) -> int:
        return self.place.clock.now_ms()

    @property
    def status(self) -> str:
        """Return the mode of the venue by Kraken's word."""
        return self.place.maintenance or "online"

    def sees(self, item: Order | Trade) -> bool:
        """Say whether a look-up finds an order or a trade already."""
        at_ms = item.created_ms if isinstance(item, Order) else item.at_ms
        return at_ms <= self.now_ms - self.place.lag_ms

    def orders(self, account: str) -> list[Order]:
        """Return the orders a look-up finds, the latest first."""
        found = self.exchange.open_account(account).orders.values()
        return [order for order in reversed(found) if self.sees(order)]

    def live_orders(self, account: str) -> list[Order]:
        found = self.exchange.open_account(account).live.values()
        return [order for order in reversed(found) if self.sees(order)]

    def trades(self, account: str) -> list[Trade]:
        """Return the trades a look-up finds, the latest first."""
        found = self.exchange.open_account(account).trades
        return [trade for trade in reversed(found) if self.sees(trade)]

    def ring(self) -> None:
        """Cancel the orders of whoever did not put off his alarm in time."""
        now_ms = self.now_ms
        for account in [name for name, at_ms in self.alarms.items() if at_ms <= now_ms]:
            del self.alarms[account]
            for order in list(self.exchange.accounts[account].live.values()):
                if order.is_live:
                    self.exchange.cancel(account, order)

    def check_open(self) -> None:
        """Refuse all but the time and the status while the venue is away."""
        if self.status == "maintenance":
            raise Refused(Error.UNAVAILABLE)


def floor(place: Place) -> Floor:
    limits = Limits()
    return Floor(
        place=place,
        names=Names(place.exchange.instruments),
        limits=limits,
        access=Access(place, limits),
        ledger=Ledger(place.exchange),
        market=Market(place),
    )
