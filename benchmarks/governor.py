"""What the rate governor costs: a turn that need not wait, one that does, and an answer heard."""

import asyncio
import time

from tradefleet.domain.ids import UserId
from tradefleet.engine.pace import Priority
from tradefleet.engine.turns import Door
from tradefleet.runtime.governor import Governor
from tradefleet.runtime.real_world import RealClock
from tradefleet.runtime.venue_limits import BINANCE
from tradefleet.venue import VenueCall

ACCOUNTS = 2000
HEADERS = {"x-mbx-used-weight-1m": "17", "x-mbx-order-count-10s": "1"}


class HurriedClock(RealClock):
    """Time passes with every look at it, so that no turn need be waited for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 0.05
        return self.seconds


def governor_costs(rounds: int = 10) -> dict[str, float]:
    """Return CPU microseconds per turn and per answer, over 2,000 accounts of one address."""
    return {
        **asyncio.run(_free(rounds)),
        "cpu_us_per_waiting_turn": _waiting(rounds),
    }


async def _free(rounds: int) -> dict[str, float]:
    calls = [
        VenueCall(
            venue="binance",
            key=f"user {number}",
            user_id=UserId(f"user {number}"),
            priority=Priority.EXIT,
            costs={"weight": 1, "orders": 1},
        )
        for number in range(ACCOUNTS)
    ]
    async with Governor(clock=HurriedClock()) as governor:
        began = time.process_time()
        for _ in range(rounds):
            for call in calls:
                await governor.turn(call)
        turned = time.process_time()
        for _ in range(rounds):
            for call in calls:
                governor.heard(call, 200, HEADERS)
        heard = time.process_time()
    count = rounds * ACCOUNTS / 1e6
    return {
        "cpu_us_per_free_turn": round((turned - began) / count, 2),
        "cpu_us_per_answer": round((heard - turned) / count, 2),
    }


def _waiting(rounds: int) -> float:
    """Let everybody wait at once, and let them in as the budget allows."""
    door = Door(address=BINANCE.address, keyed=BINANCE.keyed)
    began, now, costs = time.process_time(), 0.0, {"weight": 1.0, "orders": 1.0}
    for _ in range(rounds):
        door.weight.spend(now, BINANCE.address[0].burst)
        for number in range(ACCOUNTS):
            user = UserId(f"user {number}")
            door.ask(now, user, user, Priority.RECONCILIATION, costs)
        while (due := door.due()) is not None:
            now = max(now, due)
            door.advance(now)
    return round((time.process_time() - began) / (rounds * ACCOUNTS) * 1e6, 2)


if __name__ == "__main__":
    for name, value in governor_costs().items():
        print(f"{name}: {value}")
