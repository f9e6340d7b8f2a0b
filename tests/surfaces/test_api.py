"""The API: what it answers, how it refuses, and that a named request is done once."""

import asyncio
import socket
from dataclasses import dataclass, replace

import pytest

from tests.doors import ALICE, BINANCE, BOB, BYBIT, PAPER, Door, trade
from tests.surfaces.api_rig import app_over, failure, health, signed, talking
from tradefleet.command import CommandSpec, Reply, Route, secret
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import (
    BrokenInvariant,
    NotAllowed,
    StoreUnavailable,
    TooMany,
    VenueUnavailable,
)
from tradefleet.domain.user import Role
from tradefleet.operations.answers import AnswersForgotten
from tradefleet.stores.memory.user_store import MemoryUserStore
from tradefleet.surfaces.api.errors import BODY_MAX
from tradefleet.surfaces.api.server import HttpSurface

BOT = {"symbol": "BTC/USDT", "balance": "1000"}


@pytest.fixture
async def door():
    door = Door(PAPER, BINANCE, BYBIT)
    await door.ask("/start")
    return door


@pytest.fixture
async def client(door):
    async with talking(app_over(door.dispatcher)) as client:
        client.headers.update(signed(ALICE))
        yield client


# ---- answers


async def test_a_command_answers_text_and_data(client, door):
    told = (await client.post("/api/v1/bots", json=BOT)).json()
    assert told["success"] is True
    assert told["text"].startswith("✅ Trading Pair Added\nSymbol: BTC/USDT")
    assert (told["data"]["symbol"], told["data"]["balance"]) == ("BTC/USDT", "1000")
    by_name = (await client.post("/api/v1/commands/listpairs")).json()
    assert by_name == (await client.get("/api/v1/bots")).json()
    assert by_name["text"] == await door.say("/listpairs")


@pytest.mark.parametrize("path", ["BTC-USDT", "btcusdt", "BTC%2FUSDT", "BTC-USDT/", "BTC%2fUSDT/"])
async def test_a_pair_in_a_path_is_read_in_every_form(client, path):
    await client.post("/api/v1/bots/", json=BOT)
    told = (await client.get(f"/api/v1/bots/{path}")).json()
    assert [pair["symbol"] for pair in told["data"]["pairs"]] == ["BTC/USDT"]


@pytest.mark.parametrize("balance", [1000, 1000.5, "1000.12345678"])
async def test_an_amount_is_a_number_or_a_text(client, balance):
    told = (await client.post("/api/v1/bots", json={**BOT, "balance": balance})).json()
    assert told["data"]["balance"] == str(balance)


async def test_orders_are_told_page_by_page(client, door):
    await trade(door)
    first = (await client.get("/api/v1/orders", params={"limit": 1})).json()["data"]
    assert [order["id"] for order in first["orders"]] == ["alice-1"]
    rest = await client.get("/api/v1/orders", params={"limit": 1, "cursor": first["next"]})
    assert rest.json()["data"] == {"orders": [], "next": ""}
    order = (await client.get("/api/v1/orders/alice-1")).json()["data"]
    assert [fill["id"] for fill in order["fills"]] == ["alice-f1"]
    fills = (await client.get("/api/v1/fills", params={"symbol": "BTC/USDT"})).json()["data"]
    assert [fill["order_id"] for fill in fills["fills"]] == ["alice-1"]
    trades = (await client.get("/api/v1/trades", params={"since": "2026-01-02"})).json()["data"]
    assert trades["trades"] == []
    assert failure(await client.get("/api/v1/orders?cursor=x"))[0] == 400
    assert failure(await client.get("/api/v1/orders?state=lost"))[0] == 400


