"""Kraken's account ledger: two entries for a trade, one for a deposit or a withdrawal.

A fee is in the entry of its asset; paid from a third one, it has an entry of its own, of nothing.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from venuesim.exchange import BalanceChanged, Exchange, Happening, OrderChanged
from venuesim.kraken.ids import ledger_id, made, trade_id
from venuesim.orders import Side, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of one asset: amount without the fee, balance after both."""

    number: int
    account: str
    refid: str
    at_ms: int
    what: str  # trade, deposit, withdrawal
    asset: str
    amount: int
    fee: int
    balance: int

    @property
    def id(self) -> str:
        return ledger_id(self.number)


@dataclass(slots=True)
class Ledger:
    """All entries, oldest first, from when it began to hear the exchange."""

    exchange: Exchange
    of_account: defaultdict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    of_trade: dict[int, list[str]] = field(default_factory=dict)
    _entries: int = 0
    _payments: int = 0

    def hear(self, happening: Happening) -> list[Entry]:
        """Write down what moved money; return the entries."""
        if isinstance(happening, OrderChanged):
            return self._traded(happening.trade) if happening.trade is not None else []
        if isinstance(happening, BalanceChanged) and happening.cause in ("deposit", "withdrawal"):
            return [self._paid(happening)]
        return []

    def _traded(self, trade: Trade) -> list[Entry]:
        base, quote = trade.symbol.split("/")
        sign = trade.side.sign
        changes = [(base, sign * trade.quantity), (quote, -sign * trade.cost)]
        if trade.side is Side.BUY:
            changes.reverse()  # what is given first
        if trade.fee and trade.fee_asset not in (base, quote):
            changes.append((trade.fee_asset, 0))
        entries = [
            self._write(
                trade.account,
                refid=trade_id(trade.id),
                at_ms=trade.at_ms,
                what="trade",
                asset=asset,
                amount=amount,
                fee=trade.fee if trade.fee_asset == asset else 0,
            )
            for asset, amount in changes
        ]
        self.of_trade[trade.id] = [entry.id for entry in entries]
        return entries

    def _paid(self, happening: BalanceChanged) -> Entry:
        self._payments += 1
        return self._write(
            happening.account,
            refid=made("F", self._payments),
            at_ms=self.exchange.clock.now_ms(),
            what=happening.cause,
            asset=happening.asset,
            amount=happening.change,
            fee=0,
        )

    def _write(
        self, account: str, *, refid: str, at_ms: int, what: str, asset: str, amount: int, fee: int
    ) -> Entry:
        self._entries += 1
        entry = Entry(
            number=self._entries,
            account=account,
            refid=refid,
            at_ms=at_ms,
            what=what,
            asset=asset,
            amount=amount,
            fee=fee,
            balance=self.exchange.worth(account, asset),
        )
        self.of_account[account].append(entry)
        return entry
