"""Twenty ways to spoil the service by one line each: a judge that finds them can be believed.

Each swaps one function for a faulty one, in this process and for one run; nothing in the product
knows of it. What follows must be found by the verdict, within ten seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias
from unittest.mock import patch

from judge.world import link as links
from judge.world import menu, rules
from judge.world.link import WorldLink
from judge.world.plan import Rates
from judge.world.size import Size
from tradefleet.domain.effects import FillBooked
from tradefleet.domain.errors import (
    OutcomeUnknown,
    StoreError,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.ledger import LedgerEntry
from tradefleet.domain.money import ZERO
from tradefleet.domain.order import (
    CancelSent,
    ClosedByVenue,
    Fill,
    Order,
    OrderReport,
    OrderState,
    ProvenAbsent,
    Voided,
)
from tradefleet.domain.values import updated
from tradefleet.engine import bot_engine, order_life, reconcile
from tradefleet.engine.user_guard import UserGuard
from tradefleet.runtime import ownership, recovery
from tradefleet.runtime.accounts import AccountLane
from tradefleet.runtime.host import Host
from tradefleet.store import Batch, KillSwitched, Lease
from tradefleet.stores import _gate as gate
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.memory import store as memory_store
from tradefleet.venues._ccxt.turnstile import Turnstile

Spoil: TypeAlias = Callable[[ExitStack], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault put in on purpose.

    venues: under whose rules it shows, the likeliest first; size: the world in which it shows
    soonest, None for a small one and, where that does not do, the usual one of each seed.
    """

    name: str
    text: str
    spoil: Spoil
    venues: tuple[str, ...] = tuple(rules.ALL)
    size: Size | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Spoil the service for as long as the context lasts."""
        with ExitStack() as stack:
            self.spoil(stack)
            yield


def swap(stack: ExitStack, target: Any, name: str, value: Any) -> None:
    """Put another thing in the place of one, until the stack is left."""
    changed: AbstractContextManager[Any] = patch.object(target, name, value)
    stack.enter_context(changed)


def swap_items(stack: ExitStack, table: Any, items: Mapping[Any, Any]) -> None:
    stack.enter_context(patch.dict(table, items))


# ------------------------------------------------------------- the fence, the switch


def no_epoch_check(stack: ExitStack) -> None:
    def refusal(batch: Batch, known: gate.Leases) -> StoreError | None:
        _, kill_version = known.get(batch.user_id, (0, 0))
        if batch.kill_version not in (None, kill_version):
            return KillSwitched("a kill switch was changed")
        return None

    swap(stack, gate, "refusal", refusal)
    swap(stack, memory_store, "refusal", refusal)


def no_deadline(stack: ExitStack) -> None:
    swap(stack, WorldLink, "_is_late", lambda self, deadline: False)
    unfenced = {name: replace(one, fence="none") for name, one in rules.ALL.items()}
    swap_items(stack, rules.ALL, unfenced)


def lease_per_bot(stack: ExitStack) -> None:
    """Let every host run every user: of each the bots that fall to it."""
    take, renew, start = MemoryStore.take_leases, MemoryStore.renew_leases, recovery.start_missing

    async def take_all(self: Any, owner: str, **given: Any) -> Sequence[Lease]:
        known = {lease.user_id for lease in await take(self, owner, **given)}
        return [lease for lease in held(self) if lease.user_id in known or known]

    async def renew_all(self: Any, owner: str, **given: Any) -> Sequence[Lease]:
        await renew(self, owner, **given)
        return held(self)

    def held(store: Any) -> Sequence[Lease]:
        return [lease for lease in store._shared.leases.values() if lease.epoch]

    async def start_mine(host: Host, user: Any, load: Any) -> None:
        place = sum(map(ord, host.owner)) % 2
        mine = [spec for spec in load.bots if sum(map(ord, spec.id)) % 2 == place]
        await start(host, user, replace(load, bots=mine))

    swap(stack, MemoryStore, "take_leases", take_all)
    swap(stack, MemoryStore, "renew_leases", renew_all)
    for module in (recovery, ownership):
        swap(stack, module, "start_missing", start_mine)


def kill_outside(stack: ExitStack) -> None:
    made = Host._batch

    def batch(self: Host, user: Any, records: Any, *, opens: bool) -> Batch:
        return made(self, user, records, opens=False)

    swap(stack, Host, "_batch", batch)


def same_numbers(stack: ExitStack) -> None:
    def number(self: Turnstile, now: object) -> int:
        self.last += 1
        return self.last

    swap(stack, Turnstile, "number", number)


def foreign_account(stack: ExitStack) -> None:
    """Sign for the account that the request before named."""
    submit = WorldLink.submit
    last: dict[str, str] = {}

    async def submitted(self: WorldLink, order: Order) -> str:
        own, self.account = self.account, last.get(self.rules.name, self.account)
        last[self.rules.name] = own
        try:
            return await submit(self, order)
        finally:
            self.account = own

    swap(stack, WorldLink, "submit", submitted)


# ------------------------------------------------------------- sending, and what became of it


def send_again(stack: ExitStack) -> None:
    submit = WorldLink.submit

    async def submitted(self: WorldLink, order: Order) -> str:
        try:
            return await submit(self, order)
        except OutcomeUnknown:
            return await submit(self, order)

    swap(stack, WorldLink, "submit", submitted)


def absent_after_three(stack: ExitStack) -> None:
    def resolve(order: Order, now: object, *, negatives_needed: int = 3, **_: object) -> Any:
        enough = order.state is OrderState.UNKNOWN and order.negatives >= negatives_needed
        return ProvenAbsent(order.id) if enough else None

    swap(stack, order_life, "resolve", resolve)


def failed_is_negative(stack: ExitStack) -> None:
    ask = AccountLane._ask

    async def asked(self: Any, order: Order) -> OrderReport | None:
        with suppress(VenueUnavailable):
            return await ask(self, order)
        return None

    swap(stack, AccountLane, "_ask", asked)


def damaged_is_refused(stack: ExitStack) -> None:
    swap(stack, WorldLink, "unreadable", staticmethod(lambda error: VenueRejected(str(error))))


def no_id_is_fine(stack: ExitStack) -> None:
    swap(stack, WorldLink, "id_of", staticmethod(lambda answer: str(answer.payload)))


def never_sent(stack: ExitStack) -> None:
    """Take what was on its way when the host died for never sent."""
    resume = recovery.resume_order

    def resumed(host: Host, bot: Any, order: Order) -> None:
        if order.state is not OrderState.SENDING:
            resume(host, bot, order)
            return
        host.deliver(bot, Voided(order.id, "the host stopped"))

    swap(stack, recovery, "resume_order", resumed)
    step = order_life.TABLE[OrderState.CREATED, Voided]
    swap_items(stack, order_life.TABLE, {(OrderState.SENDING, Voided): step})


def cancelled_by_answer(stack: ExitStack) -> None:
    async def cancel(self: Any, bot: Any, order: Order) -> None:
        if not await self.owner.tell(bot, CancelSent(order.id)):
            return
        with suppress(VenueRejected, OutcomeUnknown, VenueUnavailable):
            await self.link.cancel(order)
        now = bot.engine.working.get(order.id, order)
        await self.owner.tell(bot, ClosedByVenue(order.id, now.filled))

    swap(stack, AccountLane, "_cancel", cancel)


# ------------------------------------------------------------- fills, fees, money


def float_money(stack: ExitStack) -> None:
    swap(stack, links, "decimal", lambda amount: Decimal(amount / 1e8))


def cursor_apart(stack: ExitStack) -> None:
    """Write down that an order was filled in one transaction, and the fill in the next."""
    write = Host._flush_user

    def flushed(self: Host, user: Any, then: Any) -> None:
        fills = [each for each in user.records if isinstance(each, FillBooked)]
        if not fills:
            write(self, user, then)
            return
        acts, user.acts = user.acts, []
        user.records = [each for each in user.records if not isinstance(each, FillBooked)]

        def later() -> None:
            user.records, user.acts = [*fills, *user.records], [*acts, *user.acts]
            write(self, user, then)

        write(self, user, later)

    swap(stack, Host, "_flush_user", flushed)


def no_fee(stack: ExitStack) -> None:
    of_fill = LedgerEntry.of_fill

    def free(fill: Fill, **given: Any) -> LedgerEntry:
        return of_fill(replace(fill, fee=ZERO, fee_quote=ZERO), **given)

    swap(stack, LedgerEntry, "of_fill", staticmethod(free))


def fills_again(stack: ExitStack) -> None:
    new, take = reconcile._new_fills, bot_engine.HANDLERS[Fill]

    def forgetful(engine: Any, fill: Fill) -> Any:
        engine.fills_seen.clear()
        return take(engine, fill)

    swap(stack, reconcile, "_new_fills", lambda order, fills, known: new(order, fills, frozenset()))
    swap_items(stack, bot_engine.HANDLERS, {Fill: forgetful})


def done_too_soon(stack: ExitStack) -> None:
    def close(order: Order, event: ClosedByVenue) -> Order:
        return updated(order, state=OrderState.DONE, venue_filled=order.filled)

    closing = {
        key: close
        for key, step in order_life.TABLE.items()
        if step is order_life._close  # whatever state it is in
    }
    swap_items(stack, order_life.TABLE, closing)


def kept_apart(stack: ExitStack) -> None:
    swap(stack, UserGuard, "entry_ended", lambda self, bot_id, *, sent: None)


def stop_forgotten(stack: ExitStack) -> None:
    """Take a bot over without watching its stop."""
    add, rest = Host.add, bot_engine.BotEngine._rest

    def added(self: Host, bot: Any) -> None:
        add(self, bot)
        spec = bot.engine.spec
        if bot.engine.position is not None:
            self.books[spec.venue, spec.symbol].clear(spec.id)

    swap(stack, Host, "add", added)
    swap(stack, bot_engine.BotEngine, "_rest", lambda self, at: rest(self, at)[:0])


SMALL = Size(kinds=(menu.ANSWER_LOST,), orders=100, seconds=(60, 240), quiet_most=300)
NUMBERED = ("kraken",)
FENCED = ("kraken", "binance", "bybit")
MT5_FIRST = ("mt5", "kraken", "binance", "bybit")
BINANCE_FIRST = ("binance", "kraken", "bybit", "mt5")
DEAF = Size(  # reads fail in rows, and answers are lost
    kinds=(menu.ANSWER_LOST, menu.RESET_AFTER),
    rates=Rates(seasonal=0.85, stray=0.05, lost=0.3),
    crashes=False,
)
LATE = Size(kinds=(menu.REQUEST_DELAYED,), seconds=(200, 300), crashes=False)  # up to 120 s
NAMELESS = Size(kinds=(menu.ID_MISSING,))
KILLED = Size(kinds=(menu.ANSWER_LOST,), kill_every=3, rates=Rates(seasonal=0.02, stray=0.01))
MUTANTS: tuple[Mutant, ...] = (
    Mutant(name="no-epoch", text="no epoch check", spoil=no_epoch_check, venues=MT5_FIRST),
    Mutant(name="no-deadline", text="no deadline", spoil=no_deadline, venues=FENCED),
    Mutant(name="send-again", text="re-send on timeout", spoil=send_again),
    Mutant(
        name="absent-after-three",
        text="reject after N negatives",
        spoil=absent_after_three,
        venues=("mt5",),
        size=LATE,
    ),
    Mutant(
        name="failed-is-negative",
        text="failed look-up counted as negative",
        spoil=failed_is_negative,
        size=DEAF,
    ),
    Mutant(name="damaged-is-refused", text="damaged answer = reject", spoil=damaged_is_refused),
    Mutant(name="no-id", text="id=None accepted", spoil=no_id_is_fine, size=NAMELESS),
    Mutant(name="float-money", text="float money", spoil=float_money),
    Mutant(name="cursor-apart", text="cursor outside the fill transaction", spoil=cursor_apart),
    Mutant(name="no-fee", text="fee ignored", spoil=no_fee),
    Mutant(name="fills-again", text="fills not deduped", spoil=fills_again),
    Mutant(
        name="cancelled-by-answer",
        text="CANCELED from the cancel answer",
        spoil=cancelled_by_answer,
    ),
    Mutant(name="done-too-soon", text="DONE before all fills", spoil=done_too_soon),
    Mutant(name="never-sent", text="VOID of SENDING", spoil=never_sent),
    Mutant(
        name="kept-apart",
        text="reservation not released",
        spoil=kept_apart,
        venues=BINANCE_FIRST,
    ),
    Mutant(
        name="lease-per-bot",
        text="lease per bot instead of user",
        spoil=lease_per_bot,
        venues=NUMBERED,
    ),
    Mutant(
        name="kill-outside",
        text="kill checked outside the transaction",
        spoil=kill_outside,
        venues=MT5_FIRST,
        size=KILLED,
    ),
    Mutant(name="foreign-account", text="tenant id from the request body", spoil=foreign_account),
    Mutant(
        name="same-numbers",
        text="same nonce counter in two workers",
        spoil=same_numbers,
        venues=NUMBERED,
    ),
    Mutant(name="stop-forgotten", text="stop not re-armed after restart", spoil=stop_forgotten),
)
