"""`tradefleet users`: the register of users; the first admin is made here, and has no password."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.operations.sign_in.register import Register
from tradefleet.surfaces.cli.chat import user_id_of
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts

User = Annotated[str, typer.Argument(help="The user's name; First User is first_user.")]


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="Users, and who of them is an admin.")
    app.add_typer(group, name="users")
    add_changes(group, parts)

    @group.command("list")
    def list_users(db: DatabaseOption = None) -> None:
        """Show all users."""

        async def act(register: Register) -> str:
            found = await register.users()
            rows = [(user.id, user.username, user.role.value, user.tier) for user in found]
            widths = [max((len(row[at]) for row in rows), default=0) for at in range(4)]
            lines = [
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                for row in rows
            ]
            return "\n".join(line.rstrip() for line in lines) or "There are no users yet."

        say(parts, db, act)


def add_changes(group: typer.Typer, parts: Parts) -> None:
    @group.command("add")
    def add_user(
        user: User,
        admin: Annotated[bool, typer.Option("--admin", help="Make them an admin.")] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Register a user; nobody can sign in as them before a password is set."""

        async def act(register: Register) -> str:
            role = Role.ADMIN if admin else Role.USER
            made = await register.add(user_id_of(user), user.strip(), role)
            return f"User {made.id} is registered, with the role {made.role}."

        say(parts, db, act)

    @group.command()
    def admin(
        user: User,
        revoke: Annotated[bool, typer.Option("--revoke", help="Make them a user again.")] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Make a user an admin."""

        async def act(register: Register) -> str:
            made = await register.set_role(user_id_of(user), Role.USER if revoke else Role.ADMIN)
            return f"User {made.id} has the role {made.role} now."

        say(parts, db, act)

    @group.command()
    def password(user: User, db: DatabaseOption = None) -> None:
        """Set a user's password, typed twice or piped in; all their sessions end."""
        with edge():
            given = ask_password()

        async def act(register: Register) -> str:
            changed = await register.set_password(user_id_of(user), given)
            return f"User {changed.id} has a new password; their sessions have ended."

        say(parts, db, act)


def ask_password() -> Secret:
    """Return a password that is typed without being shown, or the first line of what is piped."""
    if sys.stdin.isatty():
        return Secret(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise Refused("Type the password or pipe it in; as an option, others could read it.")
    return Secret(text)


def say(parts: Parts, db: str | None, act: Callable[[Register], Awaitable[str]]) -> None:
    """Do something with the register, and print what came of it."""

    async def done() -> str:
        async with parts.open_register(db) as register:
            return await act(register)

    with edge():
        typer.echo(asyncio.run(done()))
