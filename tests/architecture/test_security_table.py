"""The ASVS table in docs/security.md is whole, and every test it names as a proof exists."""

import ast
import re
from collections import Counter
from functools import cache

import pytest

from tests.architecture.test_house_rules import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
ROW = re.compile(r"^\| (\d+\.\d+\.\d+(?:-\d+\.\d+\.\d+)?) \| ([a-z/ ]+) \| (.+) \| (.*) \|$", re.M)
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# How many requirements each section of ASVS 5.0.0 has in its levels 1 and 2: the first ones of it.
SECTIONS = (
    "1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 "
    "4.2:1 4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 "
    "7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 "
    "10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 "
    "13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 "
    "16.4:3 16.5:3 17.1:1 17.2:4 17.3:2"
)
REQUIREMENTS = [
    f"{section}.{number + 1}"
    for section, many in (each.split(":") for each in SECTIONS.split())
    for number in range(int(many))
]
STATES = {"met", "partly", "not yet", "n/a"}


def ids_of(cell: str) -> list[str]:
    """Return the requirements a row is about: one, or all from one to another."""
    first, _, last = cell.partition("-")
    start = REQUIREMENTS.index(first)
    return REQUIREMENTS[start : REQUIREMENTS.index(last or first) + 1]


@cache
def named_in(path: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    nodes = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, nodes)}


def test_every_requirement_of_both_levels_stands_in_the_table_once_and_in_order():
    assert len(REQUIREMENTS) == 253
    listed = [each for row in ROW.findall(PAGE) for each in ids_of(row[0])]
    assert listed == REQUIREMENTS


def test_a_state_is_one_of_four():
    assert {row[1] for row in ROW.findall(PAGE)} <= STATES


def test_what_is_said_to_be_met_names_a_test():
    bare = [row[0] for row in ROW.findall(PAGE) if row[1] == "met" and not PROOF.search(row[3])]
    assert bare == []


@pytest.mark.parametrize("path", sorted({path for path, _ in PROOF.findall(PAGE)}))
def test_every_test_that_is_named_as_a_proof_exists(path):
    named = {test for file, test in PROOF.findall(PAGE) if file == path}
    assert (ROOT / path).exists(), path
    assert named - named_in(path) == set(), f"{path} has no such tests: mend docs/security.md"


def test_a_proof_that_does_not_exist_would_be_seen():
    assert "test_a_state_is_one_of_four" in named_in("tests/architecture/test_security_table.py")
    assert "test_of_nothing" not in named_in("tests/architecture/test_security_table.py")


def test_what_is_not_yet_done_is_said_in_words():
    open_ones = [row for row in ROW.findall(PAGE) if row[1] in ("partly", "not yet")]
    assert [row[0] for row in open_ones if len(row[2]) < 20] == []
    assert Counter(row[1] for row in ROW.findall(PAGE))["met"] > 100
