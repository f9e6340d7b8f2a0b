"""Rules about the code itself that no linter has."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tradefleet"
FILES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Each folder of plug-ins, the contract beside it, and the constant that each plug-in offers, where
# plug-ins are found by name and not wired by hand.
PLUGINS = {
    "alerts": ("alert", "ALERT"),
    "commands": ("command", "COMMAND"),
    "counters": ("counter", None),
    "fleets": ("fleet", None),
    "notifiers": ("notifier", None),
    "stores": ("store", None),
    "strategies": ("strategy", "STRATEGY"),
    "surfaces": ("surface", None),
    "venues": ("venue", None),
}
# Every other folder is a room whose files belong together.
ROOMS = {
    "domain", "engine", "indicators", "signals", "simulation", "runtime", "operations",
    "wiring", "charting",
}  # fmt: skip
PURE = {
    "alert", "alerts", "domain", "engine", "indicators", "signals", "simulation", "strategies",
    "strategy",
}  # fmt: skip
# What a strategy or an alert may know of tradefleet besides its own folder and its contract.
SEEN_BY_PLUGINS = {"domain", "indicators"}

# The user's task, and the edge of each surface: once per file.
MAY_CATCH_ALL = ("tradefleet/runtime/host.py", "tradefleet/surfaces/*/*.py")
NAMES_THAT_SAY_NOTHING = {
    "manager", "managers", "helper", "helpers", "util", "utils", "common", "base", "service",
    "services", "info", "misc",
}  # fmt: skip
MONEY_WORDS = {
    "amount", "balance", "cash", "cost", "equity", "fee", "fees", "notional", "pnl", "price",
    "prices", "profit", "quantity",
}  # fmt: skip
# Written in two pieces, so that this file obeys its own rule.
NOT_FOR_OTHERS = tuple(
    a + b
    for a, b in [
        ("://py", "pi"),
        ("://registry", ".npm"),
        ("files.python", "hosted"),
        ("/wo", "rk/"),
        ("/ro", "ot/"),
    ]
)

FOLDERS = sorted(
    path.name
    for path in SOURCE.iterdir()
    if path.is_dir() and any(path.rglob("*.py")) and path.name != "__pycache__"
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "src"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def test_there_is_something_to_check():
    assert FILES
    assert {"domain", "strategies"} <= set(FOLDERS)


# ---- what a file is and is called


@every_file
def test_a_file_says_in_its_first_line_what_it_is_for(path):
    docstring = ast.get_docstring(tree_of(path), clean=False)
    assert docstring, "no docstring"
    assert docstring.split("\n")[0].strip(), "its first line is empty"


def words_of(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def names_in(path: Path) -> Iterator[str]:
    yield from PurePath(name_of(path)).with_suffix("").parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@pytest.mark.parametrize(
    "name", ["OrderManager", "order_manager", "HTTPUtils", "utils", "BaseStrategy", "get_info"]
)
def test_a_name_that_says_nothing_is_seen_in_any_spelling(name):
    assert words_of(name) & NAMES_THAT_SAY_NOTHING


@pytest.mark.parametrize("name", ["Database", "rebase", "information", "commonly"])
def test_a_word_that_only_contains_such_a_name_is_fine(name):
    assert not words_of(name) & NAMES_THAT_SAY_NOTHING


@every_file
def test_no_name_says_nothing(path):
    assert [name for name in names_in(path) if words_of(name) & NAMES_THAT_SAY_NOTHING] == []


# ---- errors and money


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether it catches whatever comes and keeps it; to clean up and raise on is no such thing."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(
        kind is None or ast.unparse(kind).split(".")[-1] in {"Exception", "BaseException"}
        for kind in kinds
    )
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def broad_catches(tree: ast.Module) -> list[int]:
    """The lines that catch whatever comes: a broad except, or a broad suppress."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and catches_all(node):
            lines.append(node.lineno)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            names = {ast.unparse(argument) for argument in node.args}
            lines += [node.lineno] * bool(names & {"Exception", "BaseException"})
    return lines


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("try: f()\nexcept: pass", 1),
        ("try: f()\nexcept Exception: pass", 1),
        ("try: f()\nexcept (ValueError, BaseException) as error: g(error)", 1),
        ("with contextlib.suppress(Exception): f()", 1),
        ("try: f()\nexcept BaseException:\n    undo()\n    raise", 0),
        ("try: f()\nexcept ValueError: pass", 0),
    ],
)
def test_a_broad_except_is_told_from_a_narrow_one(code, count):
    assert len(broad_catches(ast.parse(code))) == count


@every_file
def test_only_the_two_edges_catch_whatever_comes(path):
    allowed = any(PurePath(name_of(path)).match(pattern) for pattern in MAY_CATCH_ALL)
    assert len(broad_catches(tree_of(path))) <= allowed


