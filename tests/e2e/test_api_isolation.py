"""Every route and every command, for every role, with everything of another user's: nothing is told
or changed.

What is walked is taken from the app and the catalog, so that a new route cannot be forgotten. The
same is asked twice: of a database in which somebody else has traded, and of a service where nobody
else is. Word for word the answers must be the same. Everybody is signed in as in earnest: Alice by
a session and by personal tokens, an admin by a session.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import select
from starlette.types import Message

from tests.doors import ALICE, BINANCE, BOB, BYBIT, PAPER, START, Door, trade
from tests.surfaces.api_rig import app_over, failure, health, talking
from tests.unit.test_sign_in import QUICK
from tests.unit.test_sign_in_tokens import BOT, NEW
from tradefleet.counters.memory import MemoryCounters
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role
from tradefleet.identity import (
    SESSION_LIFETIME,
    TOKEN_PREFIX,
    PersonalToken,
    Right,
    Session,
    hash_of,
)
from tradefleet.operations.privacy.archives import Archives
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.operations.sign_in.passwords import Passwords
from tradefleet.operations.sign_in.sessions import SignIn
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.quota import Quotas
from tradefleet.stores.sql import SqlStore
from tradefleet.stores.sql.tables import METADATA
from tradefleet.surfaces.api.auth import auth_routes
from tradefleet.surfaces.api.door import SignInDoor
from tradefleet.surfaces.api.health import Health
from tradefleet.surfaces.api.live import Live, live_routes
from tradefleet.surfaces.api.live_hub import LiveHub
from tradefleet.surfaces.api.live_ticket import Tickets
from tradefleet.surfaces.api.my_data import my_data_routes
from tradefleet.surfaces.api.pages import page_routes
from tradefleet.surfaces.api.seed_routes import seed_routes
from tradefleet.surfaces.api.seed_routes import trade as seed_trade

MARK = "ZZZBOBZZZ"
OPEN = {"/health", "/livez", "/readyz", "/docs", "/openapi.json"}
# Ways in and pages of one-time links: for those who are not signed in yet, and told of nobody.
SIGNING_IN = ("/api/v1/auth/", "/link/")
PUBLIC = ("/api/v1/charts/", "/api/v1/pictures/")  # of the market, whose pairs are nobody's
SOCKET = "/api/v1/ws"  # asks the same door for each who comes in
# For those who run the service: they are told of everybody, and change what is everybody's.
OPERATORS = {"/stats", "/alerts", "/users/overview", "/admin/maintenance"}
# What may end how one is signed in.
ENDING = ("sign", "session", "password", "token", "totp", "deleteme", "/me")
ROOT = UserId("root")
ROLES = ("read", "trade", "user", "admin")
SIGNATURE = re.compile(r"(?<=\.)[0-9a-f]{64}")  # of a ticket, by each database's own secret
NUMBER = re.compile(r'(?<="request_id":")[^"]*')  # of a request, which is each one's own
HEARD = ("event_heads", "leases")  # where it is noted that somebody listens, which readers may
IN_PATH = re.compile(r"\{(\w+)\}")
VERBS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(autouse=True)
def nobody_waits_for_a_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_trade, "WAIT_SECONDS", 0.0)


def sign_in_of(dispatcher: Dispatcher) -> SignIn:
    return SignIn(
        store=dispatcher.store,
        clock=dispatcher.clock,
        ids=dispatcher.ids,
        access=AccessTokens([NEW]),
        passwords=Passwords(QUICK),
        throttle=Throttle(
            dispatcher.store.identity,
            dispatcher.clock,
            Quotas(counters=MemoryCounters(dispatcher.clock)),
        ),
        vault=dispatcher.vault,
        bot_token=BOT,
    )


def live_of(dispatcher: Dispatcher, door: Any) -> Live:
    store, clock = dispatcher.store, dispatcher.clock
    tickets = Tickets(store, clock, dispatcher.ids)
    return Live(store=store, hub=LiveHub(store, clock), door=door, tickets=tickets)


def whole(dispatcher: Dispatcher) -> FastAPI:
    """Return the app with every address there is."""
    sign_in = sign_in_of(dispatcher)
    door = SignInDoor(sign_in)
    return app_over(dispatcher, door=door, more=more_routes(dispatcher, sign_in, door))


def more_routes(
    dispatcher: Dispatcher, sign_in: SignIn, door: Any, health: Health = health
) -> list[APIRouter]:
    """Return what is there besides health and commands."""
    return [
        auth_routes(sign_in),
        page_routes(sign_in, dispatcher),
        *seed_routes(dispatcher, door, health),
        live_routes(live_of(dispatcher, door)),
        my_data_routes(no_archives(dispatcher), door),
    ]


def no_archives(dispatcher: Dispatcher) -> Archives:
    """Return archives none of which is made."""
    nothing: Any = None
    return Archives(
        records=nothing,
        folder=Path("nowhere"),
        clock=dispatcher.clock,
        counters=nothing,
        version="1",
    )


def shown_by(role: str) -> str:
    """Return what somebody in a role signs in with."""
    if role in ("read", "trade"):
        return f"{TOKEN_PREFIX}{role} of alice"
    return AccessTokens([NEW]).sign(session_of(ROOT if role == "admin" else ALICE), START).reveal()


def session_of(user_id: UserId) -> Session:
    return Session(
        id=f"session of {user_id}",
        user_id=user_id,
        how="password",
        address="192.0.2.1",
        created_at=START,
        seen_at=START,
        expires_at=START + SESSION_LIFETIME,
    )


async def sign_in(store: Any, user_id: UserId) -> None:
    """Let a user have a session and two personal tokens."""
    async with store.open(user_id) as own:
        await own.identity.save_session(session_of(user_id))
        for right in (Right.READ, Right.TRADE):
            await own.identity.save_token(
                PersonalToken(
                    id=f"{right} of {user_id}",
                    user_id=user_id,
                    name=f"{right} of {user_id}",
                    hash=hash_of(f"{TOKEN_PREFIX}{right} of {user_id}"),
                    rights=(right,),
                    created_at=START,
                    expires_at=START + SESSION_LIFETIME,
                )
            )


def from_afar(role: str) -> dict[str, str]:
    """Return the headers of somebody who is not on the service's own machine."""
    signed = {"Authorization": f"Bearer {shown_by(role)}"} if role else {}
    return {**signed, "X-Forwarded-For": "203.0.113.9"}


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
    route: str = ""


