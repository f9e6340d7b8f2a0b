"""The documents say what the code does: tables, commands, settings, conversations, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from scripts.docs_tables import HOLE, filled, program, tables
from tests.doors import Door
from tests.key_rig import KeyDoor
from tests.makers import trade
from tradefleet import alerts
from tradefleet.dispatcher import name_and_words, read_request
from tradefleet.domain.limits import RiskLimits
from tradefleet.domain.order import OrderState
from tradefleet.plugins import find_plugins
from tradefleet.runtime import node
from tradefleet.settings import BY_ENVIRONMENT, NAMES, Settings, shown
from tradefleet.simulation.metrics import Metrics
from tradefleet.simulation.results import BotResult, result_json, trade_json

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tradefleet"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]
GUIDE = (ROOT / "docs" / "user-guide.md").read_text()
SAFETY = (ROOT / "docs" / "order-safety.md").read_text()
MADE_BY_READERS = {"fees"}  # test_how_to.py follows the page that makes it
COMING: set[str] = set()  # what a page names before it is written
EXAMPLE = re.compile(r".*/x\.py")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml|example))`|`((?:[\w.-]+/)+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CELL = re.compile(r"(?<!\\)\|")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(text: str, kind: str) -> list[str]:
    return [body for found, body in BLOCK.findall(text) if found == kind]


def rows_below(text: str, header: str, number: int = 0) -> list[list[str]]:
    """Return the cells of the number-th table that begins with a header line."""
    below = text.split(f"\n{header}\n")[1 + number].split("\n")[1:]
    lines = below[: next((n for n, line in enumerate(below) if not line.startswith("|")), None)]
    return [[cell.strip() for cell in CELL.split(line)[1:-1]] for line in lines]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# ---- tables


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_a_table_from_the_code_is_as_the_code_is(page):
    assert filled(page.read_text()) == page.read_text(), "run python scripts/docs_tables.py"


def test_every_table_from_the_code_stands_on_some_page():
    shown_somewhere = {hole[1] for page in DOCS for hole in HOLE.findall(page.read_text())}
    assert shown_somewhere == set(tables())


def test_the_guide_lists_every_setting_with_its_default():
    rows = rows_below(GUIDE, "| Variable | Default | Meaning |")
    assert [(row[0], row[1]) for row in rows] == [(f"`{name}`", default_of(name)) for name in NAMES]


def default_of(name: str) -> str:
    """Return a setting's default as the guide says it: the others only where they differ."""
    values = {}
    for environment in BY_ENVIRONMENT:
        settings = Settings.model_validate({"environment": environment})
        values[environment] = shown(name, getattr(settings, name.lower()))
    plain = values.pop("development")
    others = [f"{where} `{value}`" for where, value in values.items() if value != plain]
    first = [f"`{plain}`"] if plain else []
    return "; ".join(first if name == "ENVIRONMENT" else [*first, *others])


def test_the_guide_lists_the_limits_that_are_on_and_no_others():
    rows = rows_below(GUIDE, "| Limit | Default | What happens |")
    default, off = RiskLimits.default(), RiskLimits()
    is_on = {
        field.name: str(getattr(default, field.name))
        for field in fields(RiskLimits)
        if getattr(default, field.name) != getattr(off, field.name)
    }
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows}
    assert listed == {**is_on, "breaker_hours": str(off.breaker_hours)}


def test_every_state_of_an_order_has_a_meaning():
    rows = rows_below(SAFETY, "| State | Means |")
    assert [row[0].strip("`") for row in rows] == list(OrderState)


def fields_told(number: int) -> list[str]:
    rows = rows_below(GUIDE, "| Field | Means |", number)
    return [name for row in rows for name in names_in(row[0])]


def test_the_guide_lists_every_field_of_a_result():
    zero = trade(0).fees
    bot = BotResult(
        name="b", trades=(), quote=zero, base=zero, last_close=zero, ledger_balanced=True
    )
    alone, several = (
        result_json(bars=1, gaps=0, signals=0, bots=bots, elapsed=0.0)
        for bots in ([bot], [bot, bot])
    )
    assert set(fields_told(0)) == {*alone, *several, "metrics"}


def test_the_guide_lists_every_field_of_a_trade():
    assert fields_told(1) == list(trade_json(trade(1)))


def test_the_guide_lists_every_figure_of_a_backtest():
    assert fields_told(2) == [field.name for field in fields(Metrics)]


def test_the_page_on_monitoring_names_every_value_that_has_no_rule():
    judged = {rule.metric for rule in find_plugins(alerts, "ALERT").values()}
    page = (ROOT / "docs" / "how-to" / "monitor.md").read_text()
    (told,) = re.findall(r"^Values without a rule: (.*?)\.", page, re.MULTILINE)
    source = Path(node.__file__).read_text()
    measured = set(re.findall(r'"(\w+)": Metric\(', source))
    assert set(names_in(told)) == measured - judged


# ---- what is said and answered


def conversations() -> list[str]:
    return [block for block in blocks(GUIDE, "text") if block.startswith("> ")]


@pytest.mark.parametrize("transcript", conversations(), ids=range(len(conversations())))
async def test_a_conversation_of_the_guide_goes_as_it_is_written(transcript):
    await KeyDoor().talk(transcript)


def test_an_error_the_guide_explains_is_one_of_ours():
    sources = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    rows = rows_below(GUIDE, "| It says | Do |")
    assert [row[0] for row in rows if names_in(row[0])[0] not in sources] == []


# ---- command lines


def command_lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page.read_text(), "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if "bin/tradefleet " in line:
                    yield f"{page.stem}: {line.strip()[:60]}", line


@pytest.mark.parametrize("line", [pytest.param(line, id=id) for id, line in command_lines()])
def test_a_command_line_can_be_typed_as_it_is_printed(line):
    words = shlex.split(line.partition("bin/tradefleet ")[2], comments=True)
    command, name = program(), "tradefleet"
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    context = command.make_context(name, list(words))
    for message in context.params.get("message") or []:
        said, rest = name_and_words(message)
        assert said in MADE_BY_READERS or read_request(commands()[said], rest)


@cache
def commands():
    found = Door().dispatcher.catalog.commands.values()
    return {name: command for command in found for name in (command.name, *command.aliases)}


@every_page
def test_a_make_target_that_is_named_is_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


# ---- links and paths


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's titles can be linked to."""
    titles = TITLE.findall(BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_a_link_leads_somewhere(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_a_file_that_is_named_is_there(page):
    text = page.read_text()
    made_here = set(re.findall(r"^`([^`]+)`:$", text, re.MULTILINE))  # by who follows the page
    missing = [
        name
        for found in PATH.findall(text)
        for name in filter(None, found)
        if name not in made_here | COMING
        and not EXAMPLE.fullmatch(name)
        and not any((folder / name).exists() for folder in (ROOT, SOURCE, page.parent))
    ]
    assert missing == []


# ---- the map of the architecture


def test_every_room_and_contract_stands_on_the_map():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [each for each in SOURCE.iterdir() if not each.name.startswith(("_", "py.typed"))]
    jobs = [each for each in (SOURCE / "operations").iterdir() if (each / "__init__.py").exists()]
    named = [f"{each.name}/" if each.is_dir() else each.name for each in rooms]
    missing = [name for name in [*named, *(f"{each.name}/" for each in jobs)] if name not in page]
    assert missing == []


def test_decisions_are_numbered_one_after_the_other_and_say_their_number():
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == [*range(1, len(files) + 1)]
    for file in files:
        assert file.read_text().startswith(f"# {int(file.name[:4])}. "), file.name
