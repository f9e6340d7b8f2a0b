"""Whoever looks at a user's data as an operator says why, and the user reads it: every command."""

import re
from dataclasses import fields, replace

import pytest

from tests.doors import ALICE, BOB, PAPER, Door
from tests.key_rig import vault_under
from tradefleet.command import AnyCommand
from tradefleet.dispatcher import OPERATOR_ACCESS, name_and_words, usage_of
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role

OPERATOR = UserId("operator")
COMMANDS = [c for c in Door().dispatcher.catalog.commands.values() if c.role is Role.ADMIN]
# What a field may be called that names a user, or something of one's.
NAMING = re.compile(
    "user|target|whom?|whose|username|telegram|account|bot|pair|order|trade|session|tenant"
)
NAMED = [c for c in COMMANDS if any(NAMING.search(f.name) for f in fields(c.request))]
every_naming = pytest.mark.parametrize("command", NAMED, ids=[c.name for c in NAMED])
# How a request names Alice, where it is not the first word.
WORDS = {"killswitch": "user stop alice", "tier": "alice premium"}


async def service() -> Door:
    door = Door(PAPER, vault=vault_under())
    for user_id in (OPERATOR, ALICE, BOB):
        await door.ask("/start", user_id)
    await door.ask("/addpair BTC/USDT 1000")
    async with door.store.open(OPERATOR) as store:
        await store.save_user(replace(await store.user(), role=Role.ADMIN))
    return door


def message(command: AnyCommand, reason: str) -> str:
    return f"/{command.name} {WORDS.get(command.name, 'alice')} {reason}".strip()


async def log_of(door: Door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return list(reversed(await store.audit_page(1000)))


def test_the_commands_that_name_a_user_are_known():
    assert {"ban", "unban", "tier", "users", "killswitch", "audit_user"} <= {c.name for c in NAMED}


@every_naming
def test_it_says_whom_it_concerns_and_asks_why(command: AnyCommand):
    assert command.concerns is not None
    reason = next(f for f in fields(command.request) if f.name == "reason")
    assert reason.metadata.get("rest"), "a reason has several words"
    assert re.search(r"[<\[]reason[>\]]", command.usage)


@every_naming
async def test_without_a_reason_it_is_refused_and_nothing_happens(command: AnyCommand):
    door = await service()
    before = await log_of(door)
    text = await door.say(message(command, ""), OPERATOR)
    assert text == f"Say why: the user reads it in their own log.\n{usage_of(command)}"
    assert await door.say(message(command, "   "), OPERATOR) == text
    assert await log_of(door) == before


@every_naming
async def test_with_a_reason_it_stands_in_the_users_own_log_first(command: AnyCommand):
    door = await service()
    before = len(await log_of(door))
    try:
        name, words = name_and_words(message(command, "Ticket 5 of today"))
        asked = {"surface": "api", "address": "10.1.2.3", "key": "r1"}
        await door.dispatcher.run(OPERATOR, name, words, **asked)
    except Refused:
        pass  # there is nothing to do: it was looked at, though
    line = (await log_of(door))[before]
    assert (line.action, line.actor, line.role, line.surface, line.request_id) == (
        *(OPERATOR_ACCESS, OPERATOR, "admin", "api"),
        "r1",
    )
    assert line.asked["command"] == command.name
    assert line.asked["reason"] == "Ticket 5 of today"
    assert line.address == "", "where the operator sits is not the user's business"
    shown = await door.say("/audit limit=100")
    assert "operator (api)" in shown
    assert "reason=Ticket 5 of today" in shown
    assert await log_of(door, BOB) == (await log_of(door, BOB))[:1], "nobody else's"


async def opened_by(door: Door, command: AnyCommand, text: str) -> set[str]:
    """Return whose stores a command opens, besides the operator's."""
    seen, open = set(), door.store.open

    def watched(user_id, **named):
        seen.add(user_id)
        return open(user_id, **named)

    door.store.open = watched
    await door.say(text, OPERATOR)
    return seen - {OPERATOR}


# They show or reach all users alike, and name none.
OF_ALL = {"users", "broadcast"}


@pytest.mark.parametrize("command", COMMANDS, ids=[c.name for c in COMMANDS])
async def test_no_command_of_operators_opens_a_users_data_unseen(command: AnyCommand):
    door = await service()
    for text in (command.example, message(command, "Ticket 5"), f"/{command.name}"):
        before = {user: len(await log_of(door, user)) for user in (ALICE, BOB)}
        opened = await opened_by(door, command, text)
        for user_id in (ALICE, BOB):
            new = [line.action for line in (await log_of(door, user_id))[before[user_id] :]]
            if user_id in opened and command.name not in OF_ALL:
                assert new[:1] == [OPERATOR_ACCESS], text


# ---- what operators do to all


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "/killswitch platform stop Venue trouble",
            ("kill_switch", {"before": "run", "after": "stop", "reason": "Venue trouble"}),
        ),
        (
            "/maintenance on Back soon",
            ("maintenance", {"before": "off", "after": "on", "reason": "Back soon"}),
        ),
        ("/broadcast We are back.", ("broadcast", {"text": "📣 We are back."})),
    ],
)
async def test_what_concerns_everybody_stands_in_the_services_log_and_the_operators(message, said):
    door = await service()
    await door.dispatcher.run(OPERATOR, *name_and_words(message), surface="cli")
    (line,) = await door.store.audits.page(10)
    assert (line.action, line.asked) == said
    assert (line.actor, line.role, line.surface) == (OPERATOR, "admin", "cli")
    assert (await log_of(door, OPERATOR))[-1].action == message.split()[0].removeprefix("/")
    shown = await door.say("/audit_user *", OPERATOR)
    assert f"operator (cli)  {said[0]}" in shown


async def test_pages_of_a_users_log_lead_to_older_ones():
    door = await service()
    reply = await door.ask("/audit_user alice limit=2 Ticket 5", OPERATOR)
    assert [line.number for line in reply.data.lines] == [3, 2]
    older = await door.ask(f"/audit_user alice limit=2 {reply.older} Ticket 5", OPERATOR)
    assert [line.number for line in older.data.lines] == [1]
    assert older.older == ""
    assert await door.say("/audit_user alice limit=2 before=1 Why", OPERATOR) == "📜 Nothing more."
    assert "Ask for 1 to 100" in await door.say("/audit_user alice limit=0 Why", OPERATOR)
    assert "There is no such user" in await door.say("/audit_user nobody Why", OPERATOR)
    assert "Ask for 1 to 100" in await door.say("/audit limit=101")
    mine = await door.ask("/audit limit=1")
    assert (mine.data.next, mine.older) == (5, "before=5")
    assert await door.say("/audit before=1") == "📜 Nothing more."


async def test_a_users_own_log_says_what_changed_and_where_they_spoke_from():
    door = await service()
    await door.dispatcher.run(
        ALICE, "resume", [], surface="telegram", address="10.1.2.3", key="tg-7"
    )
    (line, *_) = (await door.ask("/audit limit=1")).data.lines
    assert (line.actor, line.surface, line.address, line.request_id) == (
        *(ALICE, "telegram", "10.1.2.3"),
        "tg-7",
    )
    added = next(line for line in await log_of(door) if line.action == "addpair")
    kinds = [each["what"] for each in added.changed]
    assert kinds == ["account", "pair"]
    assert "you (telegram)" in await door.say("/audit")
