"""What users are told of their data: the archive, the risk notice, and how to leave."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, Door, trade
from tests.key_rig import key_door
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.consent import STOPPED_FOR_NOTICE, TEXT, RiskNotice
from tradefleet.domain.errors import NeedsProof, NotAllowed, Refused, TooMany
from tradefleet.domain.limits import Halt, Scope
from tradefleet.domain.privacy import MyData, Stage
from tradefleet.domain.user import Role
from tradefleet.identity import PersonalToken, Right, Session
from tradefleet.keyring import user_key
from tradefleet.operations.privacy import archives as archives_module
from tradefleet.operations.privacy.archives import ARCHIVES_A_DAY, KEPT, Archives
from tradefleet.operations.privacy.notices import NoticeChanged
from tradefleet.second_factor import digits_at, seal


def agreeing(version: int = 1) -> Door:
    return Door(notice=RiskNotice(version=version))


# ---- the risk notice


async def test_who_registers_is_shown_the_risk_notice_and_it_is_written_down():
    door = agreeing()
    reply = await door.dispatcher.run(ALICE, "start", surface="telegram")
    assert reply.text.startswith("👋 Welcome! You've been registered.\n\n⚠️ Risk notice: ")
    assert TEXT in reply.text
    assert reply.data.notice_version == 1
    async with door.store.open(ALICE, reading=True) as own:
        (given,) = await own.consents()
    assert (given.version, given.at, given.surface) == (1, door.still.now(), "telegram")
    assert given.text_hash == RiskNotice().text_hash
    assert "You agreed to version 1" in await door.say("/risk")
    assert "Risk notice: version 1, agreed to at 2026-01-01T00:00:00Z" in await door.say(
        "/settings"
    )
    again = await door.say("/start")
    assert TEXT not in again


async def test_nothing_new_is_opened_before_the_notice_was_agreed_to_and_exits_go_on():
    door = Door()
    await door.ask("/start")
    await door.ask("/addpair BTC/USDT 1000")
    door.dispatcher = replace(
        door.dispatcher, catalog=replace(door.dispatcher.catalog, notice=RiskNotice(version=3))
    )
    for opening in ("/addpair ETH/USDT 10", "/start_trading", "/resume", "/buy BTC/USDT 10"):
        with pytest.raises(NotAllowed, match="Read the risk notice first"):
            await door.ask(opening)
    for other in ("/stop_trading BTC/USDT", "/status", "/emergency stop", "/mydata", "/settings"):
        assert "Read the risk notice first" not in await door.say(other)
    assert "you have not agreed to it: /risk accept" in await door.say("/risk")
    assert "You agreed to version 3" in await door.say("/risk accept")
    assert "Read the risk notice first" not in await door.say("/addpair ETH/USDT 10")


async def test_an_answer_that_is_none_is_refused():
    door = agreeing()
    await door.ask("/start")
    assert await door.say("/risk maybe") == (
        "Write /risk to read the risk notice, and /risk accept to agree to it."
    )


async def test_a_new_notice_stops_entries_until_it_is_agreed_to():
    door = agreeing()
    for user in (ALICE, BOB):
        await door.ask("/start", user)
    await door.ask("/emergency stop", BOB)
    newer = RiskNotice(version=2)
    door.dispatcher = replace(
        door.dispatcher, catalog=replace(door.dispatcher.catalog, notice=newer)
    )

    async def behind(version):
        assert version == 2
        return [ALICE, BOB]

    job = NoticeChanged(store=door.store, behind=behind, clock=door.still, notice=newer)
    await job.run()
    await job.run()  # told once
    async with door.store.open(ALICE, reading=True) as own:
        (switch,) = await own.switches()
    assert (switch.scope, switch.halt, switch.reason) == (Scope.USER, Halt.STOP, STOPPED_FOR_NOTICE)
    texts = [n.notice for n in await door.store.due_notices(now=door.still.now(), limit=9)]
    assert [notice.user_id for notice in texts] == [ALICE]
    await door.ask("/risk accept")
    async with door.store.open(ALICE, reading=True) as own:
        assert [each.halt for each in await own.switches()] == [Halt.RUN]
    await door.ask("/risk accept", BOB)
    async with door.store.open(BOB, reading=True) as own:
        assert [each.halt for each in await own.switches()] == [Halt.STOP]  # their own: it stays


async def test_who_agreed_to_an_older_notice_only_is_found(sql_store):
    from tests.contract.test_every_store_privacy import consent
    from tests.store_rig import register

    for user, versions in ((ALICE, (1,)), (BOB, (1, 2))):
        await register(sql_store, user)
        async with sql_store.open(user) as own:
            for version in versions:
                await own.save_consent(consent(version))
    assert list(await sql_store.records.behind(2)) == [ALICE]
    assert list(await sql_store.records.behind(1)) == []


# ---- the archive


class Made:
    """Answers as the archives of a service would."""

    def __init__(self, *answers: MyData) -> None:
        self.answers = list(answers)

    async def __call__(self, user_id) -> MyData:
        return self.answers.pop(0)


READY = MyData(
    stage=Stage.READY,
    name="my-data-2026-01-01.zip",
    size=3 << 20,
    rows=7,
    tables=3,
    sha256="ab",
    kept_minutes=60,
    content=b"zip",
)


async def test_the_archive_comes_with_the_answer_or_says_where_it_is():
    large = replace(READY, content=b"", size=99 << 20)
    waits = MyData(stage=Stage.WAITING)
    door = Door(my_data=Made(waits, READY, large))
    await door.ask("/start")
    assert "ask /mydata again in a minute" in await door.say("/mydata")
    reply = await door.ask("/mydata")
    assert "7 rows of 3 tables, 3.0 MiB" in reply.text
    (file,) = reply.attachments
    assert (file.name, file.content) == ("my-data-2026-01-01.zip", b"zip")
    reply = await door.ask("/mydata")
    assert reply.attachments == ()
    assert "https://bots.example.org/api/v1/me/export/file within 60 minutes" in reply.text


@pytest.fixture
def archives(sql_store, clock, tmp_path):
    return Archives(
        records=sql_store.records,
        folder=tmp_path / "exports",
        clock=clock,
        counters=MemoryCounters(clock),
        version="1",
    )


async def test_an_archive_is_made_once_and_given_again_until_it_is_too_old(
    archives, sql_store, clock, tmp_path
):
    from tests.store_rig import register

    await register(sql_store, ALICE)
    first = await archives.ask(ALICE)
    assert first.stage is Stage.READY
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["user"] == ALICE
    assert first.rows == sum(each["rows"] for each in manifest["files"])
    assert await archives.ask(ALICE) == first
    (file,) = (tmp_path / "exports").iterdir()
    assert ALICE not in file.name
    assert file.stat().st_mode & 0o777 == 0o600
    clock.move_to(clock.now() + KEPT + timedelta(seconds=1))
    assert archives.ready(ALICE) is None
    for _ in range(ARCHIVES_A_DAY - 1):
        await archives.ask(ALICE)
        clock.move_to(clock.now() + KEPT)
    with pytest.raises(TooMany, match="3 archives a day"):
        await archives.ask(ALICE)
    archives.forget(ALICE)
    assert list((tmp_path / "exports").iterdir()) == []


async def test_nobodys_archive_is_refused_and_leaves_no_file(archives, tmp_path):
    with pytest.raises(Refused, match="could not be made"):
        await archives.ask(ALICE)
    assert list((tmp_path / "exports").iterdir()) == []
    assert archives_module.WAITING_MAX > 0


# ---- leaving


async def test_deleteme_ends_keys_and_sign_ins_at_once_and_asks_for_the_rest():
    door = await key_door()
    key, api_secret = "k" * 20, "s" * 20
    await door.ask(f"/connect bybit {key} {api_secret}")
    await door.ask("/connect paper")
    await door.ask("/addpair BTC/USDT 1000 paper")
    await door.ask("/start_trading")
    now = door.still.now()
    session = Session(
        id="s",
        user_id=ALICE,
        how="link",
        address="",
        created_at=now,
        seen_at=now,
        expires_at=now + timedelta(days=9),
    )
    token = PersonalToken(
        id="t",
        user_id=ALICE,
        name="mine",
        hash="h",
        rights=(Right.READ,),
        created_at=now,
        expires_at=now + timedelta(days=9),
    )
    async with door.store.open(ALICE) as own:
        await own.identity.save_session(session)
        await own.identity.save_token(token)
    text = await door.say("/deleteme")
    assert "1 pair stopped, 2 accounts disconnected, keys destroyed." in text
    async with door.store.open(ALICE, reading=True) as own:
        assert (await own.erasure()).reason == "/deleteme"
        assert await own.wrapped_key() is None
        assert dict(await own.sealed_keys()) == {}
        assert [each.is_open(now) for each in await own.identity.sessions()] == [False]
        assert [each.is_open(now) for each in await own.identity.tokens()] == [False]
        assert [bot.status for bot in await own.bots()] == [BotStatus.STOPPED]
    assert await door.say("/deleteme") == "🗑 You are being erased; that takes a minute."
    command = door.dispatcher.find("deleteme")
    assert command.dangerous
    assert command.in_person


async def test_deleteme_says_how_to_close_what_is_open():
    door = Door()
    await door.ask("/start")
    await trade(door, venue="")
    text = await door.say("/deleteme")
    assert text.startswith("⚠️ You still have 1 open position.")
    assert "/emergency flatten" in text
    async with door.store.open(ALICE, reading=True) as own:
        assert await own.erasure() is None


async def test_an_admin_is_not_erased_by_a_word():
    door = Door()
    await door.ask("/start")
    async with door.store.open(ALICE) as own:
        await own.save_user(replace(await own.user(), role=Role.ADMIN))
    assert "let another admin take that away first" in await door.say("/deleteme")


async def test_deleteme_wants_the_digits_of_who_has_a_second_factor():
    door = await key_door()
    vault, now = door.dispatcher.vault, door.still.now()
    async with door.store.open(ALICE) as own:
        secret = await seal(own, vault, await user_key(own, vault), now)
        factor = await own.identity.second_factor()
        await own.identity.save_second_factor(replace(factor, confirmed_at=now))
    with pytest.raises(NeedsProof):
        await door.ask("/deleteme")
    digits = digits_at(secret, int(now.timestamp()) // 30)
    reply = await door.dispatcher.run(ALICE, "deleteme", proof=digits)
    assert "You are being erased" in reply.text
