"""docker-compose.yml: parsed, complete, hardened, and naming only what exists."""

import asyncio
import re
from ipaddress import ip_address, ip_network

import pytest

from tests.deploy.files import PORT, ROOT, SECRETS, image, is_command, is_route, memory, read_yaml
from tests.postgres_server import address_as, database_address, execute
from tradefleet.settings import NAMES, Settings
from tradefleet.stores.sql import upgrade
from tradefleet.stores.sql.roles import APP_ROLE, look_at_wall, set_up_role

COMPOSE = read_yaml(ROOT / "docker-compose.yml")
SERVICES = COMPOSE["services"]
BOT = SERVICES["trading-bot"]
# What compose-spec lets stand in a service, of what we use.
KNOWN = {
    "build", "image", "command", "env_file", "environment", "depends_on", "networks", "ports",
    "volumes", "init", "restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
    "security_opt", "mem_limit", "pids_limit", "logging", "healthcheck", "shm_size", "profiles",
}  # fmt: skip

every_one = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_those_of_the_guide():
    usual = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert usual == {"migrate", "trading-bot", "postgres", "redis", "nginx"}
    assert SERVICES.keys() - usual == {"prometheus", "grafana"}


@every_one
def test_a_service_says_only_what_compose_knows(name):
    assert SERVICES[name].keys() <= KNOWN


@every_one
def test_a_service_is_started_again_may_gain_nothing_and_has_a_limit(name):
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert "no-new-privileges:true" in service["security_opt"]
    assert memory(service["mem_limit"]) >= 128
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert "privileged" not in service


@every_one
def test_a_name_of_network_volume_or_service_that_is_used_is_declared(name):
    service = SERVICES[name]
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        there = source in COMPOSE["volumes"] or source == "./deploy/nginx/tls"
        assert there or (ROOT / source).exists()


@every_one
def test_who_is_waited_for_until_healthy_can_say_so(name):
    for other in SERVICES[name].get("depends_on", {}):
        has_own = "healthcheck" in SERVICES[other]
        assert has_own or any(step.word == "HEALTHCHECK" for step in image().steps)


def test_the_settings_exist_and_are_free_of_faults():
    named = BOT["environment"]
    assert named.keys() <= NAMES.keys()
    values = {name.lower(): value for name, value in named.items()}
    assert "environment" in values
    settings = Settings.model_validate(values)
    missing = {"ENCRYPTION_KEY", "JWT_SECRET"}  # they come from .env
    assert {fault.name for fault in settings.faults()} == missing
    assert BOT["env_file"] == ".env"


def test_no_secret_is_written_down():
    asked_of_postgres = {"POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD"}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if name in (SECRETS - {"REDIS_URL"}) | asked_of_postgres:
                assert re.search(r"\$\{\w+:\?", value), "asked for, and refused when it is missing"
    asked = set(re.findall(r"\$\{(\w+)", str(COMPOSE)))
    assert asked == {"POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD"}


def test_the_command_and_the_port_are_those_of_the_service():
    assert is_command(BOT["command"])
    assert BOT["environment"]["HTTP_PORT"] == str(PORT)
    assert BOT["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert is_route(SERVICES["nginx"]["healthcheck"]["test"][-1].rpartition(":8443")[2])


def test_database_and_redis_cannot_be_reached_from_outside():
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]
    assert "@postgres:5432/" in BOT["environment"]["DATABASE_URL"]


def test_nginx_alone_is_believed_about_addresses():
    network = ip_network(COMPOSE["networks"]["outside"]["ipam"]["config"][0]["subnet"])
    address = SERVICES["nginx"]["networks"]["outside"]["ipv4_address"]
    assert BOT["environment"]["TRUSTED_PROXIES"] == address
    assert ip_address(address) in network
    assert ip_address(BOT["networks"]["outside"]["ipv4_address"]) in network


def test_no_two_processes_can_have_one_name():
    """Leases are held under host name and process id: containers must not share the first."""
    assert BOT.keys().isdisjoint({"hostname", "network_mode", "pid", "uts"})


def test_it_has_the_time_to_stop_and_a_place_for_its_files():
    assert int(BOT["stop_grace_period"].removesuffix("s")) > 10
    assert BOT["read_only"] is True
    assert BOT["cap_drop"] == ["ALL"]
    files, backups = BOT["environment"]["DATA_DIR"], BOT["environment"]["BACKUP_DIR"]
    assert BOT["volumes"] == [f"tradefleet:{files}", f"backups:{backups}"]


def test_the_service_owns_nothing_and_the_schema_is_its_owners():
    script = (ROOT / "deploy" / "postgres" / "role.sh").read_text()
    assert "CREATE ROLE tradefleet LOGIN CREATEDB PASSWORD :'password';" in script
    assert f"CREATE ROLE {APP_ROLE} LOGIN CREATEDB PASSWORD :'app_password';" in script
    assert "CREATE DATABASE tradefleet OWNER tradefleet;" in script
    statements = script.partition("<<'SQL'")[2]
    assert not {"SUPERUSER", "BYPASSRLS"} & set(re.findall(r"\w+", statements))
    assert "POSTGRES_USER" not in SERVICES["postgres"]["environment"]
    assert BOT["environment"]["DATABASE_URL"].startswith(f"postgresql://{APP_ROLE}:")
    migrate = SERVICES["migrate"]
    assert migrate["environment"]["DATABASE_URL"].startswith("postgresql://tradefleet:")
    assert is_command(migrate["command"])
    assert BOT["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_roles_are_made_as_the_script_says(postgres_server):
    """PostgreSQL itself carries out what it says, and the service's role opens the database."""
    script = (ROOT / "deploy" / "postgres" / "role.sh").read_text()
    statements = script.partition("<<'SQL'")[2].rpartition("SQL")[0]
    for name in ("tradefleet_app", "tradefleet"):
        statements = re.sub(rf"\b{name}\b(?!\.)", f"compose_{name}", statements)
    for said in re.findall(r"^[A-Z][^;]+;", statements, re.MULTILINE):
        execute(postgres_server, re.sub(r":'\w+'", "'secret'", said), "SELECT 1")
    owner = address_as(
        "compose_tradefleet", database_address(postgres_server, "compose_tradefleet")
    )
    asyncio.run(upgrade(owner))
    asyncio.run(set_up_role(address_as("postgres", owner), "compose_tradefleet_app", None))
    wall = asyncio.run(look_at_wall(address_as("compose_tradefleet_app", owner)))
    assert wall is not None
    assert wall.problems() == []
    shown = execute(owner, "SHOW tradefleet.scope", role="compose_tradefleet")
    assert shown[0][0] == "system"
