"""Every route and every command, for every role, with everything of another user's: nothing is told
or changed.

What is walked is taken from the app and the catalog, so that a new route cannot be forgotten. The
same is asked twice: of a database in which somebody else has traded, and of a service where nobody
else is. Word for word the answers must be the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient
from sqlalchemy import select

from tests.doors import ALICE, BINANCE, BOB, BYBIT, PAPER, Door, trade
from tests.surfaces.api_rig import OpenDoor, app_over, failure, health, signed, talking
from tradefleet.dispatcher import Dispatcher
from tradefleet.stores.sql import SqlStore
from tradefleet.stores.sql.tables import METADATA
from tradefleet.surfaces.api.seed_routes import seed_routes
from tradefleet.surfaces.api.seed_routes import trade as seed_trade

MARK = "ZZZBOBZZZ"
OPEN = {"/health", "/livez", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"}
IN_PATH = re.compile(r"\{(\w+)\}")
VERBS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(autouse=True)
def nobody_waits_for_a_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_trade, "WAIT_SECONDS", 0.0)


def whole(dispatcher: Dispatcher) -> FastAPI:
    """Return the app with every address there is."""
    return app_over(dispatcher, more=seed_routes(dispatcher, OpenDoor(), health))


def from_afar(user: str, role: str) -> dict[str, str]:
    """Return the headers of somebody who is not on the service's own machine."""
    return {**signed(user, role), "X-Forwarded-For": "203.0.113.9"}


class SqlDoor(Door):
    """One service over a database."""

    def __init__(self, store: SqlStore, still: Any) -> None:
        super().__init__(PAPER, BINANCE, BYBIT)
        self.still, self.store = still, store  # type: ignore[assignment]
        self.dispatcher = replace(self.dispatcher, store=store, clock=still, ids=still)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what is in braces stands in the path already."""

    verb: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None


async def furnish(door: Door) -> None:
    """Let Alice have a pair that Bob has not."""
    await door.ask("/start")
    await door.ask("/addpair ETH/USDT 500 binance")


@pytest.fixture
async def with_bob(sql_url: str, open_sql_store: Any) -> Door:
    still = Door().still
    store = await open_sql_store(sql_url, clock=still)
    door = SqlDoor(store, still)
    await furnish(door)
    await door.ask("/start", BOB)
    await trade(door, BOB, MARK)
    await door.dispatcher.run(BOB, "pause", [f"because{MARK}"], key=f"key{MARK}")
    return door


@pytest.fixture
async def without_bob(with_bob: Door) -> Door:
    door = Door(PAPER, BINANCE, BYBIT)
    await furnish(door)
    door.still.time = with_bob.still.time
    door.still.count = with_bob.still.count  # from here on both make the same ids
    return door


async def rows_of(door: Door, user_id: str) -> dict[str, list[str]]:
    """Return every row of a user's, in every table."""
    found = {}
    async with door.store.reading() as connection:  # type: ignore[attr-defined]
        for name, table in METADATA.tables.items():
            owner = table.c.get("user_id", table.c.id if name == "users" else None)
            if owner is not None:
                rows = await connection.execute(select(table).where(owner == user_id))
                found[name] = sorted(map(repr, rows))
    return found


async def things_of(door: Door, user_id: str) -> list[str]:
    """Return everything of a user's that has a name, and the user."""
    async with door.store.open(user_id, reading=True) as store:
        orders = await store.orders()
        named: list[Any] = [
            *await store.bots(),
            *await store.accounts(),
            *orders,
            *await store.trades(),
            *await store.fills([order.id for order in orders]),
        ]
    assert len({type(each) for each in named}) == 5
    return [*(each.id for each in named), str(user_id), "BTC-USDT"]


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield verb, path and description of everything that wants a caller."""
    for path, verbs in app.openapi()["paths"].items():
        if path not in OPEN:
            for verb, operation in verbs.items():
                yield verb, path, operation


def example(app: FastAPI, operation: dict[str, Any]) -> Any:
    """Return an example of an operation's body, None when it takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for part in [schema, *schema.get("anyOf", ())]:
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            return app.openapi()["components"]["schemas"][name].get("example", {})
    return None


