"""Runs L2 by itself: python -m judge.processes --seconds 60 --database sqlite|postgres|both."""

import argparse
import sys
from pathlib import Path

from judge.processes.command import DATABASES, SECONDS, play


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m judge.processes")
    words.add_argument("--seconds", type=float, default=SECONDS)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--database", choices=tuple(DATABASES), default="both")
    words.add_argument("--json", type=Path, help="where the figures go")
    said = words.parse_args()
    return play(said.seconds, said.seed, said.database, said.json, say)


if __name__ == "__main__":
    sys.exit(main())
