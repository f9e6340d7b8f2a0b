"""Three demo users with running bots, made with the very commands users type."""

from collections.abc import Callable
from datetime import timedelta

from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.ids import UserId
from tradefleet.store import Store

DEMO_TICK = timedelta(milliseconds=500)

DEMO: dict[str, tuple[str, ...]] = {
    "alice": (
        "/start",
        "/connect paper",
        "/addpair BTC/USDT 1000 timeframe=15s",
        "/addpair ETH/USDT 500 strategy=ema_cross timeframe=15s",
        "/start_trading",
    ),
    "bob": (
        "/start",
        "/addpair SOL/USDT 2000 strategy=ema_cross timeframe=15s",
        "/start_trading",
    ),
    "carol": (
        "/start",
        "/addpair BTC/USDT 750 strategy=ema_cross timeframe=1m",
        "/addpair XRP/USDT 250 timeframe=15s",
        "/start_trading",
    ),
}


async def seed_demo(door: Dispatcher, store: Store, say: Callable[[str], None]) -> None:
    """Make the demo users, unless they are there from an earlier run."""
    for name, messages in DEMO.items():
        if await store.find_user(username=name) is not None:
            continue
        for message in messages:
            command, words = name_and_words(message)
            await door.run(UserId(name), command, words, username=name)
    say(f"Demo users: {', '.join(DEMO)} (paper money)")
