"""The edge of the command line: whatever goes wrong inside becomes a message and an exit code."""

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from tradefleet.domain.errors import TradefleetError

logger = logging.getLogger(__name__)


@contextmanager
def edge() -> Iterator[None]:
    """Tell what went wrong on stderr and leave with exit code 1; never show a traceback.

    Not even the log has the words of a fault of ours, which may hold a key: only where it was.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the edge: nothing behind it could catch this
        cause = first_of(error)
        complain(text_of(cause))
        if not isinstance(cause, TradefleetError):
            frames = "".join(traceback.format_tb(cause.__traceback__))
            logger.debug("what ended the command: %s\n%s", type(cause).__name__, frames)
        raise typer.Exit(1) from None


def first_of(error: BaseException) -> BaseException:
    """Return the first cause when tasks failed together: what stopped the others."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def text_of(error: BaseException) -> str:
    """Return what to say; of a fault of ours only its kind, for its text may hold anything."""
    if isinstance(error, TradefleetError):
        return str(error)
    if isinstance(error, OSError) and error.errno:  # the machine's words: no room, no right
        place = f"{error.filename}: " if isinstance(error.filename, str | Path) else ""
        return f"{place}{os.strerror(error.errno)}."
    return f"Something went wrong inside tradefleet ({type(error).__name__})."


def complain(text: str) -> None:
    """Write a message on stderr."""
    typer.echo(text, err=True)
