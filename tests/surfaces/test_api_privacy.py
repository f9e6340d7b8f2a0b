"""The archive over HTTP: asked for, fetched by its user alone, and by no program's token."""

import io
import zipfile
from dataclasses import replace

import pytest

from tests.doors import ALICE, BOB, Door
from tests.store_rig import register
from tests.surfaces.api_rig import OpenDoor, app_over, failure, signed, talking
from tradefleet.counters.memory import MemoryCounters
from tradefleet.operations.privacy.archives import Archives
from tradefleet.surfaces.api.my_data import my_data_routes


@pytest.fixture
async def served(sqlite_url, open_sql_store, clock, tmp_path):
    """A service whose archives are of a database; what it runs commands on is in memory."""
    store = await open_sql_store(sqlite_url, clock=clock)
    archives = Archives(
        records=store.records,
        folder=tmp_path / "exports",
        clock=clock,
        counters=MemoryCounters(clock),
        version="1",
    )
    door = Door(my_data=archives.ask)
    for user in (ALICE, BOB):
        await register(store, user)
        await door.ask("/start", user)
    return door


async def test_an_archive_is_asked_for_and_fetched_by_its_user_alone(served):
    archives = served.dispatcher.catalog.my_data.__self__
    app = app_over(served.dispatcher, more=[my_data_routes(archives, OpenDoor())])
    async with talking(app) as client:
        place = "/api/v1/me/export/file"
        assert failure(await client.get(place, headers=signed(ALICE)))[0] == 404
        told = (await client.get("/api/v1/me/export", headers=signed(ALICE))).json()["data"]
        assert (told["stage"], told["fetch"]) == ("ready", place)
        answer = await client.get(told["fetch"], headers=signed(ALICE))
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert len(answer.content) == told["size"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert b'"alice"' in archive.read("tables/users.jsonl")
            assert b'"bob"' not in archive.read("tables/users.jsonl")
        assert failure(await client.get(place, headers=signed(BOB)))[0] == 404
        assert failure(await client.get(place))[0] == 401


async def test_no_personal_token_fetches_an_archive(served):
    class Programs(OpenDoor):
        async def caller(self, authorization, address):
            return replace(await super().caller(authorization, address), in_person=False)

    archives = served.dispatcher.catalog.my_data.__self__
    routes = my_data_routes(archives, Programs())
    async with talking(app_over(served.dispatcher, door=Programs(), more=[routes])) as client:
        for place in ("/api/v1/me/export", "/api/v1/me/export/file"):
            assert failure(await client.get(place, headers=signed(ALICE)))[0] == 403
        assert failure(await client.delete("/api/v1/me", headers=signed(ALICE)))[0] == 403
