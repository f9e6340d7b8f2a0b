"""Whether an order left, and what is concluded when the wire does its worst."""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.makers import ETH
from tests.venues.rig import (
    Adapter,
    FreePacer,
    ShiftedClock,
    Teller,
    adapter,
    armed,
    http,
    listed,
    resting,
    teller,
)
from tests.venuesim.rig import until
from tradefleet.domain.errors import (
    BrokenInvariant,
    OutcomeUnknown,
    VenueRejected,
    VenueUnavailable,
)
from tradefleet.domain.order import Purpose
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.venues._ccxt import account
from tradefleet.venues._ccxt.account import CcxtLink
from venuesim.keys import Key

SECRET = "5ecre7" * 8
KEY = Key(api_key="Ap1Key" * 8, secret=SECRET, account="a1", permissions=set())
TAKEN = (
    '{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,'
    f'"clientOrderId":"{armed().id}","transactTime":1}}'
)
FUNDS = '{"code":-2010,"msg":"Account has insufficient balance for requested action."}'


@asynccontextmanager
async def linked(
    told: Teller, *, ws: str = "ws://127.0.0.1:9", **options: Any
) -> AsyncIterator[tuple[CcxtLink, Adapter]]:
    """An account's link to a server that says what it is told to; its streams go nowhere."""
    async with adapter(told.url, ws, **options) as made:
        listed(made)
        made.venue.side(Mode.LIVE).keeps_clock = True  # or it would ask this server for the time
        yield await made.link(KEY), made


async def test_an_order_that_is_acknowledged_has_the_venues_id():
    async with teller(http(TAKEN)) as told, linked(told) as (link, _):
        assert await link.submit(armed()) == "28"
        assert len(told.heard) == 1
        assert told.heard[0].startswith(b"POST /api/v3/order HTTP/1.1\r\n")


async def test_a_proven_refusal_is_a_refusal():
    async with teller(http(FUNDS, 400)) as told, linked(told) as (link, _):
        with pytest.raises(VenueRejected, match=r"^-2010 Account has insufficient balance"):
            await link.submit(armed())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + TAKEN.encode()[:20]
UNPROVEN = {
    "hung up": None,
    "cut in the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": b"\x00\x01\x02 what?\r\n\r\n",
    "headers only": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "body cut off": http(TAKEN, Content_Length="500"),
    "body cut in two": http(TAKEN[:40], Content_Length=str(len(TAKEN))),
    "chunk cut off": CHUNKED,
    "broken gzip": http(b"\x1f\x8b\x08\x00broken", Content_Encoding="gzip"),
    "truncated JSON": http(TAKEN[:-1]),
    "empty": http(""),
    "object": http("{}"),
    "HTML": http("<html><body>Just a moment...</body></html>", Content_Type="text/html"),
    "HTML 403": http("<html>403 Forbidden</html>", 403),
    "HTML 404": http("<html>404 Not Found</html>", 404),
    "HTML 409": http("<html>409</html>", 409),
    "HTML 429": http("<html>429</html>", 429, Retry_After="1"),
    "HTML 418": http("<html>418</html>", 418, Retry_After="120"),
    "id null": http(TAKEN.replace("28", "null", 1)),
    "id missing": http(TAKEN.replace('"orderId":28,', "")),
    "another order's": http(TAKEN.replace(armed().id, "x" * 32)),
    "taken with status 202": http(TAKEN, 202),
    "redirect": http("", 307, Location="http://127.0.0.1:1/"),
    "timeout": http('{"code":-1007,"msg":"Timeout waiting for response from backend."}', 400),
    "unexpected": http('{"code":-1006,"msg":"An unexpected response was received."}', 400),
    "unknown error": http('{"code":-1000,"msg":"An unknown error occurred."}', 400),
    "duplicate": http('{"code":-2010,"msg":"Duplicate order sent."}', 400),
    "refusal of a broken server": http(FUNDS, 503),
    "maintenance": http('{"code":1,"msg":"System is under maintenance."}', 503),
} | {
    f"HTML {status}": http("<html>cloudflare</html>", status)
    for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529)
}


