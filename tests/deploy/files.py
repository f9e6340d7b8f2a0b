"""The deployment files, read, and what of the service they may name."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from scripts.container_steps import Stage, read_stages
from scripts.docs_tables import program
from tradefleet.settings import NAMES, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
ROUTES = (ROOT / "src/tradefleet/surfaces/api/health.py").read_text()
PORT = Settings.model_fields["http_port"].default
SECRETS = {"DATABASE_URL", "REDIS_URL"} | {
    name for name, field in NAMES.items() if "Secret" in str(field.annotation)
}


class Strict(yaml.SafeLoader):
    """Reads YAML, and refuses a key that is said twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"said twice: {twice}{node.start_mark}"
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    found = yaml.load(path.read_text(), Strict)
    assert isinstance(found, dict)
    return found


def read_json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def image() -> Stage:
    """Return the last stage of the Dockerfile: the image that runs."""
    return read_stages((ROOT / "Dockerfile").read_text())[-1]


def is_route(path: str) -> bool:
    return f'@routes.get("{path}")' in ROUTES


def is_command(words: list[str]) -> bool:
    """Say whether a command line is one of the program's, with options that it knows."""
    name, *rest = words
    if name != "tradefleet":
        return False
    command = program()
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    return not hasattr(command, "commands") and all(word in known for word in rest)


def memory(text: str) -> int:
    """Return megabytes of a size as compose or Kubernetes write it."""
    found = re.fullmatch(r"(\d+)(m|g|Mi|Gi)", text)
    assert found, text
    return int(found[1]) * (1024 if found[2] in ("g", "Gi") else 1)
