"""The command line: `tradefleet chat`, `tradefleet db`, `tradefleet config` and the like."""

from importlib.metadata import version
from typing import Annotated

import typer

from tradefleet.surfaces.cli import (
    accounts,
    audit,
    backup,
    bench,
    chat,
    check,
    config,
    db,
    doctor,
    import_single_user,
    privacy,
    replay,
    serve,
    users,
    vault,
)
from tradefleet.surfaces.cli.parts import Parts

# Each adds one command, or one group of them: add(app, parts).
COMMANDS = (
    serve.add,
    chat.add,
    accounts.add,
    check.add,
    users.add,
    vault.add,
    audit.add,
    replay.add,
    bench.add,
    db.add,
    import_single_user.add,
    backup.add,
    privacy.add,
    config.add,
    doctor.add,
)


def build_app(parts: Parts) -> typer.Typer:
    """Build the program; parts is what its commands run on."""
    app = typer.Typer(
        name="tradefleet",
        help="Trading bots for many users, on one machine or on many.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def tradefleet(
        show_version: Annotated[
            bool,
            typer.Option("--version", help="Say the version.", callback=say_version, is_eager=True),
        ] = False,
    ) -> None:
        """Take the options that stand before any command."""

    for add in COMMANDS:
        add(app, parts)
    return app


def say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tradefleet {version('tradefleet')}")
        raise typer.Exit