@pytest.mark.parametrize("accept", ["text/csv", "TEXT/CSV;q=0.9, */*", "text/csv,application/json"])
async def test_closed_trades_are_a_file_for_who_wants_one(client, door, accept):
    await trade(door)
    told = (await client.get("/api/v1/trades/export")).json()["data"]
    asked = {"headers": {"Accept": accept}}
    answer = await client.get("/api/v1/trades/export?since=2025-01-01", **asked)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == f'attachment; filename="{told["name"]}"'
    assert answer.text == told["csv"]
    assert "BTC/USDT" in answer.text
    assert failure(await client.get("/api/v1/trades/export?since=soon", **asked))[0] == 400


@pytest.mark.parametrize("accept", ["*/*", "application/json, text/csv", "text/*", "image/png", ""])
async def test_closed_trades_are_json_for_everybody_else(client, accept):
    answer = await client.get("/api/v1/trades/export", headers={"Accept": accept})
    assert answer.json()["data"]["trades"] == 0


async def test_a_limit_is_changed_and_shown(client, door):
    told = (await client.put("/api/v1/settings/daily_loss_share", json={"value": "0.04"})).json()
    assert told["data"] == {"name": "daily_loss_share", "value": "0.04"}
    shown = (await client.get("/api/v1/settings")).json()["data"]
    assert shown["limits"]["daily_loss_share"] == "0.04"
    assert shown["is_default"] is False
    assert ("switches_changed", {}) in await door.messages()
    assert failure(await client.put("/api/v1/settings/nothing", json={"value": "1"})) == (
        404,
        "not_found",
    )


# ---- refusals


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nothing", None, (404, "not_found")),
        ("GET", "/api/v1/nothing", None, (404, "not_found")),
        ("POST", "/api/v1/commands/nothing", None, (404, "not_found")),
        ("PUT", "/api/v1/bots", None, (405, "method_not_allowed")),
        ("GET", "/api/v1/bots/ETH-USDT", None, (404, "not_found")),
        ("GET", "/api/v1/bots/some-id-of-a-bot", None, (404, "not_found")),
        ("GET", "/api/v1/trades/no-such-trade/why", None, (404, "not_found")),
        ("DELETE", "/api/v1/accounts/kraken", None, (404, "not_found")),
        ("POST", "/api/v1/positions/all/exit", None, (404, "not_found")),
        ("POST", "/api/v1/bots", {}, (400, "invalid")),
        ("POST", "/api/v1/bots", [], (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "more": 1}, (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "balance": True}, (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "balance": "-1"}, (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "balance": 1}, (400, "refused")),
        ("POST", "/api/v1/bots", {**BOT, "symbol": 5}, (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "strategy": "luck"}, (400, "refused")),
        ("GET", "/api/v1/performance/daily?days=many", None, (400, "invalid")),
        ("GET", "/api/v1/performance/daily?day=1", None, (400, "invalid")),
        ("POST", "/api/v1/bots", {**BOT, "params": {"x": "y" * BODY_MAX}}, (413, "too_large")),
    ],
)
async def test_what_is_not_done_is_told_in_one_shape(client, method, path, body, expected):
    response = await client.request(method, path, json=body)
    assert failure(response) == expected


async def test_an_address_says_which_methods_it_knows(client):
    assert (await client.put("/api/v1/bots")).headers["allow"] == "GET, POST"


async def test_a_bot_that_is_there_already_is_a_conflict(client):
    await client.post("/api/v1/bots", json=BOT)
    assert failure(await client.post("/api/v1/bots", json=BOT)) == (409, "conflict")


async def test_a_body_that_is_no_json_is_refused(client):
    for content in (b"{", b"\xff", b"null", b"[1]", b'"x"'):
        response = await client.post("/api/v1/bots", content=content)
        assert failure(response) == (400, "invalid")


