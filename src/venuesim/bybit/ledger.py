"""Writes down what changes wallets, for the transaction log."""

from dataclasses import dataclass, field

from venuesim.bybit.ask import LogLine, Memory, PublicTrade
from venuesim.exchange import BalanceChanged, Happening, OrderChanged, Ticked
from venuesim.orders import Trade

KINDS = {"deposit": "TRANSFER_IN", "withdrawal": "TRANSFER_OUT", "trade": "TRADE"}


@dataclass(slots=True)
class Recorder:
    """Keeps the market's last trades and every account's changes."""

    memory: Memory
    _lines: int = 140_000_000_000
    _trades: dict[str, Trade] = field(default_factory=dict)  # the one being told, by account

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            self._market(happening)
        elif isinstance(happening, OrderChanged):
            if happening.trade is not None:
                self._trades[happening.order.account] = happening.trade
        elif happening.cause in KINDS:
            self._write(happening)

    def _market(self, tick: Ticked) -> None:
        instrument = self.memory.place.exchange.instruments[tick.symbol]
        quantity = tick.quantity or instrument.quantity_min
        self.memory.trades[tick.symbol].append(
            PublicTrade(tick.number, tick.price, quantity, tick.buyer_took, tick.at_ms)
        )

    def _write(self, change: BalanceChanged) -> None:
        trade = self._trades.get(change.account) if change.cause == "trade" else None
        fee = trade.fee if trade is not None and trade.fee_asset == change.asset else 0
        is_fee_alone = trade is not None and change.asset not in trade.symbol.split("/")
        self._lines += 1
        self.memory.log[change.account].append(
            LogLine(
                number=self._lines,
                kind=KINDS[change.cause],
                asset=change.asset,
                flow=0 if is_fee_alone else change.change,
                fee=fee,
                balance=change.free + change.locked,
                at_ms=trade.at_ms if trade is not None else self.memory.now_ms,
                trade_id=trade.id if trade is not None else 0,
                order_id=trade.order_id if trade is not None else 0,
            )
        )
