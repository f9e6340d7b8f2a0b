"""What is done about what others did in an account: booked apart, and told by its policy."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.ids import AccountId, OrderId
from tradefleet.domain.ledger import FREE, OWN, LedgerEntry
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.market import Side
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import Fill
from tradefleet.domain.user import Account, ExternalChanges
from tradefleet.engine import reconcile
from tradefleet.engine.reconcile import Finding
from tradefleet.runtime.account_books import AccountBooks
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedUser
from tradefleet.venue import VenueTrade

logger = logging.getLogger(__name__)

NAMED_MOST = 3  # of several trades, so many are named to the user


@dataclass(frozen=True, slots=True, eq=False)
class OtherHands:
    """What others do in one account: its user by hand, another program, the venue itself."""

    host: Host
    user: HostedUser
    account_id: AccountId

    @property
    def account(self) -> Account:
        return self.user.accounts[self.account_id]

    @property
    def books(self) -> AccountBooks:
        return self.user.books[self.account_id]

    @property
    def place(self) -> str:
        """Where what comes from outside belongs, by the account's policy."""
        adopts = self.account.external_changes is ExternalChanges.ADOPT
        return FREE if adopts else OWN

    async def traded(self, trades: Sequence[VenueTrade]) -> None:
        """Book what was traded here besides us, unless a difference that was booked holds it."""
        until = self.books.compared_at
        fresh = [trade for trade in trades if until is not None and trade.at > until]
        for trade in trades:
            if trade not in fresh:
                self.books.know(trade.id)
        if not fresh or self.user.gone:
            return
        entries = [
            LedgerEntry.of_external_trade(
                as_fill(trade),
                user_id=self.user.id,
                account_id=self.account_id,
                place=self.place,
            )
            for trade in fresh
        ]
        if await self.host.book(self.user, entries):
            what = "; ".join(described(trade) for trade in fresh[:NAMED_MOST])
            await self._tell(f"trades that are not ours: {what}")

    async def moved(self, finding: Finding, at: datetime) -> None:
        """Book a difference, so that the books say what there is, and act by the policy."""
        opening = self.books.compared_at is None
        hidden = () if opening else finding.hidden
        kind = "opening" if opening else "unexplained" if hidden else "external"
        if finding.moved:
            entry = reconcile.movement_entry(
                finding.moved,
                self.books.balances,
                user_id=self.user.id,
                account_id=self.account_id,
                kind=kind,
                at=at,
                place=FREE if opening else self.place,
            )
            if not await self.host.book(self.user, [entry]):
                return
            if not opening:
                self.host.tally.differences[kind] += 1
        if finding.short:
            missing = ", ".join(shown(amount, asset) for asset, amount in finding.short.items())
            await self.stop_entries(
                f"{missing} that your pairs count on is not there any more",
                "Pay it in again, or remove pairs; what is left stays protected.",
            )
        elif hidden:
            pairs = ", ".join(str(symbol) for symbol in hidden)
            await self.stop_entries(
                f"something of {pairs} was traded, and the venue lists no trade of it",
                "It is booked apart from what your pairs own.",
            )
        elif finding.moved and not opening:
            moved = ", ".join(shown(amount, asset) for asset, amount in finding.moved.items())
            await self._tell(f"money that was moved: {moved}")

    # ---------------------------------------------------------- what follows

    async def _tell(self, what: str) -> None:
        """Do by the policy what is to be done about what others did here."""
        match self.account.external_changes:
            case ExternalChanges.IGNORE:
                logger.info("account %s: %s", self.account_id, what)
            case ExternalChanges.ADOPT:
                text = f"💰 {self._name}: {what}. It counts as your unallocated balance."
                notice = Notify(self.user.id, Topic.SYSTEM, text, self.host.clock.now())
                self.host.record(self.user, [notice])
                self.host.flush()
            case ExternalChanges.ASK:
                await self.stop_entries(
                    what, "It is kept apart from what your pairs own. Is that as you want it?"
                )
            case unknown:
                assert_never(unknown)

    async def stop_entries(self, reason: str, cure: str) -> None:
        """Let the account open nothing more until its user has looked; exits go on."""
        now = self.host.clock.now()
        async with self.host.store.open(self.user.id) as store:
            standing = next(
                (
                    switch
                    for switch in await store.switches()
                    if switch.scope is Scope.ACCOUNT and switch.scope_id == self.account_id
                ),
                None,
            )
            halt = Halt.RUN if standing is None else standing.halt
            if standing is not None and halt is not Halt.RUN and standing.reason == reason:
                return  # told already
            logger.error("account %s takes no entries: %s", self.account_id, reason)
            if halt is not Halt.FLATTEN:
                switch = Switch(
                    scope=Scope.ACCOUNT,
                    scope_id=self.account_id,
                    halt=Halt.STOP,
                    reason=reason,
                    changed_at=now,
                )
                await store.set_switch(switch)
                await store.ask_host("switches_changed", {})
            text = f"⚠️ {self._name}: {reason}. No new entries there until you say /resume. {cure}"
            await store.notify(Notify(self.user.id, Topic.GUARD, text, now, priority=1))
            await store.audit("entries_stopped", {"account": self.account_id, "reason": reason})

    @property
    def _name(self) -> str:
        return f"{self.account.venue} ({self.account.mode.value})"


def as_fill(trade: VenueTrade) -> Fill:
    """Return a trade of somebody else's as a fill of no order of ours."""
    return Fill(
        id=trade.id,
        order_id=OrderId(""),
        symbol=trade.symbol,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
        cost=trade.cost,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        fee_quote=ZERO,
        filled_at=trade.at,
    )


def described(trade: VenueTrade) -> str:
    verb = "bought" if trade.side is Side.BUY else "sold"
    return f"{verb} {shown(trade.quantity, trade.symbol.base)} at {trade.price.normalize():f}"


def shown(amount: Decimal, asset: str) -> str:
    return f"{amount.normalize():f} {asset}"
