"""What the operator's people may ask: everybody's list, bans, switches, word to all, figures."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, START, Door
from tests.key_rig import vault_under
from tradefleet.alert import Alert, Level
from tradefleet.domain.errors import NotAllowed
from tradefleet.domain.health import Metric
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.user import Role
from tradefleet.health import ProcessReport
from tradefleet.identity import Session

OPERATOR = UserId("operator")
ADMINS = ["/users", "/ban alice", "/unban alice", "/broadcast hi", "/stats", "/alerts", "/ack 1"]
ADMINS += ["/killswitch platform stop", "/maintenance on"]


async def service(**parts) -> Door:
    """A service with Alice and Bob, and an operator."""
    door = Door(vault=vault_under(), **parts)
    for user_id in (OPERATOR, ALICE, BOB):
        await door.ask("/start", user_id)
    async with door.store.open(OPERATOR) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))
    return door


async def switches(door: Door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return {(s.scope, s.scope_id): (s.halt, s.by_operator) for s in await store.switches()}


async def notices(door: Door):
    return [n.notice for n in await door.store.due_notices(now=door.still.now(), limit=100)]


@pytest.mark.parametrize("message", ADMINS)
async def test_for_anybody_else_there_is_no_such_command(message):
    door = await service()
    unknown = "I do not know that command. /help lists all."
    assert await door.say(message) == unknown
    assert await notices(door) == []
    assert await switches(door) == {}


# ---- users


async def test_everybody_is_listed_the_newest_first_and_page_by_page():
    door = await service()
    await door.ask("/addpair BTC/USDT 1000")
    await door.ask("/start_trading")
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), telegram_id=5, created_at=START))
    reply = await door.ask("/users", OPERATOR)
    assert reply.text == "👥 3 users, the newest first"
    assert {row[0] for row in reply.rows} == {"alice", "bob", "operator"}
    assert ("alice", "-", "free", "1/1", "-") in reply.rows
    first = await door.ask("/users limit=2", OPERATOR)
    second = await door.ask(f"/users limit=2 {first.older}", OPERATOR)
    assert [line.user_id for line in (*first.data.users, *second.data.users)] == [
        line.user_id for line in reply.data.users
    ]
    assert second.older == ""
    assert (await door.ask("/users cursor=nobody", OPERATOR)).data.users == ()
    assert "Ask for 1 to 200 users." in await door.say("/users limit=0", OPERATOR)


@pytest.mark.parametrize("name", ["alice", "@alice", "5"])
async def test_one_user_is_shown_in_full(name):
    door = await service()
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), telegram_id=5))
    reply = await door.ask(f"/users {name} Ticket 5", OPERATOR)
    assert reply.text == (
        "👤 alice (alice)\nTelegram: 5\nTier: free, role: user\nRegistered: 2026-01-01T00:00:00Z\n"
        "0 accounts, 0 pairs (0 running), 0 open positions\nSwitch: run"
    )
    assert "There is no such user" in await door.say("/users mallory", OPERATOR)


# ---- bans


async def test_who_is_banned_may_leave_and_no_more_until_let_in_again():
    door = await service()
    await door.ask("/addpair BTC/USDT 1000")
    await door.ask("/token create reader read 10")
    async with door.store.open(ALICE) as store:
        session = Session(
            id="s1",
            user_id=ALICE,
            how="password",
            address="",
            created_at=START,
            seen_at=START,
            expires_at=START.replace(year=2030),
        )
        await store.identity.save_session(session)
    await door.messages()
    reply = await door.ask("/ban alice Sold our signals.", OPERATOR)
    assert reply.text.startswith("⛔ alice is banned: Sold our signals.\n")
    assert (reply.data.sessions, reply.data.tokens) == (1, 1)
    assert await door.messages() == [("switches_changed", {})]
    assert await switches(door) == {(Scope.USER, ALICE): (Halt.STOP, True)}
    assert any("The operator has banned you: Sold" in notice.text for notice in await notices(door))
    with pytest.raises(NotAllowed, match="You may not use this service any more: Sold our sig"):
        await door.ask("/start_trading")
    for message in ("/status", "/resume", "/web", "/addpair ETH/USDT 10", "/token list"):
        assert "You may not use this service" in await door.say(message), message
    for message in ("/export", "/support Why?", "/forceexit all", "/stop_trading"):
        assert "You may not use this service" not in await door.say(message), message
    assert "You may not" not in await door.say("/status", BOB)
    assert ("alice", "-", "free", "0/1", "banned") in (await door.ask("/users", OPERATOR)).rows
    assert "⛔ Banned" in await door.say("/users alice Ticket 5", OPERATOR)

    assert await door.say("/unban alice A mistake.", OPERATOR) == "✅ alice is no longer banned."
    assert await switches(door) == {(Scope.USER, ALICE): (Halt.RUN, False)}
    assert "Your Trading Pairs" in await door.say("/status")
    assert await door.say("/unban alice A mistake.", OPERATOR) == "alice is not banned."
    async with door.store.open(ALICE, reading=True) as store:
        said = [(line.action, line.detail) for line in store.draft.rows.audit]
    assert ("banned", {"reason": "Sold our signals."}) in said


async def test_nobody_bans_an_admin_or_somebody_who_is_not_there():
    door = await service()
    assert "An admin is not banned" in await door.say("/ban operator Why not", OPERATOR)
    assert "There is no such user" in await door.say("/ban mallory", OPERATOR)
    assert "There is no such user" in await door.say("/unban mallory", OPERATOR)


async def test_a_ban_does_not_open_what_is_being_closed():
    door = await service()
    await door.ask("/killswitch user flatten alice Odd.", OPERATOR)
    await door.ask("/ban alice Odd.", OPERATOR)
    assert await switches(door) == {(Scope.USER, ALICE): (Halt.FLATTEN, True)}
    await door.ask("/unban alice A mistake.", OPERATOR)
    assert await switches(door) == {(Scope.USER, ALICE): (Halt.FLATTEN, True)}


# ---- switches


async def test_the_kill_switch_has_four_scopes():
    door = await service()
    await door.ask("/addpair BTC/USDT 1000")
    bot = (await door.bots())["BTC/USDT"]
    await door.messages()
    cases = [
        ("user stop alice It smells", Scope.USER, ALICE),
        ("account flatten alice:paper Odd.", Scope.ACCOUNT, bot.account_id),
        (f"account stop {bot.account_id} Odd.", Scope.ACCOUNT, bot.account_id),
        ("bot stop alice:BTC/USDT Odd.", Scope.BOT, bot.id),
        (f"bot flatten alice:{bot.id} now", Scope.BOT, bot.id),
    ]
    for words, scope, id in cases:
        reply = await door.ask(f"/killswitch {words}", OPERATOR)
        assert (reply.data.scope, reply.data.id, reply.data.user_id) == (scope, id, ALICE)
        assert (await switches(door))[scope, id] == (Halt(words.split()[1]), True)
        assert await door.messages() == [("switches_changed", {})]
    assert await switches(door, BOB) == {}
    reply = await door.ask("/killswitch platform stop Venue trouble, wait", OPERATOR)
    assert reply.text.endswith("open positions keep their stops.\nReason: Venue trouble, wait")
    assert (await switches(door, BOB))[Scope.PLATFORM, "*"] == (Halt.STOP, True)
    assert "All trading is stopped" in await door.say("/status")
    await door.ask("/killswitch platform run", OPERATOR)
    assert (await switches(door, BOB))[Scope.PLATFORM, "*"] == (Halt.RUN, False)
    assert "Resumed" not in await door.say("/resume")
    await door.ask("/killswitch user run alice Over.", OPERATOR)
    assert "Nothing was paused" in await door.say("/resume")
    assert (await switches(door))[Scope.ACCOUNT, bot.account_id] == (Halt.STOP, True)


async def test_who_is_stopped_is_told_why_in_whole_sentences():
    door = await service()
    await door.ask("/killswitch user stop alice The venue answers oddly.", OPERATOR)
    told = [notice.text for notice in await notices(door)]
    assert any(text.endswith("The venue answers oddly. Your stops stay.") for text in told), told


@pytest.mark.parametrize(
    "words", ["", "user", "user stop", "galaxy stop x", "user maybe alice", "bot stop"]
)
async def test_a_switch_that_is_not_clear_is_explained(words):
    door = await service()
    assert (await door.say(f"/killswitch {words}", OPERATOR)).startswith("Say where and what:")


NOTHING_THERE = [
    *["user stop mallory", "account stop alice", "account stop alice:", "bot stop alice:ETH/USDT"],
    *["account stop mallory:paper", "bot stop :", "account stop bob:alice:paper"],
]


@pytest.mark.parametrize("words", NOTHING_THERE)
async def test_a_switch_over_nothing_is_refused(words):
    door = await service()
    await door.ask("/addpair BTC/USDT 1000")
    assert "There is no such" in await door.say(f"/killswitch {words}", OPERATOR)
    assert await switches(door) == {}


# ---- word to all, figures, alerts


async def test_word_reaches_everybody_through_their_own_outbox():
    door = await service()
    reply = await door.ask("/broadcast We are  back, <b>all</b> of us.", OPERATOR)
    assert reply.data.users == 3
    told = await notices(door)
    assert {notice.user_id for notice in told} == {ALICE, BOB, OPERATOR}
    assert {notice.text for notice in told} == {"📣 We are back, <b>all</b> of us."}
    assert "Say what to tell" in await door.say("/broadcast", OPERATOR)


async def test_figures_of_the_service():
    door = await service()
    await door.ask("/addpair BTC/USDT 1000")
    data = (await door.ask("/stats", OPERATOR)).data
    assert (data.users, data.pairs, data.running_pairs, data.by_tier) == (3, 1, 0, {"free": 3})


def firing(id: int, **changes: object) -> Alert:
    given = {
        "id": id,
        "rule": "cpu",
        "metric": "cpu_usage",
        "level": Level.WARNING,
        "value": 71.5,
        "text": "The processor is busy: 71.5 %",
        "cure": "Rest.",
        "fired_at": START,
        "changed_at": START,
    }
    return Alert(**(given | changes))


async def test_alerts_are_listed_the_worst_first_with_the_cure_and_what_was_lately():
    door = await service()
    silent = "❓ No process has said how it is for 3 min: start the service, or look at its log."
    assert await door.say("/alerts", OPERATOR) == silent
    metrics = {"cpu_usage": Metric(71.5), "disk_usage": Metric(96)}
    now = door.still.now()
    report = ProcessReport(owner="a", measured_at=now, every=30, metrics=metrics)
    await door.store.health.report(report)
    as_of = f", as of {now:%H:%M:%S} UTC."  # a process that died a minute ago said so before
    assert await door.say("/alerts", OPERATOR) == f"✅ All is well: 2 metrics of 1 process{as_of}"
    await door.store.health.report(replace(report, owner="b", metrics={}))
    assert await door.say("/alerts", OPERATOR) == f"✅ All is well: 2 metrics of 2 processes{as_of}"
    await door.store.health.keep_alert(firing(1, resolved_at=START + timedelta(minutes=4)))
    await door.store.health.keep_alert(firing(2))
    full = firing(3, level=Level.CRITICAL, text="The disk fills up: 96 %", cure="")
    await door.store.health.keep_alert(full)
    assert await door.say("/alerts", OPERATOR) == (
        "🚨 2 alerts are open\n"
        "🔴 3 since 01-01 00:00 UTC: The disk fills up: 96 %\n"
        "🟠 2 since 01-01 00:00 UTC: The processor is busy: 71.5 %\n"
        "   Rest.\n"
        "/ack 3 says that you look after it.\n"
        "\n"
        "Lately over:\n"
        "⚪ 1 cpu, 01-01 00:00 to 00:04 UTC: The processor is busy: 71.5 %"
    )
    data = (await door.ask("/alerts", OPERATOR)).data
    assert [(each.id, each.state) for each in (*data.alerts, *data.history)] == [
        (3, "open"),
        (2, "open"),
        (1, "resolved"),
    ]
    assert [(each.process, each.metric, each.value) for each in data.measured] == [
        ("a", "cpu_usage", 71.5),
        ("a", "disk_usage", 96),
    ]
    door.still.time += timedelta(minutes=5)
    assert (await door.say("/alerts", OPERATOR)).startswith(f"{silent}\nOpen since before:\n🔴 3")


async def test_an_alert_is_acknowledged_with_a_note_and_that_is_audited():
    door = await service()
    await door.store.health.keep_alert(firing(7))
    told = await door.say("/ack 7 New disk  ordered.", OPERATOR)
    assert told == (
        "👀 You look after alert 7: The processor is busy: 71.5 %\nNote: New disk ordered."
    )
    listed = await door.say("/alerts", OPERATOR)
    name = (await door.store.health.alerts(1))[0].acknowledged_by
    assert f"   {name} looks after it: New disk ordered." in listed
    assert "/ack" not in listed
    await door.say("/ack 7", OPERATOR)
    assert f"   {name} looks after it." in await door.say("/alerts", OPERATOR)
    await door.store.health.keep_alert(firing(7, resolved_at=START))
    for id in (7, 8):
        said = await door.say(f"/ack {id}", OPERATOR)
        assert said == f"No alert {id} is open; /alerts lists those that are."
    for id in (0, 99_999_999):
        assert "/alerts lists" in await door.say(f"/ack {id}", OPERATOR)
    assert "I do not know that command" in await door.say("/ack 7", BOB)
