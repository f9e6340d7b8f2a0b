"""The admin port and the command line: what the owner of a simulated venue may do to it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.venuesim.rig import (
    SOURCE,
    START_MS,
    Admin,
    AdminError,
    Process,
    simulated,
    simulated_process,
    until,
)
from tests.venuesim.test_core_market import bars, saved
from tests.venuesim.tiny import Tiny
from venuesim.__main__ import main
from venuesim.admin import AdminPort
from venuesim.faults import FaultKind
from venuesim.running import Running
from venuesim.units import units


class Asking:
    """The admin port of venues in this process, asked asynchronously."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    async def __call__(self, method: str, path: str, **fields: Any) -> Any:
        body = {"json": fields} if method != "GET" else {"params": fields}
        async with self.http.request(method, self.url + path, **body) as answer:
            told = await answer.json()
            if answer.status != 200:
                raise AdminError(told["error"])
            return told


@pytest.fixture
async def sim() -> AsyncIterator[Running]:
    async with simulated("tiny", protocol=Tiny, clock="manual", fee_from="quote") as running:
        yield running


@pytest.fixture
async def ask(sim: Running) -> AsyncIterator[Asking]:
    admin = AdminPort({"tiny": sim})
    async with aiohttp.ClientSession() as http:
        yield Asking(await admin.start(), http)
    await admin.stop()


async def test_a_client_gets_an_account_money_and_a_key_that_works(sim, ask):
    made = await ask("POST", "/clients", name="alice", balances={"USDT": "12.5"}, ips=["10.0.0.1"])
    assert made["permissions"] == ["read", "trade"]
    key = sim.place.keys.find(made["api_key"])
    assert (key.account, key.secret, key.ips) == ("alice", made["secret"], ("10.0.0.1",))
    assert sim.exchange.worth("alice", "USDT") == units("12.5")


async def test_a_key_is_revoked_restored_expired_and_given_other_rights(sim, ask):
    made = await ask("POST", "/clients", name="alice")
    name = made["api_key"]
    await ask("POST", "/keys", api_key=name, revoked=True)
    assert sim.place.keys.find(name) is None
    told = await ask(
        "POST", "/keys", api_key=name, revoked=False, permissions=["read", "withdraw"],
        ips=["::1"], expires="2026-11-21T12:00:01Z",
    )  # fmt: skip
    key = sim.place.keys.find(name)
    assert (key.permissions, key.ips) == ({"read", "withdraw"}, ("::1",))
    assert key.expires_ms == told["expires_ms"] == START_MS + 1000
    assert "secret" not in told


async def test_money_is_paid_in_paid_out_and_set(sim, ask):
    await ask("POST", "/clients", name="alice", balances={})
    told = await ask("POST", "/balances", account="alice", deposit={"BTC": "2"}, set={"USDT": "5"})
    assert told["balances"] == {
        "BTC": {"free": "2", "locked": "0"}, "USDT": {"free": "5", "locked": "0"},
    }  # fmt: skip
    told = await ask("POST", "/balances", account="alice", deposit={"BTC": "-0.5"})
    assert told["balances"]["BTC"]["free"] == "1.5"
    with pytest.raises(AdminError, match="insufficient balance"):
        await ask("POST", "/balances", account="alice", deposit={"BTC": "-2"})
    assert [line["kind"] for line in sim.journal.entries()][:4] == [
        "admin", "deposit", "deposit", "admin",
    ]  # fmt: skip


async def test_an_owner_trades_and_cancels_by_hand_without_a_client_id(sim, ask):
    await ask("POST", "/clients", name="alice")
    bought = await ask(
        "POST", "/orders", account="alice", symbol="BTC/USDT", side="buy", quantity="0.001"
    )
    assert (bought["status"], bought["client_id"], bought["kind"]) == ("filled", "", "market")
    waiting = await ask(
        "POST", "/orders", account="alice", symbol="BTC/USDT", side="buy", quantity="0.001",
        price="60000",
    )  # fmt: skip
    assert waiting["status"] == "open"
    ended = await ask("DELETE", "/orders", account="alice", order=waiting["order"])
    assert ended["status"] == "canceled"
    books = await ask("GET", "/books", account="alice")
    assert [order["order"] for order in books["orders"]] == [1001, 1002]
    (trade,) = books["trades"]
    assert (trade["quantity"], trade["fee_asset"], trade["order"]) == ("0.001", "USDT", 1001)
    free = units(books["balances"]["USDT"]["free"])
    assert free == units("1000") - units(trade["cost"]) - units(trade["fee"])
    with pytest.raises(AdminError, match="not open any more"):
        await ask("DELETE", "/orders", account="alice", order=1002)


async def test_a_price_is_moved_and_the_clock_set(sim, ask):
    assert (await ask("POST", "/tick", symbol="BTC/USDT", price="64000.5"))["price"] == "64000.5"
    assert sim.exchange.prices["BTC/USDT"] == units("64000.5")
    assert (await ask("POST", "/clock", forward=1.5))["now_ms"] == START_MS + 1500
    assert (await ask("POST", "/clock", now="2026-11-21T13:00:00Z"))[
        "now_ms"
    ] == START_MS + 3600_000
    with pytest.raises(AdminError, match="does not go back"):
        await ask("POST", "/clock", now="2026-11-21T12:00:00Z")


