"""Whatever arrives, nothing of ours breaks: random updates by the hundred, from a seed."""

import copy
import json
import logging
import random

import pytest

from tests.surfaces.telegram_rig import ALICE, BOB, KEY, SECRET, rig
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.limits import RequestLimits

UPDATES = 500
SIGNS = "ab Z09/@.,:;-_=+<>&'\"\\`$%{}[]()\n\t\x00\x1f\u200b\u202e\ud800🙂日اü"
COMMANDS = ["start", "help", "echo", "status", "show", "connect", "flatten", "fl", "killswitch"]
ODD = [None, "", 0, -1, True, 1.5, 2**70, [], {}, "x" * 5000, {"id": "x"}, {"id": None}, [[]]]


def some_text(rng):
    words = ["".join(rng.choices(SIGNS, k=rng.randint(0, 12))) for _ in range(rng.randint(0, 6))]
    name = rng.choice([*COMMANDS, *COMMANDS, "".join(rng.choices(SIGNS, k=4))])
    start = rng.choice(["/", "/", "/", "", "//", " /", "/\u200b"])
    return f"{start}{name}{rng.choice(['', '@FleetBot', '@x', '@'])} {' '.join(words)}"


def some_update(rng, api):
    """Return a message or a press that Telegram could have sent, and sometimes could not."""
    person = rng.choice([ALICE, BOB, rng.randint(1, 2**40)])
    if rng.random() < 0.3:
        data = rng.choice(["y\x1f", "n\x1f", "r\x1fstatus\x1f", "r\x1f", ""]) + some_text(rng)
        on = api.message(person, "old")["message"]
        update = api.press(person, data, on=rng.choice([on, {**on, "date": 0}, None]) or on)
    else:
        chat = {"id": person, "type": "private"}
        if rng.random() < 0.2:
            chat = {"id": -rng.randint(1, 9), "type": rng.choice(["group", "supergroup", "odd"])}
        update = api.message(person, some_text(rng), chat=chat)
        if rng.random() < 0.2:
            update["edited_message"] = {**update.pop("message"), "edit_date": 1_767_225_601}
    return broken(rng, update) if rng.random() < 0.4 else update


def broken(rng, update):
    """Return the update with something in it taken away or replaced."""
    update = copy.deepcopy(update)
    for _ in range(rng.randint(1, 3)):
        at = update
        while True:
            key = rng.choice([k for k in at if k != "update_id"] or ["more"])
            if isinstance(at.get(key), dict) and at[key] and rng.random() < 0.7:
                at = at[key]
                continue
            if rng.random() < 0.3:
                at.pop(key, None)
            else:
                at[key] = rng.choice(ODD)
            break
    return update


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_updates_break_nothing(seed, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    limits = RequestLimits(telegram_burst=10_000)
    monkeypatch.setattr(Dispatcher, "request_limits", limits)
    rng = random.Random(seed)
    async with rig(webhook=True) as it:
        statuses = []
        for _ in range(UPDATES):
            update = some_update(rng, it.api)
            statuses.append(await it.api.push(json.loads(json.dumps(update))))
        assert set(statuses) == {200}
        for person in (ALICE, BOB):
            await it.api.say(person, "/echo still here")
            await it.api.until(lambda who=person: "echo: still here" in it.api.said(who))
        assert not [r for r in caplog.records if "was lost" in r.getMessage()]
        assert not [r for r in caplog.records if r.name.startswith(("telegram", "asyncio"))]
        assert "flatten" not in {name for name, *_ in it.awkward.ran}
        assert "killswitch" not in {name for name, *_ in it.awkward.ran}


async def test_broken_messages_with_keys_never_reach_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    rng = random.Random(3)
    async with rig(webhook=True) as it:
        for _ in range(100):
            update = it.api.message(ALICE, f"/connect crash {KEY} {SECRET}")
            await it.api.push(broken(rng, update))
        await it.ask("/echo x")
    assert KEY not in caplog.text
    assert SECRET not in caplog.text
