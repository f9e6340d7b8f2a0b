"""`tradefleet bench`: measure what this machine can carry, beside the figures to reach."""

import json
from typing import Annotated, Any, TypeAlias

import typer

from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import Parts

FLOOR = "floor_"  # what a figure of the same name is held against
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

    @group.command()
    def accounts(
        users: Annotated[int, typer.Option(min=1, max=20_000)] = 1000,
        bots: Annotated[int, typer.Option(min=1, max=50, help="Bots of each user.")] = 3,
        symbols: Annotated[int, typer.Option(min=1, max=64)] = 50,
        as_json: JsonOption = False,
    ) -> None:
        """Connected accounts with private streams on a simulated venue: memory, CPU until ready."""
        with edge():
            show(parts.bench_accounts(users, bots, symbols), as_json)

    @group.command()
    def latency(
        bots: Annotated[int, typer.Option(min=1, max=20_000, help="Bots, one a user.")] = 1,
        moves: Annotated[
            int | None,
            typer.Option(
                min=2, max=10_000, help="Bars that make them order; 200 for one bot, 6 for more."
            ),
        ] = None,
        tls: Annotated[bool, typer.Option(help="Speak TLS with the simulated venue.")] = True,
        as_json: JsonOption = False,
    ) -> None:
        """From a bar on a simulated venue's stream to the orders that come back, written down."""
        with edge():
            show(parts.bench_latency(bots, moves or (200 if bots == 1 else 6), tls), as_json)

    @group.command()
    def orders(
        orders: Annotated[int, typer.Option(min=200, max=20_000, help="Orders each way.")] = 2000,
        as_json: JsonOption = False,
    ) -> None:
        """Orders per second of one core: our way, written down or not, ccxt's, the bare wire."""
        with edge():
            show(parts.bench_orders(orders), as_json)

    @group.command()
    def api(
        bots: Annotated[int, typer.Option(min=3, max=100_000, help="Bots, three a user.")] = 10_000,
        per_second: Annotated[int, typer.Option(min=1, max=20_000, help="Requests.")] = 1000,
        seconds: Annotated[float, typer.Option(min=1, max=3600)] = 70.0,
        as_json: JsonOption = False,
    ) -> None:
        """Signed-in users ask the API of a service on one core while everybody's bots run."""
        with edge():
            show(parts.bench_api(bots, per_second, seconds), as_json)

    @group.command()
    def live(
        clients: Annotated[int, typer.Option(min=1, max=20_000, help="One for each user.")] = 2000,
        as_json: JsonOption = False,
    ) -> None:
        """WebSocket clients of live events: memory of each, and how soon all are told."""
        with edge():
            show(parts.bench_live(clients), as_json)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print each figure, beside what is to be reached where there is such a thing."""
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name, value in result.items():
        if name.startswith(FLOOR) and name.removeprefix(FLOOR) in result:
            continue
        floor = result.get(f"{FLOOR}{name}")
        typer.echo(f"{name:<28} {value}" + (f"  (floor: {floor})" if floor is not None else ""))
