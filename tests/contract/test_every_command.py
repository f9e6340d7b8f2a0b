"""What every command owes, present and future: found by the wiring, not by this file."""

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import asdict, fields, is_dataclass
from decimal import Decimal

import pytest

from tests.doors import ALICE, BINANCE, BOB, BYBIT, PAPER, Door, trade
from tradefleet.command import SECRET, AnyCommand, Reply
from tradefleet.dispatcher import name_and_words, read_request, usage_of
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import draw

COMMANDS = Door().dispatcher.catalog.commands.values()
every_command = pytest.mark.parametrize("command", COMMANDS, ids=[c.name for c in COMMANDS])
TELEGRAM_TEXT_MAX = 4096


async def service() -> Door:
    """A service with one registered user."""
    door = Door(PAPER, BINANCE, BYBIT)
    await door.ask("/start")
    return door


# ---- how it presents itself


@every_command
def test_it_says_what_it_is_for_and_how_to_write_it(command: AnyCommand):
    assert re.fullmatch(r"[a-z_]{1,32}", command.name)
    assert command.summary.strip(" .") == command.summary
    assert command.usage.startswith(f"/{command.name}")
    assert command.example.startswith(f"/{command.name}")
    assert 3 <= len(command.summary) <= 256


def test_no_two_commands_answer_to_the_same_name():
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(names) == len(set(names))


@every_command
def test_its_usage_names_as_many_words_as_its_request_has_fields(command: AnyCommand):
    wanted = [field.name for field in fields(command.request) if field.name != "payload"]
    shown = len(re.findall(r"<[^>]+>|\[[^\]]+\]", command.usage))
    assert shown == len(wanted) or (command.options and shown < len(wanted))


@every_command
def test_its_example_becomes_its_request(command: AnyCommand):
    request = read_request(command, name_and_words(command.example)[1])
    assert isinstance(request, command.request)
    assert is_dataclass(request)
    assert request.__dataclass_params__.frozen


@every_command
def test_a_field_that_sounds_secret_is_one(command: AnyCommand):
    for field in fields(command.request):
        sounding = re.search("key|secret|token|password", field.name)
        assert bool(sounding) == bool(field.metadata.get(SECRET)), field.name


@every_command
async def test_help_explains_it(command: AnyCommand):
    door = await service()
    if command.role is Role.ADMIN:  # for users it does not exist
        assert "There is no such command" in await door.say(f"/help {command.name}")
        assert f"/{command.name}" not in await door.say("/help")
        return
    assert command.usage in await door.say(f"/help {command.name}")
    assert f"/{command.name}" in await door.say("/help")


# ---- wrong words


@every_command
async def test_too_many_words_are_answered_with_the_usage(command: AnyCommand):
    door = await service()
    takes_free_text = any(field.metadata.get("rest") for field in fields(command.request))
    if not takes_free_text:
        assert usage_of(command) in await door.say(f"/{command.name} {'1 ' * 20}")


@every_command
@pytest.mark.parametrize(
    "words",
    ["", "0", "-1", "NaN", "%s %d {}", "'; DROP TABLE users; --", "🙂 🙂", "a=b", "x" * 5000],
)
async def test_strange_words_are_answered_or_refused_in_few_words(command: AnyCommand, words):
    door = await service()
    text = await door.say(f"/{command.name} {words}")
    assert 0 < len(text) < TELEGRAM_TEXT_MAX


# ---- what a new user sees, and one who has traded


async def run_or_refusal(door: Door, message: str, user_id=ALICE) -> Reply | str:
    try:
        return await door.ask(message, user_id)
    except Refused as refusal:
        return str(refusal)


def check(reply: Reply | str) -> None:
    """A reply can be drawn, is consistent, and its data is a frozen dataclass of plain values."""
    if isinstance(reply, str):
        assert reply.strip()
        return
    assert reply.text.strip()
    assert draw(reply)
    assert all(len(row) == len(reply.columns) for row in reply.rows)
    assert reply.data.__dataclass_params__.frozen
    json.dumps(asdict(reply.data), default=plain)


def plain(value: object) -> str:
    assert isinstance(value, Decimal) or hasattr(value, "isoformat"), value
    return str(value)


@every_command
async def test_it_serves_a_user_who_has_just_come(command: AnyCommand):
    check(await run_or_refusal(await service(), command.example))


@every_command
@pytest.mark.parametrize("words", [None, ""], ids=["example", "alone"])
async def test_it_serves_a_user_who_has_traded(command: AnyCommand, words):
    door = await service()
    await trade(door)
    message = command.example if words is None else f"/{command.name}"
    check(await run_or_refusal(door, message))


