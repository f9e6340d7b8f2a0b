"""The one door: from words and JSON to typed requests, rights, pace, transaction and audit."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, getcontext

import pytest

from tests.doors import ALICE, BOB, PAPER, START, Door
from tradefleet import dispatcher
from tradefleet.command import CommandSpec, Context, Reply, rest_of_words, secret
from tradefleet.dispatcher import name_and_words, read_request
from tradefleet.domain.errors import (
    BrokenInvariant,
    Refused,
    StoreUnavailable,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.market import Symbol
from tradefleet.domain.user import Role, User


@dataclass(frozen=True, slots=True)
class Order:
    symbol: Symbol
    amount: Decimal
    venue: str = ""
    testnet: bool = True
    tries: int = 3
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Login:
    place: str
    key: str = secret()
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    title: str
    text: str = rest_of_words()


async def answer(request: object, context: Context) -> Reply:
    return Reply(text=f"done {request}")


def command(request: type, **changes: object) -> CommandSpec:
    spec = CommandSpec(
        name=request.__name__.lower(),
        summary="A command of the tests",
        usage=f"/{request.__name__.lower()} <usage>",
        example="/example",
        request=request,
        handler=answer,
    )
    return replace(spec, **changes)


ORDER, LOGIN, NOTE = command(Order), command(Login), command(Note)


def door_with(*commands: CommandSpec) -> Door:
    """A service that has these commands beside its own."""
    door = Door(PAPER)
    catalog = door.dispatcher.catalog
    known = {**catalog.commands, **{each.name: each for each in commands}}
    door.dispatcher = replace(door.dispatcher, catalog=replace(catalog, commands=known))
    return door


async def registered(*commands: CommandSpec) -> Door:
    door = door_with(*commands)
    await door.ask("/start")
    return door


# ---- words


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("/status", ("status", [])),
        ("STATUS BTC/USDT", ("status", ["BTC/USDT"])),
        ("/Status@TradeBot  BTC/USDT ", ("status", ["BTC/USDT"])),
        ("", ("", [])),
        ("   ", ("", [])),
        ("/", ("", [])),
    ],
)
def test_a_message_is_split_into_name_and_words(message, expected):
    assert name_and_words(message) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("btcusdt 1000", Order(Symbol("BTC", "USDT"), Decimal(1000))),
        (
            "BTC/USDT 0.5 kraken no 7",
            Order(Symbol("BTC", "USDT"), Decimal("0.5"), "kraken", False, 7),
        ),
        ("testnet=false BTC/USDT 1", Order(Symbol("BTC", "USDT"), Decimal(1), testnet=False)),
        ("AMOUNT=1 BTC/USDT x", Order(Symbol("BTC", "USDT"), Decimal(1), "x")),
        (
            "BTC/USDT 1 fast=5 slow=a=b",
            Order(Symbol("BTC", "USDT"), Decimal(1), params={"fast": "5", "slow": "a=b"}),
        ),
    ],
)
def test_words_become_a_typed_request(words, expected):
    assert read_request(ORDER, words.split()) == expected


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("", "Usage: /order"),
        ("BTC/USDT", "Usage: /order"),
        ("BTC/USDT 1 v yes 3 too_many", "Usage: /order"),
        ("BTC/USDT 1 1=2 yes 3 4", "Usage: /order"),
        ("BTC 1", "not a pair"),
        ("BTC/USDT much", "not a number"),
        ("BTC/USDT 0", "above zero"),
        ("BTC/USDT -1", "above zero"),
        ("BTC/USDT NaN", "finite"),
        ("BTC/USDT Infinity", "finite"),
        ("BTC/USDT 1e30", "too large"),
        ("BTC/USDT 1e-30", "too small"),
        ("BTC/USDT 1 v perhaps", "testnet must be true or false"),
        ("BTC/USDT 1 v yes many", "tries must be a whole number"),
        ("BTC/USDT 1 v yes ٣", "tries must be a whole number"),
        ("BTC/USDT 1 v yes 9999999999", "tries must be a whole number"),
        (f"BTC/USDT 1 {'v' * 201}", "venue is too long"),
        (f"BTC/USDT 1 k={'v' * 201}", "params is too long"),
        ("BTC/USDT 1 a\0b", "venue must not hold a NUL character"),
        ("BTC/USDT 1 k=a\0b", "params must not hold a NUL character"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, refusal):
    with pytest.raises(Refused, match=refusal):
        read_request(ORDER, words.split())


def test_the_last_field_may_take_all_words_that_are_left():
    assert read_request(NOTE, ["a", "b", "c=d", "e"]) == Note("a", "b c=d e")
    assert read_request(NOTE, ["a"]) == Note("a")
    with pytest.raises(Refused, match="Usage"):
        read_request(NOTE, [])


# ---- JSON


@pytest.mark.parametrize(
    "amount", [1000, "1000", 1000.0, Decimal(1000)], ids=["int", "text", "float", "decimal"]
)
def test_json_becomes_the_same_request_as_words(amount):
    body = {
        "symbol": "BTC/USDT",
        "amount": amount,
        "venue": None,
        "testnet": False,
        "tries": 5,
        "params": {"fast": 9},
    }
    expected = Order(Symbol("BTC", "USDT"), Decimal(1000), "", False, 5, {"fast": "9"})
    assert read_request(ORDER, body) == expected


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, "Usage"),
        ({"symbol": None, "amount": 1}, "Usage"),
        ({"symbol": "BTC/USDT", "amount": True}, "amount must not be True"),
        ({"symbol": True, "amount": 1}, "symbol must not be True"),
        ({"symbol": "BTC/USDT", "amount": [1]}, "amount must be a single value"),
        ({"symbol": {"a": 1}, "amount": 1}, "symbol must be a single value"),
        ({"symbol": "BTC/USDT", "amount": float("nan")}, "finite"),
        ({"symbol": "BTC/USDT", "amount": 1, "testnet": 1}, "testnet must not be 1"),
        ({"symbol": "BTC/USDT", "amount": 1, "params": "a=b"}, "params must be an object"),
        ({"symbol": "BTC/USDT", "amount": 1, "tries": 1.5}, "whole number"),
        ({"symbol": "BTC/USDT", "amount": 1, "user_id": "bob"}, "no field 'user_id'"),
    ],
)
def test_json_that_does_not_fit_is_refused(body, refusal):
    with pytest.raises(Refused, match=refusal):
        read_request(ORDER, body)


async def test_a_command_takes_json_as_well_as_words():
    door = await registered()
    reply = await door.dispatcher.run(ALICE, "addpair", {"symbol": "BTC/USDT", "balance": "1000"})
    assert reply.data.balance == 1000


# ---- finding the command


@pytest.mark.parametrize("name", ["forceexit", "/forceexit", "ForceExit", "fx", "/FX"])
def test_a_command_is_found_by_name_or_alias_in_any_case(name):
    assert Door().dispatcher.find(name).name == "forceexit"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("addpiar", "Did you mean /addpair? "),
        ("start_tradng", "Did you mean /start_trading? "),
        ("xyzzy", ""),
        ("", ""),
    ],
)
async def test_an_unknown_command_is_answered_with_the_closest(name, hint):
    assert await Door().say(f"/{name} a b") == f"I do not know that command. {hint}/help lists all."


# ---- rights


async def test_who_is_not_registered_is_sent_to_start():
    assert await Door().say("/listpairs") == "You are not registered yet; send /start first."


async def test_help_is_there_before_start():
    assert "/start" in await Door().say("/help")


ADMINS = command(Note, name="broadcast", usage="/broadcast <title>", role=Role.ADMIN)


async def test_a_command_for_admins_does_not_exist_for_others():
    door = await registered(ADMINS)
    assert await door.say("/broadcast hello") == await door.say("/xyzzy hello")
    assert "broadcast" not in await door.say("/help")
    assert "no such command" in await door.say("/help broadcast")
    assert "broadcast" not in await door.say("/broadcas hello")


async def test_a_command_for_admins_serves_admins():
    door = await registered(ADMINS)
    async with door.store.open(ALICE) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))
    assert (await door.say("/broadcast hello")).startswith("done")
    assert "broadcast" in await door.say("/help")


async def test_who_is_unknown_is_no_admin():
    door = door_with(replace(ADMINS, registers=True))
    assert "do not know" in await door.say("/broadcast hello")


async def test_what_the_surface_knows_of_the_caller_is_registered():
    door = Door()
    await door.dispatcher.run(ALICE, "start", username="ann", telegram_id=7)
    assert await door.store.find_user(telegram_id=7) == User(
        id=ALICE, username="ann", created_at=START, telegram_id=7
    )


async def test_nobody_can_claim_to_be_somebody_by_words():
    door = Door()
    await door.ask("/start telegram_id=7 username=root role=admin id=bob")
    user = await door.store.find_user(username="alice")
    assert user == User(id=ALICE, username="alice", created_at=START)
    assert await door.store.find_user(telegram_id=7) is None


async def test_no_more_users_are_registered_than_there_may_be():
    door = Door()
    door.dispatcher = replace(door.dispatcher, users_max=1)
    assert (await door.say("/start")).startswith("👋")
    assert "no room for another user" in await door.say("/start", BOB)
    assert "/start" in await door.say("/help", BOB)
    assert (await door.say("/start")).startswith("👋 Welcome back!")


# ---- transaction and audit


async def fail(request: object, context: Context) -> Reply:
    await context.store.save_user(replace(context.user, tier="enterprise"))
    raise Refused("no")


async def audits(door: Door) -> list[tuple[str, Mapping[str, str]]]:
    async with door.store.open(ALICE, reading=True) as store:
        return [(line.action, line.detail) for line in store.draft.rows.audit]


async def test_a_refused_command_leaves_no_trace():
    door = await registered(command(Note, name="fail", handler=fail, changes=True))
    before = await audits(door)
    assert await door.say("/fail x") == "no"
    assert (await door.store.find_user(username="alice")).tier == "free"
    assert await audits(door) == before


async def test_every_change_is_audited_with_what_was_asked():
    door = await registered()
    await door.ask("/addpair BTC/USDT 1000 paper fast=9 strategy=ema_cross")
    await door.ask("/status")
    asked = {
        "symbol": "BTC/USDT",
        "balance": "1000",
        "exchange": "paper",
        "strategy": "ema_cross",
        "timeframe": "5m",
        "params": {"fast": "9"},
    }
    assert await audits(door) == [("start", {}), ("addpair", asked)]


async def test_money_is_counted_by_our_rules_whatever_other_libraries_did():
    seen = []

    async def count(request: object, context: Context) -> Reply:
        seen.append(getcontext().prec)
        return Reply(text="")

    door = await registered(command(Note, name="count", handler=count))
    getcontext().prec = 28
    await door.ask("/count x")
    assert (seen, getcontext().prec) == ([50], 28)


# ---- questions to venues


class Desk:
    """Answers after as many seconds as a test says, or fails."""

    def __init__(self, answer=None, seconds=0.0):
        self.answer, self.seconds, self.asked = answer, seconds, 0

    async def check_key(self, venue, credentials, mode):
        self.asked += 1
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def asking(question=True, **changes):
    """Return a command that asks a desk and says what it was answered."""

    async def ask(request, context):
        assert isinstance(await context.store.user(), User)
        return (lambda desk: desk.check_key("x", None, None)) if question else None

    async def tell(request, context):
        return Reply(text=f"answered {context.answer}")

    return replace(LOGIN, name="ask", asks=ask, handler=tell, changes=True, **changes)


async def asking_door(desk, **changes):
    door = await registered(asking(**changes))
    door.dispatcher = replace(door.dispatcher, desk=desk)
    return door


async def test_what_a_command_asks_is_answered_to_its_handler():
    door = await asking_door(Desk("well"))
    assert await door.say("/ask here") == "answered well"
    assert await audits(door) == [("start", {}), ("ask", {"place": "here", "fast": "False"})]


async def test_a_command_that_asks_nothing_this_time_is_answered_nothing():
    desk = Desk("well")
    door = await asking_door(desk, question=False)
    assert await door.say("/ask here") == "answered None"
    assert desk.asked == 0


async def test_no_transaction_is_open_while_a_question_is_put():
    door = await asking_door(Desk())

    async def look(venue, credentials, mode):
        async with door.store.open(ALICE) as store:  # would never get its turn
            return (await store.user()).username

    door.dispatcher.desk.check_key = look
    assert await door.say("/ask here") == "answered alice"


async def test_who_may_not_run_a_command_cannot_ask_its_question():
    desk = Desk()
    door = await asking_door(desk, role=Role.ADMIN)
    assert "I do not know that command." in await door.say("/ask here")
    assert "not registered" in await door.say("/ask here", BOB)
    assert desk.asked == 0


async def test_a_question_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(dispatcher, "QUESTION_SECONDS", 0.01)
    door = await asking_door(Desk(seconds=60), request=Note)
    with pytest.raises(VenueUnavailable, match="no answer within"):
        await door.ask("/ask here")
    door = await asking_door(Desk(seconds=60))
    reply = await door.ask(f"/ask here {KEY}")
    assert (reply.refused, reply.delete_request) == (True, True)
    assert reply.text == (
        "❌ The exchange cannot be reached now; nothing was changed. Try again in a minute."
    )
    assert await audits(door) == [("start", {})]


@pytest.mark.parametrize("kind", [VenueUnavailable, VenueRejected])
async def test_what_a_venue_says_when_it_fails_is_not_repeated_where_there_are_secrets(kind):
    reply = await (await asking_door(Desk(kind(KEY)))).ask(f"/ask here {KEY}")
    assert KEY not in reply.text
    assert (reply.refused, reply.delete_request) == (True, True)


async def test_a_fault_of_ours_while_asking_is_not_hidden_and_nothing_is_done():
    door = await asking_door(Desk(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        await door.ask(f"/ask here {KEY}")
    assert await audits(door) == [("start", {})]


async def test_without_a_desk_a_question_is_answered_with_regret():
    door = await registered(asking())
    assert (await door.ask(f"/ask here {KEY}")).text.startswith("❌ The exchange cannot be reached")


# ---- secrets

KEY = "abc123key"


async def test_words_with_a_secret_are_to_be_deleted():
    door = await registered(LOGIN)
    assert (await door.ask(f"/login here {KEY}")).delete_request
    assert not (await door.ask("/login here")).delete_request


@pytest.mark.parametrize(
    "message",
    [
        f"/login here {KEY} {KEY}",
        f"/login here {KEY} yes {KEY}",
        f"/login here {KEY} fast={KEY}",
        f"/logn here {KEY}",
    ],
)
async def test_wrong_words_with_a_secret_are_answered_not_raised_and_never_repeated(message):
    door = await registered(LOGIN)
    reply = await door.ask(message)
    assert reply.refused
    assert reply.delete_request
    assert KEY not in reply.text


async def test_a_secret_is_deleted_whoever_sends_it_and_whatever_breaks(monkeypatch):
    async def away(request: object, context: Context) -> Reply:
        raise StoreUnavailable("the database is away")

    door = door_with(LOGIN, replace(LOGIN, name="away", handler=away, registers=True))
    stranger = await door.ask(f"/login here {KEY}")
    assert (stranger.delete_request, stranger.text) == (
        True,
        "You are not registered yet; send /start first.",
    )
    assert (await door.ask(f"/away here {KEY}")).delete_request


async def test_a_secret_is_in_no_audit_no_log_and_no_representation(caplog):
    caplog.set_level(logging.DEBUG)
    door = await registered(replace(LOGIN, changes=True))
    reply = await door.ask(f"/login here {KEY}")
    assert KEY not in f"{reply}{await audits(door)}{caplog.text}{Login('here', KEY)!r}"


async def test_a_fault_of_ours_is_not_hidden():
    async def broken(request: object, context: Context) -> Reply:
        raise BrokenInvariant("impossible")

    door = await registered(replace(LOGIN, handler=broken))
    with pytest.raises(BrokenInvariant):
        await door.ask(f"/login here {KEY}")
