"""What users are shown of their trading: figures that follow from what is stored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.doors import ALICE, BINANCE, PAPER, START, Door, trade
from tradefleet.domain.effects import Decided, GuardChanged, MemoryChanged, TradeClosed
from tradefleet.domain.ids import AccountId
from tradefleet.domain.ledger import EXTERNAL, OWN, LedgerEntry
from tradefleet.domain.limits import GuardMemory, Halt, RiskLimits, Scope, Switch
from tradefleet.domain.market import Symbol
from tradefleet.domain.position import Lot, Position, Trade
from tradefleet.domain.user import AccountKey, Mode
from tradefleet.store import SignalNote


async def with_pair(message: str = "/addpair BTC/USDT 1000") -> Door:
    door = Door()
    await door.ask("/start")
    await door.ask(message)
    return door


async def closed(door: Door, number: int, pnl: str, days_ago: int = 0, symbol: str = "BTC/USDT"):
    bot = next(iter((await door.bots()).values()))
    at = door.still.now() - timedelta(days=days_ago)
    await door.record(
        TradeClosed(
            Trade(
                id=f"{bot.id}-{number}",
                user_id=ALICE,
                account_id=bot.account_id,
                bot_id=bot.id,
                symbol=Symbol.parse(symbol),
                opened_at=at - timedelta(hours=1),
                closed_at=at + timedelta(seconds=number),
                quantity=Decimal(1),
                entry_price=Decimal(100),
                exit_price=Decimal(110),
                gross_pnl=Decimal(pnl) + 1,
                fees=Decimal(1),
                exit_reason="stop",
            )
        )
    )


# ---- pauses


async def test_a_pause_is_shown_until_it_is_lifted():
    door = await with_pair()
    await door.messages()
    await door.talk(
        "> /pause lunch break\n"
        "⏸️ Paused: no new entries on any pair. Open positions stay protected.\n"
        "/resume allows entries again."
    )
    assert await door.messages() == [("switches_changed", {})]
    assert (await door.say("/status")).endswith("⏸️ Paused since 2026-01-01T00:00:00Z: lunch break")
    assert (await door.say("/start_trading")).endswith(
        "⏸️ New entries are switched off for now; /status says why."
    )
    await door.messages()
    await door.talk(
        "> /resume\n▶️ Resumed: new entries are allowed again.\nLifted: Pause: lunch break\n"
        "> /resume\n▶️ Nothing was paused."
    )
    assert await door.messages() == 2 * [
        ("switches_changed", {}),
        ("resume", {"reason": "you said /resume"}),
    ]
    assert "Paused" not in await door.say("/status")


async def test_the_circuit_breaker_and_the_guards_pause_are_shown_and_lifted():
    door = await with_pair()
    guard = GuardMemory(
        user_id=ALICE,
        circuit_open_until=START + timedelta(hours=4),
        circuit_reason="daily loss of 5.00%",
        paused_reason="drawdown of 15.00%",
    )
    await door.record(GuardChanged(guard))
    halts = (
        "Circuit breaker until 2026-01-01T04:00:00Z: daily loss of 5.00%",
        "Paused until /resume: drawdown of 15.00%",
    )
    assert (await door.ask("/status")).data.halts == tuple(f"🚧 {halt}" for halt in halts)
    reply = await door.ask("/resume I looked at it")
    assert reply.data.lifted == halts
    assert (await door.messages())[-1] == ("resume", {"reason": "I looked at it"})
    door.still.time += timedelta(hours=5)
    assert (await door.ask("/status")).data.halts == (f"🚧 {halts[1]}",)


async def test_what_the_operator_stopped_nobody_else_resumes():
    door = await with_pair()
    await door.store.set_platform_switch(
        Switch(
            scope=Scope.PLATFORM,
            scope_id="*",
            halt=Halt.STOP,
            reason="exchange is down",
            changed_at=START,
        )
    )
    assert "All trading is stopped since" in await door.say("/status")
    assert (await door.say("/resume")).endswith(
        "⚠️ The operator has stopped all trading: exchange is down"
    )
    assert (await door.store.platform_switch()).halt is Halt.STOP


async def test_a_switch_over_one_account_is_shown():
    door = await with_pair()
    async with door.store.open(ALICE) as store:
        await store.set_switch(
            Switch(
                scope=Scope.ACCOUNT,
                scope_id="alice:paper",
                halt=Halt.FLATTEN,
                reason="audit",
                changed_at=START,
            )
        )
    assert "⏸️ One account is stopped since 2026-01-01T00:00:00Z: audit" in await door.say("/status")


@pytest.mark.parametrize(
    ("halt", "stopped", "lifted"),
    [
        (Halt.STOP, "", ("paper: money was moved",)),
        (Halt.STOP, "this key may withdraw", ("paper: money was moved",)),
        (Halt.STOP, "money was moved", ()),
        (Halt.FLATTEN, "", ()),
    ],
)
async def test_an_account_is_resumed_unless_its_key_or_the_operator_stopped_it(
    halt, stopped, lifted
):
    door = await with_pair()
    async with door.store.open(ALICE) as store:
        (account,) = await store.accounts()
        key = AccountKey(masked="abc…", connected_at=START, checked_at=START, stopped=stopped)
        await store.save_account(replace(account, key=key if stopped else None))
        await store.set_switch(
            Switch(
                scope=Scope.ACCOUNT,
                scope_id=account.id,
                halt=halt,
                reason="money was moved",
                changed_at=START,
            )
        )
    assert (await door.ask("/resume")).data.lifted == lifted
    async with door.store.open(ALICE) as store:
        (switch,) = [s for s in await store.switches() if s.scope is Scope.ACCOUNT]
    assert switch.halt is (Halt.RUN if lifted else halt)


async def test_what_a_user_keeps_besides_is_shown_and_is_not_unallocated():
    door = await with_pair()
    account_id = AccountId("alice:paper")
    entry = LedgerEntry.of_transfer(
        id="x1",
        user_id=ALICE,
        account_id=account_id,
        kind="external",
        at=START,
        asset="USDT",
        amount=Decimal(50),
        source=EXTERNAL,
        target=OWN,
    )
    async with door.store.open(ALICE) as store:
        await store.book(entry)
    reply = await door.ask("/balance")
    (line,) = reply.data.balances
    assert (line.total, line.in_pairs, line.unallocated, line.kept) == (1050, 1000, 0, 50)
    assert "paper: $50.00 is your own and is not traded." in reply.text


async def test_what_a_real_account_holds_is_not_said_before_its_exchange_was_asked():
    door = Door(PAPER, BINANCE)
    await door.ask("/start")
    await door.ask("/connect binance")
    async with door.store.open(ALICE) as store:
        (account,) = await store.accounts()
        await store.save_account(replace(account, mode=Mode.TESTNET))
    await door.ask("/addpair BTC/USDT 1000")
    reply = await door.ask("/balance")
    (line,) = reply.data.balances
    assert (line.total, line.in_pairs, line.unallocated) == (None, 1000, None)
    assert reply.rows == (
        ("binance (testnet)", "USDT", "not compared yet", "$1000.00", "not compared yet"),
    )
    assert "The exchange is asked what there is within the next two minutes." in reply.text


# ---- figures


async def test_statistics_are_net_of_fees_and_of_all_trades():
    door = await with_pair()
    for number, pnl in enumerate(["10", "-4", "6", "-2"], 1):
        await closed(door, number, pnl)
    await door.talk(
        """
