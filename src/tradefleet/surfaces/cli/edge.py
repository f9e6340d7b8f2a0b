"""The edge of the command line: whatever goes wrong inside becomes a message and an exit code."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tradefleet.domain.errors import TradefleetError

logger = logging.getLogger(__name__)


@contextmanager
def edge() -> Iterator[None]:
    """Tell what went wrong on stderr and leave with exit code 1; never show a traceback."""
    try:
        yield
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except TradefleetError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except Exception as error:  # a fault of ours: its text may hold anything, so only its kind
        logger.debug("a fault at the edge of the command line", exc_info=error)
        complain(f"Something went wrong inside tradefleet ({type(error).__name__}).")
        raise typer.Exit(1) from None


def complain(text: str) -> None:
    """Write a message on stderr."""
    typer.echo(text, err=True)
