"""What happens in a world besides trading: who its users are, what owners and operators do."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from judge.evidence import Contract, Owned
from judge.world import menu, trading
from judge.world.desk import INSTRUMENTS, THIRD
from judge.world.market import BAR, symbol_of
from judge.world.process import HostProcess
from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.ledger import FREE, LedgerEntry, place_of
from tradefleet.domain.limits import Halt, RiskLimits, Scope, Switch
from tradefleet.domain.user import Account, ExternalChanges, Mode, User
from venuesim.orders import Kind, NewOrder, Refusal, Side
from venuesim.units import UNITS, units

if TYPE_CHECKING:
    from judge.world.ground import World

ALLOCATION = Decimal(1000)
COST_MAX = 800 * UNITS  # an entry takes half of what a bot has: 1,000, and what it has won
DEPOSIT = units("20000")
POLICIES = (ExternalChanges.IGNORE, ExternalChanges.IGNORE, ExternalChanges.ADOPT)
SCOPES = (*(Scope.BOT, Scope.ACCOUNT, Scope.USER) * 2, Scope.PLATFORM)
OPEN_PAUSES = 2.5  # times as long passes between stand-stills and switches in open weather
SKEWS_US = (450_000, 450_000, 2_000_000)  # from half a second on, hosts send no orders
BY_HAND = "by hand"  # the reason of switches that are thrown here


class Events:
    """Lets owners and operators act, and looks at what hosts do."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._roll = world.chance.of("events")
        self._next: dict[str, float] = {}
        self._thrown: list[tuple[float, Switch, UserId, dict[str, str]]] = []
        self.specs: dict[BotId, BotSpec] = {}
        self._since: dict[tuple[str, str], float] = {}

    # ------------------------------------------------------------ the beginning

    async def settle_in(self) -> None:
        """Let users register, open accounts with money in them, and start their bots."""
        world = self.world
        for number in range(1, world.size.users + 1):
            user = UserId(f"user-{number}")
            account = AccountId(f"{user}:{world.venue_name}")
            world.accounts[account] = user
            fees = ("quote", "received", "third")[number % 3]
            world.venue.open_account(account, fee_from=fees)
            world.venue.books.deposit(account, "USDT", DEPOSIT)
            world.venue.books.deposit(account, THIRD, units("50"))
            specs = [self._spec(user, account, name) for name in world.size.symbols]
            self.specs |= {spec.id: spec for spec in specs}
            await self._register(user, account, specs)
            contracts = [
                Contract(bot_id=spec.id, symbol=str(spec.symbol), cost_max=COST_MAX)
                for spec in specs
            ]
            world.owned.append(
                Owned(
                    account_id=account,
                    user_id=user,
                    venue=world.venue_name,
                    venue_account=account,
                    contracts=contracts,
                )
            )

    def _spec(self, user: UserId, account: AccountId, name: str) -> BotSpec:
        plans = list(trading.PLANS)
        return BotSpec(
            id=BotId(f"{user}-{name.partition('/')[0].lower()}"),
            user_id=user,
            account_id=account,
            venue=self.world.venue_name,
            symbol=symbol_of(name),
            timeframe=BAR,
            strategy=trading.NAME,
            allocation=ALLOCATION,
            params={
                "phase": str(self._roll.randrange(4)),
                "plan": self._roll.choice(plans),
            },
            status=BotStatus.RUNNING,
        )

    async def _register(self, user: UserId, account: AccountId, specs: list[BotSpec]) -> None:
        world, now = self.world, self.world.clock.now()
        async with world.base.open(user) as store:
            await store.save_user(User(id=user, username=user, created_at=now, tier="busy"))
            await store.save_limits(RiskLimits())
            await store.save_account(
                Account(
                    id=account,
                    user_id=user,
                    venue=world.venue_name,
                    mode=Mode.LIVE,
                    created_at=now,
                    external_changes=self._roll.choice(POLICIES),
                )
            )
            for spec in specs:
                await store.add_bot(spec)
                await store.book(
                    LedgerEntry.of_transfer(
                        id=f"allocation:{spec.id}",
                        user_id=user,
                        account_id=account,
                        kind="allocation",
                        at=now,
                        asset=spec.symbol.quote,
                        amount=spec.allocation,
                        source=FREE,
                        target=place_of(spec.id),
                    )
                )

    # --------------------------------------------------------------- all along

    async def once(self) -> None:
        """Let happen what is due now."""
        self.look()
        size, kind = self.world.size, self.world.plan.kind
        calmer = 1.0 if kind else OPEN_PAUSES
        if self._is_due("freeze", 8.0 if kind in FREEZING else calmer * size.freeze_every):
            self._stop_a_host()
        if kind == menu.CLOCK_SKEW and self._is_due("skew", 10.0):
            self._skew_a_clock()
        if self._is_due("owner", 3.0 if kind == menu.BALANCE_CHANGED else size.owner_every):
            self._act_by_hand()
        if kind == menu.VAULT and self._is_due("vault", 4.0):
            await self._close_the_vault()
        if self._is_due("kill", calmer * size.kill_every):
            await self._throw_a_switch()
        await self._release_due()
        if self._is_due("rounds", 15.0):
            await self.restart_bots()

    def _is_due(self, what: str, every: float) -> bool:
        """Say whether it is time for something that happens about so often."""
        if not every:
            return False
        now = self.world.loop.time()
        due = self._next.setdefault(what, now + self._roll.uniform(0.3, 1) * every)
        if now < due:
            return False
        self._next[what] = now + self._roll.uniform(0.5, 1.5) * every
        return True

    def _awake(self) -> list[HostProcess]:
        processes = (machine.process for machine in self.world.machines)
        return [process for process in processes if process is not None and process.is_awake]

    def _stop_a_host(self) -> None:
        """Let a host that runs somebody stand still, mostly for longer than its leases last."""
        world, awake = self.world, self._awake()
        busy = [process for process in awake if world.accounts_of(process)]
        if len(awake) < 2 or not busy:
            return
        process = self._roll.choice(busy)
        ttl = world.lease_seconds
        long = self._roll.random() < 0.06
        if world.plan.kind == menu.STOOD_STILL:  # and goes on before anybody else takes over
            process.stops_for = self._roll.uniform(1, ttl / 2)
        elif long:
            process.stops_for = self._roll.uniform(5, 120)
        else:
            process.stops_for = ttl + self._roll.uniform(-1, 9)

    def _skew_a_clock(self) -> None:
        machine = self._roll.choice(self.world.machines)
        most = self._roll.choice(SKEWS_US)
        machine.skew_us = self._roll.randrange(-most, most + 1)
        process = machine.process
        if process is None:
            return
        process.clock.skew_us = machine.skew_us
        for account in self.world.accounts_of(process):
            self.world.plan.strike(menu.CLOCK_SKEW, account, "clock")

    def _act_by_hand(self) -> None:
        """Let an owner pay in or out, buy, sell, or place an order beside the bots."""
        world, roll = self.world, self._roll
        account = roll.choice(list(world.accounts))
        books, name = world.venue.books, roll.choice(list(INSTRUMENTS))
        price = books.prices[name]
        step = INSTRUMENTS[name][0].step
        quantity = max(step, units(roll.randrange(20, 200)) * UNITS // price // step * step)
        act = roll.choice(("deposit", "withdraw", "buy", "sell", "rest"))
        try:
            if act in ("deposit", "withdraw"):
                amount = units(roll.randrange(1, 50))
                books.deposit(account, "USDT", amount if act == "deposit" else -amount)
            else:
                side = Side.SELL if act == "sell" else Side.BUY
                tick = INSTRUMENTS[name][0].tick
                rests = act == "rest"
                order = books.place(
                    account,
                    NewOrder(
                        symbol=name,
                        side=side,
                        kind=Kind.LIMIT if rests else Kind.MARKET,
                        quantity=quantity,
                        price=price * 98 // 100 // tick * tick if rests else 0,
                    ),
                )
                world.note("manual", account_id=account, order=order.id)
        except Refusal:
            return
        world.plan.strike(menu.BALANCE_CHANGED, account, "owner")

    async def _close_the_vault(self) -> None:
        """Let an account be opened anew while the vault does not answer."""
        world = self.world
        account = self._roll.choice(list(world.accounts))
        world.vault_down[account] = world.loop.time() + self._roll.uniform(1, 5)
        user = UserId(world.accounts[account])
        async with world.base.open(user) as store:
            (known,) = await store.accounts()
            ignores = known.external_changes is ExternalChanges.IGNORE
            policy = ExternalChanges.ADOPT if ignores else ExternalChanges.IGNORE
            await store.save_account(replace(known, external_changes=policy))
            await store.ask_host("account_changed", {"account_id": account})
        world.kept.clear()

    # ------------------------------------------------------------- kill switches

    async def _throw_a_switch(self) -> None:
        world, roll = self.world, self._roll
        user = UserId(roll.choice(sorted(set(world.accounts.values()))))
        scope = roll.choice(SCOPES)
        halt = roll.choice((Halt.STOP, Halt.FLATTEN))
        spec = roll.choice([spec for spec in self.specs.values() if spec.user_id == user])
        name = {
            Scope.BOT: spec.id,
            Scope.ACCOUNT: spec.account_id,
            Scope.USER: user,
            Scope.PLATFORM: "*",
        }[scope]
        switch = Switch(
            scope=scope, scope_id=name, halt=halt, reason=BY_HAND, changed_at=world.clock.now()
        )
        await self._set(switch, user)
        covers = {
            "user_id": "" if scope is Scope.PLATFORM else str(user),
            "account_id": spec.account_id if scope in (Scope.ACCOUNT, Scope.BOT) else "",
            "bot_id": spec.id if scope is Scope.BOT else "",
        }
        world.note("kill", scope=scope.value, mode=halt.value, **covers)
        self._thrown.append((world.loop.time() + roll.uniform(6, 20), switch, user, covers))
        world.counts["kills"] += 1

    async def _set(self, switch: Switch, user: UserId) -> None:
        world = self.world
        if switch.scope is Scope.PLATFORM:
            await world.base.set_platform_switch(switch)
        else:
            async with world.base.open(user) as store:
                await store.set_switch(switch)
                await store.ask_host("switches_changed", {})
        world.kept.clear()

    async def _release_due(self) -> None:
        now = self.world.loop.time()
        due = [each for each in self._thrown if each[0] <= now]
        self._thrown = [each for each in self._thrown if each[0] > now]
        for _, switch, user, covers in due:
            # The word goes first: what is sent the moment it is written is sent rightly.
            self.world.note("released", scope=switch.scope.value, **covers)
            released = replace(switch, halt=Halt.RUN, changed_at=self.world.clock.now())
            await self._set(released, user)

    async def release_all(self) -> None:
        self._thrown = [(0.0, switch, user, covers) for _, switch, user, covers in self._thrown]
        await self._release_due()

    async def restart_bots(self) -> None:
        """Do what an owner does who is told: resume what was stopped, start what was set aside."""
        world = self.world
        for user in world.keeping.troubled():
            async with world.base.open(UserId(user)) as store:
                for switch in await store.switches():
                    if switch.halt is Halt.RUN or switch.reason == BY_HAND:
                        continue
                    world.counts["stopped"] += 1
                    world.note("note", text=f"{user}: entries stopped: {switch.reason}"[:200])
                    now = world.clock.now()
                    if switch.scope is Scope.ACCOUNT:  # whoever threw it before, it is one switch
                        world.note(
                            "released", scope="account", user_id=user, account_id=switch.scope_id
                        )
                    await store.set_switch(replace(switch, halt=Halt.RUN, changed_at=now))
                    await store.ask_host("switches_changed", {})
                for spec in await store.bots():
                    if spec.status is not BotStatus.SET_ASIDE:
                        continue
                    world.counts["set aside"] += 1
                    world.deaths.append(f"{spec.id}: {spec.note}")
                    world.note("note", text=f"{spec.id} was set aside: {spec.note}"[:300])
                    await store.save_bot(replace(spec, status=BotStatus.RUNNING, note=""))
                    await store.ask_host("bot_changed", {"bot_id": spec.id})
            world.kept.clear()

    # ------------------------------------------------------------------ looking

    def look(self) -> None:
        """Note who runs again, and whose positions nothing guards."""
        world = self.world
        running = {
            user_id: machine.process
            for machine in world.machines
            if machine.process is not None and machine.process.is_awake
            for user_id, user in machine.process.host.users.items()
            if user.ready and not user.gone
        }
        for user in [user for user in world.away if user in running]:
            process = running[UserId(user)]
            if process is world.owner.get(user):
                del world.away[user]
                world.note("recovered", host=process.name, user_id=user)
        now = world.loop.time()
        held = {each.bot_id: each for each in world.keeping.held()}
        for spec in self.specs.values():
            position = held.get(spec.id)
            bare = position is not None and not self._rests(spec)
            there = running.get(spec.user_id) if bare else None
            bot = there.host.bots.get(spec.id) if there is not None else None
            watched = bot is not None and watches(there, bot)
            self._count(spec, "unprotected", bare and bot is not None and not watched, now)
            self._count(spec, "alone", bare and bot is None, now)

    def look_at_reservations(self) -> None:
        """Note what is still set apart for entries though none is under way any more."""
        for process in self._awake():
            for user in process.host.users.values():
                for bot in user.bots.values():
                    slot = user.guard._slots.get(bot.id)
                    working = any(order.is_working for order in bot.engine.working.values())
                    if slot is not None and slot.pending and not working:
                        self.world.note(
                            "reserved",
                            account_id=bot.engine.spec.account_id,
                            bot_id=bot.id,
                            amount=str(slot.pending),
                        )

    def _count(self, spec: BotSpec, kind: str, lasts: bool, now: float) -> None:
        """Measure how long something lasts for a bot, and note it once it is over."""
        key = kind, spec.id
        if lasts:
            self._since.setdefault(key, now)
        elif key in self._since:
            self.world.note(
                kind,
                account_id=spec.account_id,
                symbol=str(spec.symbol),
                seconds=round(now - self._since.pop(key), 3),
            )

    def _rests(self, spec: BotSpec) -> bool:
        """Say whether a sell of ours is live at the venue."""
        live, symbol = (
            self.world.venue.books.accounts[spec.account_id].live.values(),
            str(spec.symbol),
        )
        return any(o.symbol == symbol and o.side is Side.SELL and o.client_id for o in live)


def watches(process: Any, bot: Any) -> bool:
    """Say whether a host that is awake sells a bot's position, or waits for its stop's price."""
    engine, spec = bot.engine, bot.engine.spec
    if any(order.side.value == "sell" and order.is_working for order in engine.working.values()):
        return True
    book = process.host.books[spec.venue, spec.symbol]
    return engine.levels.stop is not None and book.stop_of(spec.id) == engine.levels.stop


FREEZING = frozenset({menu.STOOD_STILL, menu.TAKEN_OVER})
