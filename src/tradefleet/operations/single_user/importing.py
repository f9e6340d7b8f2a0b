"""Makes an old single-user database one user's: on paper, all in one transaction, once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradefleet.clock import Clock
from tradefleet.domain.bot import BotMemory, BotSpec
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import AccountId, BotId, UserId
from tradefleet.domain.ledger import EXTERNAL, FREE, LedgerEntry, place_of
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import MONEY, ZERO, to_unit
from tradefleet.domain.position import Lot, Position, Trade
from tradefleet.domain.user import Account, Mode
from tradefleet.operations.single_user.shapes import OldBot, OldPosition, OldTrade
from tradefleet.store import Store, UserStore

PAPER = "paper"
NO_USER = "There is no user {user}: run `tradefleet users add {user}` first."
NO_STOP = (
    "The position in {symbol} has no stop, and here every position has one: say how far below its "
    "entry it is to be, like --stop-percent 5."
)
STOP_ABOVE = "The stop of {symbol}, {stop:f}, is not below its entry, {entry:f}: mend it there."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the old database does not say."""

    strategy: str
    timeframe: Timeframe
    stop_percent: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One pair as it becomes a bot."""

    bot: BotSpec
    memory: BotMemory
    trades: Sequence[Trade]
    entries: Sequence[LedgerEntry]
    is_listed: bool  # False: only its trades are kept, as of a pair that was removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Importing:
    """Plans what an old database becomes, shows it, and writes it down."""

    store: Store
    clock: Clock
    choices: Choices

    async def plan(self, user_id: UserId, old: OldBot) -> list[Made]:
        """Return what would be made; what was made before is not there again."""
        async with self.store.open(user_id, reading=True) as own:
            await see_user(own)
            account_id = (await self._account(own)).id
            known = {bot.id for bot in await own.bots()} | {
                trade.bot_id for trade in await own.trades(limit=1_000_000)
            }
        symbols = list(dict.fromkeys([*old.cash, *(trade.symbol for trade in old.trades)]))
        planned = [self._made(user_id, account_id, symbol, old) for symbol in symbols]
        return [made for made in planned if made.bot.id not in known]

    async def apply(self, user_id: UserId, old: OldBot) -> list[Made]:
        """Make it, all or nothing; a second time there is nothing left to make."""
        planned = await self.plan(user_id, old)
        if not planned:
            return planned
        async with self.store.open(user_id) as own:
            account = await self._account(own)
            await own.save_account(account)
            for made in planned:
                await own.add_bot(made.bot)
                await own.adopt(made.memory, made.trades)
                for entry in made.entries:
                    await own.book(entry)
                if not made.is_listed:
                    await own.remove_bot(made.bot.id)
            pairs = [str(made.bot.symbol) for made in planned]
            trades = sum(len(made.trades) for made in planned)
            await own.audit("imported", {"pairs": pairs, "trades": trades})
        return planned

    async def _account(self, own: UserStore) -> Account:
        for account in await own.accounts():
            if account.mode is Mode.PAPER and account.is_active:
                return account
        id = AccountId(f"{own.user_id}:{PAPER}")
        now = self.clock.now()
        return Account(id=id, user_id=own.user_id, venue=PAPER, mode=Mode.PAPER, created_at=now)

    def _made(self, user_id: UserId, account_id: AccountId, symbol: Symbol, old: OldBot) -> Made:
        cash = old.cash.get(symbol, ZERO)
        held = old.positions.get(symbol)
        position = None if held is None else self._position(held)
        allocation = cash if held is None else cash + held.paid
        bot = BotSpec(
            id=bot_id_of(user_id, symbol),
            user_id=user_id,
            account_id=account_id,
            venue=PAPER,
            symbol=symbol,
            timeframe=self.choices.timeframe,
            strategy=self.choices.strategy,
            allocation=allocation,
        )
        memory = BotMemory(bot_id=bot.id, user_id=user_id, cash=cash, position=position)
        moves = [(symbol.quote, cash)]
        if position is not None:
            moves.append((symbol.base, position.quantity))
        entries = [
            entry
            for asset, amount in moves
            if amount
            for entry in self._deposits(bot, asset, amount)
        ]
        own = [trade for trade in old.trades if trade.symbol == symbol]
        trades = [trade_of(trade, bot) for trade in own]
        listed = symbol in old.cash
        return Made(bot=bot, memory=memory, trades=trades, entries=entries, is_listed=listed)

    def _position(self, held: OldPosition) -> Position:
        stop, percent = held.stop, self.choices.stop_percent
        if stop is None and percent is not None:
            stop = to_unit(MONEY.multiply(held.entry_price, 1 - percent / 100))
        if stop is None:
            raise Refused(NO_STOP.format(symbol=held.symbol))
        if held.target is not None and held.target <= stop:
            raise Refused(STOP_ABOVE.format(symbol=held.symbol, stop=stop, entry=held.target))
        return Position(
            symbol=held.symbol,
            opened_at=held.opened_at,
            lots=(Lot(held.quantity, held.paid),),
            original=held.quantity,
            bought=MONEY.multiply(held.quantity, held.entry_price),
            stop=stop,
            targets=() if held.target is None else ((held.target, held.quantity),),
            highest=held.entry_price,
        )

    def _deposits(self, bot: BotSpec, asset: str, amount: Decimal) -> list[LedgerEntry]:
        """Book what comes in from outside, as for any pair on paper: its venue learns of it so."""
        return [
            LedgerEntry.of_transfer(
                id=f"{kind}:{bot.id}:{asset}",
                user_id=bot.user_id,
                account_id=bot.account_id,
                kind=kind,
                at=self.clock.now(),
                asset=asset,
                amount=amount,
                source=source,
                target=target,
            )
            for kind, source, target in (
                ("deposit", EXTERNAL, FREE),
                ("allocation", FREE, place_of(bot.id)),
            )
        ]


async def see_user(own: UserStore) -> None:
    if await own.user() is None:
        raise NotThere(NO_USER.format(user=own.user_id))


def bot_id_of(user_id: UserId, symbol: Symbol) -> BotId:
    """Return a bot's id, which is the same each time the pair is imported."""
    said = f"import-single-user\0{user_id}\0{symbol}"
    return BotId(f"imported-{hashlib.sha256(said.encode()).hexdigest()[:16]}")


