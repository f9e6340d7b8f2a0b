"""The trading path knows no clock, no chance, no thread, and asks no set for its order.

ruff bans the worst of it by name everywhere (pyproject.toml); what is here is stricter, and for
the rooms in which the same events have to lead to the same acts on every machine.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tradefleet"
ROOMS = (
    "alerts",
    "domain",
    "engine",
    "indicators",
    "runtime",
    "signals",
    "simulation",
    "strategies",
)
CONTRACTS = ("clock.py", "store.py", "strategy.py", "venue.py")
FILES = sorted(
    path
    for path in [
        *(SOURCE / name for name in CONTRACTS),
        *(path for room in ROOMS for path in (SOURCE / room).rglob("*.py")),
    ]
    if path != SOURCE / "runtime" / "real_world.py"
)

# What draws a clock, chance, a thread or the machine into the path: modules, and names in others.
MODULES = frozenset(
    {
        "concurrent", "gc", "locale", "multiprocessing", "numpy", "platform", "queue", "random",
        "sched", "secrets", "select", "selectors", "socket", "subprocess", "threading", "time",
        "timeit",
    }
)  # fmt: skip
NAMES = frozenset(
    {
        "asyncio.create_task", "asyncio.ensure_future", "asyncio.get_event_loop",
        "asyncio.run_coroutine_threadsafe", "asyncio.sleep", "asyncio.to_thread",
        "date.today", "datetime.date.today", "datetime.datetime.now", "datetime.datetime.today",
        "datetime.datetime.utcnow", "datetime.now", "datetime.today",
        "datetime.utcnow", "os.cpu_count", "os.environ", "os.getenv", "os.getpid", "os.getrandom",
        "os.urandom", "uuid.getnode", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "urandom",
    }
)  # fmt: skip
METHODS = frozenset({"run_in_executor", "call_later", "call_at"})
# Python salts the hashes of texts anew in every process, and places are reused by memory.
BUILTINS = frozenset({"hash", "id"})

# What is so nevertheless, and why that changes no act: file, line's text.
ALLOWED = {
    ("runtime/node.py", "import gc"): "when memory is looked through tells nothing to anybody",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


def chances(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the lines that ask the machine for something that is otherwise elsewhere."""
    harmless = set(_harmless(tree))
    for node in ast.walk(tree):
        if node in harmless:
            continue
        match node:
            case ast.Import(names):
                for alias in names:
                    if alias.name.split(".")[0] in MODULES:
                        yield node.lineno, alias.name
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    if module.split(".")[0] in MODULES or f"{module}.{alias.name}" in NAMES:
                        yield node.lineno, f"{module}.{alias.name}"
            case ast.Attribute(attr=attribute):
                text = ast.unparse(node)
                if text in NAMES or attribute in METHODS:
                    yield node.lineno, text
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield node.lineno, f"{name}()"


