"""The page about order safety says what the recorded runs came to, and nothing by hand."""

import json

import pytest

from judge.figures import KEPT, PAGE, filled, main, record, recorded
from judge.finding import COUNTERS
from judge.report import as_json
from judge.verdict import judge
from tests.judge.made import traded

EMPTY = "# A page\n<!-- judge: figures -->\n<!-- end of figures -->\nMore.\n"


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.json"
    more = {"seeds": [1, 2], "seconds": 59.6, "mutants": {"found": 20, "tried": 20, "by": {}}}
    path.write_bytes(as_json(judge(traded().end()), **more))
    return path


def test_the_page_is_as_the_recorded_runs_are():
    page = PAGE.read_text()
    assert "<!-- judge: figures -->" in page
    assert "<!-- judge: counters -->" in page
    assert filled(page, recorded()) == page, "run python -m judge.figures"


def test_every_counter_stands_on_the_page():
    page = PAGE.read_text()
    assert [name for name in COUNTERS if f"| `{name}` |" not in page] == []


def test_what_is_recorded_is_small_and_has_no_findings():
    if KEPT.exists():
        assert KEPT.stat().st_size < 20_000
        assert "findings" not in KEPT.read_text()


def test_a_run_is_recorded_under_its_name_beside_the_others(tmp_path, run_file):
    path, page = tmp_path / "kept.json", tmp_path / "page.md"
    page.write_text(EMPTY)
    run = json.loads(run_file.read_bytes())
    record({"one process": run}, path=path, page=page)
    record({"several processes": {**run, "orders": 3123}}, path=path, page=page)
    text = page.read_text()
    assert "|  | one process | several processes |" in text
    assert "| seeds | 2 | 2 |" in text
    assert "| seconds it took | 60 | 60 |" in text
    assert "| orders accepted | 8 | 3,123 |" in text
    assert "| crashes | 2 | 2 |" in text
    assert f"| **what must be zero** | 0 in all {len(COUNTERS)} |" in text
    assert "| faults put in on purpose that were found | 20 of 20 | 20 of 20 |" in text
    assert "1 of 4, each 0 times or more" in text
    assert text.endswith("More.\n")
    assert set(recorded(path)) == {"one process", "several processes"}


def test_a_counter_that_is_not_zero_is_named_on_the_page(tmp_path, run_file):
    run = json.loads(run_file.read_bytes())
    run["must_be_zero"]["lost_fills"] = 1234
    record({"bad": run}, path=tmp_path / "k", page=_page(tmp_path))
    assert "| **what must be zero** | `lost_fills` 1,234 |" in (tmp_path / "p").read_text()


def _page(tmp_path):
    (tmp_path / "p").write_text(EMPTY)
    return tmp_path / "p"


def test_without_a_run_the_page_says_how_to_record_one():
    assert "No run is recorded yet" in filled(EMPTY, {})


def test_a_file_without_a_name_is_refused(run_file):
    assert main([str(run_file)]) == 2
