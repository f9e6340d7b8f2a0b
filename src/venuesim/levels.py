"""Orders that wait for a price, sorted by it: a price that reaches none costs two comparisons."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from venuesim.orders import Kind, Order, Side, Status


def wakes_falling(order: Order) -> bool:
    """Say whether an order waits for the price to fall to its level, or to rise to it."""
    sells = order.side is Side.SELL
    if order.status is Status.WAITING:
        return sells == (order.kind in (Kind.STOP_MARKET, Kind.STOP_LIMIT))
    return not sells


class Levels:
    """One pair's waiting orders: by their trigger until it was reached, then by their limit."""

    def __init__(self) -> None:
        # Of the falling the highest level is the first reached, and with the minus before the
        # number the oldest order of a level stands last.
        self._falling: list[tuple[int, int]] = []
        self._rising: list[tuple[int, int]] = []
        self._orders: dict[int, tuple[Order, bool, int]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[Order]:
        return (order for order, _, _ in self._orders.values())

    def add(self, order: Order) -> None:
        request, falls = order.request, wakes_falling(order)
        level = request.stop_price if order.status is Status.WAITING else request.price
        self._orders[order.id] = (order, falls, level)
        if falls:
            insort(self._falling, (level, -order.id))
        else:
            insort(self._rising, (level, order.id))

    def remove(self, order: Order) -> None:
        """Let an order wait no more; one that does not wait is no fault."""
        found = self._orders.pop(order.id, None)
        if found is None:
            return
        _, falls, level = found
        side, key = (
            (self._falling, (level, -order.id)) if falls else (self._rising, (level, order.id))
        )
        del side[bisect_left(side, key)]

    def reached(self, price: int) -> list[Order]:
        """Return the orders a price wakes, those first that it reached first."""
        falling, rising = self._falling, self._rising
        if not (falling and falling[-1][0] >= price) and not (rising and rising[0][0] <= price):
            return []
        fallen = reversed(falling[bisect_left(falling, (price,)) :])
        risen = rising[: bisect_left(rising, (price + 1,))]
        return [self._orders[abs(number)][0] for _, number in (*fallen, *risen)]
