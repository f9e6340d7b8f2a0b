"""Errors reach the operator's people: once, together, and never at the cost of who logs them."""

import asyncio
import logging
from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, Door
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import StoreUnavailable
from tradefleet.operations import alarms
from tradefleet.operations.alarms import WAITING_MAX, Alarms
from tradefleet.operations.logs.masking import Masks

logger = logging.getLogger("tradefleet.runtime.somewhere")


@pytest.fixture
async def door() -> Door:
    """A service where alice and bob are registered; alice is an admin."""
    made = Door()
    for user_id, telegram_id in ((ALICE, 1), (BOB, 2)):
        await made.dispatcher.run(user_id, "start", telegram_id=telegram_id)
    return made


def listening(door: Door, *telegram_ids: int) -> Alarms:
    return Alarms(store=door.store, clock=door.still, telegram_ids=telegram_ids or (1,))


def heard(made: Alarms, *texts: str) -> None:
    for text in texts:
        made.emit(logger.makeRecord(logger.name, logging.ERROR, "x.py", 1, text, (), None))


async def told(door: Door) -> list[tuple[str, str]]:
    due = await door.store.due_notices(now=door.still.time, limit=99)
    return [(each.notice.user_id, each.notice.text) for each in due]


async def test_what_looks_like_a_secret_or_is_a_known_one_is_told_nobody(door):
    made = Alarms(
        store=door.store,
        clock=door.still,
        telegram_ids=(1,),
        masks=Masks(["a password of ours"]),
    )
    heard(made, "refused: api_key=Zx81kQ9vLm20Rt55", "in was a password of ours")
    await made.tell()
    ((_, text),) = await told(door)
    assert ("Zx81kQ9vLm20Rt55" in text, "password of" in text) == (False, False)
    assert "refused: api_key=***" in text


async def test_errors_are_told_to_the_admins_and_to_nobody_else(door):
    made = listening(door)
    heard(made, "bot b1 is set aside: ZeroDivisionError()", "account a1 cannot be opened")
    await made.tell()
    (notice,) = await door.store.due_notices(now=door.still.time, limit=99)
    assert (notice.notice.topic, notice.notice.priority, notice.telegram_id) == (
        Topic.SYSTEM, 1, 1,
    )  # fmt: skip
    assert notice.notice.text == (
        "🛠 bot b1 is set aside: ZeroDivisionError()\n🛠 account a1 cannot be opened"
    )


async def test_the_same_error_is_told_once_in_a_quarter_of_an_hour(door):
    made = listening(door)
    for minutes in (0, 5, 9, 2):
        door.still.time += timedelta(minutes=minutes)
        heard(made, "the stop is not watched")
        await made.tell()
    assert len(await told(door)) == 2


async def test_a_flood_is_told_in_one_message_with_the_number_of_the_others(door):
    made = listening(door)
    heard(made, *(f"bot {number} is set aside" for number in range(WAITING_MAX + 50)))
    await made.tell()
    ((_, text),) = await told(door)
    assert text.count("is set aside") == 10
    assert text.endswith("🛠 and 140 more; see the log")


async def test_errors_wait_until_an_admin_has_said_start(door):
    made = listening(door, 3)
    heard(made, "kraken is closed to us for 600 s")
    await made.tell()
    assert await told(door) == []
    await door.dispatcher.run("carol", "start", telegram_id=3)
    await made.tell()
    assert await told(door) == [("carol", "🛠 kraken is closed to us for 600 s")]


async def test_a_store_that_is_away_loses_no_error(door, monkeypatch):
    made = listening(door)

    async def away(**_):
        raise StoreUnavailable("the database is away")

    heard(made, "account a1 cannot be opened")
    with monkeypatch.context() as patched:
        patched.setattr(door.store, "find_user", away)
        await made.tell()
    await made.tell()
    assert await told(door) == [("alice", "🛠 account a1 cannot be opened")]


async def test_it_listens_while_it_runs_to_errors_of_ours_alone(door, monkeypatch):
    made, rounds = listening(door), []

    async def sleep(seconds):
        rounds.append(seconds)
        logger.warning("no error")
        logging.getLogger("elsewhere").error("not ours")
        logger.error("order %s is lost", "o1")
        if len(rounds) > 1:
            raise asyncio.CancelledError

    monkeypatch.setattr(door.still, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await made.run()
    assert await told(door) == [("alice", "🛠 order o1 is lost")]
    assert made not in logging.getLogger(alarms.OURS).handlers
