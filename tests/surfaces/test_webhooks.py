"""Webhooks: made and removed in chat, sent to a receiver of the tests, and never inside."""

import asyncio
import hmac
from contextlib import asynccontextmanager
from datetime import timedelta

import orjson
import pytest
from aiohttp import web

from tests.doors import ALICE, BOB, PAPER, Door
from tests.key_rig import vault_under
from tests.surfaces.live_rig import notice
from tradefleet.domain.errors import Refused
from tradefleet.operations.webhooks import courier, sender
from tradefleet.operations.webhooks.courier import Courier, NotReached
from tradefleet.operations.webhooks.sender import FAILURES_MAX, TRIES_MAX, WebhookSender
from tradefleet.webhook import WEBHOOKS_MAX, Outcome


class Receiver:
    """A server that keeps what it is sent and answers what a test wants."""

    def __init__(self):
        self.got = []
        self.status = 200
        self.headers = {}
        self.pause = 0.0
        self.first = asyncio.Event()
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request):
        self.got.append((request.path, dict(request.headers), await request.read()))
        self.first.set()
        await asyncio.sleep(self.pause)
        return web.Response(status=self.status, headers=self.headers, text="SECRET OF INSIDE")

    @property
    def events(self):
        return [orjson.loads(body) for _, _, body in self.got]


@asynccontextmanager
async def receiving():
    there = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", there.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.port = site._server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver():
    async with receiving() as there:
        yield there


class Service:
    """A service of the tests that may send to this machine."""

    def __init__(self, **parts):
        self.door = Door(PAPER, vault=vault_under(), local_webhooks=True)
        self.store = self.door.store
        self.sender = self.another("one", **parts)

    def another(self, owner, **parts):
        return WebhookSender(
            store=self.store,
            vault=self.door.dispatcher.vault,
            clock=self.door.still,
            courier=parts.get("courier") or Courier(allow_local=True),
            owner=owner,
        )

    async def add(self, url, events="all", user=ALICE):
        return (await self.door.ask(f"/addwebhook {url} {events}", user)).data

    async def one(self, user=ALICE):
        async with self.store.open(user, reading=True) as own:
            return (await own.webhooks.all())[0]

    async def deliveries(self, user=ALICE):
        async with self.store.open(user, reading=True) as own:
            return await own.webhooks.deliveries((await self.one(user)).id, 100)

    def later(self, **time):
        self.door.still.time += timedelta(**time)


@pytest.fixture
async def service():
    made = Service()
    for user in (ALICE, BOB):
        await made.door.ask("/start", user)
    return made


# ---- in chat


async def test_webhooks_are_made_shown_and_removed(service):
    made = await service.add("https://example.com/hook", "fill,order")
    assert made.secret.startswith("whsec_")
    assert made.events == ("order", "fill")
    said = await service.door.say("/webhooks")
    assert made.id in said and "active" in said and made.secret not in said
    assert "Nothing was sent yet." in await service.door.say(f"/webhooks {made.id}")
    sealed = (await service.one()).sealed
    assert made.secret.encode() not in sealed
    assert await service.door.say(f"/removewebhook {made.id}", BOB) == (
        "You have no such webhook; /webhooks shows yours."
    )
    assert "no such webhook" in await service.door.say(f"/webhooks {made.id}", BOB)
    assert "Nothing is sent" in await service.door.say(f"/removewebhook {made.id}")
    assert "You have no webhooks" in await service.door.say("/webhooks")


async def test_webhooks_that_cannot_be_are_refused(service):
    for words in (
        "http://example.com/",
        "https://10.0.0.1/",
        "https://example.com/ sunshine",
        "https://user:password@example.com/",
    ):
        with pytest.raises(Refused):
            await service.door.ask(f"/addwebhook {words}")
    await service.add("https://example.com/1")
    with pytest.raises(Refused, match="already"):
        await service.add("https://example.com/1")
    for number in range(2, WEBHOOKS_MAX + 1):
        await service.add(f"https://example.com/{number}")
    with pytest.raises(Refused, match="the most"):
        await service.add("https://example.com/more")
    strict = Door(PAPER, vault=vault_under())
    await strict.ask("/start")
    with pytest.raises(Refused):
        await strict.ask("/addwebhook http://127.0.0.1:8000/")


# ---- what is sent


