"""Write into docs/ the tables that come from the code.

    python scripts/docs_tables.py

A page says where: between `<!-- table: NAME -->` and `<!-- end -->` stands the table of that
name. tests/architecture/test_docs.py compares, so a page cannot fall behind unnoticed.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import typer

from tradefleet import alerts, commands, strategies
from tradefleet.alert import AlertSpec
from tradefleet.command import AnyCommand
from tradefleet.commands.help import order_of
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import AccountId, BotId, FillId, OrderId, UserId
from tradefleet.domain.limits import TIERS
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import (
    FINAL_STATES,
    Acknowledged,
    Armed,
    CancelLost,
    CancelSent,
    ClosedByVenue,
    Fill,
    NotFound,
    Order,
    OrderEvent,
    OrderState,
    OutcomeLost,
    ProvenAbsent,
    Purpose,
    Quarantined,
    Rejected,
    Voided,
)
from tradefleet.domain.tiers import LIMITS
from tradefleet.engine import order_life
from tradefleet.plugins import find_plugins
from tradefleet.simulation.options import MARKET_PARAMETERS
from tradefleet.stores.sql.privacy.rules import RULES, Fate
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.parts import Parts

DOCS = Path(__file__).parents[1] / "docs"
HOLE = re.compile(r"(<!-- table: ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Table = list[str]


def drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


# ---- alerts


def alert_rules() -> Table:
    rules: list[AlertSpec] = list(find_plugins(alerts, "ALERT").values())
    rows = [
        (
            code(rule.name),
            rule.summary,
            code(rule.metric),
            rule.unit,
            limit(rule.warning),
            limit(rule.critical),
        )
        for rule in rules
    ]
    return drawn(("Alert", "It says", "Metric", "Unit", "Warning from", "Critical from"), rows)


def limit(threshold: float | None) -> str:
    return "" if threshold is None else f"{threshold:g}"


# ---- strategies and the market


def parameters(known: Mapping[str, tuple[str, str]]) -> Table:
    rows = [(code(name), code(default), meaning) for name, (default, meaning) in known.items()]
    return drawn(("Parameter", "Default", "Meaning"), rows)


# ---- commands of the chat and of the command line


def chat_commands(group: str) -> Table:
    found: list[AnyCommand] = [
        command for command in find_plugins(commands, "COMMAND").values() if command.group == group
    ]
    rows = [
        (
            code(command.usage),
            command.summary + "".join(f"; short: {code(f'/{name}')}" for name in command.aliases),
            code(command.example),
        )
        for command in sorted(found, key=lambda c: (order_of(c.group), c.place, c.name))
    ]
    return drawn(("Write", "It does", "Example"), rows)


def program() -> Any:
    """Return the command line, without what it would run on."""
    nothing: dict[str, Any] = {field.name: None for field in fields(Parts)}
    return typer.main.get_command(build_app(Parts(**nothing)))


def options(command: Any) -> Table:
    rows = []
    for each in command.params:
        shown = each.name.upper() if each.param_type_name == "argument" else ", ".join(each.opts)
        default = "" if each.default in (None, "") or each.default is False else each.default
        rows.append((code(shown), "required" if each.required else code(default), each.help or ""))
    return drawn(("Option", "Default", "Meaning"), rows)


# ---- limits


def tiers() -> Table:
    names = list(LIMITS)
    rows = [
        (code(name), *(written(getattr(tier, name)) for tier in TIERS.values())) for name in names
    ]
    return drawn(("Limit", *TIERS), rows)


def written(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


# ---- the life of an order

AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = OrderId("o")
BTC = Symbol("BTC", "USDT")


def fill_of(quantity: int) -> Fill:
    zero = Decimal(0)
    return Fill(
        id=FillId("f"),
        order_id=ID,
        symbol=BTC,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(1),
        cost=Decimal(quantity),
        fee=zero,
        fee_asset="USDT",
        fee_quote=zero,
        filled_at=AT,
    )


EVENTS: tuple[OrderEvent, ...] = (
    Armed(ID, 1, AT, AT),
    Voided(ID, ""),
    Acknowledged(ID, "v"),
    Rejected(ID, ""),
    OutcomeLost(ID, ""),
    NotFound(ID, AT),
    ProvenAbsent(ID),
    Quarantined(ID),
    fill_of(1),
    fill_of(2),
    ClosedByVenue(ID, Decimal(0)),
    ClosedByVenue(ID, Decimal(1)),
    ClosedByVenue(ID, Decimal(2)),
    CancelSent(ID),
    CancelLost(ID),
)


def order_in(state: OrderState) -> Order:
    """Return an order over two, of which as much is filled as its state tells."""
    filled = {OrderState.DONE: 2, OrderState.CLOSING: 1}.get(state, 0)
    return Order(
        id=ID,
        user_id=UserId("u"),
        account_id=AccountId("a"),
        bot_id=BotId("b"),
        seq=1,
        symbol=BTC,
        side=Side.BUY,
        quantity=Decimal(2),
        purpose=Purpose.ENTRY,
        decided_at=AT,
        reason="",
        state=state,
        filled=Decimal(filled),
        venue_filled=Decimal(2) if filled else None,
    )


def order_states() -> Table:
    """Return where each event leads from each state, tried out on the table of the engine."""
    rows = []
    for state in OrderState:
        leads: dict[str, list[str]] = {}
        notes: list[str] = []
        for event in EVENTS:
            found = next_state(state, event)
            if found is None:
                continue
            name = type(event).__name__
            if found is state:
                notes.append(name)
            elif found not in leads.setdefault(name, []):
                leads[name].append(found)
        moves = "; ".join(f"{name} → {' or '.join(into)}" for name, into in leads.items())
        kept = ", ".join(dict.fromkeys(name for name in notes if name not in leads))
        is_final = "yes" if state in FINAL_STATES else ""
        rows.append((code(state), is_final, moves or "-", kept or "-"))
    return drawn(("State", "Final", "Leaves it by", "Stays, and notes"), rows)


def next_state(state: OrderState, event: OrderEvent) -> OrderState | None:
    """Return the state after an event, None when that is our own bug."""
    try:
        return order_life.after(order_in(state), event).state
    except BrokenInvariant:
        return None


# ---- what is kept of users


def kept_data() -> Table:
    whose = {Fate.DELETED: "deleted", Fate.RENAMED: "pseudonym", Fate.NOBODYS: "of no user"}
    rows = [(code(rule.name), whose[rule.fate], rule.why) for rule in RULES]
    return drawn(("Table", "When its user is erased", "Kept"), rows)


# ---- all of them


def tables() -> dict[str, Callable[[], Table]]:
    """Return how each table is made, by its name."""
    found: dict[str, Callable[[], Table]] = {
        "alerts": alert_rules,
        "market parameters": partial(parameters, MARKET_PARAMETERS),
        "tiers": tiers,
        "order states": order_states,
        "kept data": kept_data,
    }
    for name, spec in find_plugins(strategies, "STRATEGY").items():
        found[f"parameters of {name}"] = partial(parameters, spec.parameters)
    for group in dict.fromkeys(c.group for c in find_plugins(commands, "COMMAND").values()):
        found[f"{group} commands".lower()] = partial(chat_commands, group)
    for name, command in leaves(program()):
        if command.params:
            found[f"options of {name}"] = partial(options, command)
    return found


def leaves(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command of the command line with its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def filled(text: str) -> str:
    """Return a page with its tables as they should be."""
    known = tables()
    return HOLE.sub(lambda hole: hole[1] + "\n".join(known[hole[2]]()) + "\n" + hole[3], text)


def main() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (now := filled(text)) != text:
            page.write_text(now, encoding="utf-8")
            print(f"wrote {page.relative_to(DOCS.parent)}")
    # The client is made of the same commands.
    subprocess.run([sys.executable, Path(__file__).with_name("client_code.py")], check=True)


if __name__ == "__main__":
    main()
