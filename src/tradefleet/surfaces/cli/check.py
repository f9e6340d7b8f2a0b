"""`tradefleet check`: look at what the service depends on, and change nothing."""

import asyncio

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(help="Look at what the service depends on.", no_args_is_help=True)
    app.add_typer(group, name="check")

    @group.callback()
    def check() -> None:
        """Look at what the service depends on."""

    @group.command()
    def connections(db: DatabaseOption = None) -> None:
        """Ask Kraken about the master's and the members' keys; exit code 0 all, 1 some, 2 none."""
        with edge():
            code = asyncio.run(parts.check_connections(db, typer.echo))
        raise typer.Exit(code)

    @group.command()
    def alerts(db: DatabaseOption = None) -> None:
        """Send a test to everybody alerts go to; exit code 0 all took it, 1 some, 2 none."""
        with edge():
            code = asyncio.run(parts.check_alerts(db, typer.echo))
        raise typer.Exit(code)
