"""Prometheus' rules and Grafana's dashboard: they name only what the service really tells."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from scripts.alert_rules import FILE, rules_text
from tests.deploy.files import DEPLOY, read_json, read_yaml
from tests.deploy.test_compose import SERVICES
from tests.makers import BTC, bar
from tests.runtime.live_rig import STREAM, Answer, Ground, enter
from tests.surfaces.test_metrics import AROUND, gauges_of, scraped
from tradefleet import alerts
from tradefleet.domain.order import OrderState
from tradefleet.domain.tally import CommandTally, RequestTally
from tradefleet.plugins import find_plugins

PROMETHEUS = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
RULES = read_yaml(FILE)
DASHBOARD = read_json(DEPLOY / "grafana" / "dashboard.json")
PROVISIONING = DEPLOY / "grafana" / "provisioning"
SPECS = find_plugins(alerts, "ALERT")
OF_PROMETHEUS = {"up"}  # which it tells itself
LABELS_OF_PROMETHEUS = {"job", "instance"}
# Written as functions or words between: no names of figures.
WORDS = {"by", "or", "unless", "on", "and", "vector", "time", "sum", "max", "rate", "increase",
         "topk", "histogram_quantile"}  # fmt: skip
NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return shown + [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """Return the figures and the labels an expression names."""
    labels = set()
    for inside in re.findall(r"\{([^}]*)\}", expression):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))
    for inside in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        labels |= {name.strip() for name in inside.split(",")}
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby\s*\([^)]*\)", " ", expression)
    return set(NAME.findall(bare)) - WORDS, labels


@pytest.fixture
async def told() -> tuple[set[str], set[str]]:
    """Return the figures and labels of a service in which everything has happened once."""
    ground = Ground.new()
    ground.market.bars[STREAM] = [bar(100, minute) for minute in range(-5, 0)]
    await ground.join()
    ground.theatre.say(0, enter(95, "0.1"))
    async with ground.host() as running:
        requests, commands = RequestTally(), CommandTally()
        requests.add("GET", "/stats", 200, 0.1)
        commands.outcomes["status", "done"] += 1
        running.host.tally.differences["external"] += 1
        ground.link().answers.append(Answer.LOSE_REQUEST)
        await running.bar(0)
        async with running.feeding() as market:
            await market.price(100, BTC)
        gauges = gauges_of(
            running.node,
            ground.clock,
            requests=requests,
            commands=commands,
            too_fast={"paper": 1},
        )
        assert gauges.working_orders()[OrderState.UNKNOWN] == 1
        text = await scraped(gauges, AROUND)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    names = {NAME.match(line)[0] for line in samples}
    inside = [found[1] for line in samples if (found := re.search(r"\{(.*)\}", line))]
    return names, {label for each in inside for label in re.findall(r'(\w+)="', each)}


async def test_panels_and_rules_name_only_figures_and_labels_that_are_told(told):
    names, labels = told
    for expression in expressions():
        used, labelled = names_in(expression)
        assert used, expression
        assert used <= names | OF_PROMETHEUS, expression
        assert labelled <= labels | LABELS_OF_PROMETHEUS, expression


async def test_every_figure_of_the_service_is_on_the_dashboard(told):
    names, _ = told
    shown = " ".join(expressions())
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    told_besides = {"tradefleet_info"}
    missing = {
        family
        for family in families
        if not family.startswith(("process_", "python_")) and family not in shown
    }
    assert missing <= told_besides


def test_the_rules_are_those_of_the_service():
    assert FILE.read_text() == rules_text(), "run python scripts/alert_rules.py"
    ours, absent = RULES["groups"]
    found = {(rule["labels"]["rule"], rule["labels"]["severity"]) for rule in ours["rules"]}
    assert len(found) == len(ours["rules"])
    warned = {(name, "warning") for name, spec in SPECS.items() if spec.warning is not None}
    assert found == warned | {(name, "critical") for name in SPECS}
    for rule in ours["rules"]:
        spec = SPECS[rule["labels"]["rule"]]
        assert f'metric="{spec.metric}"' in rule["expr"]
        assert rule["annotations"]["description"] == spec.cure
    assert [rule["alert"] for rule in absent["rules"]] == ["TradefleetDown", "TradefleetHealthOld"]


def test_a_panel_has_a_place_of_its_own_and_says_where_its_figures_come_from():
    places = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not places & cells
        assert place["x"] + place["w"] <= 24
        places |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    (source,) = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": source["uid"]}
        assert panel["title"]


def test_who_asks_whom_is_there_and_at_that_port():
    (job,) = PROMETHEUS["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    name, _, port = target.partition(":")
    assert SERVICES[name]["environment"]["HTTP_PORT"] == port
    assert set(SERVICES["prometheus"]["networks"]) <= set(SERVICES[name]["networks"])
    (source,) = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert set(SERVICES["prometheus"]["networks"]) <= set(SERVICES["grafana"]["networks"])
    assert PROMETHEUS["rule_files"] == [FILE.name]
    (provider,) = read_yaml(PROVISIONING / "dashboards" / "tradefleet.yml")["providers"]
    mounted = [volume for volume in SERVICES["grafana"]["volumes"] if "dashboard.json" in volume]
    assert provider["options"]["path"] in mounted[0]


def test_figures_are_shown_to_this_machine_alone_and_nobody_has_a_password_there():
    assert "ports" not in SERVICES["prometheus"]
    assert SERVICES["grafana"]["ports"] == ["127.0.0.1:3000:3000"]
    said = SERVICES["grafana"]["environment"]
    assert said["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_prometheus_own_tool_finds_nothing_wrong():
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed here: only the tests above looked at the rules")
    file = DEPLOY / "prometheus" / "prometheus.yml"
    done = subprocess.run([tool, "check", "config", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
