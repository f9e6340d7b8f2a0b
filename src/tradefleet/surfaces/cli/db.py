"""`tradefleet db`: bring the database up to date, look at it, grant it, move it to another."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts

OwnerOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--db", help="Address of the database for its owner. [default: DATABASE_URL]", metavar="URL"
    ),
]


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="The database.")
    app.add_typer(group, name="db")

    @group.command()
    def upgrade(db: DatabaseOption = None) -> None:
        """Bring the database to the schema of this version, keeping what it holds."""
        say(parts.upgrade_database, db)

    @group.command()
    def check(db: DatabaseOption = None) -> None:
        """Say whether the database can be used; exit code 1 when it cannot."""
        say(parts.check_database, db)

    @group.command()
    def roles(
        role: Annotated[
            str, typer.Option("--role", help="Name of the service's role.", metavar="NAME")
        ] = "tradefleet_app",
        password: Annotated[
            str | None,
            typer.Option(
                "--password",
                help="Its password; asked for when the role is new and nobody says one.",
                envvar="POSTGRES_APP_PASSWORD",
                show_envvar=True,
            ),
        ] = None,
        db: OwnerOption = None,
    ) -> None:
        """Let the service use PostgreSQL as a role that owns nothing: make it, grant it rows."""
        with edge():
            asked = password if password is not None else ask_password(role)
            for line in asyncio.run(parts.set_up_role(db, role, asked)):
                typer.echo(line)

    @group.command()
    def move(
        source: Annotated[
            str, typer.Option("--from", help="Address of the database there is.", metavar="URL")
        ],
        target: Annotated[
            str,
            typer.Option("--to", help="Address of the one to move to, empty.", metavar="URL"),
        ],
    ) -> None:
        """Move everything into another database, SQLite or PostgreSQL, and check every row."""
        with edge():
            asyncio.run(parts.move_database(source, target, typer.echo))

    @group.command()
    def reopen(db: DatabaseOption = None) -> None:
        """Use a database again that was moved away; what happened in the other is not in it."""
        say(parts.reopen_database, db)


def ask_password(role: str) -> str | None:
    """Ask for a password where somebody can answer; none is as good as one where nobody can."""
    if not sys.stdin.isatty():
        return None
    asked: str = typer.prompt(f"Password of {role} (empty: leave it as it is)", "", hide_input=True)
    return asked or None


def say(work: Callable[[str | None], Awaitable[str]], db: str | None) -> None:
    async def done() -> str:
        return await work(db)

    with edge():
        typer.echo(asyncio.run(done()))
