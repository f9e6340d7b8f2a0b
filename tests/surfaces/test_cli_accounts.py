"""`tradefleet accounts` and `tradefleet vault`: keys from a person, stdin or the environment."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import pytest
import typer
from typer.testing import CliRunner

from tests.key_rig import GOOD, KeyDoor
from tradefleet.commands.connect.keeping import code_from
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.domain.user import Mode
from tradefleet.surfaces.cli import accounts
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.parts import Parts, VaultReport

KEY, SECRET = "abc123keyABCDEFGHIJKLMNOP", "xyz789secretABCDEFGHIJKLMNOP"
PAIR = f"{KEY}\n{SECRET}\n"
CONNECTED = """✅ Exchange Connected
Exchange: bybit (testnet)
Key: abc1…MNOP (25 characters)
Rights: read, trade, not withdraw
"""


class Program:
    """The command line over one service with alice registered."""

    def __init__(self) -> None:
        self.door = KeyDoor()
        self.report = VaultReport(("all is well",), is_well=True)
        self.opened: list[str | None] = []
        tested = {
            "open_door": self.open_door,
            "rotate_vault": self.look_after,
            "check_vault": self.look_after,
        }
        parts = Parts(**{field.name: tested.get(field.name) for field in fields(Parts)})
        self.app = build_app(parts)

    @asynccontextmanager
    async def open_door(self, db):
        self.opened.append(db)
        await self.door.ask("/start")
        async with asyncio.TaskGroup():  # as around venues that are open
            yield self.door.dispatcher

    async def look_after(self, db):
        self.opened.append(db)
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    def run(self, *words: str, said: str = "", **variables: str):
        runner = CliRunner(env=variables)
        result = runner.invoke(self.app, list(words), input=said)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert KEY not in result.output
        assert SECRET not in result.output
        return result

    def connect(self, *words: str, said: str = "", **variables: str):
        given = ("accounts", "connect", "--user", "alice", "--exchange", "bybit", *words)
        return self.run(*given, said=said, **variables)


@pytest.fixture
def program(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (accounts.KEY_VARIABLE, accounts.SECRET_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return Program()


@pytest.fixture
def person(monkeypatch):
    """Somebody at the terminal."""
    monkeypatch.setattr(accounts, "a_person_is_there", lambda: True)


def test_keys_are_read_from_two_lines_of_stdin(program):
    result = program.connect(said=PAIR)
    assert (result.stdout, result.stderr, result.exit_code) == (CONNECTED, "", 0)
    assert program.door.exchange.asked == [("bybit", KEY, Mode.TESTNET)]


def test_keys_are_read_from_the_environment(program):
    result = program.connect(CONNECT_API_KEY=KEY, CONNECT_API_SECRET=SECRET)
    assert result.stdout == CONNECTED


def test_a_person_is_asked_and_what_they_type_is_not_shown(program, person):
    result = program.connect(said=PAIR)
    assert result.stdout.endswith(CONNECTED)
    assert "API key:" in result.stderr and "Secret:" in result.stderr


@pytest.mark.parametrize(
    ("said", "variables"),
    [("", {}), (KEY, {}), ("", {"CONNECT_API_KEY": KEY}), ("", {"CONNECT_API_SECRET": SECRET})],
)
def test_without_both_nothing_is_tried(program, said, variables):
    result = program.connect(said=said, **variables)
    assert result.exit_code == 1
    assert "two lines of stdin" in result.stderr
    assert program.opened == []


def test_no_option_takes_a_key():
    command = typer.main.get_command(Program().app).commands["accounts"].commands["connect"]
    options = [name for parameter in command.params for name in parameter.opts]
    assert options == ["--user", "--exchange", "--live", "--db"]


def test_a_refusal_goes_to_stderr_with_exit_code_1(program):
    program.door.exchange.answer = replace(GOOD, can_withdraw=True)
    result = program.connect(said=PAIR)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("❌ This key may withdraw.")


def test_a_crash_is_told_without_its_text(program):
    program.door.exchange.answer = RuntimeError(f"{KEY} {SECRET}")
    result = program.connect(said=PAIR)
    assert result.exit_code == 1
    assert result.stderr == "Something went wrong inside tradefleet (RuntimeError).\n"


def test_a_live_account_is_confirmed_by_whoever_sits_there(program, person):
    result = program.connect("--live", said=f"{PAIR}live AAAAAA\n")
    assert "That is not the code" in result.stderr
    assert (result.exit_code, "real money" in result.stdout) == (1, True)
    result = program.connect("--live", said=f"{PAIR}LIVE {second_code()}\n")
    assert result.stdout.endswith(CONNECTED.replace("testnet", "live"))
    assert result.exit_code == 0


def second_code() -> str:
    """Return the code of the second question that is asked: ids are counted in tests."""
    return code_from(f"{2:032x}")


def test_a_live_account_that_nobody_confirms_is_not_connected(program, person):
    result = program.connect("--live", said=f"{PAIR}\n")
    assert (result.exit_code, "Nothing was connected." in result.stderr) == (1, True)


def test_without_a_person_the_code_is_told_and_typed_in_a_chat(program):
    result = program.connect("--live", said=PAIR)
    assert result.exit_code == 0
    message = result.stdout.splitlines()[-1]
    assert message.startswith("/connect confirm LIVE ")
    result = program.run("chat", "--user", "alice", message)
    assert result.stdout == CONNECTED.replace("testnet", "live")


def test_accounts_are_listed_with_masked_keys(program):
    program.connect(said=PAIR)
    result = program.run("accounts", "list", "--user", "Alice", "--db", "sqlite:///x.db")
    assert "bybit (testnet)  abc1…MNOP (25 characters)" in result.stdout
    assert program.opened[-1] == "sqlite:///x.db"


def test_keys_that_are_piped_into_a_chat_work_too(program):
    result = program.run("chat", "--user", "alice", said=f"/connect bybit {KEY} {SECRET}\n")
    assert result.stdout == CONNECTED


# ---- the vault


@pytest.mark.parametrize("verb", ["rotate", "check"])
def test_the_vault_is_looked_after(program, verb):
    result = program.run("vault", verb, "--db", "sqlite:///x.db")
    assert (result.stdout, result.exit_code) == ("all is well\n", 0)
    assert program.opened == ["sqlite:///x.db"]
    program.report = VaultReport(("one", "❌ two"), is_well=False)
    result = program.run("vault", verb)
    assert (result.stdout, result.exit_code) == ("one\n❌ two\n", 1)
    program.report = StoreUnavailable("There is no database.")
    result = program.run("vault", verb)
    assert (result.stderr, result.exit_code) == ("There is no database.\n", 1)