@pytest.mark.parametrize("case", UNPROVEN)
async def test_whatever_is_not_proven_is_unknown_and_sent_once(case):
    async with teller(UNPROVEN[case]) as told, linked(told) as (link, _):
        with pytest.raises(OutcomeUnknown) as caught:
            await link.submit(armed())
        assert len(told.heard) == 1
    assert SECRET not in str(caught.value)
    assert KEY.api_key not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_no_answer_is_unknown_after_a_while(monkeypatch):
    monkeypatch.setattr(account, "ORDER_SECONDS", 0.05)
    async with teller() as told, linked(told) as (link, _):
        told.hold = True
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await link.submit(armed())
        assert len(told.heard) == 1


async def test_a_lost_connection_that_was_used_before_is_unknown():
    async with linked_keep_alive() as (link, heard):
        assert await link.submit(armed()) == "28"
        with pytest.raises(OutcomeUnknown, match=r"hung up|broke"):
            await link.submit(armed())
        assert heard == [1, 2]


@asynccontextmanager
async def linked_keep_alive() -> AsyncIterator[tuple[CcxtLink, list[int]]]:
    """A server that answers the first request of a connection, and dies of the second."""
    heard: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        heard.append(1)
        writer.write(http(TAKEN))
        await reader.readuntil(b"\r\n\r\n")
        heard.append(2)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told = Teller(port=server.sockets[0].getsockname()[1])
    try:
        async with linked(told) as (link, _):
            yield link, heard
    finally:
        server.close()


# ---- when provably not one byte left


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_a_refused_connection_is_no_sending():
    async with linked(Teller(port=closed_port())) as (link, _):
        with pytest.raises(VenueUnavailable, match="no connection; nothing was sent"):
            await link.submit(armed())


async def test_a_name_that_cannot_be_looked_up_is_no_sending(monkeypatch):
    async def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    async with adapter("http://nowhere.invalid", "ws://127.0.0.1:9") as made:
        listed(made)
        made.venue.side(Mode.LIVE).keeps_clock = True
        link = await made.link(KEY)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
        with pytest.raises(VenueUnavailable, match="name cannot be looked up; nothing was sent"):
            await link.submit(armed())


async def test_a_failed_handshake_is_no_sending():
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        heard.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with adapter(f"https://127.0.0.1:{port}", "ws://127.0.0.1:9") as made:
        listed(made)
        made.venue.side(Mode.LIVE).keeps_clock = True
        link = await made.link(KEY)
        with pytest.raises(VenueUnavailable, match="nothing was sent"):
            await link.submit(armed())
    server.close()
    assert not any(b"POST" in each for each in heard)


async def test_a_door_that_is_closed_is_no_sending():
    pacer = FreePacer(closed="binance takes no requests from us until 12:00 UTC")
    async with teller(http(TAKEN)) as told, linked(told, pacer=pacer) as (link, _):
        with pytest.raises(VenueUnavailable, match="takes no requests"):
            await link.submit(armed())
        assert told.heard == []


@pytest.mark.parametrize(("age", "sent"), [(0.0, True), (3.5, True), (4.1, False), (9.0, False)])
async def test_an_order_whose_turn_comes_too_late_is_not_sent(age, sent):
    async with teller(http(TAKEN)) as told, linked(told) as (link, made):
        late = armed()
        sent_at = (late.sent_at or made.venue.clock.now()) - timedelta(seconds=age)
        late = replace(late, sent_at=sent_at, deadline=sent_at + timedelta(seconds=5))
        if sent:
            assert await link.submit(late) == "28"
        else:
            with pytest.raises(VenueUnavailable, match="turn came too late; nothing was sent"):
                await link.submit(late)
        assert len(told.heard) == sent


async def test_the_deadline_is_looked_at_after_the_wait_for_the_turn():
    clock = ShiftedClock(timedelta(0))

    async def wait(call: object) -> None:
        clock.off += timedelta(seconds=4.5)

    async with teller(http(TAKEN)) as told, linked(told, clock=clock) as (link, made):
        made.pacer.before = wait
        with pytest.raises(VenueUnavailable, match="too late"):
            await link.submit(armed())
        assert told.heard == []


