"""`tradefleet doctor`: look at everything the operator's guide speaks of, and tell the cures."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tradefleet.domain.errors import TradefleetError
from tradefleet.operations.doctor.finding import Check, Finding, Level, problem, worst
from tradefleet.settings import ENV_FILE
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts
from tradefleet.surfaces.cli.screen import screen

logger = logging.getLogger(__name__)

PATIENCE = 120.0  # seconds for one look
EXIT = {Level.OK: 0, Level.WARNING: 1, Level.PROBLEM: 2}
MARKS = {Level.OK: ("✅", ""), Level.WARNING: ("⚠️", "yellow"), Level.PROBLEM: ("❌", "red")}


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def doctor(
        as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
        env_file: Annotated[Path, typer.Option(help="Read this file in place of .env.")] = ENV_FILE,
        db: DatabaseOption = None,
    ) -> None:
        """Look at this machine, the database and all that is spoken to, and tell the cures.

        It changes nothing, and may be run beside a running service. Exit code 0: all is well,
        1: there are warnings, 2: there are problems.
        """
        with edge():
            findings = asyncio.run(looked(parts, db, env_file))
            typer.echo(written_as_json(findings)) if as_json else draw(findings)
        raise typer.Exit(EXIT[worst(findings)])


async def looked(parts: Parts, db: str | None, env_file: Path) -> list[Finding]:
    async with parts.doctor(db, env_file) as checks:
        return [finding async for finding in findings_of(checks)]


async def findings_of(checks: Sequence[Check]) -> AsyncIterator[Finding]:
    """Yield what each look comes to; one that fails is a problem, and the others go on."""
    for check in checks:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await check.look()
        except TimeoutError:
            found = [problem(check.name, f"no answer within {PATIENCE:.0f} s", "see the log")]
        except TradefleetError as error:
            found = [problem(check.name, str(error), "")]
        except Exception as error:  # noqa: BLE001 - the edge: one look's fault hides no other
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.debug("the look at %s failed: %s\n%s", check.name, type(error).__name__, frames)
            text = f"it could not be looked at ({type(error).__name__})"
            found = [problem(check.name, text, "tell whoever maintains this")]
        for finding in found:
            yield finding


def written_as_json(findings: Sequence[Finding]) -> str:
    told = {"status": worst(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(told, indent=2, ensure_ascii=False)


def draw(findings: Sequence[Finding]) -> None:
    console = screen()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=2)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = MARKS[finding.level]
        table.add_row(Text(mark), Text(finding.check, style), Text(finding.text))
        if finding.cure:
            table.add_row("", "", Text(f"→ {finding.cure}", "dim"))
    console.print(table)
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    console.print(f"\n{counts[Level.PROBLEM]} problems, {counts[Level.WARNING]} warnings")
