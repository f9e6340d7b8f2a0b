"""The command line: what it prints, where, and with which exit code."""

import errno
import json
import re
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.doors import BINANCE, BYBIT, PAPER, Door
from tradefleet.command import Attachment, Reply
from tradefleet.domain.errors import Refused, StoreUnavailable
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.chat import user_id_of
from tradefleet.surfaces.cli.parts import Parts


class Program:
    """The command line over one service; opened keeps the databases that were asked for."""

    def __init__(self) -> None:
        self.door = Door(PAPER, BINANCE, BYBIT)
        self.opened: list[str | None] = []
        self.fault: BaseException | None = None
        tested = {
            "open_door": self.open_door,
            "upgrade_database": self.upgrade,
            "check_database": self.check,
        }
        parts = Parts(**{field.name: tested.get(field.name) for field in fields(Parts)})
        self.app = build_app(parts)

    @asynccontextmanager
    async def open_door(self, db):
        self.opened.append(db)
        if self.fault:
            raise self.fault
        yield self.door.dispatcher

    async def upgrade(self, db):
        self.opened.append(db)
        return "The database is at revision 1."

    async def check(self, db):
        raise StoreUnavailable("The database is older than this version: tradefleet db upgrade")

    def run(self, *words: str, said: str = ""):
        result = CliRunner().invoke(self.app, list(words), input=said)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert "Traceback" not in result.output
        return result

    def chat(self, *messages: str, user: str = "alice", said: str = ""):
        return self.run("chat", "--user", user, *messages, said=said)


