"""`tradefleet serve`: run the service until it is told to stop."""

from enum import StrEnum
from typing import Annotated

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.loop import run_on_loop
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


class Venues(StrEnum):
    """Which venues are run beside the service."""

    SIM = "sim"


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def serve(
        demo: Annotated[
            bool, typer.Option("--demo", help="Make three demo users with running bots.")
        ] = False,
        venues: Annotated[
            Venues | None,
            typer.Option(
                help="sim: run simulated Binance, Bybit and Kraken beside the service, which "
                "speaks their real protocols to them; with --demo the users' bots trade there.",
            ),
        ] = None,
        db: DatabaseOption = None,
    ) -> None:
        """Run bots, Telegram and HTTP in this process; Ctrl-C stops it cleanly."""
        with edge():
            run_on_loop(parts.serve(db, demo, venues is not None, typer.echo))
