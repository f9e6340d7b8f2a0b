"""The how-to pages work exactly as they are written: their code is put in place, and used."""

import ast
import asyncio
import csv
import importlib.util
import inspect
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.architecture import test_house_rules as rules
from tests.bars import generated
from tests.contract import test_every_command as every_command
from tests.contract import test_every_strategy as every_strategy
from tests.doors import PAPER, Door
from tests.makers import bar
from tests.unit import test_alert
from tradefleet import alerts, commands, strategies, venue, venues
from tradefleet.alert import with_thresholds
from tradefleet.domain.health import Metric, Status
from tradefleet.operations.health.checks import Check, Measured
from tradefleet.plugins import find_plugins
from tradefleet.runtime.node import first_of
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
FILE = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^\.venv/bin/tradefleet (.*)$", re.MULTILINE)


def page(name: str) -> str:
    return (HOW_TO / f"{name}.md").read_text()


@contextmanager
def followed(name: str, package: ModuleType, folder: Path) -> Iterator[Path]:
    """Do what a page says: its file joins the package, for a while; give the file."""
    files = dict(FILE.findall(page(name)))
    (place,) = (place for place in files if place.startswith("src/"))
    path = folder / "joins" / Path(place).name
    path.parent.mkdir()
    path.write_text(files[place])
    module = f"{package.__name__}.{path.stem}"
    package.__path__.append(str(path.parent))
    importlib.invalidate_caches()
    try:
        yield path
    finally:
        package.__path__.remove(str(path.parent))
        sys.modules.pop(module, None)
        if hasattr(package, path.stem):
            delattr(package, path.stem)


@pytest.fixture
def donchian(tmp_path: Path) -> Iterator[Path]:
    with followed("add-a-strategy", strategies, tmp_path) as path:
        yield path


@pytest.fixture
def fees(tmp_path: Path) -> Iterator[Path]:
    with followed("add-a-command", commands, tmp_path) as path:
        yield path


def run_own_tests(name: str, folder: Path) -> int:
    """Run the tests a page comes with; return how many there are."""
    (code,) = (code for place, code in FILE.findall(page(name)) if place.startswith("tests/"))
    path = folder / "its_tests.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("its_tests", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [test for test in vars(module).values() if inspect.isfunction(test)]
    tests = [test for test in tests if test.__name__.startswith("test_")]
    for test in tests:
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return len(tests)