async def test_an_order_does_not_wait_for_a_turn_that_would_come_too_late():
    async def wait(call: object) -> None:
        await asyncio.Event().wait()

    async with teller(http(TAKEN)) as told, linked(told) as (link, made):
        made.pacer.before = wait
        order = armed(at=made.venue.clock.now() - timedelta(seconds=3.95))
        with pytest.raises(VenueUnavailable, match="its turn did not come in time"):
            await link.submit(order)
        assert told.heard == []


async def test_waiting_for_its_turn_does_not_make_the_venues_clock_wrong():
    clock = ShiftedClock(timedelta(0))

    async def wait(call: object) -> None:
        clock.off += timedelta(seconds=1.5)

    there = int((clock.now() + timedelta(seconds=1.5)).timestamp() * 1000)
    answer = http(f'{{"serverTime":{there}}}')
    async with teller(answer) as told, linked(told, clock=clock) as (_, made):
        made.pacer.before = wait
        offset = await made.venue.side(Mode.LIVE).environment.measure_clock()
        assert abs(offset) < timedelta(milliseconds=200)


async def test_nothing_is_sent_while_our_clock_is_off():
    async with teller(http(TAKEN)) as told, linked(told) as (link, made):
        environment = made.venue.sides[Mode.LIVE].environment
        environment.offset = timedelta(seconds=-0.6)
        with pytest.raises(VenueUnavailable, match=r"our clock is 0\.6 s off"):
            await link.submit(armed())
        environment.offset = timedelta(seconds=0.4)
        assert await link.submit(armed()) == "28"
        assert len(told.heard) == 1


async def test_an_order_that_was_not_armed_is_our_own_bug():
    async with teller() as told, linked(told) as (link, _):
        with pytest.raises(BrokenInvariant):
            await link.submit(replace(armed(), sent_at=None))
        assert told.heard == []


async def test_cancelling_our_task_lets_the_cancellation_through():
    async with teller() as told, linked(told) as (link, _):
        told.hold = True
        sending = asyncio.ensure_future(link.submit(armed()))
        await until(lambda: bool(told.heard))
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_a_key_that_would_write_lines_of_its_own_is_not_sent():
    evil = replace(KEY, api_key="k\r\nX-Other: 1")
    async with teller(http(TAKEN)) as told, adapter(told.url, "ws://127.0.0.1:9") as made:
        listed(made)
        made.venue.side(Mode.LIVE).keeps_clock = True
        link = await made.link(evil)
        with pytest.raises(VenueUnavailable, match="nothing was sent"):
            await link.submit(armed())
        assert told.heard == []


# ---- who goes first, and what it costs


@pytest.mark.parametrize(
    ("make", "priority"),
    [
        (armed, Priority.ENTRY),
        (partial(armed, purpose=Purpose.EXIT), Priority.EXIT),
        (partial(resting, 50), Priority.PROTECTIVE),
    ],
)
async def test_an_order_waits_its_turn_by_what_it_is_for(make, priority):
    async with teller(http(FUNDS, 400)) as told, linked(told) as (link, made):
        with pytest.raises(VenueRejected):
            await link.submit(make())
        (call,) = [call for call in made.pacer.calls if "connections" not in call.costs]
        assert (call.priority, call.costs) == (priority, {"weight": 1, "orders": 1})
        assert (call.venue, call.key, call.user_id) == ("binance", "a1", "user of a1")
        assert made.pacer.heard_statuses == [400]


async def test_cancels_and_look_ups_have_their_own_turns():
    gone = http('{"code":-2013,"msg":"Order does not exist."}', 400)
    unknown = http('{"code":-2011,"msg":"Unknown order sent."}', 400)
    async with teller(unknown, gone) as told, linked(told) as (link, made):
        with pytest.raises(OutcomeUnknown):
            await link.cancel(armed())
        assert await link.look_up(armed()) is None
        calls = [call.priority for call in made.pacer.calls if "connections" not in call.costs]
        assert calls == [Priority.CANCEL, Priority.RECONCILIATION]


