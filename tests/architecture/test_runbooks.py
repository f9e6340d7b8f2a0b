"""The runbooks: every alert leads to one, and what they quote, link and run is really so."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.architecture.test_docs import names_in
from tests.architecture.test_house_rules import ROOT
from tradefleet import alerts
from tradefleet.plugins import find_plugins
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts

FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
INDEX = (FOLDER / "README.md").read_text()
GUIDE = (ROOT / "docs" / "operator-guide.md").read_text()
PARTS = [
    "How it is noticed",
    "First five minutes",
    "Diagnosis",
    "Cure",
    "How to know that it is over",
    "Afterwards",
]
ALERTS = find_plugins(alerts, "ALERT")
TITLES = {path.read_text().split("\n")[0].removeprefix("# "): path for path in PAGES}
QUOTES = ("| In the log | Means |", "| In the log, or as an answer | Means |", "| Refusal | Do |")
LINE = re.compile(r"^ *\.venv/bin/tradefleet (.*)$", re.MULTILINE)
KEY, NEXT_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def sources() -> str:
    return "".join(path.read_text() for path in (ROOT / "src" / "tradefleet").rglob("*.py"))


# ---- what a page is


@every_page
def test_a_runbook_goes_from_noticing_to_afterwards_and_says_how_it_was_tried(path):
    text = path.read_text()
    titles = [each for each in re.findall(r"^## (.+)$", text, re.MULTILINE) if each in PARTS]
    assert titles == PARTS
    assert "*Tried*" in text


@every_page
def test_a_runbook_stands_in_the_index(path):
    assert f"]({path.name})" in INDEX


def test_what_a_runbook_quotes_is_said_by_the_service():
    said, missing = sources(), []
    for text in (*(path.read_text() for path in PAGES), GUIDE):
        for header in (*QUOTES, "| It says | Do |"):
            for below in text.split(f"{header}\n")[1:]:
                rows = [row for row in below.split("\n\n")[0].split("\n")[1:] if row]
                missing += [row for row in rows if names_in(row)[0] not in said]
    assert missing == []


# ---- from an alert to its page


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_a_page_that_knows_it(name):
    listed = [row for row in INDEX.split("\n") if row.startswith("|") and f"`{name}`" in row]
    assert len(listed) == 1, "docs/runbooks/README.md says which page an alert leads to"
    named = re.search(r"runbook '([^']+)'", ALERTS[name].cure)
    if named:
        page = TITLES[named[1]]
        assert f"]({page.name})" in listed[0]
        assert f"`{name}`" in page.read_text()


def test_no_page_speaks_of_an_alert_there_is_not():
    rows = [row for row in INDEX.split("## Which page")[1].split("\n") if row.startswith("| `")]
    assert {name for row in rows for name in names_in(row.split("|")[1])} == set(ALERTS)


# ---- what is run


def lines_of(page: str, part: str) -> list[str]:
    """Return what a part of a page says to tradefleet."""
    text = (FOLDER / page).read_text().split(f"\n## {part}\n")[1].split("\n## ")[0]
    return LINE.findall(text)


@pytest.fixture
def tradefleet(tmp_path: Path, monkeypatch):
    """Run command lines of ours in an empty folder; give their exit code and all they said."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DATA_DIR", "BACKUP_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENCRYPTION_KEY", KEY)
    app = build_app(build_parts())

    def run(line: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, shlex.split(line))
        return result.exit_code, result.output

    return run


def test_a_damaged_database_is_found_and_brought_back_as_the_page_says(tradefleet, tmp_path):
    assert tradefleet("users add alice")[0] == 0
    assert tradefleet("backup")[0] == 0
    file = tmp_path / "data" / "trading_service.db"
    content = bytearray(file.read_bytes())
    content[4096:-4096] = bytes(255 - each for each in content[4096:-4096])
    for leftover in ("-wal", "-shm"):
        Path(f"{file}{leftover}").unlink(missing_ok=True)
    file.write_bytes(content)

    (look, *_) = lines_of("database-corruption.md", "Diagnosis")
    code, said = tradefleet(look)
    assert (code, "is damaged: restore the last backup" in said) == (1, True)
    listed, restored, checked, *_ = [
        tradefleet(line)
        for line in lines_of("database-corruption.md", "Cure")
        if "chat" not in line
    ]
    assert "manual" in listed[1]
    assert restored[0] == 0 and "Safe mode" in restored[1]
    assert checked[0] == 0
    assert "alice" in tradefleet("users list")[1]


def test_a_master_key_is_replaced_as_the_page_says(tradefleet, monkeypatch):
    assert tradefleet("users add alice")[0] == 0
    rotate, check = [line for line in lines_of("key-leak.md", "Cure") if line.startswith("vault")]
    monkeypatch.setenv("ENCRYPTION_KEY", f"{NEXT_KEY},{KEY}")
    assert tradefleet(rotate)[0] == 0
    assert tradefleet(check)[0] == 0
    monkeypatch.setenv("ENCRYPTION_KEY", NEXT_KEY)
    assert tradefleet(check)[0] == 0
