"""`tradefleet backup`, `restore` and `drill`: sealed copies of the whole database, and back."""

import asyncio
from typing import Annotated

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def backup(
        only_list: Annotated[
            bool, typer.Option("--list", help="Make none; show those in BACKUP_DIR.")
        ] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Make a sealed backup beside a running service, and try it out."""
        with edge():
            if only_list:
                parts.list_backups(db, typer.echo)
            else:
                asyncio.run(parts.make_backup(db, typer.echo))

    @app.command()
    def restore(
        name: Annotated[
            str,
            typer.Argument(
                metavar="BACKUP", help="A file, the name of one in BACKUP_DIR, or latest."
            ),
        ],
        force: Annotated[
            bool,
            typer.Option(
                "--force", help="Also over a newer database; PostgreSQL: turn out who is connected."
            ),
        ] = False,
        compare: Annotated[
            bool,
            typer.Option(
                "--compare/--no-compare", help="Ask the venues what happened since the backup."
            ),
        ] = True,
        db: DatabaseOption = None,
    ) -> None:
        """Put a backup in place of the database; it allows exits only until you say otherwise."""
        with edge():
            asyncio.run(parts.restore(db, name, force, compare, typer.echo))

    @app.command()
    def drill(db: DatabaseOption = None) -> None:
        """Make a backup, restore it beside, check it; print what a loss would cost."""
        with edge():
            asyncio.run(parts.drill(db, typer.echo))
