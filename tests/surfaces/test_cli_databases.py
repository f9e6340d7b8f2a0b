"""`tradefleet db roles`, `db move` and `db reopen`, as they are typed."""

import asyncio

import pytest
from typer.testing import CliRunner

from tests.backup_rig import filled
from tests.postgres_server import OWNER, SUPERUSER, address_as, execute
from tests.unit.test_moves import LATER
from tradefleet.runtime import real_world
from tradefleet.stores.sql import upgrade
from tradefleet.surfaces.cli.app import build_app
from tradefleet.wiring.parts import build_parts


def run(*words):
    return CliRunner().invoke(build_app(build_parts()), list(words))


async def fill(url):
    store, _ = await filled(url)
    await store.release_leases("host")
    await store.close()


def test_a_database_is_moved_and_everything_is_told(sqlite_url, bare_postgres_url, monkeypatch):
    monkeypatch.setattr(real_world.RealClock, "now", lambda self: LATER)
    asyncio.run(fill(sqlite_url))
    told = run("db", "move", "--from", sqlite_url, "--to", bare_postgres_url)
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert any(line.split()[:3] == ["orders", "40", "rows"] for line in lines)
    assert "every row was read again and is the same" in told.output
    assert run("db", "check", "--db", bare_postgres_url).exit_code == 0
    again = run("db", "check", "--db", sqlite_url)
    assert (again.exit_code, "was moved into another database" in again.output) == (1, True)
    assert "can be used again" in run("db", "reopen", "--db", sqlite_url).output
    assert run("db", "check", "--db", sqlite_url).exit_code == 0
    refused = run("db", "move", "--from", sqlite_url, "--to", bare_postgres_url)
    assert (refused.exit_code, "is not empty" in refused.output) == (1, True)


def test_a_role_is_made_with_the_password_of_the_environment(bare_postgres_url, monkeypatch):
    monkeypatch.setenv("POSTGRES_APP_PASSWORD", "hidden")
    asyncio.run(upgrade(bare_postgres_url))
    told = run("db", "roles", "--role", "typed_app", "--db", bare_postgres_url)
    assert told.exit_code == 0, told.output
    assert told.output.startswith("Made the role typed_app, with the password given.")
    assert "hidden" not in told.output
    kept = execute(
        address_as(OWNER, bare_postgres_url),
        "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'typed_app'",
        role=SUPERUSER,
    )
    assert kept[0][0] is True
    execute(bare_postgres_url, "DROP OWNED BY typed_app", "DROP ROLE typed_app", "SELECT 1")


@pytest.mark.parametrize("role", ["tradefleet", "No Such"])
def test_a_role_that_cannot_be_the_services_is_refused(bare_postgres_url, role):
    asyncio.run(upgrade(bare_postgres_url))
    told = run("db", "roles", "--role", role, "--db", bare_postgres_url)
    assert told.exit_code == 1
