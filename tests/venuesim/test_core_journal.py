"""The journal of a venue: everything is in it, and whoever changes it is found out."""

import json
import random
from pathlib import Path

import aiohttp
import pytest

from tests.venuesim.rig import simulated
from tests.venuesim.tiny import Tiny
from venuesim import journal as journals
from venuesim.clock import ManualClock
from venuesim.journal import Journal, masked, verify
from venuesim.web import refusal_in


def written(path: Path, lines: int = 20) -> list[bytes]:
    journal = Journal(path, ManualClock(1000))
    for number in range(lines):
        journal.write("call", path="/order", number=number, text='quo"te,"hash":"')
    journal.close()
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_has_its_number_its_time_its_kind_and_the_hash_over_all_before(tmp_path):
    lines = [json.loads(line) for line in written(tmp_path / "j", 3)]
    assert [(line["n"], line["at_ms"], line["kind"]) for line in lines] == [
        (1, 1000, "call"), (2, 1000, "call"), (3, 1000, "call"), (4, 1000, "closed"),
    ]  # fmt: skip
    found = verify(tmp_path / "j")
    assert (found.is_whole, found.lines, found.closed, found.hash) == (
        True, 4, True, lines[-1]["hash"],
    )  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 9, 19])
@pytest.mark.parametrize(
    "change",
    [
        lambda lines, n: [*lines[:n], lines[n].replace(b"/order", b"/ordes"), *lines[n + 1 :]],
        lambda lines, n: lines[:n] + lines[n + 1 :],
        lambda lines, n: [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]],
        lambda lines, n: lines[: n + 1] + lines[n:],
        lambda lines, n: [*lines[:n], lines[n][:-20]],
        lambda lines, n: [*lines[:n], b"\n", *lines[n:]],
    ],
    ids=["changed", "removed", "swapped", "repeated", "torn", "put in"],
)
def test_whoever_changes_a_line_is_found_out_at_its_place(tmp_path, change, number):
    path = tmp_path / "j"
    path.write_bytes(b"".join(change(written(path), number)))
    found = verify(path)
    assert not found.is_whole
    assert number + 1 <= found.broken <= number + 2


def test_any_changed_byte_is_found_out(tmp_path):
    path = tmp_path / "j"
    whole = b"".join(written(path, 5))
    dice = random.Random(7)
    for _ in range(120):
        at = dice.randrange(len(whole))
        other = bytes([whole[at] ^ (1 << dice.randrange(8))])
        path.write_bytes(whole[:at] + other + whole[at + 1 :])
        assert not verify(path).is_whole


def test_lines_cut_off_at_the_end_show_by_the_missing_last_word(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b"".join(written(path)[:-3]))
    assert (verify(path).is_whole, verify(path).closed) == (True, False)


def test_a_journal_goes_on_where_it_ended_and_not_after_a_broken_line(tmp_path):
    path = tmp_path / "j"
    written(path, 3)
    lines = written(path, 2)
    assert (verify(path).is_whole, len(lines)) == (True, 7)
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(ValueError, match="broken at line 1"):
        Journal(path)


def test_what_waits_to_be_written_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "BUFFER", 1000)
    journal = Journal(tmp_path / "j")
    for _ in range(100):
        journal.write("call")
        assert journal._bytes < 1000
    assert (tmp_path / "j").stat().st_size > 0
    journal.close()


def test_without_a_file_only_so_many_lines_are_kept(monkeypatch):
    monkeypatch.setattr(journals, "KEPT_LINES", 100)
    journal = Journal()
    for _ in range(250):
        journal.write("call")
    kept = list(journal.entries())
    assert len(kept) <= 100
    assert kept[-1]["n"] == 250


async def test_a_venue_writes_down_calls_orders_trades_money_and_streams(tmp_path):
    path = tmp_path / "j"
    async with simulated("tiny", protocol=Tiny, journal=path, fee_from="quote") as sim:
        key = sim.client("alice", {"USDT": "1000"})
        async with aiohttp.ClientSession(headers={"API-Key": key.api_key}) as http:
            async with http.post(f"{sim.url}/order", data="mine") as answer:
                assert answer.status == 200
            async with http.get(f"{sim.url}/order?none") as answer:
                assert answer.status == 404
            async with http.ws_connect(f"{sim.ws_url}/ws") as stream:
                await stream.send_json({"op": "subscribe"})
                await stream.receive(), await stream.receive()
            sim.tick("BTC/USDT", "59999")
    assert verify(path).is_whole
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == [
        "deposit", "order", "call", "call", "stream", "heard", "trade", "stream", "closed",
    ] or kinds == [
        "deposit", "order", "call", "call", "stream", "heard", "stream", "trade", "closed",
    ]  # fmt: skip
    order, create, look_up = lines[1:4]
    assert (order["what"], order["quantity"], order["price"]) == ("new", 100_000, 60000 * 10**8)
    assert (create["action"], create["account"], create["client_id"], create["order"]) == (
        "create", "alice", "mine", order["order"],
    )  # fmt: skip
    assert (look_up["status"], look_up["path"]) == (404, "/order")
    trade = next(line for line in lines if line["kind"] == "trade")
    assert (trade["cost"], trade["fee"], trade["fee_asset"]) == (60 * 10**8, 6 * 10**6, "USDT")
    assert next(line for line in lines if line["kind"] == "heard")["what"] == "subscribe"


async def test_no_key_and_no_secret_stands_in_the_journal(tmp_path):
    path = tmp_path / "j"
    async with simulated("tiny", protocol=Tiny, journal=path) as sim:
        key = sim.client("alice")
        async with aiohttp.ClientSession(headers={"API-Key": key.api_key}) as http:
            await http.post(f"{sim.url}/order", data="mine")
    text = path.read_text()
    assert masked(key.api_key) in text
    assert key.api_key not in text
    assert key.secret not in text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":["EAPI:Invalid nonce"]}', "EAPI:Invalid nonce"),
        (b'{"error": ["EOrder:Insufficient funds"], "result": {}}', "EOrder:Insufficient funds"),
        (b'{"error":[],"result":{"txid":["O"]}}', ""),
        (b'{"retCode":10006,"retMsg":"Too many visits!"}', "10006"),
        (b'{"retCode":0,"retMsg":"OK"}', ""),
        (b'{"code":-2010,"msg":"Account has insufficient balance"}', "-2010"),
        (b'{"orderId":28,"status":"FILLED"}', ""),
        (b"", ""),
    ],
)
def test_a_call_is_written_down_with_the_code_it_was_refused_with(body, code):
    assert refusal_in(body) == code
