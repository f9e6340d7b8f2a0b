"""The master and the members on a simulated Kraken, from the command line as an operator."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.test_serve import free_port
from tests.venuesim.rig import Process, simulated_process

ROOT = Path(__file__).parents[2]
CLIENTS = {"KRAKEN_MASTER": "boss", "KRAKEN_USER_FIRST": "first", "KRAKEN_USER_SECOND": "second"}
WORDS = [word for name in CLIENTS.values() for word in ("--client", f"{name}:seed")]
SUMMARY_WITHIN = 60.0  # seconds; a loaded machine is slow


@pytest.fixture(scope="module")
def kraken() -> Iterator[Process]:
    with simulated_process("kraken", "--balance", "USD:5000", *WORDS) as process:
        for symbol in ("BTC/USD", "ETH/USD"):
            process.admin.tick(symbol, "1000")
        yield process


def environment(kraken: Process, **changes: str) -> dict[str, str]:
    keys = {line["name"]: line for line in kraken.lines if line["ready"] == "client"}
    made = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
    for prefix, name in CLIENTS.items():
        made[f"{prefix}_API_KEY"] = keys[name]["api_key"]
        made[f"{prefix}_API_SECRET"] = keys[name]["secret"]
    return {
        **made,
        "VENUES": "kraken",
        "KRAKEN_URL": kraken.url,
        "KRAKEN_WS_URL": kraken.ws_url,
        "KRAKEN_SYMBOLS": "BTC/USD,ETH/USD",
        "MOCK_TRADING": "false",
        "TRADING_ENABLED": "true",
        "HTTP_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def check(folder: Path, variables: dict[str, str], *words: str) -> tuple[int, list[str]]:
    program = words or (sys.executable, "-m", "tradefleet", "check", "connections")
    done = subprocess.run(
        program, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def test_all_are_connected(kraken, tmp_path):
    assert check(tmp_path, environment(kraken)) == (
        0,
        [
            "🔍 KRAKEN CONNECTION TEST - MASTER + ALL USERS",
            "✅ Master account: CONNECTED",
            "✅ User #1 (First): CONNECTED",
            "✅ User #2 (Second): CONNECTED",
            "🎉 ALL ACCOUNTS CONNECTED - Ready for multi-account trading!",
        ],
    )


def test_one_with_a_wrong_secret_is_named_and_the_others_connect(kraken, tmp_path):
    wrong = environment(kraken, KRAKEN_USER_FIRST_API_SECRET="bm90IHRoZSBzZWNyZXQ=")
    code, lines = check(tmp_path, wrong)
    assert (code, lines[1], lines[-2]) == (
        1,
        "✅ Master account: CONNECTED",
        "✅ User #2 (Second): CONNECTED",
    )
    assert lines[2].startswith("❌ User #1 (First): NOT CONNECTED - Kraken connection failed:")
    assert lines[3].startswith("   💡 ")
    assert not any("bm90IHRoZSBzZWNyZXQ" in line for line in lines)


def test_without_a_venue_none_is_connected(kraken, tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    code, lines = check(tmp_path, environment(kraken, KRAKEN_URL=nowhere))
    assert (code, lines[-1]) == (2, "❌ NO ACCOUNT CONNECTED")


def test_two_ids_with_one_first_name_stop_the_start(kraken, tmp_path):
    (tmp_path / "users.toml").write_text('[[users]]\nid = "mary_a"\n[[users]]\nid = "mary_b"\n')
    done = subprocess.run(
        [sys.executable, "-m", "tradefleet", "serve"],
        cwd=tmp_path,
        env=environment(kraken, USERS_FILE="users.toml"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "mary_a and mary_b" in done.stdout + done.stderr


def test_the_service_connects_them_in_order_and_runs_their_bots(kraken, tmp_path):
    (tmp_path / "users.toml").write_text(
        '[[users]]\nid = "first_user"\n[[users]]\nid = "second_user"\npositions = 3\n'
    )
    variables = environment(kraken, USERS_FILE="users.toml", LOG_LEVEL="INFO")
    log = tmp_path / "serve.log"
    with log.open("w") as writing:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradefleet", "serve"],
            cwd=tmp_path,
            env=variables,
            stdout=writing,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + SUMMARY_WITHIN
        while "took user second_user: 2 bots" not in log.read_text():
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    with closing(sqlite3.connect(tmp_path / "data" / "trading_service.db")) as database:
        shared = database.execute(
            "SELECT b.user_id, group_concat(b.symbol), u.name, u.allocation + 0, sum(b.allocation)"
            " FROM bots b JOIN universes u ON u.id = b.universe_id GROUP BY b.user_id"
        ).fetchall()
    assert shared == [
        (user, "BTC/USD,ETH/USD", "usd", 5000, 0)
        for user in ("first_user", "master", "second_user")
    ]
    lines = log.read_text().splitlines()
    begun = lines.index("👑 CONNECTING MASTER ACCOUNT")
    ended = lines.index("✅ USER #2 (Second User): TRADING (Broker: Kraken)")
    assert lines[begun + 2 : ended + 1] == [
        "📊 Attempting to connect Master account - Kraken...",
        "   ✅ Master Kraken connected",
        "   💰 Master Kraken balance: $5,000.00",
        "",
        "=" * 70,
        "👤 CONNECTING USER ACCOUNTS",
        "=" * 70,
        "📊 Attempting to connect User #1 (First User) - Kraken...",
        "   ✅ User #1 Kraken connected",
        "   💰 User #1 Kraken balance: $5,000.00",
        "",
        "📊 Attempting to connect User #2 (Second User) - Kraken...",
        "   ✅ User #2 Kraken connected",
        "   💰 User #2 Kraken balance: $5,000.00",
        "",
        "=" * 70,
        "📊 ACCOUNT TRADING STATUS SUMMARY",
        "=" * 70,
        "✅ MASTER ACCOUNT: TRADING (Broker: kraken)",
        "✅ USER #1 (First User): TRADING (Broker: Kraken)",
        "✅ USER #2 (Second User): TRADING (Broker: Kraken)",
    ]
    secrets = [value for name, value in variables.items() if name.endswith("_API_SECRET")]
    assert not any(secret in log.read_text() for secret in secrets)


def test_the_old_name_of_the_check_is_the_same_command(kraken, tmp_path):
    alias = (ROOT / "test_kraken_connections.py").read_text()
    assert '"check", "connections"' in alias
