"""`tradefleet serve`: run the service until it is told to stop."""

import asyncio
from typing import Annotated

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def serve(
        demo: Annotated[
            bool, typer.Option("--demo", help="Make three demo users with running bots.")
        ] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Run bots, Telegram and HTTP in this process; Ctrl-C stops it cleanly."""
        with edge():
            asyncio.run(parts.serve(db, demo, typer.echo))
