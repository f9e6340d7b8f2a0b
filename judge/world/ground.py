"""One world: venue, network, hosts, users and time, from its first second to its last."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from judge.evidence import Evidence, Happened, Owned
from judge.world import menu, rules, trading
from judge.world.chance import Chance
from judge.world.clocks import HostClock, WorldClock
from judge.world.desk import DirectVenue
from judge.world.events import Events
from judge.world.keeping import Keeping
from judge.world.link import WorldLink
from judge.world.market import HostMarket, Prices
from judge.world.network import Network
from judge.world.plan import Plan
from judge.world.process import HostProcess
from judge.world.size import Size
from judge.world.watch import HostWatch
from tradefleet.domain.effects import FillBooked, OrderChanged, OrderPlaced
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.ids import OrderId
from tradefleet.domain.limits import Tier
from tradefleet.domain.order import CancelState, Order, OrderState
from tradefleet.domain.user import Account
from tradefleet.store import Batch, Lease
from tradefleet.venues._ccxt.turnstile import Turnstile
from venuesim.exchange import Happening, Ticked
from venuesim.exchange import OrderChanged as VenueOrderChanged
from venuesim.units import UNITS

logger = logging.getLogger(__name__)

WARM_SECONDS = 15.0
LOOK_SECONDS = 1.0  # between two looks at what is due, and at who runs
FAILOVER_LOSES = 3  # commits at most
TIERS = {
    "busy": Tier(
        name="busy",
        entries_per_day=10**9,
        open_positions=10**6,
        api_calls_per_minute=10**9,
        bots=10**6,
        signal_channels=0,
    )
}


@dataclass(slots=True)
class Machine:
    """Where one host after the other runs; skew_us is its clock's."""

    number: int
    process: HostProcess | None = None
    starts: int = 0
    skew_us: int = 0