async def test_the_clock_of_the_machine_is_skewed_and_not_set():
    async with simulated("tiny", protocol=Tiny) as sim, aiohttp.ClientSession() as http:
        admin = AdminPort({"tiny": sim})
        ask = Asking(await admin.start(), http)
        before = (await ask("GET", "/clock"))["now_ms"]
        assert (await ask("POST", "/clock", skew_ms=-2000))["now_ms"] < before
        with pytest.raises(AdminError, match="the machine's"):
            await ask("POST", "/clock", forward=1)
        await admin.stop()


async def test_what_is_done_through_the_port_is_in_the_journal_without_a_key(sim, ask):
    made = await ask("POST", "/clients", name="alice")
    await ask("POST", "/keys", api_key=made["api_key"], revoked=True)
    await ask("POST", "/maintenance", mode="closed")
    text = json.dumps(list(sim.journal.entries("admin")))
    assert '"revoked": true' in text and '"mode": "closed"' in text
    assert made["api_key"] not in text and made["secret"] not in text


async def test_the_stream_of_a_pair_stalls_and_goes_on(sim, ask):
    heard: list[object] = []
    sim.exchange.listeners.append(heard.append)
    assert await ask("POST", "/stall", symbol="BTC/USDT") == {"stalled": ["BTC/USDT"]}
    await ask("POST", "/tick", symbol="BTC/USDT", price="64000")
    assert not heard
    await ask("POST", "/stall", symbol="BTC/USDT", stalled=False)
    await ask("POST", "/tick", symbol="BTC/USDT", price="64001")
    assert len(heard) == 1


async def test_the_venue_or_one_account_goes_into_maintenance_and_comes_back(sim, ask):
    await ask("POST", "/clients", name="alice")
    await ask("POST", "/maintenance", mode="cancel_only", account="alice")
    assert (sim.place.maintenance, sim.place.maintenance_of) == ("", {"alice": "cancel_only"})
    await ask("POST", "/maintenance", mode="", account="alice")
    await ask("POST", "/maintenance")
    assert (sim.place.maintenance, sim.place.maintenance_of) == ("maintenance", {})
    await ask("POST", "/maintenance", mode="")
    assert sim.place.maintenance == ""


async def test_faults_are_scripted_drawn_counted_and_cleared(sim, ask):
    await ask("POST", "/faults", kind="answer lost", action="create", times=3)
    told = await ask("POST", "/faults", kind="STATUS", status=502, processed=True, account="alice")
    assert told["fault"] == "status, 502, processed"
    fault = sim.faults.draw("create", "bob")
    assert fault.kind is FaultKind.ANSWER_LOST
    told = await ask("POST", "/faults/plan", seed=3, rates={"create": {"html": 0.5}})
    assert told["struck"] == {"answer lost": 1}
    assert [script["times"] for script in told["waiting"]] == [2, 1]
    assert sim.faults.rates == {"create": {FaultKind.HTML: 0.5}}
    await ask("DELETE", "/faults")
    assert sim.faults.is_idle


async def test_connections_are_refused_for_a_while(sim, ask):
    assert await ask("POST", "/refuse", seconds=0.05) == {"refused": 0.05}
    assert (await ask("GET", "/counters"))["journal"]["lines"] == 1


