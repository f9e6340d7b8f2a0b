"""Write src/tradefleet_client/client.py: a typed method for each command, from the catalog."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tradefleet import commands
from tradefleet.command import AnyCommand
from tradefleet.dispatcher import is_required
from tradefleet.domain.credentials import Secret
from tradefleet.domain.market import Symbol
from tradefleet.domain.user import Role
from tradefleet.plugins import find_plugins

ROOT = Path(__file__).parents[1]
FILE = ROOT / "src" / "tradefleet_client" / "client.py"
HEAD = '''"""Every command as a method, and what it answers; written by scripts/client_code.py."""

from collections.abc import Mapping
from typing import Any, TypedDict

from tradefleet_client.talk import Answer, Talk

'''
GIVEN = {
    str: "str",
    Symbol: "str",
    Secret: "str",
    Decimal: "str | int | float",
    bool: "bool",
    int: "int",
    datetime: "str",
}
PLAIN: Mapping[Any, str] = {
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "str",
    datetime: "str",
    date: "str",
    NoneType: "None",
    Any: "Any",
    object: "Any",
}


class Types:
    """What commands answer, as typed dictionaries; each name is given once."""

    def __init__(self) -> None:
        self.names: dict[type, str] = {}
        self.lines: dict[str, list[str]] = {}

    def text(self, kind: Any) -> str:
        """Write a type as JSON has it."""
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            return " | ".join(self.text(part) for part in parts)
        if origin in (tuple, list, frozenset):
            shown = {self.text(part) for part in parts if part is not Ellipsis}
            return f"list[{' | '.join(sorted(shown))}]"
        if origin in (dict, Mapping):
            return f"dict[str, {self.text(parts[1])}]"
        if is_dataclass(kind) and isinstance(kind, type):
            return self.named(kind)
        if isinstance(kind, type) and issubclass(kind, str):
            return "str"
        return PLAIN[kind]

    def named(self, kind: type) -> str:
        if kind not in self.names:
            module = "".join(
                part.capitalize() for part in kind.__module__.split(".")[-1].split("_")
            )
            taken = kind.__name__ in self.names.values()
            self.names[kind] = name = f"{module}{kind.__name__}" if taken else kind.__name__
            hints = get_type_hints(kind)
            shown = [f"    {f.name}: {self.text(hints[f.name])}" for f in fields(kind)]
            self.lines[name] = shown or ["    pass"]
        return self.names[kind]


def parameters(command: AnyCommand) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a command's method, and how each is passed on."""
    hints = get_type_hints(command.request)
    asked: list[Field[Any]] = sorted(fields(command.request), key=lambda f: not is_required(f))
    for each in asked:
        kind = hints[each.name]
        inner = next((part for part in get_args(kind) if part is not NoneType), kind)
        shown = "Mapping[str, str]" if get_origin(kind) is Mapping else GIVEN[inner]
        passed = f"{each.name}={each.name}"
        if is_required(each):
            yield f"{each.name}: {shown}", passed
        else:
            yield f"{each.name}: {shown} | None = None", passed


def method(command: AnyCommand, types: Types) -> str:
    found = list(parameters(command))
    needed = [shown for shown, _ in found if "= None" not in shown]
    others = [shown for shown, _ in found if "= None" in shown]
    if command.changes:
        others.append("key: str | None = None")
    shown = ", ".join(["self", *needed, *(["*", *others] if others else [])])
    data = "Any" if command.data is None else types.text(command.data)
    how, passed = "_read", [passed for _, passed in found]
    if command.changes:
        how, passed = "_write", ["key", *passed]
    call = ", ".join([f'"{command.name}"', *passed])
    return (
        f"    async def {command.name}({shown}) -> Answer[{data}]:\n"
        f'        """{command.summary}.\n\n        In chat: {command.usage}\n        """\n'
        f"        return await self.{how}({call})\n"
    )


def code() -> str:
    """Return the file as the catalog is now."""
    known = find_plugins(commands, "COMMAND").values()
    types = Types()
    told = sorted(
        (each for each in known if each.role is Role.USER),
        key=lambda each: (each.group, each.place, each.name),
    )
    methods = [method(each, types) for each in told]
    classes = [f"class {name}(TypedDict):\n" + "\n".join(types.lines[name]) for name in types.lines]
    client = 'class Client(Talk):\n    """A service, as one user is served by it."""\n\n'
    text = HEAD + "\n\n\n".join(["", *classes, client + "\n".join(methods)])
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
        ran = subprocess.run(
            [*ruff, *words, "--stdin-filename", str(FILE), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        if ran.returncode:
            raise SystemExit(ran.stdout[-2000:] + ran.stderr)
        text = ran.stdout
    return text


if __name__ == "__main__":
    now = code()
    if not FILE.exists() or FILE.read_text() != now:
        FILE.write_text(now)
        print(f"wrote {FILE.relative_to(ROOT)}")
