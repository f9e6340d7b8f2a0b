"""Whatever is logged during a request, a command or an order says which one, and no longer."""

import logging
import re

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from tests.doors import ALICE, Door
from tests.runtime.live_rig import enter
from tests.runtime.real_rig import real_ground
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import Refused
from tradefleet.surfaces.api.errors import Edge


@pytest.fixture
def seen(monkeypatch):
    """What stood around each line of our logger."""
    lines: list[tuple[str, dict]] = []

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.getMessage(), get_contextvars()))

    handler, logger = Watching(), logging.getLogger("tradefleet")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


async def test_an_answer_carries_the_number_of_its_request_in_the_log(seen):
    async def broken(scope, receive, send):
        raise RuntimeError("hunter2")

    numbers = []
    for _ in range(2):
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
        with bound_contextvars():
            await Edge(broken)(scope, None, send)
        headers = dict(sent[0]["headers"])
        numbers.append(headers[b"x-request-id"].decode())
    assert [context["request"] for _, context in seen] == numbers
    assert all(re.fullmatch(r"[0-9a-f]{6}-\d+", number) for number in numbers)
    assert numbers[0] != numbers[1]


async def test_a_command_says_whose_it_is_and_what_until_it_is_done(monkeypatch):
    door, around = Door(), []
    handle = Dispatcher._handle

    async def watched(self, *given):
        around.append(get_contextvars())
        return await handle(self, *given)

    monkeypatch.setattr(Dispatcher, "_handle", watched)
    before = get_contextvars()
    await door.ask("/start")
    with pytest.raises(Refused):
        await door.ask("/addpair")
    with pytest.raises(Refused):
        await door.ask("/nonsense hunter2")
    await door.ask("/status")
    commands = [(each["user"], each["command"]) for each in around]
    assert ((ALICE, "start") in commands, (ALICE, "status") in commands) == (True, True)
    assert get_contextvars() == before


async def test_a_lane_says_which_order_of_whom(monkeypatch):
    ground = await real_ground()
    ground.theatre.say(0, enter(95, "0.1"))
    around = []
    async with ground.host() as running:
        link = ground.link()
        submit = link.submit

        async def watched(order):
            around.append((order.id, get_contextvars()))
            return await submit(order)

        monkeypatch.setattr(link, "submit", watched)
        await running.bar(0)
        await running.price(100)
        bot = running.bot()
        account_id = bot.engine.spec.account_id
        whose = {"user": running.user().id, "account": account_id, "bot": bot.id}
        running.user().gone = True
    ((order_id, context),) = around
    assert context == {**whose, "order": order_id}
