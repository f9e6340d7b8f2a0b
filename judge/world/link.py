"""The service's side of a direct venue: a model of an adapter, and what it makes of answers.

An answer is a refusal only when it proves one; nothing was sent only where not one byte left;
whatever else happens to an order is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from judge.world.clocks import Frozen, HostClock, from_ms, to_ms
from judge.world.desk import Answer, Call
from judge.world.network import Damaged, Network, NoAnswer, NotSent
from judge.world.rules import Rules
from tradefleet.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from tradefleet.domain.ids import FillId, OrderId
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.money import MONEY, to_unit
from tradefleet.domain.order import Fill, Order, OrderKind, OrderReport
from tradefleet.domain.statement import VenueStatement, entries_of_trade
from tradefleet.engine.pace import Priority
from tradefleet.venue import VenueOrder, VenueTiming, VenueTrade
from tradefleet.venues._ccxt.turnstile import Turnstile
from venuesim.units import UNITS

SEND_MARGIN = timedelta(seconds=1)
SKEW_MAX_US = 500_000
MEASURED_EVERY = 60.0  # seconds between two looks at the venue's time
HELD = 5.0  # seconds without requests after the venue said that there were too many


class Watcher(Protocol):
    """Who is told what passes here, and may end or stop the host at that very moment."""

    async def at(self, point: str, account: str, order_id: str) -> None:
        """A host has come to a crash point with an order."""

    def on_the_way(self, point: str, account: str, order_id: str) -> None:
        """A request has left, and the host waits for its answer."""

    def came_back(self, order_id: str) -> None:
        """The answer is here, or is waited for no more."""

    async def read_fills(self, account: str, order_id: str, fills: Sequence[Fill]) -> None:
        """Fills of an order were read."""


@lru_cache(maxsize=10_000)
def decimal(amount: int) -> Decimal:
    """Return units as a number."""
    return Decimal(amount).scaleb(-8)


def as_units(amount: Decimal) -> int:
    return int(MONEY.multiply(amount, Decimal(UNITS)))


class WorldLink:
    """One account's link in one host. classify_create and id_of are what a mutant may spoil."""

    def __init__(
        self,
        *,
        account: str,
        rules: Rules,
        network: Network,
        clock: HostClock,
        gate: Frozen,
        watcher: Watcher,
        symbols: Mapping[str, Symbol],
        turnstile: Turnstile,
        leave: Callable[[], None],
    ) -> None:
        self.account, self.rules, self.network = account, rules, network
        self.clock, self.gate, self.watcher = clock, gate, watcher
        self.symbols, self.turnstile = symbols, turnstile
        self._leave = leave
        self._skew_us = clock.skew_us
        self._measured = clock.monotonic()
        self._quiet_until = 0.0

    @property
    def timing(self) -> VenueTiming:
        return self.rules.timing

    @property
    def is_simulated(self) -> bool:
        return False

    @property
    def rests_stops(self) -> bool:
        return True

    @property
    def numbers_ahead(self) -> int:
        return self.turnstile.ahead

    # --------------------------------------------------------------- asking

    async def _ask(
        self, action: str, body: Mapping[str, Any], left: Callable[[], None] | None = None
    ) -> Answer:
        """Ask once; where requests are numbered they go one after the other."""
        await self.gate.passed()
        now = self.clock.monotonic()
        if now < self._quiet_until:
            raise VenueUnavailable("the venue wants no requests for a while")
        key = f"key-of-{self.account}"
        request = self.network.next_request()
        try:
            if self.rules.nonce_window_ms is None:
                answer = await self.network.ask(
                    self.account, Call(action, key, body, request=request), left=left
                )
            else:
                async with self.turnstile.passing(Priority.READ):
                    await self.gate.passed()
                    number = self.turnstile.number(self.clock.now())
                    call = Call(action, key, body, number=number, request=request)
                    answer = await self.network.ask(self.account, call, left=left)
        except Damaged as damaged:
            if damaged.status in (418, 429):
                self._quiet_until = self.clock.monotonic() + HELD
            raise
        finally:
            await self.gate.passed()
        if answer.status in (418, 429):
            self._quiet_until = self.clock.monotonic() + HELD
        return answer

    async def _read(self, action: str, body: Mapping[str, Any]) -> Any:
        """Ask a question; whatever is not the venue's clean word is no answer."""
        try:
            answer = await self._ask(action, body)
        except (NotSent, NoAnswer) as error:
            raise VenueUnavailable(str(error)) from None
        if not answer.is_good:
            raise VenueUnavailable(answer.code)
        return answer.payload

    # --------------------------------------------------------------- orders

    async def submit(self, order: Order) -> str:
        """Send the order once, with the times that were written down."""
        await self.gate.passed()
        deadline, sent_at = order.deadline, order.sent_at
        assert deadline is not None and sent_at is not None
        if abs(self._skew()) > SKEW_MAX_US:
            raise VenueUnavailable("our clock is off the venue's; nothing was sent")
        if self._is_late(deadline):
            raise VenueUnavailable("its turn came too late; nothing was sent")
        await self.watcher.at("P2", self.account, order.id)
        body: dict[str, Any] = {
            "client_id": order.id,
            "symbol": str(order.symbol),
            "side": order.side.value,
            "quantity": as_units(order.quantity),
            "sent_ms": to_ms(sent_at),
            "deadline_ms": to_ms(deadline),
        }
        if order.kind is OrderKind.RESTING_STOP and order.price is not None:
            body["stop_price"] = as_units(order.price)
        try:
            answer = await self._ask(
                "create", body, lambda: self.watcher.on_the_way("P3", self.account, order.id)
            )
        except NotSent as error:
            raise VenueUnavailable(str(error)) from None
        except NoAnswer as error:
            raise self.unreadable(error) from None
        finally:
            self.watcher.came_back(order.id)
        made = self.classify_create(answer)
        await self.watcher.at("P4", self.account, order.id)
        if isinstance(made, Exception):
            raise made
        return made

    def _is_late(self, deadline: datetime) -> bool:
        """Say whether an order would come to the venue when it takes it no more."""
        return self.clock.now() >= deadline - SEND_MARGIN

    def _skew(self) -> int:
        """Return how far our clock was off when it was measured last, in microseconds."""
        now = self.clock.monotonic()
        if now - self._measured > MEASURED_EVERY:
            self._measured, self._skew_us = now, self.clock.skew_us
        return self._skew_us

    @staticmethod
    def unreadable(error: NoAnswer) -> Exception:
        """Say what an order has come to whose answer is none."""
        return OutcomeUnknown(str(error))

    @classmethod
    def classify_create(cls, answer: Answer) -> str | Exception:
        """Return the venue's name for an order, or the error that its answer is."""
        if answer.is_good:
            return cls.id_of(answer)
        if answer.proves:
            return VenueRejected(answer.code)
        return OutcomeUnknown(answer.code)

    @staticmethod
    def id_of(answer: Answer) -> str | Exception:
        if isinstance(answer.payload, str) and answer.payload:
            return answer.payload
        return OutcomeUnknown("its answer names no order")

    async def cancel(self, order: Order) -> None:
        body = {"client_id": order.id, "order": order.venue_order_id}
        try:
            answer = await self._ask(
                "cancel", body, lambda: self.watcher.on_the_way("P9", self.account, order.id)
            )
        except NotSent as error:
            raise VenueUnavailable(str(error)) from None
        except NoAnswer as error:
            raise OutcomeUnknown(str(error)) from None
        finally:
            self.watcher.came_back(order.id)
        if not answer.is_good:
            raise VenueRejected(answer.code) if answer.proves else OutcomeUnknown(answer.code)

    async def look_up(self, order: Order) -> OrderReport | None:
        if order.negatives:
            await self.watcher.at("P10", self.account, order.id)
        found = await self._read("order", {"client_id": order.id, "order": order.venue_order_id})
        if found is None:
            return None
        return OrderReport(found["order"], found["open"], decimal(found["filled"]))

    async def fills_of(self, order: Order) -> Sequence[Fill]:
        if not order.venue_order_id:
            return ()
        found = await self._read("fills", {"order": order.venue_order_id})
        fills = [self._fill(order, trade) for trade in found]
        await self.watcher.read_fills(self.account, order.id, fills)
        return fills

    def _fill(self, order: Order, told: Mapping[str, Any]) -> Fill:
        trade = self._trade(told)
        if trade.fee_asset == trade.symbol.quote:
            fee_quote = trade.fee
        elif trade.fee_asset == trade.symbol.base:
            fee_quote = to_unit(MONEY.multiply(trade.fee, trade.price))
        else:
            fee_quote = to_unit(MONEY.multiply(trade.fee, decimal(told["fee_price"])))
        return Fill(
            id=trade.id,
            order_id=order.id,
            symbol=trade.symbol,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            cost=trade.cost,
            fee=trade.fee,
            fee_asset=trade.fee_asset,
            fee_quote=fee_quote,
            filled_at=trade.at,
        )

    # ---------------------------------------------------------------- lists

    async def open_orders(self, symbols: Sequence[Symbol]) -> Sequence[VenueOrder]:
        found = await self._read("open", {"symbols": [str(symbol) for symbol in symbols]})
        return [self._order(each) for each in found]

    async def orders_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueOrder]:
        body = {"symbols": [str(symbol) for symbol in symbols], "since_ms": to_ms(since)}
        found = await self._read("orders", body)
        if in_doubt:
            await self.watcher.at("P10", self.account, "")
        return [self._order(each) for each in found]

    async def trades_since(
        self, symbols: Sequence[Symbol], since: datetime, *, in_doubt: bool = False
    ) -> Sequence[VenueTrade]:
        body = {"symbols": [str(symbol) for symbol in symbols], "since_ms": to_ms(since)}
        return [self._trade(each) for each in await self._read("trades", body)]

    async def balances(self) -> Mapping[str, Decimal]:
        found = await self._read("balance", {})
        return {asset: decimal(amount) for asset, amount in found.items()}

    async def statement(
        self, symbols: Sequence[Symbol], since: datetime, until: datetime
    ) -> VenueStatement:
        """Return what trades moved; this venue lists no payments."""
        entries = [
            entry
            for trade in await self.trades_since(symbols, since)
            for entry in entries_of_trade(
                trade_id=trade.id,
                order_id=trade.venue_order_id,
                symbol=trade.symbol,
                side=trade.side,
                quantity=trade.quantity,
                cost=trade.cost,
                fee=trade.fee,
                fee_asset=trade.fee_asset,
                at=trade.at,
            )
            if entry.at <= until
        ]
        return VenueStatement(tuple(entries), hidden=("payments",))

    async def fund(self, deposited: Mapping[str, Decimal]) -> None:
        pass

    async def close(self) -> None:
        self._leave()

    def _order(self, told: Mapping[str, Any]) -> VenueOrder:
        return VenueOrder(
            venue_order_id=told["order"],
            client_id=told["client_id"],
            symbol=self.symbols[told["symbol"]],
            side=Side(told["side"]),
            quantity=decimal(told["quantity"]),
            filled=decimal(told["filled"]),
            is_open=told["open"],
            created_at=from_ms(told["at_ms"]),
        )

    def _trade(self, told: Mapping[str, Any]) -> VenueTrade:
        return VenueTrade(
            id=FillId(told["trade"]),
            venue_order_id=told["order"],
            client_id=told["client_id"],
            symbol=self.symbols[told["symbol"]],
            side=Side(told["side"]),
            quantity=decimal(told["quantity"]),
            price=decimal(told["price"]),
            cost=decimal(told["cost"]),
            fee=decimal(told["fee"]),
            fee_asset=told["fee_asset"],
            at=from_ms(told["at_ms"]),
        )


News = Callable[[OrderId], None]
