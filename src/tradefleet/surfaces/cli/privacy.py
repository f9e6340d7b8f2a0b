"""`tradefleet privacy`: a user's archive, erasures, and what was kept long enough."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tradefleet.domain.errors import Refused
from tradefleet.surfaces.cli.chat import user_id_of
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts

User = Annotated[str, typer.Argument(help="The user's id; First User is first_user.")]


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="Users' data: archives, erasures, retention.")
    app.add_typer(group, name="privacy")
    add_users(group, parts)

    @group.command()
    def retention(
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Remove nothing; say what would go.")
        ] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Remove what was kept long enough, as the service does each night."""
        with edge():
            asyncio.run(parts.retain(db, dry_run, typer.echo))

    @group.command()
    def erasures(db: DatabaseOption = None) -> None:
        """List who was erased, by pseudonym."""
        with edge():
            asyncio.run(parts.list_erasures(db, typer.echo))

    @group.command()
    def scrub(db: DatabaseOption = None) -> None:
        """Write an SQLite file anew, so that nothing deleted is left in it; others wait."""
        with edge():
            asyncio.run(parts.scrub(db, typer.echo))


def add_users(group: typer.Typer, parts: Parts) -> None:
    @group.command()
    def export(
        user: User,
        out: Annotated[Path, typer.Option("--out", help="The ZIP file to write.")],
        reason: Annotated[
            str, typer.Option("--reason", help="Why; the user reads it in their own log.")
        ],
        db: DatabaseOption = None,
    ) -> None:
        """Write all that is kept of a user into an archive."""
        with edge():
            if out.exists():
                raise Refused(f"{out} is there already; name another file.")
            asyncio.run(parts.export_user(db, user_id_of(user), out, reason, typer.echo))

    @group.command()
    def erase(
        user: User,
        reason: Annotated[
            str, typer.Option("--reason", help="Why; it is kept, so name nobody in it.")
        ],
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Erase a user who has nothing open; their trades are kept under a pseudonym."""
        with edge():
            if not yes and not typer.confirm(f"Erase {user}, for good?"):
                raise Refused("Nothing was done.")
            asyncio.run(parts.erase_user(db, user_id_of(user), reason, typer.echo))
