"""Where tables are drawn: as wide as the terminal, or wide enough where there is none."""

from rich.console import Console

PIPED_WIDTH = 200  # columns, where there is no terminal to ask


def screen() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)
