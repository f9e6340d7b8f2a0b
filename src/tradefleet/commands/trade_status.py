"""/trade_status: whether orders may be sent now, and with what kind of money."""

from dataclasses import dataclass

from tradefleet.by_hand import ENVIRONMENTS, is_enabled
from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.user import Mode

FIRST = (Mode.LIVE, Mode.TESTNET, Mode.PAPER)  # whose state is told, of several accounts


@dataclass(frozen=True, slots=True)
class TradeStatus:
    pass


@dataclass(frozen=True, slots=True)
class TradingState:
    """environment: production, testnet or paper; can_trade: something may be bought now."""

    trading_enabled: bool
    environment: str
    has_credentials: bool
    can_trade: bool
    user: str


async def trade_status(request: TradeStatus, context: Context) -> Reply:
    accounts = sorted(await context.accounts(), key=lambda each: FIRST.index(each.mode))
    account = accounts[0] if accounts else None
    enabled = account is None or is_enabled(context, account)
    halted = any(
        switch.halt is not Halt.RUN and switch.scope in (Scope.PLATFORM, Scope.USER)
        for switch in await context.store.switches()
    )
    environment = ENVIRONMENTS[Mode.PAPER if account is None else account.mode]
    state = TradingState(
        trading_enabled=enabled,
        environment=environment,
        has_credentials=any(each.key is not None for each in accounts),
        can_trade=enabled and not halted,
        user=context.user.username,
    )
    can = "you can trade" if state.can_trade else "nothing new is bought now"
    return Reply(text=f"🔌 {environment.capitalize()}: {can}", data=state)


COMMAND = CommandSpec(
    name="trade_status",
    summary="Whether you can trade now",
    usage="/trade_status",
    example="/trade_status",
    request=TradeStatus,
    handler=trade_status,
    group="Trading",
    place=10,
    refreshes=True,
    route=Route("GET", "/trade/status"),
    data=TradingState,
)
