"""A trade asked for over HTTP, and the service killed before it answers: asked again, done once."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.doors import Door
from tests.e2e.test_api_isolation import whole
from tests.e2e.test_serve import free_port, get, wait_ready
from tradefleet.domain.credentials import Secret
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import User
from tradefleet.identity import SESSION_LIFETIME, Session
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.stores.sql import open_store

SIGNING = Secret("of-this-test-0123456789abcdefghijklmnopqrstuvwxyz")
ALICE = UserId("alice")
LOOK_SECONDS = 0.002
PATIENCE = 60.0
BODY = orjson.dumps({"quantity": 0.001})
AGREED = orjson.dumps({"answer": "accept"})


@dataclass(frozen=True, slots=True)
class Service:
    """The service in a folder, started as often as it is killed."""

    folder: Path
    port: int
    token: str

    def start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tradefleet", "serve"],
            cwd=self.folder,
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{self.folder}/service.db",
                "HTTP_PORT": str(self.port),
                "JWT_SECRET": SIGNING.reveal(),
                "LOG_LEVEL": "WARNING",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_ready(process, self.port)
        return process

    def buy(self, key: str) -> tuple[int, Any]:
        """Return status and body of the answer to a purchase."""
        return self.post("/api/trade/buy-btc/", BODY, key)

    def agree(self) -> None:
        """Agree to the risk notice: nobody trades who has not."""
        assert self.post("/api/v1/me/consent", AGREED, "agreed")[0] == 200

    def post(self, path: str, body: bytes, key: str) -> tuple[int, Any]:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=body,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
            method="POST",
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, orjson.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, orjson.loads(refusal.read())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database beside the service."""
        connection = sqlite3.connect(f"file:{self.folder}/service.db?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


async def sign_in(url: str) -> str:
    """Register Alice, and return an access token of hers."""
    now = datetime.now(UTC)
    session = Session(
        id="session-of-alice",
        user_id=ALICE,
        how="password",
        address="127.0.0.1",
        created_at=now,
        seen_at=now,
        expires_at=now + SESSION_LIFETIME,
    )
    store = await open_store(url)
    async with store.open(ALICE) as own:
        await own.save_user(User(id=ALICE, username="alice", created_at=now))
        await own.identity.save_session(session)
    await store.close()
    return AccessTokens([SIGNING]).sign(session, now).reveal()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    token = asyncio.run(sign_in(f"sqlite:///{tmp_path}/service.db"))
    return Service(tmp_path, free_port(), token)


def wait_for(service: Service, table: str, answer: "Future[tuple[int, Any]]") -> None:
    """Wait until something is written down; most times the answer is not there yet."""
    deadline = time.monotonic() + PATIENCE
    while not answer.done() and not service.rows(f"SELECT id FROM {table}"):
        assert time.monotonic() < deadline, "nothing was ordered"
        time.sleep(LOOK_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("written", ["orders", "fills"])
def test_a_trade_whose_answer_was_lost_in_a_crash_is_told_and_not_made_again(service, written):
    process = service.start()
    service.agree()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(service.buy, "one-key")
        try:
            wait_for(service, written, answer)
            os.kill(process.pid, signal.SIGSTOP)  # so that nothing goes on while we look
            asked = service.rows("SELECT key FROM idempotency WHERE key != 'agreed'")
            filled = service.rows("SELECT id FROM fills")
        finally:
            process.kill()
            process.communicate()
        try:
            first = answer.result(timeout=PATIENCE)
        except (urllib.error.URLError, ConnectionError):
            first = None  # lost, as it mostly is
    assert asked == [("one-key",)]

    again = service.start()
    try:
        told = service.buy("one-key")
        once_more = service.buy("one-key")
        paths = set(get(service.port, "/openapi.json")["paths"])
    finally:
        again.send_signal(signal.SIGINT)
        said, _ = again.communicate(timeout=30)
    assert again.returncode == 0, said
    assert told == once_more
    # And what is walked with others' ids is all that the service knows.
    assert paths == set(whole(Door().dispatcher).openapi()["paths"])
    assert first in (None, told)
    assert len(service.rows("SELECT id FROM orders")) == 1
    if filled:
        assert (told[0], told[1]["trade"]["quantity"]) == (200, "0.00100000")
        assert service.rows("SELECT sum(quantity + 0) FROM fills") == [(0.001,)]
    else:  # it was ordered, but had not been sent: what came of it is told, whichever it was
        assert told[0] in (200, 400)
        assert service.rows("SELECT count(*) FROM fills") == [(int(told[0] == 200),)]