async def test_a_venue_that_says_when_its_ban_ends_is_believed():
    text = "Way too much request weight used; IP banned until 1700000005000."
    body = f'{{"code":-1003,"msg":"{text}"}}'
    banned = http(body, 418, Date="Tue, 14 Nov 2023 22:13:20 GMT", Retry_After="5")
    async with teller(banned) as told, linked(told) as (link, made):
        with pytest.raises(VenueRejected, match="-1003"):
            await link.submit(armed())
        assert made.pacer.held == [(5.0, True)]


# ---- questions


@pytest.mark.parametrize("case", [name for name in UNPROVEN if name not in ("duplicate",)])
async def test_a_look_up_that_is_not_clean_is_no_evidence(case):
    async with teller(*[UNPROVEN[case]] * 2) as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable):
            await link.look_up(armed())


@pytest.mark.parametrize(
    "body",
    [
        '{"code":-1121,"msg":"Invalid symbol."}',
        '{"code":-2026,"msg":"Order was canceled or expired and has been archived."}',
        '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}',
        '{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}',
    ],
)
async def test_only_one_answer_means_that_there_is_no_such_order(body):
    async with teller(http(body, 400)) as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable):
            await link.look_up(armed())


ROW = (
    '{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"%s","status":"%s","executedQty":"0.004",'
    '"origQty":"0.01","side":"BUY","time":1}'
)


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        ("NEW", True),
        ("PARTIALLY_FILLED", True),
        ("PENDING_CANCEL", True),
        ("PENDING_NEW", True),
        ("FILLED", False),
        ("CANCELED", False),
        ("REJECTED", False),
        ("EXPIRED", False),
        ("EXPIRED_IN_MATCH", False),
    ],
)
async def test_a_look_up_says_whether_more_may_be_filled(status, is_open):
    async with teller(http(ROW % (armed().id, status))) as told, linked(told) as (link, _):
        report = await link.look_up(armed())
        assert report is not None
        assert (report.venue_order_id, report.is_open, str(report.filled)) == (
            "28",
            is_open,
            "0.004",
        )


@pytest.mark.parametrize("row", [ROW % (armed().id, "NEXT_YEARS"), ROW % ("x" * 32, "NEW"), "[]"])
async def test_a_look_up_that_is_not_understood_is_no_evidence(row):
    async with teller(http(row)) as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable, match="unreadable"):
            await link.look_up(armed())


async def test_a_number_that_is_a_float_is_not_understood():
    row = ROW.replace('"0.004"', "0.004") % (armed().id, "NEW")
    async with teller(http(row)) as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable, match="unreadable"):
            await link.look_up(armed())


async def test_a_symbol_that_is_listed_no_more_is_no_evidence():
    async with teller() as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable, match="does not trade"):
            await link.look_up(armed(symbol=ETH))


# ---- what is told to others


async def test_neither_logs_nor_errors_hold_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    async with teller(None, http("<html>"), http(FUNDS, 400)) as told, linked(told) as (link, _):
        for _ in range(3):
            with pytest.raises((OutcomeUnknown, VenueRejected)) as caught:
                await link.submit(armed())
            told_of = repr(caught.value) + str(caught.getrepr(style="long"))
            assert SECRET not in told_of
            assert "signature=" not in told_of
        shown = repr(link) + repr(link.asker) + repr(link.asker.credentials)
    signatures = [head.partition(b"signature=")[2][:64].decode() for head in told.heard]
    for hidden in (SECRET, KEY.api_key, *signatures):
        assert hidden not in caplog.text
        assert hidden not in shown


async def test_a_closed_venue_leaves_no_task_and_no_socket():
    async with teller(http(FUNDS, 400)) as told, linked(told) as (link, made):
        with pytest.raises(VenueRejected):
            await link.submit(armed())
        await link.close()
    assert made.venue.transport.session.closed
    assert not any(host._all for host in made.venue.transport._hosts.values())
    assert [task for task in asyncio.all_tasks() if "binance" in task.get_name()] == []
    gc.collect()  # a socket that nobody closed would be a warning, and fail the test


async def test_orders_of_an_unknown_pair_are_not_sent():
    async with teller() as told, linked(told) as (link, _):
        with pytest.raises(VenueUnavailable, match=r"does not trade ETH/USDT"):
            await link.submit(armed(symbol=ETH))
        assert told.heard == []