async def test_nobody_is_told_how_to_sign_in_and_sees_nothing(door):
    for parts in ({}, {"door": None}):
        async with talking(app_over(door.dispatcher, **parts)) as client:
            response = await client.post("/api/v1/bots", json={"wrong": 1})
            assert failure(response) == (401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
            assert "ign in" in response.json()["error"]


def raising(error: Exception) -> CommandSpec:
    @dataclass(frozen=True, slots=True)
    class Ask:
        name: str = ""

    async def raise_it(request, context):
        raise error

    return CommandSpec(
        name="ask",
        summary="Raises",
        usage="/ask",
        example="/ask",
        request=Ask,
        handler=raise_it,
        route=Route("GET", "/ask/{name}"),
    )


def with_command(door: Door, command: CommandSpec) -> None:
    catalog = door.dispatcher.catalog
    commands = {**catalog.commands, command.name: command}
    door.dispatcher = replace(door.dispatcher, catalog=replace(catalog, commands=commands))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BrokenInvariant("hidden"), (500, "internal")),
        (ZeroDivisionError("hidden"), (500, "internal")),
        (StoreUnavailable("hidden"), (503, "unavailable")),
        (VenueUnavailable("hidden"), (503, "unavailable")),
        (NotAllowed("Trading is disabled."), (403, "forbidden")),
        (TooMany("Slowly.", 1.2), (429, "too_many")),
    ],
)
async def test_what_breaks_inside_is_answered_and_not_told(door, error, expected, caplog):
    with_command(door, raising(error))
    async with talking(app_over(door.dispatcher)) as client:
        response = await client.get("/api/v1/ask/x", headers=signed(ALICE))
    assert failure(response) == expected
    assert "hidden" not in response.text
    if expected[0] == 429:
        assert response.headers["retry-after"] == "2"


async def test_rights_are_what_a_command_needs(door):
    async with talking(app_over(door.dispatcher)) as client:
        reader = signed(ALICE, "read")
        assert failure(await client.post("/api/v1/bots", json=BOT, headers=reader)) == (
            403,
            "forbidden",
        )
        assert (await client.get("/api/v1/bots", headers=reader)).status_code == 200
        listed = await client.post("/api/v1/commands/listpairs", headers=reader)
        assert listed.status_code == 200
    assert await door.bots() == {}


async def test_without_the_right_of_an_admin_all_that_is_theirs_is_refused_alike(door):
    await door.ask("/start", BOB)
    admins = [each for each in door.dispatcher.catalog.commands.values() if each.role is Role.ADMIN]
    assert len(admins) > 5
    async with talking(app_over(door.dispatcher)) as client:
        client.headers.update(signed(ALICE, "trade"))
        for command in admins:
            told = [
                await client.post(f"/api/v1/commands/{command.name}", json=body)
                for body in ({"user": BOB}, {"user": "nobody"}, {"no such field": 1})
            ]
            assert {failure(each) for each in told} == {(403, "forbidden")}, command.name
            assert len({each.text for each in told}) == 1, "it tells nothing of who is there"
            assert "needs the right admin" in told[0].text


async def test_a_key_that_is_refused_is_not_told_back(client, caplog):
    for body in (
        {"exchange": "bybit", "api_key": "hush" * 4, "api_secret": 5},
        {"exchange": "bybit", "hushkey": "hush" * 4},
        {"exchange": "bybit", "api_key": "hush" * 4, "api_secret": "hush" * 9},
    ):
        response = await client.post("/api/v1/accounts", json=body)
        assert failure(response)[0] in (400, 503)
        assert "hushhush" not in response.text + caplog.text


# ---- requests that are done once


async def audit(door: Door) -> list[str]:
    async with door.store.open(ALICE, reading=True) as store:
        return [line.action for line in store.draft.rows.audit]


def key(name: str = "first") -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_a_named_request_is_done_once_and_answered_alike(client, door):
    first = await client.post("/api/v1/bots", json=BOT, headers=key())
    again = await client.post("/api/v1/bots", json=BOT, headers=key())
    by_name = await client.post("/api/v1/commands/addpair", json=BOT, headers=key())
    assert first.content == again.content == by_name.content
    assert (await audit(door)).count("addpair") == 1


