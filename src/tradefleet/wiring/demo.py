"""Three demo users with running bots, made with the very commands users type."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from tradefleet.dispatcher import Dispatcher, name_and_words
from tradefleet.domain.credentials import Credentials
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


# Where each demo user trades on simulated venues, and what.
SIMULATED = {
    "alice": (
        "binance",
        ("BTC/USDT 1000 binance strategy=ema_cross timeframe=1s", "ETH/USDT 500 binance"),
    ),
    "bob": ("bybit", ("SOL/USDT 2000 bybit strategy=ema_cross timeframe=1m",)),
    "carol": ("kraken", ("BTC/USD 750 kraken strategy=ema_cross timeframe=1m",)),
}


TESTNETS = ("binance", "bybit")
TO_CONFIRM = re.compile(r"/connect confirm LIVE \w+")


def connecting(keys: Mapping[tuple[str, str], Credentials]) -> Mapping[str, Sequence[str]]:
    """Return the messages by which demo users connect simulated accounts and add bots there."""
    found: dict[str, Sequence[str]] = {}
    for name, (venue, pairs) in SIMULATED.items():
        credentials = keys.get((venue, name))
        if credentials is not None:
            key, secret = credentials.api_key.reveal(), credentials.api_secret.reveal()
            testnet = "" if venue in TESTNETS else " testnet=false"
            connect = f"/connect {venue} {key} {secret}{testnet}"
            added = [f"/addpair {pair}" for pair in pairs]
            found[name] = ["/start", connect, *added, "/start_trading"]
    return found


async def seed_demo(
    door: Dispatcher,
    store: Store,
    say: Callable[[str], None],
    instead: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Make the demo users, unless they are there from an earlier run.

    instead: what they say when they trade elsewhere than on paper.
    """
    spoken = instead or DEMO
    for name, messages in spoken.items():
        if await store.find_user(username=name) is not None:
            continue
        for message in messages:
            command, words = name_and_words(message)
            reply = await door.run(UserId(name), command, words, username=name)
            if reply.refused:
                say(f"Demo:       {name}: {reply.text}")
            if asked := TO_CONFIRM.search(reply.text):
                command, words = name_and_words(asked[0])
                await door.run(UserId(name), command, words, username=name)
    money = "money of simulated venues" if instead else "paper money"
    say(f"Demo users: {', '.join(spoken)} ({money})")
