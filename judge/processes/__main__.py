"""Runs L2 by itself: python -m judge.processes --seconds 60 --database sqlite|postgres|both."""

import argparse
import sys

import orjson

from judge.processes.running import run_whole
from judge.verdict import judge


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m judge.processes")
    words.add_argument("--seconds", type=float, default=60.0)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    said = words.parse_args()
    databases = ("sqlite", "postgres") if said.database == "both" else (said.database,)
    clean = True
    for database in databases:
        ran = run_whole(said.seconds, said.seed, database, say=say)
        verdict = judge(ran.evidence)
        clean &= verdict.is_clean
        told = {
            "database": database,
            "figures": ran.figures,
            "counters": dict(verdict.counters),
            "findings": [str(each) for each in verdict.findings[:20]],
        }
        sys.stdout.write(
            orjson.dumps(told, option=orjson.OPT_INDENT_2, default=str).decode() + "\n"
        )
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