> /mystats
📈 Your Statistics (4 trades)

Net of fees    USDT
Trades         4
Wins           2
Losses         2
Win rate       50.00%
Profit factor  2.67
PnL            $10.00
Fees paid      $4.00
Per trade      $2.50
Best trade     $10.00 BTC/USDT
Worst trade    -$4.00 BTC/USDT
Max drawdown   $4.00 (0.40%)
"""
    )


async def test_results_in_different_quotes_are_never_added_up():
    door = await with_pair()
    await closed(door, 1, "10")
    await closed(door, 2, "0.5", symbol="ETH/BTC")
    stats = (await door.ask("/mystats")).data
    assert [(each.quote, each.pnl) for each in stats.quotes] == [
        ("USDT", 10),
        ("BTC", Decimal("0.5")),
    ]
    profit = await door.ask("/profit")
    assert profit.rows[0] == ("Today USDT", "1", "100.00%", "$10.00", "$1.00")
    assert profit.rows[4] == ("Today BTC", "1", "100.00%", "0.50000000 BTC", "1.00000000 BTC")
    daily = await door.ask("/daily 1")
    assert [row[0] for row in daily.rows] == ["2026-01-01 USDT", "2026-01-01 BTC"]


async def test_without_trades_everything_says_so():
    door = await with_pair()
    await door.talk(
        """
