"""The client over a real connection: what it asks, what it brings back, what it asks again."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from scripts.client_code import FILE, code
from tests.doors import ALICE, BINANCE, PAPER, Door, trade
from tests.surfaces.api_rig import RIGHTS, OpenDoor, health
from tradefleet.domain.errors import NotSignedIn
from tradefleet.surfaces.api.caller import Caller
from tradefleet.surfaces.api.server import HttpSurface
from tradefleet_client import Client, RequestFailed, talk


class TokenDoor(OpenDoor):
    """Believes one token to be Alice's."""

    async def caller(self, authorization: str, address: str) -> Caller:
        if authorization != "Bearer alices-token":
            raise NotSignedIn("Sign in first.")
        return Caller(user_id=ALICE, rights=RIGHTS["trade"], session="s")


@pytest.fixture
async def door() -> Door:
    door = Door(PAPER, BINANCE)
    await door.ask("/start")
    return door


@pytest.fixture
async def url(door: Door) -> AsyncIterator[str]:
    http = HttpSurface(
        host="127.0.0.1",
        port=0,
        health=health,
        is_ready=lambda: True,
        dispatcher=door.dispatcher,
        door=TokenDoor(),
    )
    listener = http.listen()
    serving = asyncio.create_task(http.serve(listener))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    listener.close()


@pytest.fixture
async def answering() -> AsyncIterator[Callable[..., object]]:
    """Serve what a test wants to be answered, and keep what was asked."""
    runners = []

    async def serve(*answers: web.Response | None) -> tuple[str, list[web.Request]]:
        asked: list[web.Request] = []
        left = list(answers)

        async def answer(request: web.Request) -> web.StreamResponse:
            asked.append(request)
            told = left.pop(0)
            if told is None:
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            return told

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}", asked

    yield serve
    for runner in runners:
        await runner.cleanup()


def done() -> web.Response:
    return web.json_response({"success": True, "text": "Done.", "data": {"reason": "r"}})


def busy(after: str = "1") -> web.Response:
    told = {"success": False, "error": "Slowly.", "code": "too_many"}
    return web.json_response(told, status=429, headers={"Retry-After": after})


def test_the_client_has_a_method_for_every_command_as_it_is_now():
    assert FILE.read_text() == code(), "run python scripts/docs_tables.py"


async def test_a_user_adds_a_pair_and_reads_of_it(url: str, door: Door):
    async with Client(url, "alices-token") as client:
        added = await client.addpair("BTC/USDT", "1000", exchange="binance")
        assert added.text.startswith("✅ Trading Pair Added")
        assert added.data["balance"] == "1000"
        listed = await client.listpairs()
        assert [pair["symbol"] for pair in listed.data["pairs"]] == ["BTC/USDT"]
    assert set(await door.bots()) == {"BTC/USDT"}


async def test_orders_are_read_page_by_page(url: str, door: Door):
    await trade(door)
    async with Client(url, "alices-token") as client:
        page = (await client.orders(limit=1)).data
        assert [order["id"] for order in page["orders"]] == ["alice-1"]
        assert (await client.orders(limit=1, cursor=page["next"])).data["orders"] == []


async def test_what_is_refused_is_one_error_with_its_code(url: str):
    async with Client(url, "alices-token") as client:
        with pytest.raises(RequestFailed, match="no trading pairs") as failure:
            await client.start_trading(symbol="BTC/USDT")
        assert (failure.value.status, failure.value.code) == (404, "not_found")
        assert failure.value.key
    async with Client(url, "another-token") as client:
        with pytest.raises(RequestFailed) as failure:
            await client.listpairs()
        assert (failure.value.status, failure.value.code) == (401, "unauthorized")
    assert "another-token" not in repr(client)


async def test_a_write_is_asked_once_and_under_its_key_again(answering, monkeypatch):
    url, asked = await answering(None, done())
    async with Client(url, "token") as client:
        with pytest.raises(RequestFailed) as failure:
            await client.pause(reason="r")
        assert (failure.value.status, failure.value.code) == (0, "no_answer")
        assert len(asked) == 1
        assert (await client.pause(reason="r", key=failure.value.key)).text == "Done."
    assert asked[0].headers["Idempotency-Key"] == asked[1].headers["Idempotency-Key"]


async def test_each_write_has_a_key_of_its_own(answering):
    url, asked = await answering(done(), done())
    async with Client(url, "token") as client:
        await client.pause()
        await client.pause()
    first, second = (request.headers["Idempotency-Key"] for request in asked)
    assert first != second


async def test_a_read_is_asked_again_and_has_no_key(answering, monkeypatch):
    monkeypatch.setattr(talk, "WAIT_FIRST", 0.001)
    url, asked = await answering(None, busy("0"), done())
    async with Client(url, "token") as client:
        assert (await client.listpairs()).text == "Done."
    assert len(asked) == 3
    assert all("Idempotency-Key" not in request.headers for request in asked)


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        ([None, None, None], 3),
        ([busy("3600")], 1),
        ([web.Response(text="not JSON")], 3),
    ],
    ids=["no answer", "not before an hour", "no JSON"],
)
async def test_a_read_is_given_up(answering, monkeypatch, answers, tries):
    monkeypatch.setattr(talk, "WAIT_FIRST", 0.001)
    url, asked = await answering(*answers, *(web.Response(text="{") for _ in range(3)))
    async with Client(url, "token") as client:
        with pytest.raises(RequestFailed):
            await client.listpairs()
    assert len(asked) == tries
