"""Where master keys come from, which keys the operator allows, and the operator's own account."""

import asyncio
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.doors import START, Still
from tests.key_rig import GOOD, Exchange, pair, vault_under
from tests.store_rig import ALICE, register
from tradefleet.charting.studio import Studio
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.errors import OutcomeUnknown, Refused, VenueUnavailable
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.settings import KEY_FILE, Settings
from tradefleet.stores.memory import MemoryStore
from tradefleet.vault import CannotOpen
from tradefleet.wiring import desk as desks
from tradefleet.wiring.desk import Desk
from tradefleet.wiring.keys import (
    check_masters,
    key_rules,
    make_key_file,
    masters_of,
    open_vault,
    operator_credentials,
)
from tradefleet.wiring.operator import operator_lines

MASTER, OLDER = "0123456789abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuvwxyz012345"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


# ---- master keys


def test_a_master_key_that_is_set_is_used_and_no_file_is_made():
    masters = masters_of(Settings(encryption_key=f"{MASTER},{OLDER}"))
    assert (len(masters.keys), masters.source) == (2, "ENCRYPTION_KEY, 1 older for opening")
    assert not Path("data").exists()


def test_without_one_a_key_is_made_once_in_a_file_nobody_else_can_read():
    first, second = masters_of(Settings()), masters_of(Settings())
    file = Path("data") / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [item.name for item in Path("data").iterdir()] == [KEY_FILE]
    assert first.keys == second.keys
    assert first.source == "data/encryption.key (made now: keep a copy of it)"
    assert "made now" not in second.source
    assert first.keys[0].reveal() not in repr([first, second])


def test_of_two_processes_that_make_a_key_one_wins():
    file = Path(KEY_FILE)
    make_key_file(file)
    kept = file.read_text()
    make_key_file(file)
    assert file.read_text() == kept


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_not_used(mode):
    masters_of(Settings())
    (Path("data") / KEY_FILE).chmod(mode)
    with pytest.raises(Refused, match=r"chmod 600 data/encryption\.key"):
        masters_of(Settings())


@pytest.mark.parametrize("text", ["", "your_32_byte_key", "ü" * 32])
def test_a_key_file_that_holds_no_key_is_said(text):
    masters_of(Settings())
    (Path("data") / KEY_FILE).write_text(text)
    with pytest.raises(Refused) as error:
        masters_of(Settings())
    assert text == "" or text not in str(error.value)


def test_a_folder_that_cannot_be_written_is_said_with_the_cure():
    Path("data").write_text("a file, and no folder")
    with pytest.raises(Refused, match="set ENCRYPTION_KEY, or DATA_DIR"):
        masters_of(Settings())


def test_production_does_not_make_a_key_for_itself():
    names = [fault.name for fault in Settings(environment="production").faults()]
    assert names == ["ENCRYPTION_KEY", "JWT_SECRET"]


async def test_a_start_with_the_wrong_master_key_is_refused_once_there_are_keys():
    store, masters = MemoryStore(Still()), masters_of(Settings(encryption_key=MASTER))
    await register(store, ALICE)
    vault = await open_vault(masters, store)
    await check_masters(vault, masters, store)
    async with store.open(ALICE) as own:
        await own.save_wrapped_key(vault.new_user_key(ALICE))
    await check_masters(vault, masters, store)
    others = masters_of(Settings(encryption_key=OLDER))
    with pytest.raises(Refused, match="sealed under another key than ENCRYPTION_KEY"):
        await check_masters(await open_vault(others, store), others, store)


async def test_fingerprints_are_the_same_after_a_restart_and_a_rotation():
    store = MemoryStore(Still())
    prints = [
        (await open_vault(masters_of(Settings(encryption_key=key)), store)).fingerprint(
            pair().api_key
        )
        for key in (MASTER, OLDER)
    ]
    assert prints[0] == prints[1]


# ---- rules


@pytest.mark.parametrize(
    ("mocked", "enabled", "ban"),
    [
        (True, False, "Live trading is switched off on this service (MOCK_TRADING=true)."),
        (True, True, "Live trading is switched off on this service (MOCK_TRADING=true)."),
        (False, False, "Trading is disabled. Set TRADING_ENABLED=True to enable."),
        (False, True, ""),
    ],
)
def test_live_accounts_need_both_words(mocked, enabled, ban):
    settings = Settings(mock_trading=mocked, trading_enabled=enabled)
    assert key_rules(settings) == KeyRules(live_ban=ban)