def float_money(tree: ast.Module) -> list[int]:
    """The lines that hold or turn into a float what its name says is money or a quantity."""
    lines = []
    for node in ast.walk(tree):
        name, value = "", None
        if isinstance(node, ast.AnnAssign):
            name, value = ast.unparse(node.target), node.annotation
        elif isinstance(node, ast.arg):
            name, value = node.arg, node.annotation
        elif isinstance(node, ast.FunctionDef):
            name, value = node.name, node.returns
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
            name, value = ast.unparse(node), node.func
        if value and words_of(name) & MONEY_WORDS and "float" in words_of(ast.unparse(value)):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("entry_price: float", 1),
        ("def f(amount: float | None): ...", 1),
        ("def average_price(self) -> float: ...", 1),
        ("x = float(order.quantity)", 1),
        ("price: Decimal", 0),
        ("strength: float", 0),
        ("x = float(text)", 0),
    ],
)
def test_money_in_a_float_is_seen(code, count):
    assert len(float_money(ast.parse(code))) == count


@pytest.mark.parametrize(
    "path",
    [path for room in ("domain", "engine") for path in sorted((SOURCE / room).rglob("*.py"))],
    ids=name_of,
)
def test_money_is_never_a_float(path):
    assert float_money(tree_of(path)) == []


# ---- rooms, plug-ins and their contracts


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_holds_plugins_or_is_a_known_room(folder):
    assert folder in PLUGINS.keys() | ROOMS


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder in PLUGINS])
def test_beside_every_plural_folder_stands_its_contract(folder):
    contract, _ = PLUGINS[folder]
    assert (SOURCE / f"{contract}.py").is_file()


def plugin_files(folder: str) -> list[Path]:
    return sorted((SOURCE / folder).glob("[!_]*.py"))


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder in PLUGINS])
def test_a_folder_of_plugins_is_not_empty(folder):
    packages = list((SOURCE / folder).glob("[!_]*/__init__.py"))
    assert plugin_files(folder) or packages


@pytest.mark.parametrize(
    ("path", "constant"),
    [
        pytest.param(path, constant, id=name_of(path))
        for folder, (_, constant) in PLUGINS.items()
        if constant
        for path in plugin_files(folder)
    ],
)
def test_a_plugin_file_offers_what_its_folder_promises(path, constant):
    assert hasattr(import_module(f"tradefleet.{path.parent.name}.{path.stem}"), constant)


def tradefleet_imports(tree: ast.Module) -> set[str]:
    """The parts of tradefleet that a file imports, by their first name below the package."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.split(".")[0] == "tradefleet"}


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("strategies", "alerts")
        for path in sorted((SOURCE / folder).rglob("*.py"))
    ],
    ids=name_of,
)
def test_a_strategy_or_an_alert_sees_only_the_domain_the_indicators_and_its_contract(path):
    folder = path.relative_to(SOURCE).parts[0]
    assert tradefleet_imports(tree_of(path)) <= SEEN_BY_PLUGINS | {folder, PLUGINS[folder][0]}


def test_every_pure_part_that_exists_is_under_the_contract_of_the_pure():
    contracts = {c["id"]: c for c in PROJECT["tool"]["importlinter"]["contracts"]}
    there = {name for name in PURE if name in FOLDERS or (SOURCE / f"{name}.py").is_file()}
    assert {f"tradefleet.{name}" for name in there} == set(contracts["pure"]["source_modules"])


# ---- what is committed


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_or_the_machine_it_was_written_on():
    files = committed_files()
    assert ROOT / "pyproject.toml" in files
    assert [
        (str(path.relative_to(ROOT)), text)
        for path in files
        for text in NOT_FOR_OTHERS
        if text.encode() in path.read_bytes()
    ] == []


LOCKS = {
    "bootstrap": ["bootstrap.in"],
    "runtime": [],
    "dev": ["dev.in"],
    "bench": ["bench.in"],
    "clients": ["clients.in"],
    "connector": ["connector.in"],
    "mutation": ["dev.in", "mutation.in"],
    "sbom": ["sbom.in"],
    "schema": ["schema.in"],
}
NEEDS_PROJECT = {"runtime", "dev", "mutation"}


def pins_in(lock: str) -> dict[str, list[Requirement]]:
    """The pins of a lock file; one name may have several, each for other Pythons."""
    pins: dict[str, list[Requirement]] = {}
    text = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            assert "--hash=sha256:" in line, line
            pin = Requirement(line.split("--hash")[0])
            assert [spec.operator for spec in pin.specifier] == ["=="], line
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def wishes_of(lock: str) -> list[Requirement]:
    lines = [
        line
        for name in LOCKS[lock]
        for line in (ROOT / "requirements" / name).read_text().splitlines()
        if line and not line.startswith("#")
    ]
    if lock in NEEDS_PROJECT:
        lines += PROJECT["project"]["dependencies"]
    return [Requirement(line) for line in lines]


def test_every_lock_file_is_known():
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == LOCKS.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_hashes_and_no_address(lock):
    assert "://" not in (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert pins_in(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_what_is_asked_for(lock):
    pins = pins_in(lock)
    for wish in wishes_of(lock):
        found = pins.get(canonicalize_name(wish.name), [])
        assert found, f"{wish}: say make lock"
        for pin in found:
            (spec,) = pin.specifier
            assert wish.specifier.contains(spec.version, prereleases=True), f"{wish}: say make lock"


def test_tests_run_with_the_releases_that_are_shipped():
    dev = pins_in("dev")
    for name, pins in pins_in("runtime").items():
        assert Counter(map(str, pins)) == Counter(map(str, dev[name]))