class World:
    """Everything there is in one run. run() plays it once, to its end."""

    def __init__(self, seed: int, venue: str, size: Size, keeping: Keeping) -> None:
        self.seed, self.size, self.venue_name = seed, size, venue
        self.rules = rules.ALL[venue]
        self.loop = asyncio.get_running_loop()
        self.chance = Chance(seed)
        self.clock = WorldClock(self.loop)
        self.venue = DirectVenue(self.rules, self.clock, self.chance)
        self.plan = Plan(
            chance=self.chance,
            rules=self.rules,
            kinds=size.kinds,
            rates=size.rates,
            now_ms=self.clock.now_ms,
            struck=self.struck,
            calm=not size.kinds,
        )
        self.network = Network(venue=self.venue, chance=self.chance, weather=self.plan)
        self.prices = Prices(self.venue, self.clock, self.chance, venue)
        self.keeping = keeping
        self.base = keeping.base
        self.machines = [Machine(number) for number in range(1, size.hosts + 1)]
        self.diary: list[Happened] = []
        self.counts: Counter[str] = Counter()
        self.deaths: list[str] = []  # of hosts, by what no test of ours expects
        self.accounts: dict[str, str] = {}  # account → user
        self.owned: list[Owned] = []
        self.owner: dict[str, HostProcess] = {}  # user → who took them last
        self.away: dict[str, str] = {}  # user → why nobody runs them just now
        self.bells: dict[str, dict[int, Callable[[OrderId], None]]] = {}
        self.silent_until: dict[str, float] = {}  # account → until when its stream is away
        self.vault_down: dict[str, float] = {}
        self.kept: deque[Any] = deque(maxlen=FAILOVER_LOSES)
        self.unbooked: dict[str, set[str]] = {}  # account → fills that a host has read only
        self.disk_full_until = 0.0
        self.is_calm = self.ends = self.settled = False
        self._bell_number = 0
        self._hosts = self.chance.of("hosts")
        self._pauses = self.chance.of("pauses")
        self._streams = self.chance.of("streams")
        self.events = Events(self)
        self.venue.bells.append(self._ring)
        self.venue.books.listeners.append(self._hear)

    # ------------------------------------------------------------------ diary

    def note(self, kind: str, **fields: object) -> None:
        self.diary.append(Happened(at_ms=self.clock.now_ms(), kind=kind, fields=fields))

    def struck(self, kind: str, account: str, action: str) -> None:
        """Write down that a fault strikes, and let the states begin that last."""
        self.counts[kind] += 1
        self.note("fault", fault=kind, account_id=account, action=action)
        client = self.venue.client_of(account)
        now, roll = self.clock.now_ms(), self._streams
        if kind == menu.LOOKUP_LAG:
            client.lag_ms = roll.randrange(300, 8000)
            client.lags_until_ms = now + roll.randrange(5_000, 20_000)
        elif kind == menu.HISTORY_PURGED:
            client.forgot_ms, client.forgot_until_ms = now, now + roll.randrange(3_000, 30_000)
        elif kind == menu.MAINTENANCE:
            client.maintenance = roll.choice(("down", "down", "cancel_only", "post_only"))
            client.maintenance_until_ms = now + roll.randrange(500, 6_000)
        elif kind == menu.SELF_TRADE:
            self.venue.expires_next[account] = roll.choice(("half", "none"))
        elif kind == menu.CANCEL_RACES:
            self.venue.races_next.add(account)
        elif kind == menu.PARTIAL_FILLS:
            self.venue.parts_next[account] = roll.randrange(2, 6)
        elif kind == menu.THIRD_FEE:
            self.venue.books.accounts[account].fee_from = "third"
        elif kind == menu.STREAM_CUT:
            self.silent_until[account] = self.loop.time() + roll.uniform(2, 12)
        elif kind == menu.STREAM_GAP:
            process = self.owner.get(self.accounts[account])
            if process is not None:
                process.venue.market.deaf_until = self.loop.time() + roll.uniform(2, 15)

    # ------------------------------------------------------- what hosts stand on

    def clock_of(self, process: HostProcess) -> HostClock:
        clock = HostClock(self.clock, process.gate)
        clock.skew_us = self.machines[process.number - 1].skew_us
        return clock

    def market_of(self, process: HostProcess) -> HostMarket:
        return HostMarket(self.prices, process.gate, process.number)

    def strategies(self) -> Any:
        return trading.strategies(lambda: self.is_calm)

    def tiers(self) -> Mapping[str, Tier]:
        return TIERS

    def link_of(self, process: HostProcess, account: Account, turnstile: Turnstile) -> WorldLink:
        return WorldLink(
            account=account.id,
            rules=self.rules,
            network=self.network,
            clock=process.clock,
            gate=process.gate,
            watcher=HostWatch(self, process),
            symbols=self.prices.symbols,
            turnstile=turnstile,
            leave=lambda: None,
        )

    def vault_fails(self, account: str) -> bool:
        if self.loop.time() >= self.vault_down.get(account, 0.0):
            return False
        self.plan.strike(menu.VAULT, account, "vault")
        return True

    def store_pause(self) -> float:
        return 0.0003 + self._pauses.random() * 0.003

    # ------------------------------------------------------------------ bells

    def ring_at(self, account: str, ring: Callable[[OrderId], None]) -> Callable[[], None]:
        """Let a host hear of an account's orders; return how it hears no more."""
        self._bell_number += 1
        number = self._bell_number
        self.bells.setdefault(account, {})[number] = ring

        def leave() -> None:
            self.bells[account].pop(number, None)

        return leave

    def _ring(self, account: str, client_id: str) -> None:
        """Tell an order's news on its account's stream, through what may befall a message."""
        if self.loop.time() < self.silent_until.get(account, 0.0) or not client_id:
            return
        fault = self.plan.message(account)
        if fault in (menu.MESSAGE_DROPPED, menu.STREAM_CUT, menu.STREAM_GAP):
            return
        after = 0.02 + self._streams.random() * 0.05
        if fault == menu.MESSAGES_SWAPPED:
            after += self._streams.uniform(0.2, 3)
        self.loop.call_later(after, self._rung, account, client_id)
        if fault == menu.MESSAGE_DUPLICATED:
            self.loop.call_later(after + 0.001, self._rung, account, client_id)

    def _rung(self, account: str, client_id: str) -> None:
        for ring in list(self.bells.get(account, {}).values()):
            ring(OrderId(client_id))

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Ticked):
            return
        if isinstance(happening, VenueOrderChanged) and happening.what == "new":
            self.counts["orders"] += 1

    # ------------------------------------------------------------------ store

    def before_change(self) -> None:
        """Keep what is stored while the database may yet lose it."""
        season = self.plan.season
        wanted = season is not None and ("P11" in season.points or season.kind == menu.FAILOVER)
        if wanted and not self.plan.calm:
            self.kept.append(self.keeping.snapshot())

    async def before_write(self, process: HostProcess, batches: Sequence[Batch]) -> None:
        """Let the database fail, or the host, before anything is kept."""
        if self.loop.time() < self.disk_full_until:
            raise StoreUnavailable("the database disk is full")
        for batch in batches:
            for record in batch.records:
                if isinstance(record, OrderPlaced):
                    await self.at(process, "P0", record.order.account_id, record.order.id)
            account = account_of(batch)
            fault = self.plan.database(account) if account else ""
            if fault in (menu.BEFORE_COMMIT, menu.DISK_FULL):
                if fault == menu.DISK_FULL:
                    self.disk_full_until = self.loop.time() + self._hosts.uniform(0.5, 4)
                raise StoreUnavailable(fault)
            if fault:
                process.next_fault = fault

    async def after_write(
        self, process: HostProcess, batches: Sequence[Batch], errors: Sequence[Any]
    ) -> None:
        """Let host or database fail now that it is kept."""
        fault, process.next_fault = process.next_fault, ""
        if fault == menu.FAILOVER:
            self.fail_over()
        if fault:
            process.cut_off = True
            raise StoreUnavailable(fault)
        for batch, error in zip(batches, errors, strict=True):
            if error is None:
                for record in batch.records:
                    await self._after_record(process, record)

    async def _after_record(self, process: HostProcess, record: Any) -> None:
        if isinstance(record, OrderPlaced):
            order = record.order
            if self.plan.is_due("P11", order.account_id):
                await self._lose_commits(process, order)
            await self.at(process, "P1", order.account_id, order.id)
        elif isinstance(record, FillBooked):
            unbooked = self.unbooked.get(record.entry.account_id, set())
            unbooked.discard(record.fill.id)
            if unbooked:
                await self.at(process, "P7", record.entry.account_id, record.fill.order_id)
        elif isinstance(record, OrderChanged):
            await self._after_change(process, record.order)

    async def _after_change(self, process: HostProcess, order: Order) -> None:
        account = order.account_id
        match order.state:
            case OrderState.SENDING if order.cancel is CancelState.NONE and not order.filled:
                if self.plan.is_due("P11", account):
                    await self._lose_commits(process, order)
            case OrderState.CLOSING:
                await self.at(process, "P8", account, order.id)
            case OrderState.OPEN | OrderState.REJECTED | OrderState.UNKNOWN:
                if not order.filled and order.cancel is CancelState.NONE:
                    await self.at(process, "P5", account, order.id)
            case _:
                pass

    async def _lose_commits(self, process: HostProcess, order: Order) -> None:
        if not self.kept:
            return
        self.note_crash(process, "P11", order.account_id)
        self.fail_over()
        process.kill()
        await self._never()

    def fail_over(self) -> None:
        """Let the database be as it was some commits ago; nobody's connection survives that."""
        back = self._hosts.randrange(1, len(self.kept) + 1) if self.kept else 0
        while back and not all(
            intent and self.is_there_or_nowhere(order)
            for order, intent in self.keeping.sends_lost(self.kept[-back]).items()
        ):
            back -= 1
        if back:
            self.keeping.set_back(self.kept[-back])
            self.note("note", text=f"the database lost its last {back} commits")
        self.kept.clear()
        for machine in self.machines:
            if machine.process is not None:
                machine.process.cut_off = True

    def is_there_or_nowhere(self, client_id: str) -> bool:
        """Say whether the venue shows an order, or will never have it.

        A database that loses that an order is on its way leaves nothing to find it by in time:
        that is what synchronous replication is for, and out of scope here.
        """
        if client_id in self.network.under_way:
            return False
        for account in self.accounts:
            order = self.venue.books.find(account, client_id=client_id)
            if order is not None:
                return self.venue.shows(order)
        return True

    # --------------------------------------------------------- crash and freeze

    async def at(self, process: HostProcess, point: str, account: str, order_id: str) -> None:
        """A host has come to a crash point: it may end here, or stand still."""
        if process.gate.dead:
            raise asyncio.CancelledError
        if self.plan.is_due(point, account) and self.size.crashes:
            self.note_crash(process, point, account)
            process.kill()
            await self._never()
        if process.stops_for:
            self.freeze(process)
            await process.gate.passed()

    async def _never(self) -> None:
        """Go no further: the task that is here is being cancelled."""
        await asyncio.get_running_loop().create_future()

    def on_the_way(self, process: HostProcess, point: str, account: str, order_id: str) -> None:
        """A request has left; its host may end before the answer is here."""
        if process.stops_for:
            self.loop.call_later(self._hosts.uniform(0, 0.03), self.freeze, process)
        if not self.plan.is_due(point, account) or not self.size.crashes:
            return

        def crash() -> None:
            there = order_id in process.waiting and not process.gate.dead
            if there and self.plan.is_due(point, account):
                self.note_crash(process, point, account)
                process.kill()

        self.loop.call_later(self._hosts.uniform(0, 0.06), crash)

    def note_crash(self, process: HostProcess, point: str, account: str) -> None:
        self.counts["crashes"] += 1
        kind, _ = self.plan.latest.get(account, ("", 0))
        self.plan.crashed(point)
        self.note(
            "crash",
            host=process.name,
            point=point,
            fault=kind,
            venue=self.venue_name,
            account_id=account,
        )

    def freeze(self, process: HostProcess) -> None:
        """Let a host stand still for as long as it was to."""
        seconds, process.stops_for = process.stops_for, 0.0
        if not seconds or not process.is_awake:
            return
        self.counts["freezes"] += 1
        process.gate.shut()
        self.note("frozen", host=process.name, seconds=seconds)
        for account in self.accounts_of(process):
            self.plan.strike(menu.STOOD_STILL, account, "host")
        self.loop.call_later(seconds, self.thaw, process)

    def thaw(self, process: HostProcess) -> None:
        if process.gate.is_shut:
            self.note("thawed", host=process.name)
            process.gate.open()

    def accounts_of(self, process: HostProcess) -> list[str]:
        return [
            account for account, user in self.accounts.items() if self.owner.get(user) is process
        ]

    # ------------------------------------------------------------------ hosts

    def start(self, machine: Machine) -> None:
        """Start a host where none runs, after the one that ran there before."""
        before = machine.process.name if machine.process is not None else ""
        machine.starts += 1
        process = HostProcess(
            self,
            f"host-{machine.number}.{machine.starts}",
            machine.number,
            lease_seconds=self.lease_seconds,
            users_max=self.size.users_max,
        )
        process.ended = lambda ended: self._ended(machine, ended)
        machine.process = process
        process.start(before)

    @property
    def lease_seconds(self) -> float:
        return 6.0 + self.seed % 4 * 3

    def _ended(self, machine: Machine, process: HostProcess) -> None:
        """A host is no more: another starts in its place in a while."""
        if process.fault is not None and not isinstance(
            process.fault, StoreUnavailable | asyncio.CancelledError
        ):
            self.deaths.append(f"{process.name}: {process.fault!r}")
            self.note("note", text=f"{process.name} died: {process.fault!r}"[:300])
        for user, owner in self.owner.items():
            if owner is process:
                self.away[user] = "crashed"
        if not self.ends:
            self.loop.call_later(self._hosts.uniform(0.2, 2.0), self.start, machine)

    def leases_taken(self, process: HostProcess, leases: Sequence[Lease]) -> None:
        for lease in leases:
            before = self.owner.get(lease.user_id)
            over = before is not None and before is not process and before.is_running
            self.owner[lease.user_id] = process
            self.note(
                "lease",
                user_id=lease.user_id,
                host=process.name,
                epoch=lease.epoch,
                before=before.name if before is not None else "",
                zombie=over,
            )
            if not over:
                continue
            self.counts["takeovers"] += 1
            self.away.setdefault(lease.user_id, "stopped")
            for account, user in self.accounts.items():
                if user == lease.user_id:
                    self.plan.strike(menu.TAKEN_OVER, account, "lease")

    # ------------------------------------------------------------------- time

    async def run(self) -> Evidence:
        """Play the world to its end and return what it left behind."""
        await self.events.settle_in()
        walking = self.loop.create_task(self.prices.run())
        await asyncio.sleep(WARM_SECONDS)
        for machine in self.machines:
            self.start(machine)
        await self._trade()
        await self._fall_quiet()
        self.events.look_at_reservations()
        self.note("ended")
        walking.cancel()
        self.venue.closing_line()
        return Evidence(
            owned=self.owned,
            journals={self.venue_name: self.venue.lines()},
            diary=self.diary,
            database=self.keeping.read(),
            crash_points=tuple(menu.POINTS),
            fault_kinds=menu.KINDS,
        )

    async def end(self) -> None:
        """Let every host be gone, and return when none has anything left to do."""
        self.ends = True
        tasks = [m.process.task for m in self.machines if m.process and m.process.task]
        for machine in self.machines:
            if machine.process is not None:
                machine.process.kill()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _trade(self) -> None:
        begin, (least, most) = self.loop.time(), self.size.seconds
        while self.loop.time() - begin < most:
            more = self.plan.turn(self.loop.time())
            enough = self.counts["orders"] >= self.size.orders
            if not more and enough and self.loop.time() - begin >= least:
                break
            await asyncio.sleep(LOOK_SECONDS)
            await self.events.once()

    async def _fall_quiet(self) -> None:
        """Let faults stop, and wait until nothing changes any more."""
        self.plan.calm = self.is_calm = self.prices.calm = True
        for machine in self.machines:
            machine.skew_us = 0
            if machine.process is not None:
                machine.process.clock.skew_us = 0
                machine.process.stops_for = 0.0
                self.thaw(machine.process)
        for client in self.venue.clients.values():
            client.lags_until_ms = client.forgot_until_ms = client.maintenance_until_ms = 0
        self.venue.expires_next.clear()
        await self.events.release_all()
        self.note("quiet")
        until = self.loop.time() + self.size.quiet_most
        still = 0
        while self.loop.time() < until and still < 3:
            await asyncio.sleep(10)
            self.events.look()
            await self.events.restart_bots()
            still = still + 1 if self.is_settled() else 0
        self.settled = still > 0

    def is_settled(self) -> bool:
        """Say whether every order is over or rests, and the ledger says what the venue has."""
        return self.keeping.is_settled() and all(map(self.ledger_agrees, self.accounts))

    def ledger_agrees(self, account: str) -> bool:
        """Say whether the stored entries of an account sum to what the venue says it holds."""
        totals = self.keeping.totals(self.accounts[account], account)
        book = self.venue.books.accounts[account]
        assets = {*totals, *book.free, *book.locked}
        return all(
            int(totals.get(asset, Decimal(0)) * UNITS) == book.free[asset] + book.locked[asset]
            for asset in sorted(assets)
        )


def account_of(batch: Batch) -> str:
    """Return the account that a batch writes an order of, "" for none."""
    for record in batch.records:
        if isinstance(record, OrderPlaced | OrderChanged):
            return record.order.account_id
    return ""