def tradefleet(line: str, *more: str) -> str:
    """Run a command line and return what it printed."""
    result = CliRunner().invoke(build_app(build_parts()), [*shlex.split(line), *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def obeys_the_house_rules(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert rules.broad_catches(tree) == []
    assert max(map(len, path.read_text().splitlines())) <= 100


# ---- a strategy


def test_the_strategy_is_listed(donchian):
    spec = find_plugins(strategies, "STRATEGY")["donchian"]
    assert list(spec.parameters) == ["entry_bars", "exit_bars", "size"]
    assert rules.tradefleet_imports(ast.parse(donchian.read_text())) <= {
        *rules.SEEN_BY_PLUGINS,
        "strategy",
    }
    obeys_the_house_rules(donchian)


def test_the_strategy_owes_nothing_that_every_strategy_owes(donchian):
    spec, owed = (
        find_plugins(strategies, "STRATEGY")["donchian"],
        every_strategy.TestEveryStrategy(),
    )
    owed.test_says_what_it_is(spec)
    owed.test_decides_the_same_twice(spec)
    for end in range(600, 2500, 370):
        owed.test_can_be_rebuilt_from_the_bars_it_says_it_needs(spec, end)
    owed.test_refuses_a_parameter_it_does_not_know(spec)
    owed.test_lists_parameters_with_the_defaults_it_has(spec)
    for junk in every_strategy.JUNK:
        owed.test_takes_or_refuses_any_text_for_a_parameter(spec, junk)
    owed.test_asks_for_a_share_of_the_balance_and_has_a_stop_below_the_price(spec)
    owed.test_says_why_with_every_signal_and_never_signals_nothing(spec)
    owed.test_says_why_not_exactly_when_there_is_no_entry(spec)
    owed.test_has_a_plan_that_can_be_carried_out(spec)
    dies = [*every_strategy.BARS[:150], *(bar(3, n, high=3, low=3, volume=0) for n in range(300))]
    owed.test_never_fails_on_a_bar(spec, dies)


def test_the_strategys_own_tests_pass(donchian, tmp_path):
    assert run_own_tests("add-a-strategy", tmp_path) == 5


def test_the_strategy_runs_in_a_backtest_and_a_replay_as_printed(donchian, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bars.csv").write_text(as_csv(generated(3, 1200)))
    plays = [line for line in LINE.findall(page("add-a-strategy")) if "bars.csv" in line]
    assert [line.split()[0] for line in plays] == ["backtest", "backtest", "replay"]
    first, other, replayed = (
        json.loads(tradefleet(line, *([] if "--json" in line else ["--json"]))) for line in plays
    )
    assert len(first["trades"]) > 5
    assert first["trades"] == replayed["trades"] != other["trades"]
    assert {trade["exit_reason"] for trade in first["trades"]} <= {"breakdown", "stop"}
    assert all(result["ledger_balanced"] for result in (first, other, replayed))


def as_csv(bars) -> str:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(("opened_at", "open", "high", "low", "close", "volume"))
    lines.writerows(
        (b.opened_at.isoformat(), b.open, b.high, b.low, b.close, b.volume) for b in bars
    )
    return text.getvalue()


async def test_the_strategy_can_be_given_to_a_bot_in_chat_as_printed(donchian):
    door = Door(PAPER)
    await door.ask("/start")
    said = [
        shlex.split(line)[-1] for line in LINE.findall(page("add-a-strategy")) if "chat" in line
    ]
    answers = [await door.say(message) for message in said]
    assert answers[0].startswith("✅ Trading Pair Added")
    assert answers[1] == "🚀 Trading Started: SOL/USDT"
    assert "first decision falls at the close of a bar" in answers[2]
    assert (await door.bots())["SOL/USDT"].params == {"exit_bars": "5"}
    assert "exit_bars   5 (not 10)" in await door.say("/config SOL/USDT")


# ---- a command


async def test_the_command_is_found_answers_and_is_in_the_help_as_printed(fees):
    door = Door(PAPER)
    said = [shlex.split(line)[-1] for line in LINE.findall(page("add-a-command"))]
    assert said == ["/start", "/fees 7", "/help fees"]
    answers = [await door.say(message) for message in said]
    assert answers[1] == "🧾 Fees of 7 days\nNo closed trades in this time."
    assert answers[2] == (
        "/fees: What your pairs paid in fees\nUsage: /fees [days]\nExample: /fees 7"
    )
    assert "/fees [days] - What your pairs paid in fees" in await door.say("/help")
    assert "Did you mean /fees?" in await door.say("/fes")
    obeys_the_house_rules(fees)


async def test_the_command_owes_nothing_that_every_command_owes(fees):
    command = find_plugins(commands, "COMMAND")["fees"]
    every_command.test_it_says_what_it_is_for_and_how_to_write_it(command)
    every_command.test_its_usage_names_as_many_words_as_its_request_has_fields(command)
    every_command.test_its_example_becomes_its_request(command)
    every_command.test_a_field_that_sounds_secret_is_one(command)
    await every_command.test_help_explains_it(command)
    await every_command.test_too_many_words_are_answered_with_the_usage(command)
    for words in ("", "0", "-1", "NaN", "🙂 🙂", "a=b", "x" * 5000):
        await every_command.test_strange_words_are_answered_or_refused_in_few_words(command, words)
    await every_command.test_it_serves_a_user_who_has_just_come(command)
    await every_command.test_it_serves_a_user_who_has_traded(command, None)
    await every_command.test_it_reveals_and_changes_nothing_of_another_user(command)
    await every_command.test_it_changes_something_only_if_it_says_so(command)
    await every_command.test_it_needs_a_registered_user_unless_it_registers_or_explains(command)


def test_the_commands_own_tests_pass(fees, tmp_path):
    assert run_own_tests("add-a-command", tmp_path) == 1


# ---- a venue


@pytest.mark.parametrize(
    ("name", "contract"),
    [
        ("ExampleMarket", venue.MarketData),
        ("ExampleLink", venue.AccountLink),
        ("ExampleVenue", venue.Venue),
    ],
)
def test_the_venue_has_all_that_its_contract_asks_for(tmp_path, name, contract):
    with followed("add-a-venue", venues, tmp_path) as path:
        assert find_plugins(venues, "VENUE")["example"].needs_keys
        made = getattr(importlib.import_module("tradefleet.venues.example"), name)
        asked = [each for each in vars(contract) if not each.startswith("_")]
        assert [each for each in vars(made) if not each.startswith("_")] == asked
        for each in asked:
            mine, theirs = vars(made)[each], vars(contract)[each]
            if inspect.isfunction(theirs):
                assert inspect.signature(mine) == inspect.signature(theirs)
                assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(theirs)
        obeys_the_house_rules(path)


# ---- an alert


def test_the_alert_judges_its_metric_as_printed(tmp_path):
    with followed("add-an-alert", alerts, tmp_path) as path:
        rules = find_plugins(alerts, "ALERT")
        rule = rules["many_positions"]
        assert [rule.status(value).value for value in (499, 500, 2000)] == [
            "healthy",
            "degraded",
            "unhealthy",
        ]
        assert [other for other in rules.values() if other.metric == rule.metric] == [rule]
        (setting,) = re.findall(r"`ALERT_THRESHOLDS=(\S+)`", page("add-an-alert"))
        assert with_thresholds(rules, setting)["many_positions"].status(1) is Status.DEGRADED
        test_alert.test_every_rule_says_what_is_wrong_and_what_to_do(rule)
        assert rules.keys() >= {"cpu", "many_positions"}
        obeys_the_house_rules(path)


def test_the_measurement_goes_as_printed():
    (code,) = re.findall(r"^```python\n(async def .*?)^```$", page("add-an-alert"), re.M | re.S)
    bot = SimpleNamespace(id="alice:BTC/USDT", engine=SimpleNamespace(position=object()))
    flat = SimpleNamespace(id="bob:BTC/USDT", engine=SimpleNamespace(position=None))
    node = SimpleNamespace(host=SimpleNamespace(bots={"a": bot, "b": flat}))
    names = {"node": node, "Measured": Measured, "Metric": Metric, "first_of": first_of}
    *_, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    exec(code, names | {"Check": Check}, made := {})
    found = asyncio.run(eval("positions()", {**names, **made}))
    assert found == {"open_positions": Metric(1, detail="alice:BTC/USDT")}


# ---- what remains when a page is closed


def test_nothing_stays_behind(tmp_path):
    with followed("add-a-strategy", strategies, tmp_path):
        assert "donchian" in find_plugins(strategies, "STRATEGY")
    assert "donchian" not in find_plugins(strategies, "STRATEGY")
    assert "tradefleet.strategies.donchian" not in sys.modules
