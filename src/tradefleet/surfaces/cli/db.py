"""`tradefleet db`: make the database what this version needs, or say whether it is."""

import asyncio
from collections.abc import Awaitable, Callable

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


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


def say(work: Callable[[str | None], Awaitable[str]], db: str | None) -> None:
    async def done() -> str:
        return await work(db)

    with edge():
        typer.echo(asyncio.run(done()))