def test_keys_that_may_withdraw_are_for_testnets_of_operators_who_say_so():
    assert not key_rules(Settings()).withdraw_on_testnet
    assert key_rules(Settings(allow_withdraw_keys_on_testnet=True)).withdraw_on_testnet


# ---- the desk


class Venue:
    """A venue that answers late, or fails."""

    def __init__(self, answer=GOOD, seconds=0.0):
        self.answer, self.seconds = answer, seconds

    async def check_key(self, credentials, mode):
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_desk_asks_the_venue_that_is_meant():
    desk = Desk({"bybit": Venue(), "x": Venue(KeyRefused(KeyFault.INVALID, "no"))}, Studio())
    assert await desk.check_key("bybit", pair(), Mode.TESTNET) == GOOD
    with pytest.raises(KeyRefused, match="no"):
        await desk.check_key("x", pair(), Mode.TESTNET)
    with pytest.raises(Refused, match="kraken is not switched on"):
        await desk.check_key("kraken", pair(), Mode.LIVE)


@pytest.mark.parametrize("error", [VenueUnavailable("key-of"), OutcomeUnknown("key-of"), None])
async def test_a_venue_that_does_not_answer_is_a_network_fault_without_its_words(
    error, monkeypatch
):
    monkeypatch.setattr(desks, "KEY_CHECK_SECONDS", 0.01)
    venue = Venue(error) if error else Venue(seconds=60)
    with pytest.raises(KeyRefused) as refusal:
        await Desk({"bybit": venue}, Studio()).check_key("bybit", pair(), Mode.TESTNET)
    assert refusal.value.fault is KeyFault.NETWORK
    assert "key-of" not in str(refusal.value)


# ---- the operator's own account

OWN = {
    "rbs_binance_api_key_test": "operator-test-key",
    "rbs_binance_secret_key_test": "operator-test-secret",
    "rbs_binance_api_key_prod": "operator-prod-key",
    "rbs_binance_secret_key_prod": "operator-prod-secret",
}


@pytest.mark.parametrize(("testnet", "place"), [(True, "test"), (False, "prod")])
def test_the_operators_keys_are_those_of_the_mode(testnet, place):
    found = operator_credentials(Settings(**OWN, binance_use_testnet=testnet))
    assert found is not None
    assert found[0].api_key.reveal() == f"operator-{place}-key"
    assert found[0].api_secret.reveal() == f"operator-{place}-secret"
    assert found[1] is (Mode.TESTNET if testnet else Mode.LIVE)


def test_without_keys_there_is_no_account_of_the_operators():
    assert operator_credentials(Settings(binance_use_testnet=False)) is None


async def lines(answer=GOOD, **settings):
    """Return what the start-up log says, and the store."""
    clock = Still()
    store = MemoryStore(clock)
    ground = SimpleNamespace(
        settings=Settings(**settings),
        store=store,
        vault=vault_under(),
        clock=clock,
        desk=Exchange(answer),
    )
    return [line async for line in operator_lines(ground)], store


NOBODY_ELSE = "others may not use the operator's account (ALLOW_OPERATOR_FALLBACK=false)"


async def test_the_start_up_log_says_who_may_use_the_operators_account():
    none = "no account of the operator's own (RBS_BINANCE_... are not set)"
    assert (await lines())[0] == [NOBODY_ELSE, none]


async def test_the_operators_account_is_opened_at_start():
    said, store = await lines(**OWN, operator_user="boss")
    assert said == [NOBODY_ELSE, "binance (testnet) of boss: connected"]
    assert (await store.find_user(username="boss")).created_at == START
    assert "operator-" not in "".join(said)


@pytest.mark.parametrize(
    ("answer", "settings", "words"),
    [
        (KeyRefused(KeyFault.INVALID, ""), {}, "not connected. binance does not know this key."),
        (Refused("binance is not switched on."), {}, "not connected. binance is not switched on."),
        (GOOD, {"binance_use_testnet": False}, "(live) of operator: not connected. Live trading"),
        (
            GOOD,
            {"binance_use_testnet": False, "mock_trading": False, "trading_enabled": True},
            "(live) of operator: connected",
        ),
    ],
)
async def test_the_start_up_log_says_how_it_fared(answer, settings, words):
    said, _ = await lines(answer, **OWN, **settings)
    assert words in said[-1]


def test_a_key_file_is_written_whole(monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="No space left on device"):
        masters_of(Settings())
    assert list(Path("data").iterdir()) == []


def test_what_cannot_be_opened_is_an_error_of_its_own():
    assert not issubclass(CannotOpen, Refused)
