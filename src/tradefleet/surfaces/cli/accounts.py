"""`tradefleet accounts`: connect an exchange account of a user, or list theirs.

Key and secret are asked for without showing them, or come from the environment or stdin: never
from the command line, which other users of the machine can read.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from json import dumps
from typing import Annotated

import typer

from tradefleet.command import Reply
from tradefleet.domain.errors import Refused
from tradefleet.drawing import draw
from tradefleet.surfaces.cli.chat import user_id_of
from tradefleet.surfaces.cli.edge import complain, edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts

KEY_VARIABLE, SECRET_VARIABLE = "CONNECT_API_KEY", "CONNECT_API_SECRET"
NO_KEYS = (
    f"Say the key and the secret on two lines of stdin, or in {KEY_VARIABLE} and {SECRET_VARIABLE}."
)

UserOption = Annotated[str, typer.Option(help="Whose account it is, as with chat --user.")]


def add(app: typer.Typer, parts: Parts) -> None:
    group = typer.Typer(no_args_is_help=True, help="Exchange accounts of users.")
    app.add_typer(group, name="accounts")

    @group.command()
    def connect(
        user: UserOption,
        exchange: Annotated[str, typer.Option(help="binance, bybit, kraken, …")],
        live: Annotated[
            bool, typer.Option("--live", help="With real money; asks for a code to be typed.")
        ] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Connect an account; key and secret are asked for, or read from stdin or environment."""
        with edge():
            key, api_secret = keys()
            request = {"exchange": exchange, "api_key": key, "api_secret": api_secret}
            tell(asyncio.run(connected(parts, db, user, {**request, "testnet": not live})))

    @group.command("list")
    def show(user: UserOption, db: DatabaseOption = None) -> None:
        """List a user's accounts, keys masked."""
        with edge():
            tell(asyncio.run(listed(parts, db, user)))

    @group.command()
    def statement(
        account: Annotated[str, typer.Argument(help="Its id, as in alice:kraken:live.")],
        since: Annotated[
            datetime | None,
            typer.Option(help="From when on, in UTC. [default: the latest statement]"),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Every digit, for programs.")] = False,
        db: DatabaseOption = None,
    ) -> None:
        """Compare our books with the venue's own ledger now; exit code 1 when they disagree."""
        with edge():
            moment = since.replace(tzinfo=UTC) if since is not None else None
            told = asyncio.run(parts.statement(db, account, moment))
            typer.echo(dumps(told.data, indent=2) if as_json else draw(told.reply))
        if not told.is_well:
            raise typer.Exit(1)


def a_person_is_there() -> bool:
    return sys.stdin.isatty()


def keys() -> tuple[str, str]:
    """Return key and secret, from the environment, a person or stdin."""
    given = os.environ.get(KEY_VARIABLE, ""), os.environ.get(SECRET_VARIABLE, "")
    if not any(given) and a_person_is_there():
        given = (
            typer.prompt("API key", hide_input=True, err=True),
            typer.prompt("Secret", hide_input=True, err=True),
        )
    elif not any(given):
        key, _, api_secret = sys.stdin.read().strip().partition("\n")
        given = key.strip(), api_secret.strip()
    if not all(given):
        raise Refused(NO_KEYS)
    return given


async def connected(
    parts: Parts, db: str | None, user: str, request: Mapping[str, object]
) -> Reply:
    """Connect an account; a person at the terminal is let type the code of a live one at once."""
    async with parts.open_door(db) as dispatcher:
        reply = await dispatcher.run(user_id_of(user), "connect", request, surface="cli")
        if reply.refused or request["testnet"] or not a_person_is_there():
            return reply
        typer.echo(draw(reply))
        typed = typer.prompt("Type LIVE and the code, or nothing", default="", show_default=False)
        word, _, code = typed.strip().partition(" ")
        if not word:
            raise Refused("Nothing was connected.")
        confirmation = {"exchange": "confirm", "api_key": word, "api_secret": code.strip()}
        return await dispatcher.run(user_id_of(user), "connect", confirmation, surface="cli")


async def listed(parts: Parts, db: str | None, user: str) -> Reply:
    async with parts.open_door(db) as dispatcher:
        return await dispatcher.run(user_id_of(user), "accounts")


def tell(reply: Reply) -> None:
    """Print a reply; a refusal goes to stderr and ends with exit code 1."""
    if reply.refused:
        complain(draw(reply))
        raise typer.Exit(1)
    typer.echo(draw(reply))