def trade_of(old: OldTrade, bot: BotSpec) -> Trade:
    return Trade(
        id=f"{bot.id}:{old.name}",
        user_id=bot.user_id,
        account_id=bot.account_id,
        bot_id=bot.id,
        symbol=old.symbol,
        opened_at=old.opened_at,
        closed_at=old.closed_at,
        quantity=old.quantity,
        entry_price=old.entry_price,
        exit_price=old.exit_price,
        gross_pnl=old.gross_pnl,
        fees=old.fees,
        exit_reason=old.reason,
    )


# ---- words


def lines_of(planned: Sequence[Made], old: OldBot, user_id: UserId, *, applied: bool) -> list[str]:
    """Say what is made, or would be."""
    if not planned:
        return [f"Everything in it is {user_id}'s already; there is nothing to make."]
    verb = "Made" if applied else "Would make"
    lines = [f"{verb} for {user_id}, on paper, stopped until you start them:"]
    for made in planned:
        lines += pair_lines(made)
    lines += [f"Note: {note}" for note in old.notes]
    if not applied:
        lines.append("Nothing was written. Say --apply to make it.")
    return lines


def pair_lines(made: Made) -> list[str]:
    bot, position = made.bot, made.memory.position
    trades = f"{len(made.trades)} trades"
    if not made.is_listed:
        return [f"  {bot.symbol}: {trades}, of a pair that is not there any more"]
    cash = f"{made.memory.cash:f} {bot.symbol.quote}"
    lines = [f"  {bot.symbol}: {cash}, {trades}, {bot.strategy} {bot.timeframe}"]
    if position is not None:
        target = f", target {position.targets[0][0]:f}" if position.targets else ""
        lines.append(
            f"    holds {position.quantity:f} {bot.symbol.base} bought at "
            f"{to_unit(position.entry_price):f}, stop {position.stop:f}{target}"
        )
    return lines