async def test_events_are_sent_in_their_order_signed_and_to_nobody_else(service, receiver):
    made = await service.add(receiver.url, "notice")
    for number in range(3):
        await notice(service.store, ALICE, f"n{number}")
        await notice(service.store, BOB, "of bob")
    assert await service.sender.turn() == 1
    assert [event["data"]["text"] for event in receiver.events] == ["n0", "n1", "n2"]
    ids = [event["id"] for event in receiver.events]
    assert ids == list(range(ids[0], ids[0] + 3))
    _, headers, body = receiver.got[0]
    stamp = headers["Tradefleet-Timestamp"]
    assert int(stamp) == int(service.door.still.now().timestamp())
    expected = hmac.new(made.secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    assert headers["Tradefleet-Signature"] == f"v1={expected}"
    assert headers["Tradefleet-Event"] == f"{ALICE}:{ids[0]}"
    assert await service.sender.turn() == 0
    assert {sent.outcome for sent in await service.deliveries()} == {Outcome.DELIVERED}
    said = await service.door.say(f"/webhooks {made.id}")
    assert "delivered" in said and "SECRET OF INSIDE" not in said


async def test_only_the_events_that_are_wanted_are_sent(service, receiver):
    await service.add(receiver.url, "bot")
    await notice(service.store, ALICE)
    await service.door.ask("/addpair BTC/USDT 1000 paper")
    await service.sender.turn()
    assert [event["type"] for event in receiver.events] == ["bot"]
    assert await service.sender.turn() == 0  # nothing is looked at twice


async def test_what_failed_is_sent_again_later_under_the_same_id(service, receiver):
    await service.add(receiver.url)
    receiver.status = 500
    await notice(service.store, ALICE, "first")
    await notice(service.store, ALICE, "second")
    await service.sender.turn()
    assert await service.sender.turn() == 0  # not before its time
    receiver.status = 204
    service.later(seconds=6)
    await service.sender.turn()
    texts = [event["data"]["text"] for event in receiver.events]
    assert texts == ["first", "first", "second"]
    assert receiver.events[0]["id"] == receiver.events[1]["id"]
    second, first = await service.deliveries()
    assert (first.tries, first.outcome, first.status) == (2, Outcome.DELIVERED, 204)
    assert (second.tries, (await service.one()).failures) == (1, 0)


async def test_a_sender_that_was_killed_goes_on_and_two_do_not_send_at_once(service, receiver):
    await service.add(receiver.url)
    await notice(service.store, ALICE, "one")
    await service.sender.turn()
    await notice(service.store, ALICE, "two")
    other = service.another("two")
    assert await other.turn() == 0  # it is the first one's duty
    service.later(minutes=2)
    assert await other.turn() == 1
    assert [event["data"]["text"] for event in receiver.events] == ["one", "two"]


async def test_an_event_is_given_up_and_a_webhook_that_never_answers_is_disabled(service, receiver):
    await service.add(receiver.url)
    receiver.status = 503
    for text in ("one", "two", "three"):
        await notice(service.store, ALICE, text)
    tries = 0
    while (await service.one()).next_at is not None:
        service.later(hours=1)
        await service.sender.turn()
        tries += 1
        assert tries <= FAILURES_MAX
    assert tries == FAILURES_MAX == len(receiver.got)
    outcomes = [(sent.outcome, sent.tries) for sent in await service.deliveries()]
    assert outcomes == [(Outcome.GIVEN_UP, TRIES_MAX)] * (FAILURES_MAX // TRIES_MAX)
    found = await service.one()
    assert "503" in found.disabled_because
    async with service.store.open(ALICE, reading=True) as own:
        told = await own.live.after(0, 1000)
    assert "is disabled" in told[-1].data
    service.later(hours=5)
    assert await service.sender.turn() == 0
    assert "disabled" in await service.door.say("/webhooks")


async def test_a_webhook_that_is_gone_is_disabled_at_once_and_may_be_resumed(service, receiver):
    await service.add(receiver.url)
    receiver.status = 410
    await notice(service.store, ALICE, "one")
    await service.sender.turn()
    gone = await service.one()
    assert gone.disabled_because == "it answered that it is gone"
    async with service.store.open(ALICE, reading=True) as own:
        assert f"/resumewebhook {gone.id}" in (await own.live.after(0, 1000))[-1].data

    receiver.status = 200
    receiver.got.clear()
    unknown = "You have no such webhook; /webhooks shows yours."
    assert await service.door.say(f"/resumewebhook {gone.id}", BOB) == unknown
    assert "tried again now" in await service.door.say(f"/resumewebhook {gone.id}")
    assert (await service.one()).disabled_because == ""
    service.later(seconds=1)
    await service.sender.turn()
    assert receiver.events[0]["data"]["text"] == "one", "it goes on where it stopped"
    assert "nothing failed" in await service.door.say(f"/resumewebhook {gone.id}")


async def test_who_was_away_longer_than_events_are_kept_is_told_so(service, receiver):
    await service.add(receiver.url)
    for text in ("old", "new"):
        await notice(service.store, ALICE, text)
    async with service.store.open(ALICE) as own:
        await own.live.forget(service.door.still.now() - timedelta(days=1), 1)
    await service.sender.turn()
    assert [event["type"] for event in receiver.events] == ["reset", "notice"]
    assert receiver.events[1]["data"]["text"] == "new"


async def test_a_webhook_whose_secret_cannot_be_opened_is_disabled(service, receiver):
    await service.add(receiver.url)
    await notice(service.store, ALICE)
    service.sender.vault = vault_under(1)
    await service.sender.turn()
    assert receiver.got == []
    assert "secret" in (await service.one()).disabled_because


async def test_the_sender_runs_until_it_is_stopped(service, receiver, monkeypatch):
    async def soon(seconds):
        await asyncio.sleep(0.01)

    service.door.still.sleep = soon
    await service.add(receiver.url)
    running = asyncio.create_task(service.sender.run())
    await notice(service.store, ALICE, "while it runs")
    async with asyncio.timeout(5):
        await receiver.first.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert receiver.events[0]["data"]["text"] == "while it runs"


# ---- nothing of the inside is reached


async def reached(url, resolve=None, **parts):
    given = {} if resolve is None else {"resolve": resolve}
    return await Courier(**given, **parts).post(url, b"{}", {})


def leads_to(*addresses):
    async def resolve(host, port):
        return addresses

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fe80::1%lo",
        "fd00:ec2::254",
        "0.0.0.0",
        "not an address",
    ],
)
async def test_a_name_that_leads_inside_is_not_connected_to(address, monkeypatch):
    monkeypatch.setattr(courier.socket, "socket", None)  # no socket is made at all
    with pytest.raises(NotReached, match="public address"):
        await reached("https://example.com/", leads_to(address))
    with pytest.raises(NotReached, match="public address"):
        await reached("https://example.com/", leads_to("8.8.8.8", address))


