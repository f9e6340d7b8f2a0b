"""`tradefleet import-single-user`: what a program for one user kept becomes one user's here."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.money import parse_amount
from tradefleet.operations.single_user.files import read_tables
from tradefleet.operations.single_user.importing import Choices
from tradefleet.operations.single_user.shapes import read_bot
from tradefleet.surfaces.cli.chat import user_id_of
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command("import-single-user")
    def import_single_user(
        file: Annotated[
            Path, typer.Argument(help="SQLite file or JSON with bot_state, and what is beside it.")
        ],
        user: Annotated[str, typer.Option("--user", help="Whose it becomes; they exist already.")],
        apply: Annotated[
            bool, typer.Option("--apply", help="Write it; without it only what would be is shown.")
        ] = False,
        symbol: Annotated[
            str | None, typer.Option("--symbol", help="The pair, where the file does not say it.")
        ] = None,
        strategy: Annotated[
            str, typer.Option("--strategy", help="What the pairs are traded by from now on.")
        ] = "apex",
        timeframe: Annotated[str, typer.Option("--timeframe", help="On which bars.")] = "5m",
        stop_percent: Annotated[
            str | None,
            typer.Option(
                "--stop-percent", help="Stop of a position that has none, below its entry."
            ),
        ] = None,
        db: DatabaseOption = None,
    ) -> None:
        """Take over pairs, balances, positions with their stops and trades of one user."""
        with edge():
            old = read_bot(read_tables(file), None if symbol is None else Symbol.parse(symbol))
            choices = Choices(
                strategy=strategy,
                timeframe=Timeframe.parse(timeframe),
                stop_percent=percent_of(stop_percent),
            )
            work = parts.import_single_user(db, user_id_of(user), old, choices, apply)
            for line in asyncio.run(work):
                typer.echo(line)


def percent_of(text: str | None) -> Decimal | None:
    return None if text is None else parse_amount(text.rstrip("%"), "percentage")