async def furnish(door: Door) -> None:
    """Let Alice and an admin have a pair that Bob has not, and be signed in."""
    for user_id in (ALICE, ROOT):
        await door.ask("/start", user_id)
        await door.ask("/addpair ETH/USDT 500 binance", user_id)
        await sign_in(door.store, user_id)
    async with door.store.open(ROOT) as own:
        user = await own.user()
        assert user is not None
        await own.save_user(replace(user, role=Role.ADMIN))


@pytest.fixture
async def with_bob(sql_url: str, open_sql_store: Any) -> Door:
    still = Door().still
    store = await open_sql_store(sql_url, clock=still)
    door = SqlDoor(store, still)
    await furnish(door)
    await door.ask("/start", BOB)
    await trade(door, BOB, MARK)
    await door.dispatcher.run(BOB, "pause", [f"because{MARK}"], key=f"key{MARK}")
    await sign_in(door.store, BOB)
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
            *await store.identity.sessions(),
            *await store.identity.tokens(),
        ]
    assert len({type(each) for each in named}) == 7
    return [*(each.id for each in named), str(user_id), "BTC-USDT"]


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield verb, path and description of everything that wants a caller."""
    for path, verbs in app.openapi()["paths"].items():
        for verb, operation in verbs.items():
            if path not in OPEN and (operation.get("security") or not is_way_in(path)):
                yield verb, path, operation


def is_way_in(path: str) -> bool:
    return path.startswith(SIGNING_IN)


def is_for_operators(door: Door, path: str) -> bool:
    """Say whether only those who run the service may ask this."""
    commands = door.dispatcher.catalog.commands.values()
    own = [each for each in commands if each.role is Role.ADMIN]
    places = {f"/api/v1{route.path}" for each in own for route in each.routes}
    return path in OPERATORS | places | {f"/api/v1/commands/{each.name}" for each in own}


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
            found.append(Asked(verb, IN_PATH.sub(thing, path), body=body, route=path))
    return found


def in_fields(app: FastAPI, things: list[str]) -> list[Asked]:
    """Return a request for each operation with each thing in each of its other fields."""
    found = []
    for verb, path, operation in operations(app):
        place, body = IN_PATH.sub("ETH-USDT", path), example(app, operation)
        for thing in things:
            for field in fields_of(app, operation):
                found.append(Asked(verb, place, body={**(body or {}), field: thing}, route=path))
            for each in operation.get("parameters", ()):
                if each["in"] == "query":
                    found.append(Asked(verb, place, query=((each["name"], thing),), route=path))
    return found


async def answer(app: FastAPI, asked: Asked, headers: dict[str, str]) -> tuple[int, str]:
    """Return status and body of an answer; without a client, who would take as long as the app."""
    body = b"" if asked.body is None else orjson.dumps(asked.body)
    sent = {"host": "service", "accept": "*/*", "content-length": str(len(body)), **headers}
    if body:
        sent["content-type"] = "application/json"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": asked.verb.upper(),
        "path": asked.path,
        "raw_path": quote(asked.path).encode(),
        "root_path": "",
        "query_string": urlencode(asked.query).encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "server": ("service", 80),
        "client": ("127.0.0.1", 123),
    }
    statuses, parts = [], []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    (status,) = statuses
    return status, NUMBER.sub("one", SIGNATURE.sub("signed", b"".join(parts).decode()))


def test_every_route_there_is_is_walked_or_known_to_be_open():
    app = whole(Door().dispatcher)
    walked = {(path, verb.upper()) for verb, path, _ in operations(app)}
    for context in iter_route_contexts(app.routes):
        path, methods = context.path, set(context.methods or {"WEBSOCKET"}) - {"HEAD"}
        known = path in {*OPEN, SOCKET} or is_way_in(path)
        assert known or {(path, method) for method in methods} <= walked, path


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
                response = await client.request(
                    verb, asked.path, json=asked.body, headers=from_afar("")
                )
                known = failure(response)
                assert known in {(401, "unauthorized"), (405, "method_not_allowed")}, asked
                assert known[0] == 401 or verb != asked.verb
    assert await rows_of(with_bob, BOB) == before


async def test_who_may_read_changes_nothing(with_bob: Door):
    app, reader = whole(with_bob.dispatcher), from_afar("read")
    before = await rows_of(with_bob, ALICE)
    for asked in in_paths(app, ["ETH-USDT"]):
        status, _ = await answer(app, asked, reader)
        assert status != 500, asked
    after = await rows_of(with_bob, ALICE)
    assert {**after, **dict.fromkeys(HEARD)} == {**before, **dict.fromkeys(HEARD)}


async def test_ways_in_tell_nothing_of_anybody_and_open_for_nothing_that_is_theirs(
    with_bob: Door,
):
    app = whole(with_bob.dispatcher)
    things = await things_of(with_bob, BOB)
    before = await rows_of(with_bob, BOB)
    ways = {
        (method.lower(), context.path)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if is_way_in(context.path) and method in ("GET", "POST")
    }
    assert len(ways) > 9
    async with talking(app) as client:
        for verb, path in sorted(ways):
            operation = app.openapi()["paths"].get(path, {}).get(verb, {})
            for thing in things:
                given: dict[str, Any] = dict.fromkeys(fields_of(app, operation), thing)
                if path.startswith("/link/"):
                    given = {"params": {"code": thing}, "data": {"code": thing}}
                    given = given if verb == "post" else {"params": {"code": thing}}
                else:
                    given = {"json": given or {"id": thing, "hash": thing}}
                answer = await client.request(verb, path, headers=from_afar(""), **given)
                assert answer.status_code in (400, 401, 429), (path, answer.text)
                assert MARK not in answer.text
    assert await rows_of(with_bob, BOB) == before


@pytest.mark.parametrize("role", ROLES)
async def test_what_is_another_users_is_not_there(
    with_bob: Door, without_bob: Door, role: str, sql_url: str
):
    app, alone = whole(with_bob.dispatcher), whole(without_bob.dispatcher)
    caller = from_afar(role)
    things = await things_of(with_bob, BOB)
    before = await rows_of(with_bob, BOB)
    of_paths, of_fields = in_paths(app, things), in_fields(app, things)
    assert len(of_paths) > 100
    assert len(of_fields) > 200
    if role in ("read", "trade") or (role == "admin" and sql_url.startswith("postgres")):
        of_fields = []  # Alice asks the same, and may ask for as much
    if role == "admin":
        of_paths = [each for each in of_paths if not is_for_operators(with_bob, each.route)]
        of_fields = [each for each in of_fields if not is_for_operators(with_bob, each.route)]
    done = 0
    for asked in [*of_paths, *of_fields]:
        told, as_if_alone = await asyncio.gather(
            answer(app, asked, caller), answer(alone, asked, caller)
        )
        assert told == as_if_alone, asked
        status, text = told
        done += status == 200
        by_ticket = any(name == "ticket" for name, _ in asked.query)
        assert status != 401 or by_ticket, asked  # or the rest would be asked by nobody
        if status == 200 and any(word in asked.path for word in ENDING):
            for world in (with_bob, without_bob):
                await sign_in(world.store, ROOT if role == "admin" else ALICE)
        assert status < 500 or status == 503, asked
        assert MARK not in text, asked
        if asked.path.startswith(PUBLIC):
            continue
        if any(f"/{thing}" in asked.path for thing in things):
            # Who may not ask this at all is told so, whatever they name.
            may = role not in ("read", "trade") and not is_for_operators(with_bob, asked.route)
            assert status in ((404,) if may else (403, 404)), asked
    assert await rows_of(with_bob, BOB) == before
    assert done > 50  # so it was not refused for how it was asked
