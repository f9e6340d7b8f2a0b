"""`tradefleet chat`: speak to the service as a user, with the very commands of every surface."""

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tradefleet.command import AnyCommand, Attachment, Reply
from tradefleet.dispatcher import Dispatcher, name_and_words, read_request
from tradefleet.domain.errors import NeedsProof, Refused, StoreUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.drawing import draw
from tradefleet.second_factor import DIGITS
from tradefleet.surfaces.cli.edge import complain, edge
from tradefleet.surfaces.cli.parts import DatabaseOption, Parts

UNFIT = re.compile(r"[^a-z0-9_.:-]+")
NAME_MAX = 64


def add(app: typer.Typer, parts: Parts) -> None:
    @app.command()
    def chat(
        user: Annotated[str, typer.Option(help="Who speaks; /start registers them.")],
        message: Annotated[
            list[str] | None,
            typer.Argument(help='One message, like "/addpair BTC/USDT 1000". [default: ask]'),
        ] = None,
        db: DatabaseOption = None,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm what asks for it.")] = False,
    ) -> None:
        """Send a message as a user, or hold a conversation; reads lines when piped."""
        with edge(), asyncio.Runner() as runner:
            asks = not message and sys.stdin.isatty()
            messages = iter([" ".join(message)]) if message else lines(asks=asks)
            talk = Talk(runner, user, yes=yes, asks=asks)
            refused = talk.hold(parts, db, messages)
        if refused and not asks:
            raise typer.Exit(1)


def user_id_of(name: str) -> UserId:
    """Return the id of the user a person calls by name: "First User" is first_user."""
    slug = UNFIT.sub("_", name.strip().lower()).strip("_")
    if not slug or len(slug) > NAME_MAX:
        raise Refused(f"A user's name has 1 to {NAME_MAX} letters or digits.")
    return UserId(slug)


def lines(*, asks: bool) -> Iterator[str]:
    """Yield what is typed, or piped in, until it ends; blank lines and # comments are nothing."""
    while True:
        try:
            line = input("> " if asks else "").strip()
        except EOFError:
            return
        if line and not line.startswith("#"):
            yield line


class Talk:
    """One user's conversation with the dispatcher."""

    def __init__(self, runner: asyncio.Runner, user: str, *, yes: bool, asks: bool) -> None:
        self._runner = runner
        self._user_id = user_id_of(user)
        self._username = user.strip()
        self._yes = yes
        self._asks = asks
        self._waiting: tuple[str, list[str]] | None = None  # for the second factor

    def hold(self, parts: Parts, db: str | None, messages: Iterator[str]) -> bool:
        """Answer every message; return whether one was refused."""
        refused = False
        stack = AsyncExitStack()
        try:
            dispatcher = self._runner.run(stack.enter_async_context(parts.open_door(db)))
            for message in messages:
                refused |= not self._answer(dispatcher, message)
        finally:
            self._runner.run(stack.aclose())
        return refused

    def _answer(self, dispatcher: Dispatcher, message: str) -> bool:
        """Print the answer to one message; return whether it was done."""
        name, words = name_and_words(message)
        try:
            self._confirm(dispatcher, name, words)
            reply = self._runner.run(self._run(dispatcher, name, words))
        except (Refused, StoreUnavailable) as refusal:
            complain(str(refusal))
            return False
        if reply.refused:
            complain(draw(reply))
        else:
            typer.echo(draw(reply))
        for attachment in reply.attachments:
            typer.echo(keep(attachment))
        if self._asks:
            for step in reply.steps:
                typer.echo(f"  {step.label}: {step.message}")
        return not reply.refused

    async def _run(self, dispatcher: Dispatcher, name: str, words: list[str]) -> Reply:
        """Run a command; digits of a second factor are asked for, or are the next line."""
        ask = partial(dispatcher.run, self._user_id, username=self._username, surface="cli")
        waiting, self._waiting = self._waiting, None
        try:
            if waiting and not words and len(name) == DIGITS and name.isdigit():
                name, words, proof = *waiting, name
                return await ask(name, words, proof=proof)
            return await ask(name, words)
        except NeedsProof:
            self._waiting = (name, words)
            raise

    def _confirm(self, dispatcher: Dispatcher, name: str, words: list[str]) -> None:
        """Let the user say yes to a dangerous command."""
        command = dispatcher.find(name)
        if command is None or self._yes or not is_risky(command, words):
            return
        if not self._asks:
            raise Refused(f"/{command.name} wants a confirmation; add --yes.")
        if not typer.confirm(f"{command.summary}. Go on?"):
            raise Refused("Nothing was done.")


def keep(attachment: Attachment) -> str:
    """Put a reply's file where it can be opened, and say where that is."""
    folder = Path(tempfile.mkdtemp(prefix="tradefleet-"))
    file = folder / attachment.name
    file.write_bytes(attachment.content)
    return f"  {attachment.name}: {file}"


def is_risky(command: AnyCommand, words: list[str]) -> bool:
    """Say whether what was typed is to be confirmed; the dispatcher says what is wrong with it."""
    if command.dangerous_if is None:
        return command.dangerous
    try:
        return command.asks_first(read_request(command, words))
    except Refused:
        return False
