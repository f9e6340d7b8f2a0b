"""`tradefleet users`: the first admin, who has no password before one was set; and the digits."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from tests.doors import ALICE
from tests.unit.test_sign_in import Front
from tradefleet.domain.user import Role
from tradefleet.second_factor import SEND_DIGITS
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.parts import Parts

PASSWORD = "quite another horse"


class Program:
    """The command line over one register."""

    def __init__(self) -> None:
        self.front = Front()
        tested = {"open_register": self.open_register, "open_door": self.open_door}
        self.app = build_app(Parts(**{each.name: tested.get(each.name) for each in fields(Parts)}))

    @asynccontextmanager
    async def open_register(self, db):
        yield self.front.register

    @asynccontextmanager
    async def open_door(self, db):
        yield self.front.door.dispatcher

    def run(self, *words: str, said: str = ""):
        result = CliRunner().invoke(self.app, list(words), input=said)
        assert PASSWORD not in result.output
        return result.exit_code, result.stdout + result.stderr


@pytest.fixture
def program():
    return Program()


def test_the_first_admin_is_made_and_can_sign_in_once_there_is_a_password(program):
    assert program.run("users", "list") == (0, "There are no users yet.\n")
    made = program.run("users", "add", "First User", "--admin")
    assert made == (0, "User first_user is registered, with the role admin.\n")
    assert program.run("users", "add", "first_user")[0] == 1
    said = program.run("users", "password", "first_user", said=f"{PASSWORD}\n")
    assert said == (0, "User first_user has a new password; their sessions have ended.\n")
    assert program.run("users", "list") == (0, "first_user  First User  admin  free\n")


@pytest.mark.parametrize("said", ["", "\n", "short\n", "first_user_1234\n"])
def test_no_password_is_made_up_or_too_easy(program, said):
    program.run("users", "add", "first_user")
    code, text = program.run("users", "password", "first_user", said=said)
    assert code == 1
    assert "assword" in text


def test_a_role_is_given_and_taken(program):
    assert program.run("users", "admin", "alice")[0] == 1
    program.run("users", "add", "alice")
    assert program.run("users", "admin", "alice") == (0, "User alice has the role admin now.\n")
    taken = program.run("users", "admin", "alice", "--revoke")
    assert taken == (0, "User alice has the role user now.\n")


def test_the_line_after_a_command_that_needs_them_may_be_the_digits(program):
    asyncio.run(program.front.register.add(ALICE, "Alice", Role.USER))
    asyncio.run(program.front.second_factor())
    digits = asyncio.run(program.front.digits())
    chat = ("chat", "--user", "alice")
    code, text = program.run(*chat, said=f"/totp off\n{digits}\n/totp\n")
    assert SEND_DIGITS in text
    assert text.count("Second factor: off") == 2
    assert code == 1  # the first line was refused