def fields_of(app: FastAPI, operation: dict[str, Any]) -> list[str]:
    """Return the names of the fields of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for part in [schema, *schema.get("anyOf", ())]:
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            return list(app.openapi()["components"]["schemas"][name].get("properties", {}))
    return []


def in_paths(app: FastAPI, things: list[str]) -> list[Asked]:
    """Return a request for each operation with each thing in its path."""
    found = []
    for verb, path, operation in operations(app):
        body = example(app, operation)
        for thing in things if IN_PATH.search(path) else ["-"]:
            found.append(Asked(verb, IN_PATH.sub(thing, path), body=body))
    return found


def in_fields(app: FastAPI, things: list[str]) -> list[Asked]:
    """Return a request for each operation with each thing in each of its other fields."""
    found = []
    for verb, path, operation in operations(app):
        place, body = IN_PATH.sub("ETH-USDT", path), example(app, operation)
        for thing in things:
            for field in fields_of(app, operation):
                found.append(Asked(verb, place, body={**(body or {}), field: thing}))
            for each in operation.get("parameters", ()):
                if each["in"] == "query":
                    found.append(Asked(verb, place, query=((each["name"], thing),)))
    return found


async def answer(client: AsyncClient, asked: Asked, headers: Any) -> tuple[int, str]:
    """Return status and body of an answer."""
    response = await client.request(
        asked.verb.upper(),
        asked.path,
        params=dict(asked.query),
        json=asked.body,
        headers=dict(headers),
    )
    return response.status_code, response.text


def test_every_route_there_is_is_walked_or_known_to_be_open():
    app = whole(Door().dispatcher)
    walked = {(path, verb.upper()) for verb, path, _ in operations(app)}
    for context in iter_route_contexts(app.routes):
        path, methods = context.path, set(context.methods or {"WEBSOCKET"})
        assert path in OPEN or {(path, method) for method in methods} <= walked, path


def test_every_command_has_its_route():
    app = whole(Door().dispatcher)
    paths = app.openapi()["paths"]
    for command in Door().dispatcher.catalog.commands.values():
        assert "post" in paths[f"/api/v1/commands/{command.name}"]
        for route in command.routes:
            operation = paths[f"/api/v1{route.path}"][route.method.lower()]
            assert command.data, f"{command.name} does not say what its data is"
            assert operation["responses"]["200"]
            names = set(command.request.__dataclass_fields__)
            assert set(IN_PATH.findall(route.path)) <= names


async def test_nobody_gets_anything_from_any_route(with_bob: Door):
    app = whole(with_bob.dispatcher)
    before = await rows_of(with_bob, BOB)
    things = await things_of(with_bob, BOB)
    async with talking(app) as client:
        for asked in in_paths(app, things[:1]):
            for verb in VERBS:
                away = {"X-Forwarded-For": "203.0.113.9"}
                response = await client.request(verb, asked.path, json=asked.body, headers=away)
                known = failure(response)
                assert known in {(401, "unauthorized"), (405, "method_not_allowed")}, asked
                assert known[0] == 401 or verb != asked.verb
    assert await rows_of(with_bob, BOB) == before


async def test_who_may_read_changes_nothing(with_bob: Door):
    app, reader = whole(with_bob.dispatcher), from_afar(ALICE, "read")
    before = await rows_of(with_bob, ALICE)
    async with talking(app) as client:
        for asked in in_paths(app, ["ETH-USDT"]):
            status, _ = await answer(client, asked, reader)
            assert status != 500, asked
    assert await rows_of(with_bob, ALICE) == before


@pytest.mark.parametrize("role", ["trade", "admin"])
async def test_what_is_another_users_is_not_there(with_bob: Door, without_bob: Door, role: str):
    app, alone = whole(with_bob.dispatcher), whole(without_bob.dispatcher)
    caller = from_afar(ALICE, role)
    things = await things_of(with_bob, BOB)
    before = await rows_of(with_bob, BOB)
    of_paths, of_fields = in_paths(app, things), in_fields(app, things)
    assert len(of_paths) > 100
    assert len(of_fields) > 200
    async with talking(app) as client, talking(alone) as other:
        for asked in [*of_paths, *of_fields]:
            status, text = await answer(client, asked, caller)
            assert (status, text) == await answer(other, asked, caller), asked
            assert status < 500 or status == 503, asked
            assert MARK not in text, asked
            if any(f"/{thing}" in asked.path for thing in things):
                assert status == 404, (asked, text)
    assert await rows_of(with_bob, BOB) == before
