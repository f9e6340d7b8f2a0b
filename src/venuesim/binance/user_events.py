"""An account's events, told to whoever listens to it: orders, balances, lists."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from venuesim.binance.floor import Floor, OrderList
from venuesim.binance.reports import execution_report, list_status
from venuesim.exchange import BalanceChanged, Happening, OrderChanged
from venuesim.units import text

Listener = Callable[[str], None]  # takes an event as JSON


@dataclass(slots=True)
class UserEvents:
    """Says what happened in the books in the venue's words; each event is written once."""

    floor: Floor
    _listeners: defaultdict[str, dict[object, Listener]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def listen(self, account: str, who: object, listener: Listener) -> None:
        self._listeners[account][who] = listener

    def leave(self, account: str, who: object) -> None:
        listeners = self._listeners.get(account)
        if listeners is not None:
            listeners.pop(who, None)
            if not listeners:
                del self._listeners[account]

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            self._order_changed(happening)
        elif isinstance(happening, BalanceChanged) and happening.cause in ("deposit", "withdrawal"):
            self._paid(happening)

    def hear_list(self, orders: OrderList) -> None:
        if orders.account in self._listeners:
            self._tell(orders.account, list_status(self.floor, orders))

    def _order_changed(self, change: OrderChanged) -> None:
        order, trade = change.order, change.trade
        if order.account not in self._listeners:
            self.floor.executions += 1  # ids do not depend on who listens
            return
        self._tell(order.account, execution_report(self.floor, order, trade, change.what))
        if change.what == "triggered":
            return
        assets = [order.instrument.base, order.instrument.quote]
        if trade is not None and trade.fee_asset not in assets:
            assets.append(trade.fee_asset)
        self._tell(order.account, self._position(order.account, assets))

    def _paid(self, payment: BalanceChanged) -> None:
        if payment.account not in self._listeners:
            return
        now = self.floor.now_ms
        event: dict[str, object] = {
            "e": "balanceUpdate",
            "E": now,
            "a": payment.asset,
            "d": text(payment.change),
            "T": now,
        }
        self._tell(payment.account, event)
        self._tell(payment.account, self._position(payment.account, [payment.asset]))

    def _position(self, account: str, assets: Iterable[str]) -> dict[str, object]:
        book, now = self.floor.place.exchange.accounts[account], self.floor.now_ms
        return {
            "e": "outboundAccountPosition",
            "E": now,
            "u": now,
            "B": [
                {
                    "a": asset,
                    "f": text(book.free.get(asset, 0)),
                    "l": text(book.locked.get(asset, 0)),
                }
                for asset in assets
            ],
        }

    def _tell(self, account: str, event: dict[str, object]) -> None:
        raw = orjson.dumps(event).decode()
        for listener in list(self._listeners[account].values()):
            listener(raw)
