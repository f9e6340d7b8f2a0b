"""`tradefleet bench`: measure what this machine can carry, beside the figures to reach."""

import json
from typing import Annotated, Any, TypeAlias

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import Parts

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print only the JSON.")]


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="Measure this machine.")
    app.add_typer(group, name="bench")

    @group.command("hot-path")
    def hot_path(
        bots: Annotated[int, typer.Option(min=1, max=1_000_000)] = 10_000,
        symbols: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
        bars: Annotated[int, typer.Option(min=1, max=10_000, help="Bars that are timed.")] = 60,
        as_json: JsonOption = False,
    ) -> None:
        """Many paper bots on many symbols: decision latency, CPU and memory per bot."""
        with edge():
            show(parts.bench_hot_path(bots, symbols, bars), as_json)

    @group.command()
    def journal(
        intents: Annotated[int, typer.Option(min=100, max=10_000_000)] = 200_000,
        group_size: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
        as_json: JsonOption = False,
    ) -> None:
        """Durable intents per second on SQLite with synchronous=FULL, in groups."""
        with edge():
            show(parts.bench_journal(intents, group_size), as_json)

    @group.command()
    def backtest(
        bars: Annotated[int, typer.Option(min=200, max=5_000_000)] = 200_000,
        as_json: JsonOption = False,
    ) -> None:
        """Bars per second through the live strategy and engine objects."""
        with edge():
            show(parts.bench_backtest(bars), as_json)


def show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name, value in result.items():
        typer.echo(f"{name:<28} {value}")
