"""Whole conversations, word for word, as the users' guide shows them."""

from dataclasses import replace
from decimal import Decimal

from tests.doors import BINANCE, Door
from tradefleet.domain.effects import MemoryChanged

ONE_PAIR = """
> /start
👋 Welcome! You've been registered.
> /connect binance abc123key xyz789secret true
✅ Exchange Connected
> /addpair BTC/USDT 1000
✅ Trading Pair Added
Symbol: BTC/USDT
Exchange: binance
Balance: $1000.00
> /start_trading
🚀 Trading Started: BTC/USDT
"""

ONE_PAIR_LATER = """
> /status
📊 Your Trading Pairs (1)
1. BTC/USDT 🟢 Running
   Balance: $1000.00 → Equity: $1050.00
   PnL: $50.00 (5.00%)
"""

# Somebody who traded before: their first pair ever was shown with its details.
EARLIER = """
> /start
👋 Welcome! You've been registered.
> /connect binance abc123key xyz789secret true
✅ Exchange Connected
> /addpair ADA/USDT 10
✅ Trading Pair Added
Symbol: ADA/USDT
Exchange: binance
Balance: $10.00
> /removepair ADA/USDT
🗑️ Trading Pair Removed: ADA/USDT
$10.00 went back to your binance account.
"""

THREE_PAIRS = """
> /connect binance abc123key xyz789secret true
✅ Exchange Connected
> /addpair BTC/USDT 1000
✅ Trading Pair Added: BTC/USDT
> /addpair ETH/USDT 500
✅ Trading Pair Added: ETH/USDT
> /addpair SOL/USDT 300
✅ Trading Pair Added: SOL/USDT
> /listpairs
📊 Your Trading Pairs (3)
1. BTC/USDT 🔴 Stopped
   Balance: $1000.00
2. ETH/USDT 🔴 Stopped
   Balance: $500.00
3. SOL/USDT 🔴 Stopped
   Balance: $300.00
> /start_trading
🚀 Trading Started
3 pairs now trading.
"""

THREE_PAIRS_LATER = """
> /status
📊 Your Trading Pairs (3)
1. BTC/USDT 🟢 Running
   Equity: $1050.00 | PnL: $50.00 (5.00%)
2. ETH/USDT 🟢 Running
   Equity: $480.00 | PnL: -$20.00 (-4.00%)
3. SOL/USDT 🟢 Running
   Equity: $315.00 | PnL: $15.00 (5.00%)
> /stop_trading ETH/USDT
⏸️ Trading Stopped: ETH/USDT
> /removepair SOL/USDT
⚠️ Cannot remove SOL/USDT while trading is active.
Use /stop_trading SOL/USDT first.
"""


async def worth(door: Door, symbol: str, cash: int) -> None:
    memory = await door.memory(symbol)
    await door.record(MemoryChanged(replace(memory, cash=Decimal(cash))))


async def test_the_guides_conversation_with_one_pair():
    door = Door(BINANCE)
    await door.talk(ONE_PAIR)
    await worth(door, "BTC/USDT", 1050)
    await door.talk(ONE_PAIR_LATER)


async def test_the_guides_conversation_with_three_pairs():
    door = Door(BINANCE)
    await door.talk(EARLIER)
    await door.talk(THREE_PAIRS)
    for symbol, cash in {"BTC/USDT": 1050, "ETH/USDT": 480, "SOL/USDT": 315}.items():
        await worth(door, symbol, cash)
    await door.talk(THREE_PAIRS_LATER)