@pytest.fixture
def program(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Program()


def test_a_message_is_answered_on_stdout(program):
    result = program.chat("/start")
    assert (result.stdout, result.stderr) == ("👋 Welcome! You've been registered.\n", "")
    assert result.exit_code == 0


def test_a_message_may_be_written_without_quotes(program):
    program.chat("/start")
    result = program.chat("/addpair", "BTC/USDT", "1000", "strategy=ema_cross")
    assert result.stdout.startswith("✅ Trading Pair Added\nSymbol: BTC/USDT")


def test_a_refusal_goes_to_stderr_with_exit_code_1(program):
    result = program.chat("/status")
    assert result.stdout == ""
    assert result.stderr == "You are not registered yet; send /start first.\n"
    assert result.exit_code == 1


def test_refused_keys_are_answered_on_stderr_and_never_repeated(program):
    program.chat("/start")
    result = program.chat("/connect bybit abc123key xyz789secret true")
    assert result.exit_code == 1
    assert "cannot keep keys" in result.stderr
    assert "abc123key" not in result.output


def test_piped_lines_are_answered_one_by_one(program):
    result = program.chat(said="/start\n\n# a comment\n/addpair BTC/USDT 10\nlistpairs\n")
    assert result.exit_code == 0
    assert result.stdout.count("Trading Pair") == 2
    assert result.stdout.splitlines()[-1] == "   Balance: $10.00"


def test_piped_lines_go_on_after_a_refusal_which_the_exit_code_remembers(program):
    result = program.chat(said="/start\n/nonsense\n/connect paper\n")
    assert result.stdout.endswith("✅ Exchange Connected\n")
    assert result.stderr == "I do not know that command. /help lists all.\n"
    assert result.exit_code == 1


def test_a_name_becomes_a_user_of_its_own(program):
    program.chat("/start", user="First User")
    result = program.chat("/listpairs", user="first_user")
    assert "no trading pairs" in result.stdout
    assert program.chat("/listpairs", user="other").stderr.startswith("You are not registered")


@pytest.mark.parametrize(
    ("name", "user_id"),
    [
        ("alice", "alice"),
        ("First User", "first_user"),
        (" Ann-Marie ", "ann-marie"),
        ("tg:1", "tg:1"),
    ],
)
def test_the_id_of_a_user_is_a_slug_of_the_name(name, user_id):
    assert user_id_of(name) == user_id


@pytest.mark.parametrize("name", ["", "  ", "!!", "x" * 65])
def test_a_name_without_letters_or_with_too_many_is_refused(name, program):
    result = program.chat("/start", user=name)
    assert (result.exit_code, program.opened) == (1, [])
    assert "1 to 64 letters" in result.stderr


def test_a_dangerous_command_wants_a_confirmation(program):
    program.chat(said="/start\n/addpair BTC/USDT 10\n")
    result = program.chat("/forceexit all")
    assert (result.exit_code, "add --yes" in result.stderr) == (1, True)
    result = program.chat("/fx all", "--yes")
    assert result.stderr == "You have no open position.\n"


def test_a_picture_is_kept_and_its_place_said(program, monkeypatch):
    files = (Attachment("btc.png", "image/png", b"a picture"),)

    async def run(*_, **__):
        return Reply(text="drawn", attachments=files)

    monkeypatch.setattr("tradefleet.dispatcher.Dispatcher.run", run)
    first, second = program.chat("/chart").stdout.splitlines()
    assert first == "drawn"
    name, _, place = second.strip().partition(": ")
    assert (name, Path(place).read_bytes()) == ("btc.png", b"a picture")


def test_the_database_named_is_the_one_used(program):
    program.run("chat", "--user", "alice", "--db", "sqlite:///x.db", "/start")
    program.chat("/status")
    assert program.opened == ["sqlite:///x.db", None]


def test_a_database_that_is_away_is_said_in_one_line(program):
    program.fault = StoreUnavailable("No database at x: tradefleet db upgrade --db x")
    result = program.chat("/start")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "No database at x: tradefleet db upgrade --db x\n"


def test_a_fault_of_ours_is_told_without_its_text(program):
    program.fault = RuntimeError("abc123key")
    result = program.chat("/start")
    assert result.exit_code == 1
    assert result.stderr == "Something went wrong inside tradefleet (RuntimeError).\n"


def test_what_the_machine_refuses_is_said_in_its_words(program, tmp_path):
    program.fault = OSError(errno.ENOSPC, "of a write, abc123key")
    assert program.chat("/start").stderr == "No space left on device.\n"
    program.fault = PermissionError(errno.EACCES, "", str(tmp_path / "a.zip"))
    assert program.chat("/start").stderr == f"{tmp_path}/a.zip: Permission denied.\n"


def test_wrong_options_are_exit_code_2(program):
    assert program.run("chat", "/start").exit_code == 2
    assert program.run("nonsense").exit_code == 2


def test_the_version_is_said(program):
    assert re.fullmatch(r"tradefleet \d+\.\d+\.\d+\n", program.run("--version").stdout)


def test_help_lists_the_commands(program):
    output = program.run("--help").stdout
    assert all(name in output for name in ("chat", "config", "db"))


# ---- the database


def test_the_database_is_upgraded(program):
    result = program.run("db", "upgrade", "--db", "sqlite:///x.db")
    assert (result.stdout, program.opened) == (
        "The database is at revision 1.\n",
        ["sqlite:///x.db"],
    )


def test_a_database_that_is_too_old_is_exit_code_1(program):
    result = program.run("db", "check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "tradefleet db upgrade" in result.stderr


# ---- the configuration


def test_a_sound_configuration_is_shown(program):
    Path(".env").write_text("TELEGRAM_BOT_TOKEN=123456:ABCdefGHIjklMNOpqrSTUvwxYZ\n")
    result = program.run("config", "check")
    assert result.exit_code == 0
    assert re.search(r"HTTP_PORT +8080 +default *\n", result.stdout)
    assert re.search(r"TELEGRAM_BOT_TOKEN +set, 33 characters +\.env *\n", result.stdout)
    assert "✅ No problems." in result.stdout


def test_problems_are_shown_with_their_cure(program):
    Path(".env").write_text("PAPER_MARKET=moon\nTELEGRM_MODE=webhook\n")
    result = program.run("config", "check")
    assert result.exit_code == 1
    assert "❌ PAPER_MARKET: say one of synthetic, binance, bybit, kraken" in result.stdout
    assert "did you mean TELEGRAM_MODE?" in result.stdout


def test_the_configuration_as_json(program):
    Path("other.env").write_text("HTTP_PORT=x\nWEBHOOK_URL=https://hooks.example.org/very-secret\n")
    result = program.run("config", "check", "--json", "--env-file", "other.env")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"]) == (1, False)
    assert [problem["name"] for problem in told["problems"]] == ["HTTP_PORT"]
    assert "very-secret" not in result.stdout


def test_a_refused_file_is_told_like_any_refusal(program, monkeypatch):
    def refuse(env_file):
        raise Refused("no")

    monkeypatch.setattr("tradefleet.surfaces.cli.config.inspect_settings", refuse)
    assert program.run("config", "check").stderr == "no\n"