async def test_most_commands_have_something_to_say_to_who_has_traded():
    refused = []
    for command in COMMANDS:
        door = await service()
        await trade(door)
        if isinstance(await run_or_refusal(door, command.example), str):
            refused.append(command.name)
    # It is there already; a position is open; nobody else trades on paper; no order has that id;
    # nothing was ordered by hand, and the coins are the pair's; there is no vault for what signs
    # webhooks, nobody who makes archives, and no risk notice; the rest is the operator's.
    there = {"addpair", "adduniverse", "disconnect", "external", "order", "ordered"}
    there |= {"addwebhook", "removepair", "removewebhook", "resumewebhook"}
    there |= {"sell", "signout"}
    there |= {"deleteme", "mydata", "risk"}
    admins = {command.name for command in COMMANDS if command.role is Role.ADMIN}
    assert set(refused) == there | admins


# ---- one user and another

MARK = "ZZZBOBZZZ"


def targets(ids: Iterable[str]) -> list[str]:
    return ["", "BTC/USDT", "all", "1", *ids]


@every_command
async def test_it_reveals_and_changes_nothing_of_another_user(command: AnyCommand):
    if command.name == "start":
        return
    door = await service()
    await door.ask("/start", BOB)
    await trade(door, BOB, MARK)
    bot = (await door.bots(BOB))["BTC/USDT"]
    before = await everything_of(door, BOB)
    alone = Door(PAPER, BINANCE, BYBIT)
    await alone.ask("/start")
    alone.still.time = door.still.time
    for target in targets([bot.id, f"{bot.id}-1", bot.account_id, BOB]):
        message = (
            f"/{command.name} {target} 10"
            if command.name == "addpair"
            else f"/{command.name} {target}"
        )
        with_bob = draw_or_text(await run_or_refusal(door, message))
        without_bob = draw_or_text(await run_or_refusal(alone, message))
        assert with_bob == without_bob
        assert MARK not in with_bob
    assert await everything_of(door, BOB) == before


def draw_or_text(reply: Reply | str) -> str:
    """Return what is read; what was drawn at random to sign in with is another each time."""
    text = reply if isinstance(reply, str) else draw(reply)
    return re.sub(r"(\?code=|\btf_)[\w-]{43}", r"\1…", text)


async def everything_of(door: Door, user_id) -> str:
    async with door.store.open(user_id, reading=True) as store:
        parts = [
            await store.user(),
            await store.accounts(),
            await store.bots(),
            await store.memories(),
            await store.orders(),
            await store.trades(),
            await store.entries(),
            await store.switches(),
            await store.identity.password(),
            await store.identity.sessions(),
            await store.identity.tokens(),
            await store.identity.second_factor(),
        ]
    return repr([*parts, store.draft.rows.audit])


# ---- what it writes down


@every_command
async def test_it_changes_something_only_if_it_says_so(command: AnyCommand):
    door = await service()
    await trade(door)
    before = await everything_of(door, ALICE)
    reply = await run_or_refusal(door, command.example)
    changed = await everything_of(door, ALICE) != before
    assert changed == (command.changes and not isinstance(reply, str))


@every_command
async def test_it_needs_a_registered_user_unless_it_registers_or_explains(command: AnyCommand):
    answer = draw_or_text(await run_or_refusal(Door(PAPER), command.example))
    if command.name not in ("start", "help"):
        assert answer == "You are not registered yet; send /start first."


KEY, SECRET_KEY = "abc123keyAPIKEY0123456789", "xyz789secretSECRET9876543210"


@pytest.mark.parametrize(
    "message",
    [
        f"/connect binance {KEY} {SECRET_KEY} true",
        f"/connect paper {KEY} {SECRET_KEY}",
        f"/connect bybit {KEY} {SECRET_KEY} true",
        f"/connect kraken {KEY} {SECRET_KEY}",
        f"/connect {KEY} {SECRET_KEY}",
        f"/connect {KEY}",
        f"/connect {KEY} {SECRET_KEY} binance",
        f"/connect binance true {KEY} {SECRET_KEY}",
        f"/connect binance {KEY} {SECRET_KEY} maybe",
        f"/connect binance {KEY} {SECRET_KEY} true {KEY} {SECRET_KEY}",
        f"/connect api_key={KEY} api_secret={SECRET_KEY}",
        f"/connect binance api_key={KEY} api_secret={SECRET_KEY} testnet={KEY}",
        f"/connect binance {KEY * 300} {SECRET_KEY}",
        f"/conect binance {KEY} {SECRET_KEY}",
        f"/CONNECT Binance {KEY} {SECRET_KEY} TRUE",
    ],
)
@pytest.mark.parametrize("registered", [True, False], ids=["a user", "a stranger"])
async def test_keys_are_deleted_and_appear_nowhere(message, registered, caplog):
    caplog.set_level(logging.DEBUG)
    door = Door(PAPER, BINANCE, BYBIT)
    if registered:
        await door.ask("/start")
    reply = await door.ask(message)
    assert reply.delete_request
    written = repr([reply, await everything_of(door, ALICE), vars(door.store), caplog.text])
    assert KEY not in written
    assert SECRET_KEY not in written