async def test_the_same_name_for_another_request_is_a_conflict(client, door):
    await client.post("/api/v1/bots", json=BOT, headers=key())
    other = await client.post("/api/v1/bots", json={**BOT, "balance": "1001"}, headers=key())
    paused = await client.post("/api/v1/trading/pause", headers=key())
    assert failure(other) == failure(paused) == (409, "conflict")
    assert (await audit(door)).count("pause") == 0


async def test_a_name_is_the_users_own(client, door):
    await client.post("/api/v1/bots", json=BOT, headers=key())
    await client.post("/api/v1/me", headers=signed("bob"))
    other = await client.post("/api/v1/bots", json=BOT, headers={**key(), **signed("bob")})
    assert other.status_code == 200
    assert set(await door.bots("bob")) == {"BTC/USDT"}


async def test_what_was_refused_may_be_tried_again_under_its_name(client):
    assert failure(await client.post("/api/v1/bots/BTC-USDT/start", headers=key()))[0] == 404
    await client.post("/api/v1/bots", json=BOT)
    again = await client.post("/api/v1/bots/BTC-USDT/start", headers=key())
    assert again.status_code == 200


async def test_of_many_at_once_one_is_done_and_all_are_answered_alike(client, door):
    asked = [client.post("/api/v1/bots", json=BOT, headers=key()) for _ in range(16)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await audit(door)).count("addpair") == 1


async def test_what_broke_before_it_was_answered_did_nothing_and_is_done_once(
    client, door, monkeypatch
):
    """As after a crash: effects and answer are in one transaction, or neither is."""

    async def break_off(self, answer):
        raise StoreUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryUserStore, "save_answer", break_off)
        response = await client.post("/api/v1/bots", json=BOT, headers=key())
        assert failure(response) == (503, "unavailable")
    assert await door.bots() == {}
    for _ in range(2):
        assert (await client.post("/api/v1/bots", json=BOT, headers=key())).status_code == 200
    assert (await audit(door)).count("addpair") == 1


async def test_old_answers_are_forgotten_by_their_job(client, door):
    await client.post("/api/v1/trading/pause", headers=key())
    job = AnswersForgotten(store=door.store, clock=door.still)
    assert await job.forget() == 0
    door.still.time = door.still.time.replace(day=2, second=1)
    assert await job.forget() == 1


async def test_a_name_is_free_again_after_a_day(client, door):
    await client.post("/api/v1/trading/pause", headers=key())
    door.still.time = door.still.time.replace(day=2)
    await client.post("/api/v1/trading/pause", headers=key())
    assert (await audit(door)).count("pause") == 2


@pytest.mark.parametrize("name", ["", " ", "x" * 129, "a b", "ü"])
async def test_a_name_is_short_and_plain(client, door, name):
    response = await client.post(
        "/api/v1/bots", json=BOT, headers={b"Idempotency-Key": name.encode()}
    )
    assert failure(response) == (400, "invalid")
    assert await door.bots() == {}


async def test_a_secret_is_told_once_and_never_kept(door):
    @dataclass(frozen=True, slots=True)
    class Give:
        password: Secret = secret()

    async def give(request, context):
        return Reply(text="the hush is told", holds_secret=True)

    command = replace(raising(ValueError()), request=Give, handler=give, changes=True, route=None)
    with_command(door, command)
    async with talking(app_over(door.dispatcher)) as client:
        first = await client.post("/api/v1/commands/ask", headers={**signed(ALICE), **key()})
        again = await client.post("/api/v1/commands/ask", headers={**signed(ALICE), **key()})
    assert "hush" in first.json()["text"]
    assert failure(again) == (409, "conflict")
    async with door.store.open(ALICE, reading=True) as store:
        kept = await store.answer("first")
    assert kept is not None
    assert kept.reply == ""


async def test_no_answer_waits_for_more_to_be_sent_with_it():
    surface = HttpSurface(host="127.0.0.1", port=0, health=health, is_ready=lambda: True)
    told = asyncio.get_running_loop().create_future()
    listener = surface.listen()

    async def answer(_, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket")
        told.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(answer, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await told == 1
        writer.close()
        await writer.wait_closed()