async def test_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once(monkeypatch):
    """DNS rebinding: what was looked at is what is connected to."""
    asked, made = [], []

    async def rebinding(host, port):
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    real = Courier._socket

    def watched(self, info):
        made.append(info[4][0])
        raise OSError("no packet leaves the tests")

    monkeypatch.setattr(Courier, "_socket", watched)
    with pytest.raises(NotReached):
        await reached("https://example.com/", rebinding)
    assert (len(asked), set(made)) == (1, {"8.8.8.8"})
    with pytest.raises(OSError, match="not a public address"):
        real(Courier(), (2, 1, 6, "", ("127.0.0.1", 443)))


async def test_a_redirect_inside_is_not_followed(receiver):
    async with receiving() as inside:
        receiver.status, receiver.headers = 307, {"Location": f"{inside.url}/secret"}
        assert await reached(receiver.url, allow_local=True) == 307
        assert inside.got == []


async def test_a_proxy_of_the_environment_is_not_asked(receiver, monkeypatch):
    async with receiving() as proxy:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await reached(receiver.url, allow_local=True) == 200
        assert proxy.got == []


async def test_who_answers_too_slowly_or_oddly_is_not_waited_for(receiver, monkeypatch):
    monkeypatch.setattr(courier, "SECONDS", 0.2)
    receiver.pause = 1.0
    with pytest.raises(NotReached, match="no answer within"):
        await reached(receiver.url, allow_local=True)

    async def nonsense(reader, writer):
        writer.write(b"SSH-2.0-inside\r\n" + b"x" * 100_000)
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotReached) as error:
            await reached(f"http://127.0.0.1:{port}/", allow_local=True)
    assert "SSH" not in str(error.value)
    with pytest.raises(NotReached, match="nothing can be connected"):
        await reached(f"http://127.0.0.1:{port}/", allow_local=True)


async def test_only_who_has_a_valid_certificate_is_sent_anything(receiver):
    url = receiver.url.replace("http://", "https://")
    with pytest.raises(NotReached):
        await reached(url, allow_local=True)
    assert receiver.got == []


async def test_a_name_nobody_knows_and_too_large_an_event_are_not_sent():
    async def unknown(host, port):
        raise OSError("not known")

    with pytest.raises(NotReached, match="not known"):
        await reached("https://example.com/", unknown)
    with pytest.raises(NotReached, match="public address"):
        await reached("https://example.com/", leads_to())
    with pytest.raises(NotReached, match="larger"):
        await Courier().post("https://example.com/", b"x" * (courier.BODY_MAX + 1), {})
    with pytest.raises(NotReached):
        await reached("https://10.0.0.1/")


def test_waiting_grows_to_an_hour():
    waits = [sender.RETRY.wait(failures) for failures in range(1, TRIES_MAX)]
    assert waits[:3] == [5, 15, 45]
    assert max(waits) == 3600
