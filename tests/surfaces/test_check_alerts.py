"""`tradefleet check alerts`: a test to every receiver of the settings, and what each answered."""

import pytest

from tests.receiver_rig import local_receiver
from tests.store_rig import ALICE, user
from tradefleet.settings import NAMES, Settings
from tradefleet.stores.memory import MemoryStore
from tradefleet.stores.sql import open_store
from tradefleet.wiring.alerts import NOWHERE, check_alerts, receivers_of


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Nothing is set, and no .env is near."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


async def told_by(monkeypatch, **settings):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    lines = []
    code = await check_alerts("sqlite:///test.db", lines.append)
    return code, lines


async def test_where_nothing_is_set_it_says_what_may_be(monkeypatch):
    assert await told_by(monkeypatch) == (2, [NOWHERE])


async def test_every_receiver_is_tried_and_none_is_named_by_its_address(monkeypatch):
    store = await open_store("sqlite:///test.db")
    async with store.open(ALICE) as own:
        await own.save_user(user(ALICE, telegram_id=7))
    await store.close()
    async with local_receiver() as there:
        there.answers["/hidden-discord"] = [(404, {}, "")]
        code, lines = await told_by(
            monkeypatch,
            SLACK_WEBHOOK_URL=there.url + "/hidden-slack",
            DISCORD_WEBHOOK_URL=there.url + "/hidden-discord",
            WEBHOOK_URL=there.url + "/hidden-hook",
            WEBHOOK_SECRET="a secret of the test",
            ADMIN_TELEGRAM_IDS="7",
        )
        (signed,) = there.at("/hidden-hook")
    assert code == 1
    assert lines == [
        "✅ slack: it answered 200 ok",
        "❌ discord: it answered 404",
        "✅ webhook: it answered 200 ok",
        "✅ telegram: in the outbox for 1 of 1",
    ]
    assert signed.headers["Tradefleet-Signature"].startswith("v1=")


async def test_without_a_database_the_others_are_tried(monkeypatch):
    async with local_receiver() as there:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", there.url + "/slack")
        lines = []
        code = await check_alerts("postgresql://127.0.0.1:1/none", lines.append)
    assert code == 0
    assert "The database cannot be opened" in lines[0]
    assert lines[1] == "✅ slack: it answered 200 ok"


def test_each_address_of_apprise_is_a_receiver_of_its_own():
    settings = Settings.model_validate({"apprise_urls": "json://127.0.0.1/a  json://127.0.0.1/b"})
    receivers = receivers_of(settings, None, MemoryStore)
    assert [receiver.name for receiver in receivers] == ["apprise 1", "apprise 2"]
    assert "127.0.0.1" not in repr([vars(receiver) for receiver in receivers])
