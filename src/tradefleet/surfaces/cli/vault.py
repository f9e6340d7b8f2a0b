"""`tradefleet vault`: rotate the master key of the vault, or see that all in it can be opened."""

import asyncio
from collections.abc import Awaitable, Callable

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts, VaultReport


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="The vault of exchange keys.")
    app.add_typer(group, name="vault")

    @group.command()
    def rotate(db: DatabaseOption = None) -> None:
        """Wrap every user's key under the first key of ENCRYPTION_KEY, beside a running service."""
        say(parts.rotate_vault, db)

    @group.command()
    def check(db: DatabaseOption = None) -> None:
        """Try to open everything that is kept; exit code 1 when something cannot be."""
        say(parts.check_vault, db)


def say(work: Callable[[str | None], Awaitable[VaultReport]], db: str | None) -> None:
    async def done() -> VaultReport:
        return await work(db)

    with edge():
        report = asyncio.run(done())
        typer.echo("\n".join(report.lines))
        if not report.is_well:
            raise typer.Exit(1)
