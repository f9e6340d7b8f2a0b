"""The library's requests over our transport: forms, files, time-outs, and no address in errors."""

import asyncio

import pytest
from telegram.error import (
    BadRequest,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)

from tests.surfaces.bot_api import TOKEN, BotApi, Fault
from tests.surfaces.telegram_rig import ALICE, free_port
from tradefleet.surfaces.telegram import transport
from tradefleet.surfaces.telegram.bot import build_bot
from tradefleet.surfaces.telegram.options import TelegramOptions


@pytest.fixture
async def api():
    async with BotApi().running() as it:
        yield it


@pytest.fixture
async def bot(api):
    bot = build_bot(TelegramOptions(token=TOKEN, api_url=api.url))
    async with bot:
        yield bot


async def test_parameters_travel_as_a_form(api, bot):
    await bot.send_message(ALICE, "<b>10 & 20 = 30 + ü 🙂</b>", parse_mode="HTML")
    (call,) = api.made("sendMessage")
    assert call.params == {
        "chat_id": ALICE,
        "text": "<b>10 & 20 = 30 + ü 🙂</b>",
        "parse_mode": "HTML",
    }
    assert api.said(ALICE) == ["10 & 20 = 30 + ü 🙂"]


async def test_files_travel_as_parts(api, bot):
    await bot.send_document(ALICE, b"a,b\n1,2\n", filename="trades.csv", caption="your träde")
    (call,) = api.made("sendDocument")
    assert call.files == {"document": ("trades.csv", b"a,b\n1,2\n")}
    assert call.params == {"chat_id": ALICE, "caption": "your träde"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=429, retry_after=5), RetryAfter),
        (Fault(status=429), NetworkError),
        (Fault(status=400), BadRequest),
        (Fault(status=401), InvalidToken),
        (Fault(status=403), Forbidden),
        (Fault(status=500), NetworkError),
        (Fault(status=502, page=True), NetworkError),
        (Fault(status=301, page=True), NetworkError),
        (Fault(status=200, page=True), NetworkError),
        (Fault(status=403, page=True), Forbidden),
        (Fault(status=500, description=f"no way to /bot{TOKEN}/x"), NetworkError),
        (Fault(hang_up=True), NetworkError),
    ],
)
async def test_an_error_is_told_apart_and_says_no_address(api, bot, fault, error):
    api.fail("sendMessage", fault)
    with pytest.raises(error) as caught:
        await bot.send_message(ALICE, "x")
    chain, told = caught.value, []
    while chain is not None:
        told.append(f"{chain!r} {chain}")
        chain = chain.__cause__ or chain.__context__
    assert TOKEN.partition(":")[2] not in " ".join(told)


async def test_a_slow_answer_is_given_up_in_time(api, bot):
    api.fail("sendMessage", Fault(slow=0.2))
    with pytest.raises(TimedOut):
        await bot.send_message(ALICE, "x", read_timeout=0.05)
    await bot.send_message(ALICE, "y", read_timeout=None)


async def test_a_server_that_is_not_there_is_a_network_error():
    bot = build_bot(TelegramOptions(token=TOKEN, api_url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(NetworkError, match=r"cannot be reached \(Client"):
        await bot.initialize()
    await bot.shutdown()


async def test_an_endless_answer_is_cut_off(api, bot, monkeypatch):
    monkeypatch.setattr(transport, "ANSWER_MAX", 100)
    with pytest.raises(NetworkError):
        await bot.send_message(ALICE, "x" * 200)


async def test_a_file_comes_as_it_is(api, bot):
    url = f"{api.url}/bot{TOKEN}/getMe"
    assert b'"username"' in await bot.request.retrieve(url)
    api.fail("getMe", Fault(status=404, page=True))
    with pytest.raises(InvalidToken):
        await bot.request.retrieve(url)


async def test_there_are_never_more_connections_than_allowed(api):
    bot = build_bot(TelegramOptions(token=TOKEN, api_url=api.url))
    bot.request._connections = 2
    open_at_once, most = 0, 0

    async def send():
        await bot.send_message(ALICE, "x")

    def count(call):
        nonlocal open_at_once, most
        open_at_once += 1
        most = max(most, open_at_once)
        asyncio.get_running_loop().call_later(0.01, leave)

    def leave():
        nonlocal open_at_once
        open_at_once -= 1

    api.when_called = count
    api.fail("sendMessage", *[Fault(slow=0.02, status=500)] * 6)
    results = await asyncio.gather(*(send() for _ in range(6)), return_exceptions=True)
    assert all(isinstance(result, NetworkError) for result in results)
    assert most <= 2
    await bot.request.shutdown()


async def test_it_opens_again_after_it_was_closed(api, bot):
    await bot.request.shutdown()
    await bot.send_message(ALICE, "x")
    assert api.said(ALICE) == ["x"]


async def test_a_text_that_no_encoding_carries_is_sent_without_it(api, bot):
    await bot.send_message(ALICE, "half \ud83d sign")
    assert api.said(ALICE) == ["half ? sign"]
