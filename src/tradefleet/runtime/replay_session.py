"""One replay from its options to its result: users and bots made or found again, bars played."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tradefleet.domain.bot import BotSpec, BotStatus
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry, place_of
from tradefleet.domain.limits import TIERS, Tier
from tradefleet.domain.market import Bar, Stream
from tradefleet.domain.money import ZERO
from tradefleet.domain.user import Account, Mode, User
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot
from tradefleet.runtime.recovery import take_user
from tradefleet.runtime.replay import Playable, Replay
from tradefleet.runtime.replay_clock import ReplayClock
from tradefleet.simulation.bar_path import Phase
from tradefleet.simulation.options import PlayOptions
from tradefleet.simulation.results import BotResult, ledger_agrees
from tradefleet.store import ReplayRun, Store
from tradefleet.strategy import StrategySpec
from tradefleet.venue import Venue

RUN_ID = "replay"
LEASE_SECONDS = 10.0**9  # in the market's time; a replay has its database to itself


class PlayableVenue(Playable, Venue, Protocol):
    """A venue whose market a replay moves."""


@dataclass(slots=True, kw_only=True, eq=False)
class ReplaySession:
    """Plays bars for many bots, each with a user and an account of its own."""

    options: PlayOptions
    bars: Sequence[Bar]
    store: Store
    venue: "PlayableVenue"
    strategies: Mapping[str, StrategySpec]
    clock: ReplayClock
    owner: str

    async def play(
        self, *, resume: bool, on_bar: Callable[[int], Awaitable[None]]
    ) -> tuple[int, list[BotResult]]:
        """Play to the end and return the number of signals and what each bot came to."""
        run = await self._run(resume)
        tiers: dict[str, Tier] = dict(TIERS) if self.options.limited else {}
        async with Host(
            store=self.store,
            clock=self.clock,
            venues={"paper": self.venue},
            strategies=self.strategies,
            tiers=tiers,
            order_key=await self.store.secret("order_ids"),
            owner=self.owner,
            live=False,
            cursor=run,
        ) as host:
            for number in range(1, self.options.bots + 1):
                await self._ensure_bot(number)
            if resume:  # a killed process let nothing go; one that lives is shut out here
                await self.store.release_leases(self.owner)
            leases = await self.store.take_leases(
                self.owner, now=self.clock.now(), ttl=LEASE_SECONDS, limit=self.options.bots
            )
            if len(leases) != self.options.bots:
                raise Refused("Another process is playing this database; wait until it ends.")
            for lease in leases:
                await take_user(host, lease)
            await host.settle()
            replay = Replay(
                host=host,
                venue=self.venue,
                clock=self.clock,
                stream=self._stream,
                run=run,
                on_bar=on_bar,
            )
            await replay.play(self.bars)
            await host.settle()
            results = [await self._result(host.bots[bot.id]) for bot in self._bots(host)]
            signals = max((g.signals for g in host.board.groups.values()), default=0)
            await self.store.save_run(replace(replay.run, finished=True))
            await self.store.release_leases(self.owner)
        return signals, results

    @property
    def _stream(self) -> Stream:
        return Stream("paper", self.options.symbol, self.options.timeframe)

    def _bots(self, host: Host) -> list[HostedBot]:
        return sorted(host.bots.values(), key=lambda bot: bot.engine.spec.user_id)

    def fingerprint(self) -> str:
        """Name what is played: another file or other options are another run."""
        digest = hashlib.sha256(repr(self.options).encode())
        for bar in self.bars:
            digest.update(f"{bar.opened_at}{bar.open}{bar.high}{bar.low}{bar.close}".encode())
        return digest.hexdigest()

    async def _run(self, resume: bool) -> ReplayRun:
        """Return the run to play: a new one, or the one that was broken off."""
        mine = self.fingerprint()
        kept = await self.store.replay_run(RUN_ID)
        if kept is None:
            if not resume and await self.store.user_ids():
                raise Refused("This database is in use already; give --db a new file.")
            fresh = ReplayRun(id=RUN_ID, fingerprint=mine, cursor=None, finished=False)
            await self.store.save_run(fresh)
            return fresh
        if not resume:
            raise Refused(
                "This database holds a replay already; add --resume to go on with it, "
                "or give --db a new file."
            )
        if kept.fingerprint != mine:
            raise Refused(
                "This database holds a replay of another file or with other options; "
                "resume with the same ones, or give --db a new file."
            )
        if kept.cursor is not None:
            opened_at, phase = kept.cursor
            closing = phase == Phase.CLOSE
            self.clock.move_to(opened_at + self.options.timeframe.delta * closing)
        return kept

    async def _ensure_bot(self, number: int) -> None:
        """Make the user, account, bot and deposit of one number, unless they are there."""
        options, at = self.options, self.bars[0].opened_at
        user_id = UserId(f"replay-{number:05}")
        account_id, bot_id = AccountId(f"{user_id}:paper"), BotId(f"{user_id}-bot")
        async with self.store.open(user_id) as store:
            if await store.user() is not None:
                return
            await store.save_user(User(id=user_id, username=user_id, created_at=at))
            await store.save_limits(options.limits)
            account = Account(
                id=account_id, user_id=user_id, venue="paper", mode=Mode.PAPER, created_at=at
            )
            await store.save_account(account)
            await store.add_bot(
                BotSpec(
                    id=bot_id,
                    user_id=user_id,
                    account_id=account_id,
                    venue="paper",
                    symbol=options.symbol,
                    timeframe=options.timeframe,
                    strategy=options.strategy,
                    allocation=options.balance,
                    params=options.strategy_params,
                    status=BotStatus.RUNNING,
                )
            )
            for kind, source, target in (
                ("deposit", EXTERNAL, FREE),
                ("allocation", FREE, place_of(bot_id)),
            ):
                await store.book(
                    LedgerEntry.of_transfer(
                        id=f"{kind}:{bot_id}",
                        user_id=user_id,
                        account_id=account_id,
                        kind=kind,
                        at=at,
                        asset=options.symbol.quote,
                        amount=options.balance,
                        source=source,
                        target=target,
                    )
                )

    async def _result(self, bot: HostedBot) -> BotResult:
        """Read what became of a bot from the store and the venue, and compare them."""
        engine, spec = bot.engine, bot.engine.spec
        async with self.store.open(spec.user_id) as store:
            trades = await store.trades(limit=1_000_000)
            entries = await store.entries(spec.account_id)
        held = engine.position.quantity if engine.position else ZERO
        venue = await bot.user.lanes[spec.account_id].link.balances()
        return BotResult(
            name=spec.user_id,
            trades=trades,
            quote=engine.cash,
            base=held,
            last_close=self.bars[-1].close,
            ledger_balanced=not bot.fault
            and ledger_agrees(
                entries,
                bot_id=spec.id,
                symbol=spec.symbol,
                quote=engine.cash,
                base=held,
                venue=venue,
            ),
        )
