"""What every answer tells browsers that are led to it, and what other sites' pages may not do."""

import pytest

from tests.doors import ALICE, PAPER, Door
from tests.surfaces.api_rig import app_over, signed, talking
from tests.surfaces.test_api import raising, with_command
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.surfaces.api.errors import FOR_BROWSERS

TOLD = {name.decode(): value.decode() for name, value in FOR_BROWSERS}


@pytest.fixture
async def client():
    door = Door(PAPER)
    await door.ask("/start")
    with_command(door, raising(BrokenInvariant("hidden")))
    async with talking(app_over(door.dispatcher)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "signed_in"),
    [
        ("/health", 200, False),
        ("/api/v1/bots", 200, True),
        ("/api/v1/bots", 401, False),
        ("/nothing/here", 404, False),
        ("/api/v1/ask/x", 500, True),
        ("/openapi.json", 200, False),
    ],
)
async def test_every_answer_forbids_what_browsers_could_do_with_it(client, path, status, signed_in):
    answer = await client.get(path, headers=signed(ALICE) if signed_in else {})
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in TOLD} == TOLD


async def test_a_page_that_needs_more_says_so_itself_and_once(client):
    answer = await client.get("/docs")
    policies = answer.headers.get_list("content-security-policy")
    assert len(policies) == 1
    for rule in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policies[0]
    assert "script-src" not in policies[0]


async def test_no_other_site_is_allowed_to_ask(client):
    """Who signs in brings a header; no cookie is set, so a foreign page has nothing to ride on."""
    theirs = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in [
        await client.options("/api/v1/bots", headers=theirs),
        await client.get("/api/v1/bots", headers={**theirs, **signed(ALICE)}),
    ]:
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK"])
async def test_methods_nobody_needs_are_not_there(client, method):
    assert (await client.request(method, "/api/v1/bots")).status_code == 405
