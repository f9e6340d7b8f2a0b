"""The webhook believes only who knows the secret, and nobody twice."""

import asyncio
import socket

import pytest

from tests.surfaces.bot_api import SECRET_HEADER
from tests.surfaces.telegram_rig import ALICE, HOOK_SECRET, rig
from tradefleet.surfaces.telegram.options import TelegramOptions, Webhook


async def test_telegram_is_told_where_and_with_which_secret():
    async with rig(webhook=True) as it:
        assert it.api.webhook["url"] == it.options.webhook.url
        assert it.api.webhook["secret_token"] == HOOK_SECRET
        assert it.api.webhook["allowed_updates"] == ["message", "edited_message", "callback_query"]
        assert not it.api.made("getUpdates")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {SECRET_HEADER: ""},
        {SECRET_HEADER: HOOK_SECRET[:-1]},
        {SECRET_HEADER: HOOK_SECRET + "x"},
        {SECRET_HEADER: HOOK_SECRET.upper()},
        {SECRET_HEADER: "é" + HOOK_SECRET[1:]},
        {SECRET_HEADER: f"{HOOK_SECRET},{HOOK_SECRET}"},
        {"Authorization": HOOK_SECRET},
    ],
    ids=["missing", "empty", "short", "long", "other case", "no ASCII", "twice", "elsewhere"],
)
async def test_who_does_not_know_the_secret_is_not_heard(headers):
    async with rig(webhook=True) as it:
        update = it.api.message(ALICE, "/echo forged")
        assert await it.api.push(update, headers) == 403
        assert await it.api.push(None, headers, body=b"x" * 1_000_000) == 403
        assert await it.ask("/echo genuine") == "echo: genuine"
        assert [words for *_, words in it.awkward.ran] == ["genuine"]


async def test_two_secrets_are_not_better_than_one():
    async with rig(webhook=True) as it:
        hook = it.options.webhook
        body = b'{"update_id": 1}'
        request = (
            f"POST {hook.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"{SECRET_HEADER}: {HOOK_SECRET}\r\n{SECRET_HEADER}: {HOOK_SECRET}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        reader, writer = await asyncio.open_connection(hook.host, hook.port)
        writer.write(request + body)
        assert (await reader.readline()).split()[1] == b"403"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"update_id": "1"}', 400),
        (b'{"update_id": true}', 400),
        (b'{"update_id": 1, "message": "odd"}', 200),
        (b'{"update_id": 2, "x": "' + b"y" * 300_000 + b'"}', 413),
    ],
    ids=["nothing", "half", "binary", "list", "empty", "text", "truth", "odd", "huge"],
)
async def test_a_body_that_is_no_update_harms_nothing(body, status):
    async with rig(webhook=True) as it:
        assert await it.api.push(None, body=body) == status
        assert await it.ask("/echo on") == "echo: on"


async def test_another_path_or_method_is_nobody():
    async with rig(webhook=True) as it:
        update = it.api.message(ALICE, "/echo x")
        url = it.api.webhook["url"]
        it.api.webhook["url"] = url + "/other"
        assert await it.api.push(update) == 404
        it.api.webhook["url"] = url


@pytest.mark.parametrize("remembered", [10_000, 3])
async def test_a_replayed_update_is_accepted_and_not_run(monkeypatch, remembered):
    monkeypatch.setattr("tradefleet.surfaces.telegram.arrivals.SEEN_MAX", remembered)
    async with rig(webhook=True) as it:
        updates = [it.api.message(ALICE, f"/echo {number}") for number in range(3)]
        for update in [*updates, *updates, *reversed(updates)]:
            assert await it.api.push(update) == 200
        assert await it.ask("/echo on") is not None
        await it.api.heard(ALICE, 5)
        assert [words for *_, words in it.awkward.ran] == ["0", "1", "2", "on"]


async def test_what_there_is_no_room_for_is_left_to_telegram(monkeypatch):
    monkeypatch.setattr("tradefleet.surfaces.telegram.arrivals.BACKLOG_MAX", 2)
    async with rig(webhook=True) as it:
        slow, waiting, refused = (
            it.api.message(ALICE, text) for text in ("/slow x", "/echo 1", "/echo 2")
        )
        assert [await it.api.push(u) for u in (slow, waiting, refused)] == [200, 200, 503]
        it.awkward.gate.set()
        await it.api.heard(ALICE, 3)
        assert await it.api.push(refused) == 200
        assert (await it.api.heard(ALICE, 4))[-1] == "echo: 2"


async def test_the_server_is_gone_when_serving_ends():
    async with rig(webhook=True) as it:
        hook = it.options.webhook
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((hook.host, hook.port))
    assert it.api.webhook["url"] == hook.url  # Telegram keeps what comes meanwhile


@pytest.mark.parametrize("secret", ["", "short", "x" * 257, "no spaces are allowed", "ümlaut" * 4])
def test_a_weak_secret_is_refused(secret):
    with pytest.raises(ValueError, match="16 to 256") as caught:
        Webhook(url="https://example.com/hook", secret=secret)
    assert not secret or secret not in str(caught.value)


def test_secrets_are_not_shown():
    hook = Webhook(url="https://example.com", secret=HOOK_SECRET)
    shown = repr(TelegramOptions(token="1:the-token", webhook=hook))
    assert hook.path == "/"
    assert HOOK_SECRET not in shown
    assert "the-token" not in shown


def test_a_token_that_is_none_is_refused():
    with pytest.raises(ValueError, match="BotFather") as caught:
        TelegramOptions(token="my-secret")
    assert "my-secret" not in str(caught.value)
