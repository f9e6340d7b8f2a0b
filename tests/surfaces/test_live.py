"""Live events over real sockets: WebSocket, server-sent events and pages."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from httpx2 import AsyncClient
from websockets.exceptions import ConnectionClosed

from tests.makers import START
from tests.store_rig import ALICE, BOB, bot, full_memory, order_of, register, take, write
from tests.surfaces.api_rig import failure, signed
from tests.surfaces.live_rig import PATIENCE, notice, serving, told
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.effects import MemoryChanged, OrderPlaced
from tradefleet.domain.limits import RequestLimits
from tradefleet.identity import SESSION_LIFETIME, PersonalToken, Right, Session
from tradefleet.quota import Quotas
from tradefleet.runtime.real_world import RealClock
from tradefleet.stores.sql import open_store
from tradefleet.surfaces.api import live_hub
from tradefleet_client import Client, RequestFailed


@pytest.fixture
async def service(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id, bot(user_id))
    async with serving(store) as there:
        yield there


async def closed(client):
    """Return the code and the reason a WebSocket is closed with."""
    with pytest.raises(ConnectionClosed) as error:
        async with asyncio.timeout(PATIENCE):
            while True:
                await client.recv()
    return error.value.rcvd.code, error.value.rcvd.reason


# ---- WebSocket


async def test_a_websocket_is_told_what_happens_once_it_has_happened(service):
    lease = (await take(service.store))[ALICE]
    async with service.listen() as client:
        hello = await told(client)
        assert hello["type"] == "hello"
        owner = bot(ALICE)
        await write(
            service.store, lease, OrderPlaced(order_of(owner)), MemoryChanged(full_memory(owner))
        )
        order, position = await told(client), await told(client)
    assert (order["type"], order["id"]) == ("order", hello["id"] + 1)
    assert order["data"]["symbol"] == "BTC/USDT"
    assert (position["type"], position["data"]["is_open"]) == ("position", True)


async def test_who_comes_back_misses_nothing_and_sees_nothing_twice(service):
    async with service.listen() as client:
        hello = await told(client)
        await service.notice(text="one")
        first = await told(client)
    for number in range(300):  # more than a queue holds
        await service.notice(text=f"away {number}")
    async with service.listen(path=f"?after={first['id']}") as client:
        assert (await told(client))["type"] == "hello"
        missed = [await told(client) for _ in range(300)]
        await service.notice(text="now")
        last = await told(client)
    texts = [each["data"]["text"] for each in missed]
    assert texts == [f"away {number}" for number in range(300)]
    assert last["data"]["text"] == "now"
    assert [each["id"] for each in [first, *missed, last]] == [
        hello["id"] + 1 + number for number in range(302)
    ]


async def test_who_comes_back_too_late_is_told_to_read_everything_anew(service):
    await service.notice()
    for after in ("0", "999999", "nonsense"):
        async with service.listen(path=f"?after={after}") as client:
            reset = await told(client)
            assert reset["type"] == "reset"
            await service.notice()
            assert (await told(client))["id"] == reset["id"] + 1


async def test_all_of_a_users_streams_are_told_and_there_are_not_too_many(service, monkeypatch):
    monkeypatch.setattr(live_hub, "STREAMS_MAX", 2)
    async with service.listen() as one, service.listen() as two, service.listen() as three:
        assert (await told(one))["type"] == (await told(two))["type"] == "hello"
        assert (await closed(three))[0] == 4429
        await service.notice()
        assert (await told(one)) == (await told(two))
    for _ in range(100):
        if not service.hub.count:
            break
        await asyncio.sleep(0.02)
    async with service.listen() as again:
        assert (await told(again))["type"] == "hello"


async def test_nobody_listens_who_is_not_signed_in(service):
    async with service.listen(additional_headers={"Authorization": "Bearer nobody"}) as client:
        assert (await closed(client))[0] == 4401
    for said in ("nonsense", "[]", "{}", '{"token": "x"}', '{"ticket": "x.y"}'):
        async with service.listen(additional_headers={}) as client:
            await client.send(said)
            assert (await closed(client))[0] == 4401


@pytest.mark.parametrize("store_url", [""])
async def test_whoever_opens_streams_again_and_again_is_refused_like_other_calls(store, clock):
    await register(store, ALICE)
    limits = RequestLimits(signed_in_per_hour=3, anonymous_per_hour=2)
    quotas = Quotas(counters=MemoryCounters(clock), limits=limits)
    async with serving(store, quotas) as service:
        for _ in range(3):
            async with service.listen() as client:
                assert (await told(client))["type"] == "hello"
        async with service.listen() as client:
            code, reason = await closed(client)
            assert code == 4429 and "Try again in 60 min" in reason
        for _ in range(2):  # of those who do not say who they are, the address is counted
            async with service.listen(additional_headers={}) as client:
                await client.send(orjson.dumps({"token": f"{ALICE} read"}).decode())
                assert (await told(client))["type"] == "hello"
        async with service.listen(additional_headers={}) as client:
            assert (await closed(client))[0] == 4429


@pytest.mark.parametrize("store_url", [""])
async def test_whoever_has_not_said_who_they_are_is_no_error_when_the_service_stops(store, caplog):
    async with serving(store) as service:
        await service.listen(additional_headers={})
        while not (listening := [t for t in asyncio.all_tasks() if "run_asgi" in str(t)]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for task in listening:
            task.cancel()
        await asyncio.wait(listening, timeout=PATIENCE)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_browser_says_who_it_is_in_its_first_message(service):
    async with AsyncClient(headers=signed(ALICE)) as http:
        ticket = (await http.post(f"{service.url}/events/ticket")).json()["ticket"]
    for said in ({"ticket": ticket}, {"token": f"{ALICE} read"}):
        async with service.listen(additional_headers={}) as client:
            await client.send(orjson.dumps(said).decode())
            assert (await told(client))["type"] == "hello"
            await service.notice(text=str(said)[:9])
            assert (await told(client))["data"]["text"] == str(said)[:9]
    async with service.listen(additional_headers={}) as client:
        await client.send(orjson.dumps({"ticket": ticket}).decode())  # once is once
        assert (await closed(client))[0] == 4401


async def test_a_stream_ends_when_its_session_does(service, monkeypatch):
    session = Session(
        id="of the test",
        user_id=ALICE,
        how="link",
        address="",
        created_at=START,
        seen_at=START,
        expires_at=START + SESSION_LIFETIME,
    )
    async with service.store.open(ALICE) as own:
        await own.identity.save_session(session)
    async with service.listen() as client, service.listen(BOB) as other:
        await told(client)
        await told(other)
        async with service.store.open(ALICE) as own:
            await own.identity.save_session(replace(session, revoked_at=START))
        assert await closed(client) == (4401, live_hub.SIGNED_OUT.reason)
        await service.notice(BOB)
        assert (await told(other))["type"] == "notice"


async def test_a_stream_ends_when_what_it_was_opened_with_is_not_there_any_more(store, monkeypatch):
    monkeypatch.setattr(live_hub, "CHECK_SECONDS", 0.05)
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    token = PersonalToken(
        id="of the test",
        user_id=BOB,
        name="script",
        hash="h",
        rights=(Right.READ,),
        created_at=START,
        expires_at=START + SESSION_LIFETIME * 1000,
    )
    async with store.open(BOB) as own:
        await own.identity.save_token(token)
    async with serving(store) as service, service.listen() as one, service.listen(BOB) as two:
        assert (await closed(one))[0] == 4401
        assert (await told(two))["type"] == "hello"
        await service.notice(BOB)
        assert (await told(two))["type"] == "notice"


async def test_a_client_that_takes_nothing_is_dropped_and_holds_no_memory(store, monkeypatch):
    monkeypatch.setattr(live_hub, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(live_hub, "POLL_SECONDS", 0.1)
    await register(store, ALICE)
    hub = live_hub.LiveHub(store, RealClock())
    running = asyncio.create_task(hub.run())
    caller = live_hub.Caller(user_id=ALICE, rights=frozenset(Right), session="s")
    stream = await hub.open(caller, None, lambda: None)
    for number in range(live_hub.QUEUE_MAX * 2):
        await notice(store, text=str(number))
    async with asyncio.timeout(PATIENCE):
        while stream.ending is None:
            assert len(stream.queue) <= live_hub.QUEUE_MAX
            await asyncio.sleep(0.02)
    assert stream.ending == live_hub.TOO_SLOW
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_everything_is_worth_is_told_when_it_changes(store, monkeypatch):
    monkeypatch.setattr(live_hub, "EQUITY_SECONDS", 0.05)
    await register(store, ALICE, bot(ALICE))
    async with serving(store) as service, service.listen() as client:
        await told(client)
        event = await told(client, equity=True)
    assert event["type"] == "equity"
    assert event["data"] == {"equity": {"USDT": "1000"}, "positions": 0}


# ---- server-sent events and pages


async def lines(response, count):
    """Return the next events of a stream: their names, and what they tell."""
    found, name = [], ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: ") and name != "equity":
            found.append((name, orjson.loads(line.removeprefix("data: "))))
        if len(found) == count:
            return found
    return found


async def test_server_sent_events_go_on_after_the_last_one(service):
    headers = {**signed(ALICE), "Accept": "text/event-stream"}
    async with AsyncClient(headers=headers, timeout=PATIENCE) as http:
        async with http.stream("GET", f"{service.url}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            ((name, hello),) = await lines(response, 1)
            assert name == "hello"
        for text in ("one", "two"):
            await service.notice(text=text)
        last = {"Last-Event-ID": str(hello["id"])}
        async with http.stream("GET", f"{service.url}/events", headers=last) as response:
            found = await lines(response, 3)
    assert [name for name, _ in found] == ["hello", "notice", "notice"]
    assert [told["data"]["text"] for _, told in found[1:]] == ["one", "two"]


async def test_an_event_source_of_a_browser_shows_a_ticket_that_works_once(service):
    async with AsyncClient(timeout=PATIENCE) as http:
        made = await http.post(f"{service.url}/events/ticket", headers=signed(ALICE))
        address = f"{service.url}/events?ticket={made.json()['ticket']}"
        accept = {"Accept": "text/event-stream"}
        async with http.stream("GET", address, headers=accept) as response:
            ((name, _),) = await lines(response, 1)
            assert name == "hello"
        again = await http.get(address, headers=accept)
    assert failure(again) == (401, "unauthorized")


async def test_events_are_read_by_the_page(service):
    async with AsyncClient(headers=signed(ALICE), timeout=PATIENCE) as http:
        empty = (await http.get(f"{service.url}/events")).json()
        assert (empty["events"], empty["is_reset"]) == ([], False)
        for number in range(5):
            await service.notice(text=str(number))
        page = (await http.get(f"{service.url}/events?after={empty['last']}&limit=3")).json()
        assert [each["data"]["text"] for each in page["events"]] == ["0", "1", "2"]
        rest = (await http.get(f"{service.url}/events?after={page['last']}")).json()
        assert [each["data"]["text"] for each in rest["events"]] == ["3", "4"]
        assert (await http.get(f"{service.url}/events?after=10000")).json()["is_reset"] is True
        assert failure(await http.get(f"{service.url}/events?after=-1"))[0] == 400
    async with AsyncClient() as http:
        assert failure(await http.get(f"{service.url}/events")) == (401, "unauthorized")


async def test_the_client_goes_on_by_itself_after_a_break(store, monkeypatch):
    monkeypatch.setattr("tradefleet_client.events.WAIT_FIRST", 0.05)
    await register(store, ALICE)
    heard = []

    async def hear(client):
        async for event in client.events():
            heard.append(event["data"].get("text"))
            if heard[-1] == "last":
                return

    async with serving(store) as service:
        address = service.url.removesuffix("/api/v1")
        async with Client(address, f"{ALICE} read") as client:
            hearing = asyncio.create_task(hear(client))
            while not service.hub.count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await service.notice(text="first")
            while heard != ["first"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for streams in list(service.hub._streams.values()):
                streams[0].end(live_hub.TOO_SLOW)
            await service.notice(text="between")
            await service.notice(text="last")
            async with asyncio.timeout(PATIENCE):
                await hearing
        async with Client(address, "nobody") as client:
            with pytest.raises(RequestFailed):
                await anext(client.events())
    assert heard == ["first", "between", "last"]


# ---- several processes, and a restart


async def test_a_process_without_the_host_tells_it_too_and_a_restart_loses_nothing(
    sql_url, monkeypatch
):
    here, there = await open_store(sql_url), await open_store(sql_url)
    await register(here, ALICE)
    async with serving(there) as service, service.listen() as client:
        await told(client)
        await notice(here, text="from afar")
        last = await told(client)
        assert last["data"]["text"] == "from afar"
    await there.close()
    await notice(here, text="meanwhile")
    there = await open_store(sql_url)
    async with serving(there) as service, service.listen(path=f"?after={last['id']}") as client:
        assert (await told(client))["type"] == "hello"
        assert (await told(client))["data"]["text"] == "meanwhile"
    await there.close()
    await here.close()


# ---- nobody else's


async def test_two_who_trade_at_once_are_told_of_nothing_of_each_other(service):
    leases = await take(service.store)
    rounds = 40
    async with service.listen(ALICE) as alice, service.listen(BOB) as bob:
        await told(alice)
        await told(bob)

        async def trade(user_id):
            for number in range(rounds):
                owner = bot(user_id)
                placed = OrderPlaced(order_of(owner, f"{user_id}-{number}", seq=number))
                await write(service.store, leases[user_id], placed)
                await service.notice(user_id, f"{user_id} {number}")

        await asyncio.gather(trade(ALICE), trade(BOB))
        heard = {
            user_id: [await told(client) for _ in range(2 * rounds)]
            for user_id, client in ((ALICE, alice), (BOB, bob))
        }
    for user_id, other in ((ALICE, BOB), (BOB, ALICE)):
        said = orjson.dumps(heard[user_id]).decode()
        assert other not in said
        assert said.count('"notice"') == said.count('"order"') == rounds
        ids = [event["id"] for event in heard[user_id]]
        assert ids == list(range(ids[0], ids[0] + 2 * rounds))
