"""Print how many small changes of the modules that guard money and orders no test notices.

A copy of the working tree is mutated, one operator, constant or argument at a time, and the
tests that run the changed function are run against it: make mutation-score. What survives is
printed with its change. Works in build/mutation, which may be deleted at any time.

The state machines of tests/properties are left out: a mutant that only they would find would be
found after minutes, while they make its story short.
"""

import argparse
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "mutation"
MODULES = (
    "domain/order.py",
    "domain/ledger.py",
    "domain/position.py",
    "engine/order_life.py",
    "engine/reconcile.py",
    "stores/_gate.py",
)
TESTS = (
    "tests/unit/test_order_life.py",
    "tests/unit/test_ledger.py",
    "tests/unit/test_position.py",
    "tests/unit/test_reconcile.py",
    "tests/contract/test_every_store_journal.py",
    "tests/properties/test_fine_points.py",
)
NOTICED = ("killed", "timeout", "segfault", "suspicious", "caught by type check")
SETTINGS = """

[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-k", "not postgres"]
timeout_multiplier = 10
timeout_constant = 5.0
use_git_change_detection = false
use_setproctitle = false
"""


def prepared(modules: list[str]) -> None:
    """Put a fresh copy of what is needed in place."""
    shutil.rmtree(PLACE, ignore_errors=True)
    for folder in ("src", "tests"):
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, PLACE / folder, ignore=left_out)
    written = SETTINGS.format(
        modules=[f"src/tradefleet/{name}" for name in modules], tests=list(TESTS)
    )
    settings = (ROOT / "pyproject.toml").read_text() + written
    (PLACE / "pyproject.toml").write_text(settings)


def mutmut(*words: str) -> str:
    """Return what mutmut says; it is run by the Python that runs this."""
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *words],
        cwd=PLACE,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


def fates() -> dict[str, str]:
    """Return what became of each mutant: name to word."""
    lines = [line.strip() for line in mutmut("results", "--all", "true").splitlines()]
    parts = [line.rpartition(": ") for line in lines if "__mutmut_" in line]
    return {mutant: fate for mutant, _, fate in parts}


def module_of(mutant: str) -> str:
    """Return the file of a mutant called tradefleet.domain.ledger.x_function__mutmut_3."""
    parts = mutant.split(".x", 1)[0].split(".")[1:]
    return "/".join(parts) + ".py"


def change_of(mutant: str) -> str:
    lines = mutmut("show", mutant).splitlines()
    return "\n".join(f"    {line}" for line in lines if line[:2] in ("- ", "+ "))


def report(found: dict[str, str]) -> int:
    """Print the score of each module and what survived; return how many did."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, fate in found.items():
        counts[module_of(mutant)]["noticed" if fate in NOTICED else fate] += 1
    print(f"{'module':26}{'mutants':>8}{'noticed':>8}{'survived':>9}{'untested':>9}{'score':>8}")
    total = Counter[str]()
    for module, count in [*sorted(counts.items()), ("all", total)]:
        there = sum(count.values())
        missed = count["no tests"]
        survived = there - count["noticed"] - missed
        share = f"{count['noticed'] / there:.1%}" if there else "-"
        print(f"{module:26}{there:8}{count['noticed']:8}{survived:9}{missed:9}{share:>8}")
        total += count
    left = [mutant for mutant, fate in found.items() if fate not in NOTICED]
    for mutant in left:
        print(f"\n{found[mutant]}: {mutant}\n{change_of(mutant)}")
    return len(left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="below src/tradefleet/")
    parser.add_argument("--shown-only", action="store_true", help="of the last run")
    words = parser.parse_args()
    if not words.shown_only:
        prepared(list(words.modules))
        said = mutmut("run", "--max-children", "1")
        (PLACE / "run.log").write_text(said)
    found = fates()
    if not found:
        sys.exit(f"no mutant was tried; {PLACE.relative_to(ROOT)}/run.log says why")
    report(found)


if __name__ == "__main__":
    main()
