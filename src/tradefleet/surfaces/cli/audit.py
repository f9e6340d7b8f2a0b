"""`tradefleet audit verify`: look the audit log through, and say what is not as it was written."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tradefleet.drawing import as_json
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="The audit log.")
    app.add_typer(group, name="audit")

    @group.callback()
    def audit() -> None:
        """Keep this a group, though it has one command so far."""

    @group.command()
    def verify(
        user: Annotated[
            str | None,
            typer.Option(help="One user's chain only, beside the service's own; *: that alone."),
        ] = None,
        checkpoint: Annotated[
            Path | None,
            typer.Option(
                help="A file of checkpoints to hold the log to: AUDIT_CHECKPOINT_FILE, or a copy.",
                metavar="FILE",
            ),
        ] = None,
        as_data: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Verify every chain; exit code 1 when a line was changed, added, moved or removed."""
        with edge():
            report = asyncio.run(parts.verify_audit(db, user, checkpoint))
            typer.echo(as_json(report.data()) if as_data else "\n".join(report.told()))
            if not report.is_well:
                raise typer.Exit(1)
