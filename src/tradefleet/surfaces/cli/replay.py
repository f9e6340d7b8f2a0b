"""`tradefleet replay` and `tradefleet backtest`: play recorded bars, and say what came of it."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from tradefleet.domain.errors import Refused
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.cli.parts import Parts
from tradefleet.surfaces.cli.play_request import PlayRequest, read_params

PROGRESS_EVERY = 50  # bars

File: TypeAlias = Annotated[
    Path, typer.Argument(help="Bars: CSV or CSV.gz with opened_at,open,high,low,close,volume.")
]
SymbolOption: TypeAlias = Annotated[str, typer.Option(help="What the bars are of, like ETH/BTC.")]
TimeframeOption: TypeAlias = Annotated[str, typer.Option(help="Length of a bar, like 5m.")]
StrategyOption: TypeAlias = Annotated[str, typer.Option(help="apex, ema_cross or another one.")]
BalanceOption: TypeAlias = Annotated[str, typer.Option(help="What each bot has, in quote.")]
BotsOption: TypeAlias = Annotated[int, typer.Option(help="How many bots, each of its own user.")]
ParamOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--param", help="name=value of strategy or market; again for more."),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print only the JSON.")]


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def replay(
        file: File,
        symbol: SymbolOption,
        timeframe: TimeframeOption,
        balance: BalanceOption,
        strategy: StrategyOption = "apex",
        bots: BotsOption = 1,
        db: Annotated[
            str, typer.Option(metavar="URL", help="Keep everything here. [default: memory]")
        ] = "",
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on with the replay in --db.")
        ] = False,
        pace: Annotated[float, typer.Option(help="Seconds to wait after each bar.")] = 0.0,
        param: ParamOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Play recorded bars through the live pipeline: feed, engine, journal, paper venue."""
        with edge():
            if not 0 <= pace <= 3600:
                raise Refused("--pace is the seconds per bar: from 0 to 3600.")
            if resume and not db:
                raise Refused("--resume goes on with the replay in a database: say --db too.")
            request = PlayRequest(
                file=file,
                symbol=symbol,
                timeframe=timeframe,
                strategy=strategy,
                balance=balance,
                bots=bots,
                db=db,
                resume=resume,
                pace=pace,
                params=read_params(param or []),
            )
            with progress_bar() as progress:
                result = asyncio.run(parts.replay(request, progress))
            show(result, as_json)

    @app.command()
    def backtest(
        file: File,
        symbol: SymbolOption,
        timeframe: TimeframeOption,
        balance: BalanceOption,
        strategy: StrategyOption = "apex",
        bots: BotsOption = 1,
        param: ParamOption = None,
        report: Annotated[
            Path | None, typer.Option(help="Write a report with charts to this HTML file.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Run strategy and engine over recorded bars at full speed: the trades of replay."""
        with edge():
            request = PlayRequest(
                file=file,
                symbol=symbol,
                timeframe=timeframe,
                strategy=strategy,
                balance=balance,
                bots=bots,
                params=read_params(param or []),
                report=report,
            )
            show(parts.backtest(request), as_json)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how far we are, on a terminal; elsewhere it does nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    columns = ("replay", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=None)

        def advance(done: int, total: int) -> None:
            if done % PROGRESS_EVERY == 0 or done == total:
                progress.update(task, completed=done, total=total)

        yield advance


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result: as JSON for programs, as tables for people."""
    if as_json:
        typer.echo(json.dumps(result))
        return
    console = Console()
    console.print(
        f"{result['bars']} bars, {result['gaps']} gaps, {result['signals']} signals, "
        f"{result['elapsed_s']} s"
    )
    for bot in result.get("bots", [result]):
        console.print(summary(bot))
    if "metrics" in result:
        console.print(figures(result["metrics"]))
    balanced = "balances to the last unit" if result["ledger_balanced"] else "DOES NOT BALANCE"
    console.print(f"The ledger {balanced}.")


def summary(bot: dict[str, Any]) -> Table:
    """Return one bot's trades and what it ended with."""
    final = bot["final"]
    table = Table(
        title=f"{bot.get('bot', 'trades')}: {len(bot['trades'])} trades",
        caption=f"quote {final['quote']}, base {final['base']}, equity {final['equity']}",
    )
    names = ("opened_at", "closed_at", "quantity", "entry_price", "exit_price", "pnl")
    for name in (*names, "exit_reason"):
        table.add_column(name, justify="left" if name.endswith(("_at", "reason")) else "right")
    for trade in bot["trades"][-20:]:
        table.add_row(*(trade[name] for name in names), trade["exit_reason"])
    return table


def figures(metrics: dict[str, Any]) -> Table:
    table = Table(title="metrics", show_header=False)
    for name, value in metrics.items():
        table.add_row(name, "-" if value is None else str(value))
    return table
