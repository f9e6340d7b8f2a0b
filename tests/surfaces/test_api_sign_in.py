"""Signing in over HTTP, and what the door lets through."""

import re
from contextlib import asynccontextmanager

import pytest

from tests.surfaces.api_rig import app_over, failure, talking
from tests.unit.test_sign_in import PASSWORD, Front
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role
from tradefleet.surfaces.api.auth import auth_routes
from tradefleet.surfaces.api.door import SignInDoor
from tradefleet.surfaces.api.pages import page_routes

AUTH = "/api/v1/auth"
MALLORY = UserId("mallory")


@asynccontextmanager
async def serving():
    """Yield a service with Alice, and a client who is not signed in."""
    front = await Front().start()
    routes = [auth_routes(front.sign_in), page_routes(front.sign_in, front.door.dispatcher)]
    app = app_over(front.door.dispatcher, door=SignInDoor(front.sign_in), more=routes)
    async with talking(app) as client:
        yield front, client


async def sign_in(client, **given):
    body = {"user": "alice", "password": PASSWORD.reveal(), **given}
    return await client.post(f"{AUTH}/password", json=body)


def bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_from_a_password_to_a_command_and_out_again():
    async with serving() as (_, client):
        signed = await sign_in(client)
        assert signed.status_code == 200
        assert set(signed.json()) == {
            "success", "access_token", "refresh_token", "token_type", "expires_in", "session",
        }  # fmt: skip
        assert signed.headers["cache-control"] == "no-store"
        told = await client.get("/api/v1/sessions", headers=bearer(signed))
        assert told.json()["data"]["sessions"][0]["id"] == signed.json()["session"]
        renewal = {"refresh_token": signed.json()["refresh_token"]}
        renewed = await client.post(f"{AUTH}/refresh", json=renewal)
        assert (await client.get("/api/v1/sessions", headers=bearer(renewed))).status_code == 200
        out = await client.post(f"{AUTH}/sign-out", headers=bearer(renewed))
        assert out.json() == {"success": True, "text": "You are signed out."}
        late = await client.get("/api/v1/sessions", headers=bearer(signed))
        assert failure(late) == (401, "unauthorized")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer a.b.c", "tf_x"]
)
async def test_who_is_not_signed_in_sees_nothing(header):
    async with serving() as (_, client):
        headers = {} if header is None else {"Authorization": header}
        for path in ("/api/v1/sessions", "/api/v1/tokens"):
            assert failure(await client.get(path, headers=headers)) == (401, "unauthorized")
        answer = await client.post(f"{AUTH}/sign-out", headers=headers)
        assert failure(answer) == (401, "unauthorized")


async def test_a_wrong_password_is_401_and_too_many_are_429_with_the_seconds():
    async with serving() as (_, client):
        for _ in range(5):
            assert failure(await sign_in(client, password="wrong")) == (401, "unauthorized")
        answer = await sign_in(client)
        assert failure(answer) == (429, "too_many")
        assert int(answer.headers["retry-after"]) == 60


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("password", {}),
        ("password", {"user": "alice"}),
        ("password", {"user": "alice", "password": "canary", "more": 1}),
        ("password", {"user": 1, "password": "canary"}),
        ("password", {"user": "alice", "password": "canary" * 200}),
        ("link", {"code": ""}),
        ("telegram", {"id": {"a": "canary"}}),
        ("telegram/mini-app", {"init_data": ["canary"]}),
        ("refresh", {"refresh_token": None}),
        ("refresh", []),
    ],
)
async def test_an_odd_request_is_refused_without_repeating_it(path, body):
    async with serving() as (_, client):
        answer = await client.post(f"{AUTH}/{path}", json=body)
        assert answer.status_code == 400
        assert failure(answer)[1] == "invalid"
        assert "canary" not in answer.text


async def test_a_token_has_its_rights_and_never_changes_how_its_user_signs_in():
    async with serving() as (front, client):
        made = {
            right: await front.door.ask(f"/token create {right} {right}")
            for right in ("read", "trade")
        }
        headers = {
            right: {"Authorization": f"Bearer {reply.data.value}"} for right, reply in made.items()
        }
        post = client.post
        assert (await client.get("/api/v1/bots", headers=headers["read"])).status_code != 403
        answer = await post("/api/v1/trading/pause", headers=headers["read"])
        assert failure(answer) == (403, "forbidden")
        assert (await post("/api/v1/trading/pause", headers=headers["trade"])).status_code == 200
        for path in ("commands/web", "commands/password", "commands/totp", "tokens"):
            body = {"action": "create", "name": "more"} if path == "tokens" else {}
            answer = await post(f"/api/v1/{path}", headers=headers["trade"], json=body)
            assert failure(answer) == (403, "forbidden"), path


