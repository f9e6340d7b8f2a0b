"""The page where keys are typed: one link, one user, one time, and nothing of a key is shown."""

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.doors import ALICE, BOB
from tests.key_rig import GOOD, KeyDoor
from tests.surfaces.api_rig import app_over, talking
from tests.unit.test_sign_in import Front
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.keyring import Keyring
from tradefleet.surfaces.api.pages import page_routes

KEY, SECRET = "abc123keyABCDEFGHIJKLMNOP", "xyz789secretABCDEFGHIJKLMNOP"
PAGE = "/link/connect"
TESTNET = "bybit:testnet"


@pytest.fixture(autouse=True)
def nothing_leaks(caplog):
    """No test of this file may bring a key into the log, at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    text = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert KEY not in text
    assert SECRET not in text


@asynccontextmanager
async def serving(**parts):
    """Yield a service with Alice and Bob, and a client who is not signed in."""
    door = KeyDoor(**parts)
    await door.ask("/start")
    await door.ask("/start", BOB)
    front = Front()
    sign_in = replace(front.sign_in, store=door.store, clock=door.still, ids=door.still)
    app = app_over(door.dispatcher, more=[page_routes(sign_in, door.dispatcher)])
    async with talking(app) as client:
        yield door, client


async def code_of(door, message="/connect", user_id=ALICE):
    reply = await door.ask(message, user_id)
    assert reply.holds_secret
    return re.search(r"\?code=([\w-]+)", reply.text)[1]


def fields(code, **given):
    return {"code": code, "exchange": TESTNET, "api_key": KEY, "api_secret": SECRET, **given}


async def accounts(door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return [(account.id, account.is_active) for account in await store.accounts()]


async def test_keys_typed_on_the_page_are_checked_sealed_and_shown_masked():
    async with serving() as (door, client):
        code = await code_of(door, "/connect bybit")
        for _ in range(2):  # a preview opens nothing
            shown = await client.get(PAGE, params={"code": code, "exchange": "bybit"})
            assert shown.status_code == 200
            assert '<option value="bybit:testnet" selected>bybit (testnet)' in shown.text
        done = await client.post(PAGE, data=fields(code))
        assert done.status_code == 200
        assert "Key: abc1…MNOP (25 characters)" in done.text
        assert door.exchange.asked == [("bybit", KEY, Mode.TESTNET)]
        keys = Keyring(door.store, door.dispatcher.vault)
        kept = await keys.credentials_of(await door.account(f"{ALICE}:bybit:testnet"))
        assert (kept.api_key.reveal(), kept.api_secret.reveal()) == (KEY, SECRET)
        (notice,) = await door.store.due_notices(now=door.still.now(), limit=10)
        assert notice.notice.text.startswith("🔐 The page for your keys was used.")
        assert "abc1…MNOP" in notice.notice.text
        for text in (done.text, repr(vars(door.store))):
            assert KEY not in text
            assert SECRET not in text


async def test_the_page_asks_nobody_else_and_needs_no_script():
    async with serving() as (door, client):
        shown = await client.get(PAGE, params={"code": await code_of(door)})
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert "form-action 'self'" in shown.headers["content-security-policy"]
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in shown.text
        assert not re.search(r"(src|href|action)=", shown.text)
        assert 'name="viewport"' in shown.text


async def test_a_link_works_once_and_for_ten_minutes_and_the_latest_alone():
    async with serving() as (door, client):
        first, code = await code_of(door), await code_of(door)
        assert (await client.post(PAGE, data=fields(first))).status_code == 400
        assert (await client.post(PAGE, data=fields(code))).status_code == 200
        for again in (await client.post(PAGE, data=fields(code)), await client.get(PAGE)):
            assert again.status_code == 400
            assert "This link was used already or is too old" in again.text
        late = await code_of(door)
        door.still.time += door.still.time.resolution * 600_000_000
        assert (await client.post(PAGE, data=fields(late))).status_code == 400
        assert len(door.exchange.asked) == 1


async def test_of_two_at_once_one_is_taken():
    async with serving() as (door, client):
        code = await code_of(door)
        done = await asyncio.gather(*(client.post(PAGE, data=fields(code)) for _ in range(5)))
        assert sorted(answer.status_code for answer in done) == [200, 400, 400, 400, 400]
        assert len(door.exchange.asked) == 1


async def test_keys_that_are_refused_may_be_typed_again_with_a_link_that_ends_no_later():
    async with serving() as (door, client):
        code = await code_of(door)
        door.exchange.answer = KeyRefused(KeyFault.INVALID, "Bybit does not know this key.")
        wrong = await client.post(PAGE, data=fields(code))
        assert wrong.status_code == 400
        assert "Bybit does not know this key." in wrong.text
        assert KEY not in wrong.text
        assert SECRET not in wrong.text
        assert await accounts(door) == []
        assert (await client.post(PAGE, data=fields(code))).status_code == 400
        fresh = re.search(r'name="code" value="([\w-]+)"', wrong.text)[1]
        assert fresh != code
        door.exchange.answer = GOOD
        door.still.time += door.still.time.resolution * 599_000_000
        assert (await client.post(PAGE, data=fields(fresh))).status_code == 200


async def test_an_account_is_its_own_users():
    async with serving() as (door, client):
        code = await code_of(door, user_id=BOB)
        assert (await client.post(PAGE, data=fields(code))).status_code == 200
        assert await accounts(door) == []
        assert await accounts(door, BOB) == [(f"{BOB}:bybit:testnet", True)]


@pytest.mark.parametrize(
    "exchange", ["", "paper", "bybit", "mybank:testnet", "confirm", "<script>", "bybit:paper"]
)
async def test_an_account_that_is_not_in_the_list_is_not_taken(exchange):
    async with serving() as (door, client):
        code = await code_of(door)
        answer = await client.post(PAGE, data=fields(code, exchange=exchange))
        assert answer.status_code == 400
        assert "Choose an account from the list." in answer.text
        assert "<script" not in answer.text
        assert door.exchange.asked == []
        assert (await client.post(PAGE, data=fields(code))).status_code == 200


async def test_real_money_waits_for_a_code_in_the_chat():
    async with serving() as (door, client):
        done = await client.post(PAGE, data=fields(await code_of(door), exchange="bybit:live"))
        assert "nothing is connected yet" in done.text
        assert await accounts(door) == []
        confirm = re.search(r"/connect confirm LIVE \w+", done.text)[0]
        assert "✅ Exchange Connected" in await door.say(confirm)


async def test_where_nobody_trades_for_real_it_is_not_offered():
    async with serving(rules=KeyRules(live_ban="not here")) as (door, client):
        code = await code_of(door)
        assert "real money" not in (await client.get(PAGE, params={"code": code})).text
        answer = await client.post(PAGE, data=fields(code, exchange="bybit:live"))
        assert answer.status_code == 400


async def test_who_was_banned_connects_nothing():
    async with serving() as (door, client):
        code = await code_of(door)
        async with door.store.open(ALICE) as store:
            banned = replace(await store.user(), banned_at=door.still.now(), banned_because="x")
            await store.save_user(banned)
        answer = await client.post(PAGE, data=fields(code))
        assert answer.status_code == 400
        assert "You may not use this service any more" in answer.text
        assert door.exchange.asked == []


async def test_a_link_for_something_else_opens_no_keys():
    async with serving() as (door, client):
        code = re.search(r"\?code=([\w-]+)", (await door.ask("/web")).text)[1]
        assert (await client.post(PAGE, data=fields(code))).status_code == 400
        assert door.exchange.asked == []


@pytest.mark.parametrize("body", ["", "a=1&a=2", "&".join(["x=1"] * 50), "%ff%fe", "code=x" * 9000])
async def test_an_odd_form_does_nothing(body):
    async with serving() as (_, client):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await client.post(PAGE, content=body, headers=headers)
        assert answer.status_code == 400


async def test_a_service_without_pages_says_how_to_send_them():
    async with serving(web_url="") as (door, _):
        assert (await door.say("/connect")).startswith("To connect an exchange, send: /connect")
