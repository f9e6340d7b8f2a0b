"""The API over a real connection, asked everything its own description allows, and what it forbids.

No answer may be a 5xx, none may differ from what the description promises, and every operation that
is described is asked. That what is served here is all that the service has is held in
test_api_killed.py.
"""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.doors import ALICE, BINANCE, BYBIT, PAPER, Door, trade
from tests.e2e.test_api_isolation import more_routes, sign_in_of
from tests.surfaces.api_rig import OpenDoor
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.limits import TIERS, RequestLimits
from tradefleet.domain.user import Role
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.quota import Quotas
from tradefleet.surfaces.api.seed_routes import trade as seed_trade
from tradefleet.surfaces.api.server import HttpSurface

PROGRAM = Path(__file__).parents[2] / ".venv-schema" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
EXAMPLES = 2  # of each operation, besides those that cover every rule of its description
OFTEN = 1_000_000  # more often than anything is asked here
WIDE = RequestLimits(
    signed_in_per_hour=OFTEN,
    anonymous_per_hour=OFTEN,
    sign_ins_per_minute=OFTEN,
    bot_starts_per_minute=OFTEN,
)
WIDE_TIERS = {name: replace(tier, api_calls_per_minute=OFTEN) for name, tier in TIERS.items()}
LOCKED = {"/api/v1/auth/password"}  # for one name, after five wrong passwords, whatever the limits
HEALTH = {
    "overall_status": "degraded",
    "metrics": {
        "database_ms": {"value": 140.0, "status": "degraded"},
        "active_bots": {"value": 2, "status": "healthy"},
    },
}


async def health() -> dict[str, Any]:
    return HEALTH


@dataclass(slots=True, kw_only=True)
class Watched(HttpSurface):
    """The surface, how often it answered with what, and where it was asked too often."""

    statuses: Counter[int] = field(default_factory=Counter)
    too_often: set[str] = field(default_factory=set)

    def app(self) -> FastAPI:
        app = HttpSurface.app(self)
        app.add_middleware(Watch, watched=self)
        return app


class Watch:
    """Counts answers by their status."""

    def __init__(self, app: ASGIApp, watched: Watched) -> None:
        self.app, self.watched = app, watched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.watched.statuses[message["status"]] += 1
                if message["status"] == 429:
                    self.watched.too_often.add(scope["path"])
            await send(message)

        await self.app(scope, receive, sending)


async def service() -> Watched:
    """Return all there is of a service that alice runs, and in which she has traded.

    It may be asked as often as one likes, for what it says of limits is tested elsewhere.
    """
    door = Door(PAPER, BINANCE, BYBIT)
    await door.ask("/start")
    await trade(door)
    async with door.store.open(ALICE) as own:
        user = await own.user()
        assert user is not None
        await own.save_user(replace(user, role=Role.ADMIN))
    dispatcher = door.dispatcher
    counters = MemoryCounters(dispatcher.clock)
    quotas = Quotas(counters=counters, tiers=WIDE_TIERS, limits=WIDE)
    throttle = Throttle(door.store.identity, dispatcher.clock, quotas)
    sign_in = replace(sign_in_of(dispatcher), throttle=throttle)
    return Watched(
        host="127.0.0.1",
        port=0,
        health=health,
        is_ready=lambda: True,
        dispatcher=dispatcher,
        door=OpenDoor(),
        more=more_routes(dispatcher, sign_in, OpenDoor(), health),
        quotas=quotas,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a minute where there is nothing else to do
@pytest.mark.skipif(not PROGRAM.exists(), reason="no .venv-schema here: `make test` makes it")
async def test_every_answer_is_as_described_and_none_is_a_5xx(tmp_path, monkeypatch):
    monkeypatch.setattr(seed_trade, "WAIT_SECONDS", 0.0)  # there is nobody who would trade
    http = await service()
    operations = sum(map(len, http.app().openapi()["paths"].values()))
    listener = http.listen()
    serving = asyncio.create_task(http.serve(listener))
    try:
        asking = await asyncio.create_subprocess_exec(
            PROGRAM,
            "run",
            f"http://127.0.0.1:{listener.getsockname()[1]}/openapi.json",
            f"--checks={','.join(CHECKS)}",
            f"--max-examples={EXAMPLES}",
            "--phases=examples,coverage,fuzzing",
            "--header=Authorization: Bearer alice admin",
            "--header=X-Forwarded-For: 203.0.113.9",  # not from the service's own machine
            "--wait-for-schema=10",
            "--seed=1",
            "--generation-database=none",
            "--no-color",
            "--no-shrink",
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        told, _ = await asking.communicate()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()
    said = told.decode()
    assert asking.returncode == 0, said[-8000:]
    assert f"Tested: {operations}\n" in said
    assert http.statuses.total() > 20 * operations
    assert http.statuses[200] > 3 * operations, http.statuses
    assert http.too_often <= LOCKED  # or what is asked afterwards would not be looked at