async def test_nobody_ends_or_sees_anothers_session():
    async with serving() as (front, client):
        theirs = (await sign_in(client)).json()["session"]
        await front.register.add(MALLORY, "Mallory", Role.USER)
        await front.register.set_password(MALLORY, PASSWORD)
        mallory = bearer(await sign_in(client, user="mallory"))
        answer = await client.delete(f"/api/v1/sessions/{theirs}", headers=mallory)
        assert failure(answer) == (404, "not_found")
        told = await client.get("/api/v1/sessions", headers=mallory)
        assert theirs not in told.text
        assert (await front.store.identity.session(theirs)).revoked_at is None


async def test_the_second_factor_is_a_header_or_lasts_for_five_minutes():
    async with serving() as (front, client):
        await front.second_factor()
        signed = bearer(await sign_in(client))
        path = "/api/v1/commands/password"
        answer = await client.post(path, headers=signed)
        assert failure(answer) == (403, "second_factor")
        given = {"X-Second-Factor": await front.digits()}
        assert (await client.post(path, headers={**signed, **given})).status_code == 200
        front.later(seconds=30)
        digits = {"digits": await front.digits()}
        strong = await client.post(f"{AUTH}/strong", headers=signed, json=digits)
        assert strong.json()["success"]
        assert (await client.post(path, headers=signed)).status_code == 200


# ---- pages


async def form(client, path, **fields):
    return await client.post(
        path,
        content="&".join(f"{name}={value}" for name, value in fields.items()),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


async def test_a_page_may_be_looked_at_and_its_form_works_once():
    async with serving() as (front, client):
        code = await front.code_of("/web")
        for _ in range(3):
            seen = await client.get(f"/link/sign-in?code={code}")
            assert (seen.status_code, seen.headers["cache-control"]) == (200, "no-store")
            assert "default-src 'none'" in seen.headers["content-security-policy"]
        page = await form(client, "/link/sign-in", code=code)
        token = re.search(r"eyJ[\w.-]+", page.text)[0]
        told = await client.get("/api/v1/sessions", headers={"Authorization": f"Bearer {token}"})
        assert told.status_code == 200
        again = await form(client, "/link/sign-in", code=code)
        assert (again.status_code, "used already" in again.text) == (400, True)


async def test_a_password_is_set_on_its_page():
    async with serving() as (front, client):
        code = await front.code_of("/password")
        path = "/link/password"
        given = {"password": "quite another horse", "again": "quite another horse"}
        differs = await form(client, path, code=code, password="one long password", again="x")
        assert "not the same" in differs.text
        short = await form(client, path, code=code, password="short", again="short")
        assert "12 to 256" in short.text
        assert "You sign in as alice" in (await form(client, path, code=code, **given)).text
        assert (await form(client, path, code=code, **given)).status_code == 400
        assert (await sign_in(client)).status_code == 401
        assert (await sign_in(client, password="quite another horse")).status_code == 200


async def test_a_second_factor_is_set_up_on_its_page():
    async with serving() as (front, client):
        code, path = await front.code_of("/totp on"), "/link/second-factor"
        assert "otpauth:" not in (await client.get(f"{path}?code={code}")).text
        shown = await form(client, path, code=code)
        assert "otpauth://totp/Tradefleet%3Aalice?secret=" in shown.text
        wrong = await form(client, path, code=code, step="confirm", digits="000000")
        assert (wrong.status_code, "digits are wrong" in wrong.text) == (400, True)
        right = {"code": code, "step": "confirm", "digits": await front.digits()}
        assert "Done." in (await form(client, path, **right)).text
        assert (await form(client, path, code=code)).status_code == 400


@pytest.mark.parametrize("path", ["sign-in", "password", "second-factor"])
@pytest.mark.parametrize("code", ["", "x", "<script>alert(1)</script>", "%00", "x" * 5000])
async def test_a_page_of_an_invented_link_says_so(path, code):
    async with serving() as (_, client):
        for answer in (
            await client.get(f"/link/{path}", params={"code": code}),
            await form(client, f"/link/{path}", code=code, password="a", again="a"),
        ):
            assert answer.status_code == 400
            assert "<script>" not in answer.text
