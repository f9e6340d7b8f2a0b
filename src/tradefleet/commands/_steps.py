"""What users are led to, from the first word to a bot that trades."""

from tradefleet.command import Step

PAPER = Step("🧪 Try it without real money", "/connect paper")
EXCHANGE = Step("🔑 Connect an exchange", "/connect")
HELP = Step("❓ All commands", "/help")
FIRST_STEPS: tuple[Step, ...] = (PAPER, EXCHANGE, HELP)
FIRST_PAIRS: tuple[Step, ...] = (
    Step("💱 BTC/USDT", "/addpair BTC/USDT 1000"),
    Step("💱 ETH/USDT", "/addpair ETH/USDT 1000"),
)
START_ALL = Step("🚀 Start trading", "/start_trading")
STATUS = Step("📊 Status", "/status")


def started(symbol: object) -> Step:
    """Return the step that lets a pair trade."""
    return Step(f"🚀 Start {symbol}", f"/start_trading {symbol}")


def explained(symbol: object) -> Step:
    """Return the step that asks what a pair decided lately."""
    return Step(f"🤔 Why {symbol}", f"/why {symbol}")