> /mystats
📈 Your Statistics
No closed trades yet.
> /profit
💰 Profit
No closed trades yet.
> /daily
📅 Daily Profit (7 days)
No closed trades in this time.
> /trades
📒 No closed trades yet.
> /position
📈 No open position.
> /position BTC/USDT
📈 No open position on BTC/USDT.
"""
    )


async def test_before_the_first_pair_lists_say_how_to_add_one():
    door = Door()
    await door.ask("/start")
    for command in ("listpairs", "status", "position", "start_trading", "stop_trading"):
        answer = await door.say(f"/{command}")
        assert answer == "You have no trading pairs yet. Add one: /addpair BTC/USDT 1000"
    await door.talk(
        "> /balance\n🏦 No account is connected yet. Try it without real money: /connect paper"
    )
    await door.ask("/connect paper")
    await door.talk("> /balance\n🏦 Nothing is booked yet on paper.")


async def test_profit_is_counted_from_midnight_utc():
    door = await with_pair()
    door.still.time = datetime(2026, 2, 1, 12, tzinfo=UTC)
    for number, days in enumerate([0, 1, 6, 7, 29, 31], 1):
        await closed(door, number, "10", days)
    rows = (await door.ask("/profit")).rows
    assert [(row[0], row[3]) for row in rows] == [
        ("Today", "$10.00"),
        ("7 days", "$30.00"),
        ("30 days", "$50.00"),
        ("All", "$60.00"),
    ]
    days = (await door.ask("/daily 3")).data.days
    assert [(str(day.day), day.trades) for day in days] == [
        ("2026-02-01", 1),
        ("2026-01-31", 1),
        ("2026-01-30", 0),
    ]


async def test_trades_come_newest_first_and_their_numbers_lead_to_why():
    door = await with_pair()
    for number, pnl in enumerate(["1", "2", "3"], 1):
        await closed(door, number, pnl)
    assert [row[6] for row in (await door.ask("/trades 2")).rows] == ["$3.00", "$2.00"]
    assert (await door.ask("/why 1")).data.steps[-1].text == "closed by stop, PnL $3.00"
    assert (await door.ask("/why 3")).data.steps[-1].text == "closed by stop, PnL $1.00"
    assert await door.say("/why 4") == "There is no trade 4; /trades lists them, the newest is 1."


async def test_a_position_is_shown_with_its_stop_and_targets():
    door = await with_pair("/addpair ADA/USDT 1000")
    memory, bot = await door.memory("ADA/USDT"), (await door.bots())["ADA/USDT"]
    held = Position(
        symbol=bot.symbol,
        opened_at=START,
        lots=(Lot(Decimal(100), Decimal("50")),),
        original=Decimal(100),
        bought=Decimal(50),
        stop=Decimal("0.4875"),
        targets=((Decimal("0.5125"), Decimal(50)), (Decimal("0.525"), Decimal(50))),
    )
    await door.record(MemoryChanged(replace(memory, cash=Decimal(950), position=held)))
    await door.talk(
        """
> /position ADA/USDT
📈 Open Positions (1)
1. ADA/USDT long 100 ADA
   Opened: 2026-01-01T00:00:00Z
   Entry: $0.50 → Now: $0.50
   Stop: $0.4875 (stop) | Targets: $0.5125, $0.525
   PnL: $0.00 (0.00%)
> /status
📊 Your Trading Pairs (1)
1. ADA/USDT 🔴 Stopped
   Balance: $1000.00 → Equity: $1000.00
   PnL: $0.00 (0.00%)
"""
    )
    memory = replace(await door.memory("ADA/USDT"), last_price=Decimal("0.48"))
    await door.record(
        MemoryChanged(replace(memory, position=replace(held, stop=Decimal(0), targets=())))
    )
    text = await door.say("/position")
    assert "Stop: none | Targets: none left\n   PnL: -$2.00 (-4.00%)" in text
    assert "Equity: $998.00\n   PnL: -$2.00 (-0.20%)" in await door.say("/status")
    assert "Open positions: -$2.00" in await door.say("/profit")


async def test_an_open_position_stands_at_what_is_left_after_the_fees_so_far():
    door = Door()
    await door.ask("/start")
    await trade(door, venue="paper")
    assert "Now: $104.00\n" in await door.say("/position")
    assert "PnL: $1.95 (3.90%)" in await door.say("/position")
    assert "Open positions: $1.95" in await door.say("/profit")


async def test_a_balance_is_what_the_books_say():
    door = await with_pair()
    await door.ask("/addpair ETH/BTC 0.05")
    await door.ask("/removepair BTC/USDT")
    await door.talk(
        """
> /balance
🏦 Your Balances

Account  Asset           Total        In pairs     Unallocated
paper    BTC    0.05000000 BTC  0.05000000 BTC  0.00000000 BTC
paper    USDT         $1000.00           $0.00        $1000.00
"""
    )


async def test_other_quotes_are_shown_with_their_name_and_eight_decimals():
    door = await with_pair("/addpair ETH/BTC 0.05")
    await door.talk(
        """
