"""Each fault of the menu over real sockets: what the client sees, and what the venue did."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.venuesim.rig import simulated, until
from tests.venuesim.tiny import Tiny
from venuesim import web
from venuesim.faults import DELAY_MAX, MESSAGE_KINDS, Fault, FaultKind, FaultPlan, drawn_fault
from venuesim.keys import Key
from venuesim.running import Running
from venuesim.seeded import dice

K = FaultKind


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("tiny", protocol=Tiny, clock="manual") as running:
        yield running


@pytest.fixture
def key(sim: Running) -> Key:
    return sim.client("alice", {"USDT": "1000"})


async def create(sim: Running, key: Key, name: str = "x") -> bytes:
    """Send a create; return every byte that comes back until the connection ends."""
    return await raw(
        sim,
        f"POST /order HTTP/1.1\r\nHost: x\r\nAPI-Key: {key.api_key}\r\nConnection: close\r\n"
        f"Content-Length: {len(name)}\r\n\r\n{name}".encode(),
    )


async def raw(sim: Running, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.server.port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()


def orders(sim: Running) -> int:
    return len(sim.exchange.accounts["alice"].orders)


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def test_a_lost_request_is_not_done_and_nothing_comes_back(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.REQUEST_LOST))
    assert (await create(sim, key), orders(sim)) == (b"", 0)
    assert json.loads(body(await create(sim, key)))["client_id"] == "x"


async def test_a_lost_answer_is_of_a_request_that_was_done(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.ANSWER_LOST))
    assert (await create(sim, key), orders(sim)) == (b"", 1)


@pytest.mark.parametrize(("kind", "done"), [(K.RESET_BEFORE, 0), (K.RESET_AFTER, 1)])
async def test_a_reset_is_a_reset_whether_or_not_the_request_was_done(sim, key, kind, done):
    sim.faults.once(action="create", fault=Fault(kind=kind))
    with pytest.raises(ConnectionResetError):
        await create(sim, key)
    assert orders(sim) == done


async def test_a_duplicated_request_is_done_twice(sim, key):
    sim.exchange.unique_ids = "live"
    sim.faults.once(action="create", fault=Fault(kind=K.REQUEST_DUPLICATED))
    assert json.loads(body(await create(sim, key, "")))["id"] == 1001
    assert orders(sim) == 2
    assert [line["status"] for line in sim.journal.entries("call")] == [200, 200]


async def test_a_delayed_request_is_done_when_the_venues_time_has_come(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.REQUEST_DELAYED, seconds=120))
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(create(sim, key))
        await until(lambda: sim.faults.struck.total() == 1)
        sim.place.clock.set(sim.place.clock.now_ms() + 119_999)
        await asyncio.sleep(0.01)
        assert orders(sim) == 0
        sim.place.clock.set(sim.place.clock.now_ms() + 1)
        assert json.loads(body(await answer))["id"] == 1001
    (line,) = sim.journal.entries("call")
    assert line["at_ms"] - line["arrived_ms"] == 120_000


async def test_a_request_whose_client_went_away_is_done_all_the_same(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.REQUEST_DELAYED, seconds=60))
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(create(sim, key))
        await until(lambda: sim.faults.struck.total() == 1)
        answer.cancel()
    await asyncio.sleep(0.01)
    sim.place.clock.set(sim.place.clock.now_ms() + 60_000)
    await until(lambda: orders(sim) == 1)


async def test_a_delayed_answer_is_of_a_request_that_was_done_at_once(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.ANSWER_DELAYED, seconds=5))
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(create(sim, key))
        await until(lambda: orders(sim) == 1)
        assert not answer.done()
        sim.place.clock.set(sim.place.clock.now_ms() + 5_000)
        assert json.loads(body(await answer))["id"] == 1001


@pytest.mark.parametrize("at", [0, 1, 10, 10_000])
async def test_a_cut_body_is_shorter_than_its_length_says(sim, key, at):
    sim.faults.once(action="create", fault=Fault(kind=K.BODY_CUT, at=at))
    answer = await create(sim, key)
    said = int(answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    assert len(body(answer)) == min(at, said - 1) < said
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert orders(sim) == 1


async def test_a_client_library_sees_a_cut_body_as_an_error_of_the_payload(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.BODY_CUT, at=5))
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{sim.url}/order", data="x", headers={"API-Key": key.api_key})
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_truncated_json_comes_whole_as_far_as_http_can_tell(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.JSON_TRUNCATED, at=7))
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{sim.url}/order", data="x", headers={"API-Key": key.api_key})
        assert await answer.read() == b'{"id": '
        assert answer.content_type == "application/json"
    assert orders(sim) == 1


@pytest.mark.parametrize("processed", [True, False])
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (K.HTML, 200),
        (K.HTML, 403),
        *((K.STATUS, status) for status in (418, 429, 500, 502, 520, 529)),
    ],
)
async def test_a_page_comes_instead_of_the_answer_with_the_order_accepted_or_not(
    sim, key, kind, status, processed
):
    sim.faults.once(
        action="create", fault=Fault(kind=kind, status=status, processed=processed, seconds=7)
    )
    answer = await create(sim, key)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert body(answer).startswith(b"<html>")
    assert (b"Retry-After: 7" in answer) == (status in (418, 429))
    assert orders(sim) == processed


async def test_a_status_may_come_with_the_venues_own_words(sim, key):
    words = '{"code":-1003,"msg":"Too many requests"}'
    sim.faults.once(fault=Fault(kind=K.STATUS, status=429, body=words))
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{sim.url}/order", data="x", headers={"API-Key": key.api_key})
        assert (answer.status, await answer.json()) == (429, json.loads(words))


async def test_an_answer_may_come_without_the_orders_id(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.ID_MISSING))
    assert json.loads(body(await create(sim, key))) == {"id": None, "client_id": "x"}
    assert orders(sim) == 1


async def test_a_lag_and_a_maintenance_begin_with_the_call_and_end_by_themselves(sim, key):
    sim.faults.once(action="create", fault=Fault(kind=K.LOOKUP_LAG, seconds=0.1))
    sim.faults.once(action="create", fault=Fault(kind=K.MAINTENANCE, seconds=0.1, word="closed"))
    assert b"200 OK" in await create(sim, key, "a")
    assert sim.place.lag_ms == 100
    assert b'"closed"' in await create(sim, key, "b")
    assert sim.place.maintenance == "closed"
    await until(lambda: sim.place.maintenance == "" and sim.place.lag_ms == 0)


# ------------------------------------------------------------- streams


async def heard(sim: Running, *prices: str) -> list[str]:
    """Return the prices a stream tells of when these are traded."""
    async with aiohttp.ClientSession() as http:
        stream = await http.ws_connect(f"{sim.ws_url}/ws")
        await stream.receive()
        for price in prices:
            sim.tick("BTC/USDT", price)
        said = []
        while True:
            message = await asyncio.wait_for(stream.receive(), 30)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return [*said, "cut"]
            said.append(json.loads(message.data)["p"].partition(".")[0])
            if len(said) >= len(prices) or said[-1] == prices[-1]:
                return said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (K.MESSAGE_DROPPED, ["1", "3", "4"]),
        (K.MESSAGE_DUPLICATED, ["1", "2", "2", "3"]),
        (K.MESSAGES_SWAPPED, ["1", "3", "2", "4"]),
        (K.STREAM_CUT, ["1", "cut"]),
    ],
)
async def test_a_message_is_dropped_doubled_swapped_or_the_end(sim, kind, said):
    sim.faults.once(fault=Fault(kind=kind), containing='"2.')
    assert await heard(sim, "1", "2", "3", "4") == said
    assert sim.faults.struck == {kind: 1}
    assert [line["fault"] for line in sim.journal.entries("fault")] == [kind]


async def test_a_fault_of_messages_can_be_kept_to_the_streams_of_one_account(sim, key):
    async with aiohttp.ClientSession() as http:
        streams = [await http.ws_connect(f"{sim.ws_url}/ws") for _ in range(2)]
        for stream, name in zip(streams, ("alice", "bob"), strict=True):
            await stream.send_str(f"login {name}")
            await stream.receive(), await stream.receive()
        sim.faults.once(fault=Fault(kind=K.MESSAGE_DROPPED), account="alice", containing="trade")
        sim.tick("BTC/USDT", "1")
        sim.tick("BTC/USDT", "2")
        assert [json.loads((await stream.receive()).data)["p"][0] for stream in streams] == [
            "2",
            "1",
        ]


async def test_a_message_held_back_goes_out_with_the_next_beat_when_none_follows(monkeypatch):
    monkeypatch.setattr(web, "BEAT_S", 0.02)
    async with simulated("tiny", protocol=Tiny) as sim, aiohttp.ClientSession() as http:
        sim.faults.once(fault=Fault(kind=K.MESSAGES_SWAPPED), containing="trade")
        stream = await http.ws_connect(f"{sim.ws_url}/ws")
        await stream.receive()
        sim.tick("BTC/USDT", "5")
        assert "5." in (await asyncio.wait_for(stream.receive(), 30)).data


# ------------------------------------------------------------- plans


def test_a_scripted_fault_strikes_who_and_what_and_as_often_as_it_says():
    plan = FaultPlan()
    fault = Fault(kind=K.ANSWER_LOST)
    plan.once(fault=fault, action="create", account="alice", times=2, skip=1)
    calls = ["alice", "bob", "alice", "bob", "alice", "alice"]
    assert [plan.draw("create", name) is fault for name in calls] == [
        False, False, True, False, True, False,
    ]  # fmt: skip
    assert plan.is_idle
    assert plan.struck == {K.ANSWER_LOST: 2}


def test_a_scripted_fault_waits_for_a_call_with_that_text():
    plan = FaultPlan()
    plan.once(fault=Fault(kind=K.REQUEST_LOST), containing="symbol=ETHBTC")
    assert plan.draw("create", "alice", "POST /order?symbol=BTCUSDT") is None
    assert plan.draw("create", "alice", "POST /order?symbol=ETHBTC") is not None


def test_a_fault_that_is_taken_back_does_not_strike():
    plan = FaultPlan()
    plan.drop(plan.once(fault=Fault(kind=K.REQUEST_LOST)))
    assert plan.draw("create", "alice") is None


def test_a_call_never_meets_a_fault_of_messages_and_the_other_way_round():
    plan = FaultPlan()
    plan.once(fault=Fault(kind=K.STREAM_CUT))
    plan.once(fault=Fault(kind=K.REQUEST_LOST))
    assert plan.draw("create", "alice").kind is K.REQUEST_LOST
    assert plan.draw("message", "alice").kind is K.STREAM_CUT


def drawn(seed: int, names: list[str], kinds: dict[FaultKind, float]) -> list[Fault | None]:
    plan = FaultPlan(seed=seed, rates={"create": kinds})
    return [plan.draw("create", name) for name in names]


def test_what_is_drawn_depends_on_the_seed_and_the_account_not_on_who_calls_when():
    rates = dict.fromkeys([kind for kind in K if kind not in MESSAGE_KINDS], 0.05)
    alice = ["alice"] * 50
    mixed = [name for _ in range(50) for name in ("bob", "alice", "bob")]
    alone = drawn(7, alice, rates)
    among_others = [
        fault for fault, name in zip(drawn(7, mixed, rates), mixed, strict=True) if name == "alice"
    ]
    assert alone == among_others == drawn(7, alice, rates)
    assert alone != drawn(8, alice, rates)


def test_faults_are_drawn_about_as_often_as_their_rates_say():
    plan = FaultPlan(seed=1, rates={"create": {K.ANSWER_LOST: 0.1, K.HTML: 0.05}})
    for _ in range(4000):
        plan.draw("create", "alice")
        plan.draw("order", "alice")
    assert 330 < plan.struck[K.ANSWER_LOST] < 470
    assert 140 < plan.struck[K.HTML] < 260


@pytest.mark.parametrize("kind", list(K))
def test_every_kind_can_be_drawn_and_says_what_it_is(kind):
    for number in range(50):
        fault = drawn_fault(kind, dice(number, "test"))
        assert fault.seconds <= DELAY_MAX
        assert str(fault).startswith(kind)


def test_some_requests_are_later_than_every_time_out():
    late = [drawn_fault(K.REQUEST_DELAYED, dice(number)).seconds for number in range(100)]
    assert max(late) == DELAY_MAX
    assert min(late) < 1


@pytest.mark.parametrize(
    "wrong", [{"seconds": 121}, {"seconds": -1}, {"at": -1}, {"kind": K.STATUS, "status": 0}]
)
def test_a_fault_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        Fault(**({"kind": K.ANSWER_LOST} | wrong))


async def test_every_fault_that_strikes_is_in_the_journal(sim, key):
    sim.faults.once(fault=Fault(kind=K.REQUEST_LOST), action="create")
    sim.faults.once(fault=Fault(kind=K.STATUS, status=502, processed=True), action="create")
    for _ in range(3):
        await create(sim, key, "")
    lines = [
        (line["fault"], line["status"], line["order"], line["account"])
        for line in sim.journal.entries("call")
    ]
    assert lines == [
        ("request lost", 0, 0, "alice"),
        ("status, 502, processed", 200, 1001, "alice"),
        ("", 200, 1002, "alice"),
    ]
