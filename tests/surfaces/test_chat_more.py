"""Commands around trading: weeks and months, signals, a file, the kill switch, support."""

import csv
import io
from dataclasses import replace

from tests.doors import ALICE, BINANCE, BOB, PAPER, Door, trade
from tests.surfaces.test_chat_replies import closed, with_pair
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Role
from tradefleet.drawing import harmless
from tradefleet.store import SignalNote


async def audit(door: Door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return [line.action for line in store.draft.rows.audit]


# ---- figures


async def test_profit_week_by_week_and_month_by_month():
    door = await with_pair()
    await closed(door, 1, "10", days_ago=40)
    await closed(door, 2, "-5", days_ago=3)  # Monday was 2025-12-29, a Thursday is today
    await closed(door, 3, "7")
    await door.talk(
        "> /weekly 2\n"
        "📅 Weekly Profit (2 weeks)\n\n"
        "Week        Trades  Win rate    PnL   Fees\n"
        "2025-12-29       2    50.00%  $2.00  $2.00\n"
        "2025-12-22       0     0.00%  $0.00  $0.00\n"
        "> /monthly 3\n"
        "📅 Monthly Profit (3 months)\n\n"
        "Month    Trades  Win rate     PnL   Fees\n"
        "2026-01       1   100.00%   $7.00  $1.00\n"
        "2025-12       1     0.00%  -$5.00  $1.00\n"
        "2025-11       1   100.00%  $10.00  $1.00\n"
        "> /weekly 0\n"
        "Ask for 1 to 52 weeks.\n"
        "> /monthly 99\n"
        "Ask for 1 to 36 months."
    )
    empty = await with_pair()
    assert "No closed trades in this time." in await empty.say("/weekly")


async def test_performance_names_the_best_pair_first():
    door = await with_pair()
    await closed(door, 1, "10")
    await closed(door, 2, "-4")
    await closed(door, 3, "9", symbol="ETH/USDT")
    await door.talk(
        "> /performance\n"
        "🏁 Performance (2 pairs, 3 trades)\n\n"
        "Pair      Trades  Win rate    PnL  Per trade\n"
        "ETH/USDT       1   100.00%  $9.00      $9.00\n"
        "BTC/USDT       2    50.00%  $6.00      $3.00"
    )
    assert "No closed trades yet." in await (await with_pair()).say("/performance")


# ---- signals and channels


async def test_signals_are_those_of_ones_own_pairs():
    door = await with_pair()
    await door.ask("/start", BOB)
    await door.ask("/addpair ETH/USDT 100", BOB)
    group = (await door.bots())["BTC/USDT"].group
    other = (await door.bots(BOB))["ETH/USDT"].group
    at = door.still.now()
    notes = [
        SignalNote(group, at, "no", "ADX 12"),
        SignalNote(group, at, "entry", "ADX 35"),
        SignalNote(other, at, "exit", "of bob's"),
    ]
    await door.store.note_signals(notes, keep=10)
    await door.talk(
        "> /signals\n"
        "📡 Signals of your pairs, the newest first\n\n"
        "Time                  Pair      Signal  What\n"
        "2026-01-01T00:00:00Z  BTC/USDT  entry   ADX 35\n"
        "> /signals BTC/USDT kind=exit\n"
        "📡 No signals yet. /signals kind=all tells why nothing is done; so does /why.\n"
        "> /signals kind=maybe\n"
        "Say kind=entry, kind=exit, kind=no or kind=all.\n"
        "> /signals limit=0\n"
        "Ask for 1 to 100 signals.\n"
        "> /signals ETH/USDT\n"
        "You have no such pair. Your pairs: BTC/USDT."
    )
    assert len((await door.ask("/signals kind=all")).rows) == 2
    assert "kind=all limit=1\n" not in await door.say("/signals kind=all limit=1")
    stranger = Door()
    await stranger.ask("/start")
    assert (await stranger.say("/signals")).startswith("You have no trading pairs yet.")


async def test_channels_promise_nothing():
    reply = await (await with_pair()).ask("/channels")
    assert "cannot read channels yet" in reply.text
    assert (reply.data.channels, reply.data.allowed, reply.data.available) == ((), 2, False)


# ---- the file


async def test_trades_are_exported_as_a_file_that_can_be_read_again():
    door = await with_pair()
    await closed(door, 1, "10")
    await closed(door, 2, "-4.5")
    reply = await door.ask("/export")
    assert reply.text == ("📎 trades-2026-01-01.csv: 2 closed trades, net of fees, times in UTC.")
    (file,) = reply.attachments
    assert (file.name, file.media_type) == ("trades-2026-01-01.csv", "text/csv")
    assert file.content.decode() == reply.data.csv
    rows = list(csv.DictReader(io.StringIO(reply.data.csv)))
    assert [row["pnl"] for row in rows] == ["10", "-4.5"]
    assert rows[0]["symbol"] == "BTC/USDT"
    assert rows[0]["opened_at"] == "2025-12-31T23:00:00Z"
    assert (await door.ask("/export 2026-06-01")).data.trades == 0


def test_no_text_of_a_file_is_taken_for_a_formula():
    assert [harmless(text) for text in ("=1+1", "-1", "@x", "stop")] == [
        "'=1+1",
        "'-1",
        "'@x",
        "stop",
    ]


# ---- the kill switch


async def test_an_emergency_stops_entries_or_closes_everything():
    door = await with_pair()
    await door.messages()
    reply = await door.ask("/emergency")
    assert reply.text.startswith("🚨 What is it?\n/emergency stop:")
    assert [step.message for step in reply.steps] == ["/emergency stop", "/emergency flatten"]
    assert (await door.ask("/emergency stop it smells")).data.halt == "stop"
    assert await door.messages() == [("switches_changed", {})]
    assert "Paused since" in await door.say("/status")
    assert (await door.ask("/emergency")).text.startswith("⏸ Entries are stopped now.\n")
    assert "Closing every position" in await door.say("/emergency FLATTEN")
    async with door.store.open(ALICE, reading=True) as store:
        (switch,) = await store.switches()
    assert (switch.halt, switch.by_operator) == (Halt.FLATTEN, False)
    assert (await door.ask("/emergency")).text.startswith("🛑 Everything is being closed now.")
    assert "Resumed" in await door.say("/resume")
    assert "What is it?" in await door.say("/emergency now")


async def test_only_closing_asks_for_a_second_step():
    command = (await with_pair()).dispatcher.find("emergency")
    assert command.asks_first(command.request(action="Flatten"))
    assert not command.asks_first(command.request(action="stop"))


async def test_what_the_operator_stopped_its_user_does_not_lift_or_write_over():
    door = await with_pair()
    stop = Switch(
        scope=Scope.USER,
        scope_id=ALICE,
        halt=Halt.STOP,
        reason="odd orders",
        changed_at=door.still.now(),
        by_operator=True,
    )
    async with door.store.open(ALICE) as store:
        await store.set_switch(stop)
    for message in ("/resume", "/pause", "/emergency stop", "/emergency"):
        answer = await door.say(message)
        assert answer == "⛔ The operator has stopped your trading: odd orders", message
    async with door.store.open(ALICE, reading=True) as store:
        assert list(await store.switches()) == [stop]


async def test_everything_may_be_closed_though_the_operator_has_stopped_entries():
    door = Door(PAPER, BINANCE, operator_ids=())
    await door.ask("/start")
    await trade(door)
    bot = (await door.bots())["BTC/USDT"]
    stop = Switch(
        scope=Scope.USER,
        scope_id=ALICE,
        halt=Halt.STOP,
        reason="odd orders",
        changed_at=door.still.now(),
        by_operator=True,
    )
    async with door.store.open(ALICE) as store:
        await store.set_switch(stop)
    await door.messages()
    reply = await door.ask("/emergency flatten")
    assert reply.text.endswith("The operator has stopped entries.")
    assert (reply.data.halt, reply.data.positions) == ("stop", 1)
    assert await door.messages() == [("force_exit", {"bot_id": bot.id})]
    async with door.store.open(ALICE, reading=True) as store:
        assert list(await store.switches()) == [stop]


# ---- support


async def test_what_is_written_to_support_is_recorded_and_told():
    door = Door(operator_ids=(7, 8))
    await door.ask("/start")
    assert "nobody of the operator's could be told" in await door.say("/support Help me please")
    await door.ask("/start", BOB)
    async with door.store.open(BOB) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN, telegram_id=8))
    reply = await door.ask("/support My  order was not filled: " + "x" * 500)
    assert (reply.data.reached, reply.text.startswith("📨 The operator has your")) == (1, True)
    (notice,) = await door.store.due_notices(now=door.still.now(), limit=10)
    assert notice.notice.user_id == BOB
    assert notice.notice.text.startswith("📨 alice, free, writes:\nMy order was not filled: xxx")
    assert (await audit(door)).count("support") == 2
    assert "Say what it is about" in await door.say("/support")
    assert "the most is 1000 characters" in await door.say("/support " + "x" * 1001)
