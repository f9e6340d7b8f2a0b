"""The verdict is a stranger to what it judges: it imports nothing of the service or of the runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JUDGE = ROOT / "judge"
VERDICT = sorted([
    *(JUDGE / f"{name}.py" for name in (
        "case", "coverage", "databases", "evidence", "figures", "finding", "journals", "liveness",
        "report", "story", "verdict",
    )),
    *(JUDGE / "checks").glob("*.py"),
])  # fmt: skip
ALLOWED = {
    "judge": {path.stem for path in VERDICT} | {"checks"},
    "venuesim": {"journal"},
}


def imported(path: Path) -> set[tuple[str, str]]:
    """Return package and module of everything a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            package, _, rest = name.partition(".")
            modules = [rest.partition(".")[0]]
            if not rest and isinstance(node, ast.ImportFrom):
                modules = [alias.name for alias in node.names]
            found |= {(package, module) for module in modules}
    return found


@pytest.mark.parametrize("path", VERDICT, ids=lambda path: path.stem)
def test_a_part_of_the_verdict_knows_neither_the_service_nor_the_runs(path):
    ours = {
        pair for pair in imported(path) if pair[0] in ("tradefleet", "tests", "judge", "venuesim")
    }
    assert [pair for pair in ours if pair[1] not in ALLOWED.get(pair[0], ())] == []


def test_nothing_of_the_service_is_loaded_when_a_verdict_is_given():
    text = (
        "import sys, judge.verdict, judge.databases, judge.report, judge.story\n"
        "sys.exit(sum(name.partition('.')[0] == 'tradefleet' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0