> /listpairs
📊 Your Trading Pairs (1)
1. ETH/BTC 🔴 Stopped
   Balance: 0.05000000 BTC
"""
    )


# ---- configuration


async def test_the_configuration_shows_limits_pairs_and_what_was_changed():
    door = await with_pair("/addpair BTC/USDT 1000 strategy=ema_cross fast=5")
    await door.talk(
        """
> /config
⚙️ Configuration
Tier: free (3 trading pairs, 2 open positions, 5 entries a day)
Limits:
  Daily loss: 5.00%
  Losses in row: 5
  Drawdown: 15.00%
  Breaker hours: 4

Pair      Account  Strategy   Timeframe   Balance  Changed
BTC/USDT  paper    ema_cross  5m         $1000.00  fast=5
"""
    )
    text = await door.say("/config BTC/USDT")
    assert "Strategy: ema_cross\nTimeframe: 5m\nBalance: $1000.00" in text
    assert "\nfast            5 (not 9)  bars of the fast EMA" in text


async def test_a_users_own_limits_are_the_ones_shown():
    door = await with_pair()
    async with door.store.open(ALICE) as store:
        await store.save_limits(
            RiskLimits(
                position_quote_max=Decimal(300),
                daily_loss_quote=Decimal(150),
                symbols_blocked=frozenset({"ETH/USDT", "ADA/USDT"}),
            )
        )
    limits = (await door.ask("/config")).data.limits
    assert limits == {
        "Position quote": "300",
        "Daily loss quote": "150",
        "Symbols blocked": "ADA/USDT, ETH/USDT",
        "Breaker hours": "4",
    }


# ---- why


async def test_why_shows_the_chain_of_a_trade():
    door = Door()
    await door.ask("/start")
    await trade(door, venue="paper")
    await door.talk(
        """
> /why 1
🔎 Why BTC/USDT, trade 00000000000000000000000000000001-1

Time                  Step    What
2026-01-01T00:05:00Z  signal  entry: ADX 35
2026-01-01T00:05:00Z  guards  entered: size 5 %
2026-01-01T00:05:00Z  order   buy 0.5 BTC market (entry): done
2026-01-01T00:06:00Z  fill    buy 0.5 at $100.00, fee $0.05
2026-01-01T00:09:00Z  trade   closed by target_1, PnL $4.90
"""
    )
    assert await door.say("/why 00000000000000000000000000000001-1") == await door.say("/why 1")


async def test_why_outlives_the_pair():
    door = Door()
    await door.ask("/start")
    await trade(door, venue="paper")
    memory = await door.memory("BTC/USDT")
    await door.record(MemoryChanged(replace(memory, position=None)))
    await door.ask("/removepair BTC/USDT")
    assert "fill    buy 0.5 at $100.00" in await door.say("/why 1")


async def test_why_says_which_guard_said_no_and_why_there_was_no_signal():
    door = await with_pair()
    bot = (await door.bots())["BTC/USDT"]
    at = START + timedelta(minutes=5)
    await door.record(
        Decided(bot.id, ALICE, at, "denied", "open_positions", "2 of 2 positions are open")
    )
    note = SignalNote(bot.group, START, "no", "ADX 12 is not above 20")
    await door.store.note_signals([note], keep=50)
    await door.talk(
        """
> /why btcusdt
🔎 Why BTC/USDT: 🔴 Stopped

Time                  Step    What
2026-01-01T00:00:00Z  signal  no: ADX 12 is not above 20
2026-01-01T00:05:00Z  guards  denied by open_positions: 2 of 2 positions are open
"""
    )


async def test_why_before_any_decision_says_when_the_first_one_falls():
    door = await with_pair()
    await door.talk(
        "> /why BTC/USDT\n🔎 Why BTC/USDT: 🔴 Stopped\n"
        "Nothing was decided yet; the first decision falls at the close of a bar."
    )


# ---- help


async def test_help_lists_every_command_by_group():
    text = await Door().say("/help")
    assert text.startswith("Setup Commands\n/start - Register in the system\n/connect <exchange>")
    assert "\n\nTrading Commands\n/start_trading [symbol] - Start trading" in text
    assert "\n\nInfo Commands\n/status [symbol] - Check status (all pairs or specific)\n" in text


async def test_help_explains_one_command():
    await Door().talk(
        """
> /help fx
/forceexit: Close a position at the market now
Usage: /forceexit <symbol|all>
Example: /forceexit BTC/USDT
Short: /fx
"""
    )