def _harmless(tree: ast.AST) -> Iterator[ast.AST]:
    """Return what asks for nothing: giving way to others, and a value's own hash."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute() as asked, args=[ast.Constant(value=0)]):
                if ast.unparse(asked) == "asyncio.sleep":
                    yield asked
            case ast.FunctionDef(name="__hash__"):
                yield from ast.walk(node)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import time", "time"),
        ("import random as r", "random"),
        ("from random import Random", "random.Random"),
        ("from secrets import token_hex", "secrets.token_hex"),
        ("import concurrent.futures", "concurrent.futures"),
        ("from uuid import uuid4", "uuid.uuid4"),
        ("at = datetime.now(UTC)", "datetime.now"),
        ("at = datetime.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("key = os.urandom(16)", "os.urandom"),
        ("await asyncio.to_thread(f)", "asyncio.to_thread"),
        ("loop.run_in_executor(None, f)", "loop.run_in_executor"),
        ("await asyncio.sleep(1)", "asyncio.sleep"),
        ("place = hash(name) % 7", "hash()"),
        ("key = id(order)", "id()"),
        ("await asyncio.sleep(0)", ""),
        ("class A:\n    def __hash__(self): return hash(self.name)", ""),
        ("from uuid import UUID\nat = clock.now()\nx = datetime.fromisoformat(t)", ""),
    ],
)
def test_the_machines_clock_and_chance_are_seen(code: str, found: str):
    assert [what for _, what in chances(ast.parse(code))] == ([found] if found else [])


def test_the_rooms_are_there_and_their_files_are_found():
    assert {path.parent.name for path in FILES} >= {"domain", "engine", "runtime", "simulation"}
    assert len(FILES) > 60


@every_file
def test_nothing_on_the_trading_path_asks_the_machine(path: Path):
    tree = ast.parse(path.read_text())
    lines = path.read_text().splitlines()
    found = {(name_of(path), lines[number - 1].strip()): what for number, what in chances(tree)}
    assert {each: what for each, what in found.items() if each not in ALLOWED} == {}


# --------------------------------------------------------------------- sets and their order

SETS = ("set", "frozenset", "Set", "AbstractSet", "FrozenSet", "MutableSet", "WeakSet")
OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference"}
# Who does not care in which order it is told.
ORDERLESS = {"all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"}
ORDERED = {
    "list",
    "tuple",
    "iter",
    "enumerate",
    "map",
    "filter",
    "zip",
    "deque",
    "next",
    "reversed",
}


def is_set_type(annotation: ast.AST | None) -> bool:
    """Say whether an annotation is a set, or a set or None."""
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in SETS
        case ast.Subscript(value=value):
            return is_set_type(value)
        case ast.BinOp(left=left, right=right):
            return is_set_type(left) or is_set_type(right)
        case ast.Constant(value=str(text)):
            return is_set_type(ast.parse(text, mode="eval").body)
    return False


class Orders(ast.NodeVisitor):
    """Finds who takes things out of a set in the order it happens to have, as far as can be seen.

    Known are literals, calls of set and frozenset, what operators make of sets, and names and
    attributes that are annotated as sets, or were given one. names: of the scopes around.
    """

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self.names: list[dict[str, bool]] = [{}]
        self.attributes: set[str] = set()

    def is_set(self, node: ast.AST) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in ("set", "frozenset")
            case ast.Call(func=ast.Attribute(value=value, attr=method)):
                return method in SET_METHODS or (method == "copy" and self.is_set(value))
            case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, OPERATORS):
                return self.is_set(left) or self.is_set(right)
            case ast.IfExp(body=body, orelse=other):
                return self.is_set(body) or self.is_set(other)
            case ast.BoolOp(values=values):
                return any(map(self.is_set, values))
            case ast.Name(id=name):
                return next((scope[name] for scope in self.names[::-1] if name in scope), False)
            case ast.Attribute(attr=name):
                return name in self.attributes
        return False

    def takes(self, node: ast.AST, where: ast.AST) -> None:
        if self.is_set(node):
            self.found.append((getattr(where, "lineno", 0), ast.unparse(node)))

    # ------------------------------------------------------------ what is a set

    def visit_Module(self, node: ast.Module) -> None:
        for each in ast.walk(node):  # attributes are known in the whole file
            match each:
                case ast.ClassDef(body=body):
                    for line in body:
                        if isinstance(line, ast.AnnAssign) and is_set_type(line.annotation):
                            self.attributes.add(ast.unparse(line.target))
                case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
                    if is_set_type(annotation):
                        self.attributes.add(name)
                case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
                    if isinstance(value, ast.Set | ast.SetComp) or (
                        isinstance(value, ast.Call)
                        and ast.unparse(value.func) in ("set", "frozenset")
                    ):
                        self.attributes.add(name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self.names.append({each.arg: is_set_type(each.annotation) for each in given})
        self.generic_visit(node)
        self.names.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.names[-1][target.id] = self.is_set(node.value)
            elif isinstance(target, ast.Tuple | ast.List):
                self.takes(node.value, node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            self.names[-1][node.target.id] = is_set_type(node.annotation)

    # ------------------------------------------------------- who asks for an order

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.takes(node.iter, node)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self.comprehends(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self.comprehends(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self.comprehends(node)

    def comprehends(self, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> None:
        for each in node.generators:
            self.takes(each.iter, node)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self.takes(node.value, node)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        for each in node.elts:  # sets in a set stay a set
            self.visit(each.value if isinstance(each, ast.Starred) else each)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ORDERLESS:
            for each in node.args:
                self.visit_without_order(each)
            for keyword in node.keywords:
                self.visit(keyword.value)
            return
        asks = name in ORDERED
        match node.func:
            case ast.Attribute(value=ast.Constant(value=str()), attr="join"):
                asks = True
            case ast.Attribute(attr="fromkeys" | "extend" | "extendleft"):
                asks = True
            case ast.Attribute(value=value, attr="pop") if not node.args:
                self.takes(value, node)
        if asks:
            for each in node.args:
                self.takes(each, node)
        self.generic_visit(node)

    def visit_without_order(self, node: ast.expr) -> None:
        """Look into what is handed to somebody who does not care for the order."""
        if isinstance(node, ast.GeneratorExp | ast.ListComp):
            self.visit(node.elt)
            for each in node.generators:
                self.visit(each.iter)
                for condition in each.ifs:
                    self.visit(condition)
        elif isinstance(node, ast.Starred):
            self.visit(node.value)
        else:
            self.visit(node)


def orders(code: str) -> list[tuple[int, str]]:
    seen = Orders()
    seen.visit(ast.parse(code))
    return seen.found


@pytest.mark.parametrize(
    "code",
    [
        "for each in {a, b}: f(each)",
        "for each in set(names): f(each)",
        "x = [f(each) for each in frozenset(names)]",
        "x = {each: 1 for each in set(names)}",
        "x = list({*a, *b})",
        "x = tuple(set(names))",
        "x = ', '.join(set(names))",
        "x = next(iter(set(names)))",
        "x = [*set(names)]",
        "x = dict.fromkeys(set(names))",
        "x = set(a)\nfor each in x: f(each)",
        "x = set(a) | b\nfor each in x - c: f(each)",
        "x = set(a)\ny = x.pop()",
        "a, b = set(names)",
        "def f(names: set[str]) -> None:\n    for each in names: g(each)",
        "def f(names: AbstractSet[str] | None):\n    return [g(each) for each in names or ()]",
        "class A:\n    names: frozenset[str]\n    def f(self): return list(self.names)",
        "class A:\n    def __init__(self): self.names = set()\n"
        "    def f(self):\n        for each in self.names: g(each)",
        "class A:\n    def __init__(self): self._all: set[str] = set()\n"
        "    def f(self): yield from (g(x) for x in self._all)",
        "for each in a.union(b): f(each)",
    ],
)
def test_who_asks_a_set_for_its_order_is_seen(code: str):
    assert len(orders(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "for each in sorted(set(names)): f(each)",
        "x = sorted({*a, *b})",
        "x = sum(f(each) for each in set(names))",
        "x = {f(each) for each in set(names)}",
        "x = any(each in b for each in set(names))",
        "x = name in {a, b}",
        "x = len(set(names)) == len(names)",
        "x = set(a)\nx = sorted(x)\nfor each in x: f(each)",
        "x = a - b\nfor each in range(x): f(each)",
        "for each in {1: 2}: f(each)",
        "x = max(set(names), key=f)",
        "x = set(a)\nx.discard(b)\nx |= {c}",
    ],
)
def test_who_does_not_care_for_the_order_is_left_alone(code: str):
    assert orders(code) == []


@every_file
def test_no_set_is_asked_for_its_order(path: Path):
    lines = path.read_text().splitlines()
    found = {(name_of(path), lines[number - 1].strip()) for number, _ in orders(path.read_text())}
    assert found - ALLOWED.keys() == set()


def test_what_is_allowed_is_still_there():
    for name, line in ALLOWED:
        lines = [each.strip() for each in (SOURCE / name).read_text().splitlines()]
        assert line in lines, f"{name} no longer says: {line}"
