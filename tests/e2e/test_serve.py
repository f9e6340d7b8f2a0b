"""The service as a stranger starts it: one command, demo users, chat beside it, Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

# What is not well where other tests have the machine busy.
MADE_BY_LOAD = {"cpu_usage", "memory_usage", "disk_usage", "disk_write_ms", "database_ms"}
MADE_BY_LOAD |= {"event_loop_lag_ms", "response_ms"}
START_MAX = 90.0  # seconds; a loaded machine is slow to import


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def service(tmp_path):
    """A running demo in a folder of its own: (process, port, environment, folder)."""
    port = free_port()
    environment = {**os.environ, "HTTP_PORT": str(port), "LOG_LEVEL": "WARNING"}
    process = start(tmp_path, environment)
    try:
        wait_ready(process, port)
        yield process, port, environment, tmp_path
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def start(folder, environment) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tradefleet", "serve", "--demo"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def get(port: int, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


def wait_ready(process, port: int) -> None:
    deadline = time.monotonic() + START_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            get(port, "/readyz")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the service did not get ready")


def chat(service, user: str, *words: str) -> str:
    _, _, environment, folder = service
    done = subprocess.run(
        [sys.executable, "-m", "tradefleet", "chat", "--user", user, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def wait_for_bots(port: int, count: int) -> None:
    deadline = time.monotonic() + START_MAX
    while get(port, "/health")["metrics"]["active_bots"]["value"] != count:
        assert time.monotonic() < deadline, f"there are never {count} running bots"
        time.sleep(0.1)


def test_a_stranger_starts_the_demo_talks_to_it_and_stops_it_cleanly(service):
    process, port, _, folder = service
    health = get(port, "/health")
    unwell = {name for name, metric in health["metrics"].items() if metric["status"] != "healthy"}
    assert unwell <= MADE_BY_LOAD, health
    assert {"cpu_usage", "memory_usage", "active_users"} <= set(health["metrics"])
    wait_for_bots(port, 5)
    assert "Your Trading Pairs (2)" in chat(service, "alice", "/status")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        figures = answer.read().decode()
    assert "\nactive_bots_count 5.0\n" in figures
    assert '\ntradefleet_health{metric="memory_usage"} ' in figures
    assert '\ntradefleet_http_requests_total{method="GET",route="/health",status="2xx"} ' in figures
    assert "\ntradefleet_leases " in figures

    assert "Welcome" in chat(service, "dave", "/start")
    assert "Trading Pair Added" in chat(service, "dave", "/addpair BTC/USDT 1000")
    assert "Trading Started: BTC/USDT" in chat(service, "dave", "/start_trading")
    wait_for_bots(port, 6)
    assert "Trading Stopped" in chat(service, "dave", "/stop_trading")
    wait_for_bots(port, 5)

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Stopped; everything is written down." in said
    assert (folder / "data" / "trading_service.db").exists()


def test_after_kill_9_the_next_start_runs_the_same_bots_at_once(service):
    process, port, environment, folder = service
    wait_for_bots(port, 5)
    process.kill()
    process.communicate()

    again = start(folder, environment)
    try:
        wait_ready(again, port)
        wait_for_bots(port, 5)
    finally:
        again.send_signal(signal.SIGINT)
        said, _ = again.communicate(timeout=20)
    assert again.returncode == 0, said


def test_a_port_that_is_taken_is_named_with_the_cure(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, {**os.environ, "HTTP_PORT": str(port)})
        said, _ = process.communicate(timeout=START_MAX)
    assert process.returncode == 1
    assert f"127.0.0.1:{port}" in said and "HTTP_PORT" in said
    assert "Traceback" not in said
