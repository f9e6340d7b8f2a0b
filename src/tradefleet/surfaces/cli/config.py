"""`tradefleet config check`: show every setting, where it comes from, and what is wrong."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tradefleet.operations.doctor.configuration import warnings_of
from tradefleet.settings import ENV_FILE, Fault, Inspection, inspect_settings
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import Parts
from tradefleet.surfaces.cli.screen import screen


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="The configuration.")
    app.add_typer(group, name="config")

    @group.callback()
    def config() -> None:
        """The configuration."""

    @group.command()
    def check(
        as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
        env_file: Annotated[Path, typer.Option(help="Read this file in place of .env.")] = ENV_FILE,
    ) -> None:
        """Show all settings, secrets hidden, and every problem with its cure.

        Exit code 1 when there is a problem, with which the service does not start; it does with
        what it is warned of.
        """
        with edge():
            inspection = inspect_settings(env_file)
            warnings = warnings_of(inspection.settings)
            if as_json:
                typer.echo(written_as_json(inspection, warnings))
            else:
                draw(inspection, warnings)
        if inspection.faults:
            raise typer.Exit(1)


def written_as_json(inspection: Inspection, warnings: Sequence[Fault]) -> str:
    return json.dumps(
        {
            "ok": not inspection.faults,
            "variables": [asdict(each) for each in inspection.variables],
            "problems": [asdict(fault) for fault in inspection.faults],
            "warnings": [asdict(each) for each in warnings],
            "hints": list(inspection.hints),
        },
        indent=2,
        ensure_ascii=False,
    )


def draw(inspection: Inspection, warnings: Sequence[Fault]) -> None:
    console = screen()
    faulty = {fault.name for fault in inspection.faults}
    table = Table(box=None, pad_edge=False)
    for column in ("Variable", "Value", "From"):
        table.add_column(column, overflow="fold")
    for variable in inspection.variables:
        style = "red" if variable.name in faulty else ""
        row = Text(variable.name, style), Text(variable.value), Text(variable.source, "dim")
        table.add_row(*row)
    console.print(table)
    for fault in inspection.faults:
        console.print(Text(f"\n❌ {fault.name}: {fault.text}", "red"))
    for each in warnings:
        console.print(Text(f"\n⚠️ {each.name}: {each.text}", "yellow"))
    for hint in inspection.hints:
        console.print(Text(f"\n💡 {hint}", "yellow"))
    if not inspection.faults:
        console.print("\n✅ No problems.")