async def test_counters_say_what_there_was(sim, ask):
    made = await ask("POST", "/clients", name="alice")
    await ask.http.post(f"{sim.url}/order", data="x", headers={"API-Key": made["api_key"]})
    told = await ask("GET", "/counters")
    assert (told["calls"], told["statuses"], told["live_orders"]) == (
        {"create": 1}, {"200": 1}, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "fields", "words"),
    [
        ("POST", "/clients", {}, "name is missing"),
        ("POST", "/clients", {"name": "a", "balances": {"USDT": "x"}}, "not a number"),
        ("POST", "/balances", {"account": "nobody"}, "no account nobody"),
        ("POST", "/keys", {"api_key": "x"}, "no such key"),
        ("POST", "/tick", {"symbol": "NO/PAIR", "price": "1"}, "unknown symbol"),
        ("POST", "/stall", {"symbol": "NO/PAIR"}, "no pair"),
        ("POST", "/faults", {"kind": "earthquake"}, "not a valid FaultKind"),
        ("POST", "/faults", {"kind": "status"}, "needs a status"),
        ("POST", "/clock", {"now": "soon"}, "isoformat"),
        ("POST", "/tick", {"venue": "other", "symbol": "BTC/USDT", "price": "1"}, "which venue"),
        ("GET", "/journal", {}, "in memory only"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(ask, method, path, fields, words):
    with pytest.raises(AdminError, match=words):
        await ask(method, path, **fields)


async def test_a_page_of_another_site_cannot_post(ask):
    async with ask.http.post(ask.url + "/maintenance", data=b"{}") as answer:
        assert (answer.status, await answer.json()) == (
            400, {"error": "say Content-Type: application/json"},
        )  # fmt: skip


async def test_with_several_venues_a_call_must_say_which(sim):
    admin = AdminPort({"one": sim, "two": sim})
    async with aiohttp.ClientSession() as http:
        ask = Asking(await admin.start(), http)
        with pytest.raises(AdminError, match="say which venue: one, two"):
            await ask("GET", "/counters")
        assert (await ask("GET", "/counters", venue="two"))["venue"] == "tiny"
    await admin.stop()


# ------------------------------------------------------------- a process of its own


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("venue")
    with simulated_process(
        "binance",
        "--market", str(saved(folder, bars(60, gaps=()))),
        "--clock", "manual", "--start", "2018-01-12T01:00:00Z",
        "--journal", str(folder / "journal"),
        "--client", "alice:seed-of-alice", "--balance", "USDT:5000", "--balance", "ETH:2",
    ) as process:  # fmt: skip
        yield process


def test_a_process_says_where_its_venue_and_admin_port_are_and_whose_keys_there_are(played):
    assert [line["ready"] for line in played.lines] == ["venue", "client", "admin", "all"]
    assert played.url.startswith("http://127.0.0.1:")
    books = played.admin.ask("GET", "/books?account=alice")
    assert books["balances"] == {
        "ETH": {"free": "2", "locked": "0"}, "USDT": {"free": "5000", "locked": "0"},
    }  # fmt: skip


def test_a_clock_set_from_outside_plays_the_bars(played):
    before = played.admin.ask("GET", "/counters")["prices"]["ETH/BTC"]
    played.admin.ask("POST", "/clock", forward=3600)
    after = played.admin.ask("GET", "/counters")["prices"]["ETH/BTC"]
    rows = bars(60, gaps=())
    assert [units(before), units(after)] == [units(rows[11][4]), units(rows[24][1])]


def test_a_client_of_another_process_is_made_and_trades_by_hand(played):
    made = played.admin.client("bob", {"BTC": "1"})
    assert made["account"] == "bob" and made["secret"]
    told = played.admin.ask(
        "POST", "/orders", account="bob", symbol="ETH/BTC", side="buy", quantity="1"
    )
    assert told["status"] == "filled"


def test_the_journal_of_a_process_can_be_checked_while_it_runs(played):
    told = played.admin.ask("GET", "/journal")
    assert told["whole"] and not told["closed"] and told["lines"] > 0


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "venuesim", *words],
        capture_output=True, text=True, timeout=20, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip


def test_a_port_that_is_taken_and_a_market_that_is_none_are_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("--venue", "kraken", "--port", str(taken.getsockname()[1]))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("venuesim: kraken cannot be served: ")
    ended = run("--venue", "kraken", "--market", str(tmp_path / "ETH_BTC-5m.csv"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("venuesim: ETH_BTC-5m.csv cannot be read")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--venue", "mtgox"), "invalid choice"),
        (("--venue", "kraken", "--client", "alice"), "say name:SECRETSEED"),
        (("--venue", "kraken", "--balance", "USDT"), "say ASSET:AMOUNT"),
        (("--venue", "kraken", "--start", "noon"), "say a time like"),
        (("--venue", "kraken", "--clock", "manual"), "needs --start"),
        (
            ("--venue", "kraken", "--symbol", "A/B", "--market", "a", "b"),
            "--symbol is for a single",
        ),
    ],
)
def test_words_that_cannot_be_are_explained(words, said, capsys):
    try:
        code = main(words)
    except SystemExit as ended:  # as argparse does
        code = ended.code
    assert (code, said in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_venues_cleanly_with_their_journals_closed(tmp_path: Path, number):
    path = tmp_path / "journal.jsonl"
    with simulated_process(
        "all", "--market", "synthetic", "--journal", str(path), "--client", "alice:seed"
    ) as process:
        told = [line["venue"] for line in process.lines if line["ready"] == "venue"]
        assert told == ["binance", "bybit", "kraken"]
        with pytest.raises(AdminError, match="which venue"):
            process.admin.ask("GET", "/counters")
        os.kill(process.pid, number)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    for venue in told:
        lines = (tmp_path / f"journal-{venue}.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["kind"] == "closed"


def test_the_same_seed_makes_the_same_keys():
    keys = []
    for _ in range(2):
        with simulated_process("bybit", "--client", "alice:one", "--client", "bob:two") as process:
            keys.append([line for line in process.lines if line["ready"] == "client"])
    assert keys[0] == keys[1]
    assert keys[0][0]["secret"] != keys[0][1]["secret"]


async def test_while_a_venue_refuses_connections_its_clients_are_cut(sim, ask):
    async with ask.http.ws_connect(f"{sim.ws_url}/ws") as stream:
        await stream.receive()
        await ask("POST", "/refuse", seconds=0.01)
        assert (await stream.receive()).type is not aiohttp.WSMsgType.TEXT
    await until(lambda: not sim.server.streams)


def test_admin_is_a_plain_client():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        Admin("127.0.0.1", port).ask("GET", "/counters")
