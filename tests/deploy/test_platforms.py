"""railway.json and render.yaml: fields those platforms know, settings and routes that exist."""

import shlex

from tests.deploy.files import PORT, ROOT, SECRETS, is_command, is_route, read_json, read_yaml
from tradefleet.settings import NAMES

RAILWAY = read_json(ROOT / "railway.json")
RENDER = read_yaml(ROOT / "render.yaml")
SERVICES = {service["type"]: service for service in RENDER["services"]}
WEB = SERVICES["web"]
VARIABLES = {each["key"]: each for each in WEB["envVars"]}
HOW_A_VALUE_IS_SAID = {"value", "fromDatabase", "fromService", "generateValue", "sync"}


def test_railway_builds_our_image():
    assert RAILWAY["build"] == {"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"}
    assert RAILWAY["deploy"].keys() == {
        "startCommand", "healthcheckPath", "healthcheckTimeout", "numReplicas",
        "sleepApplication", "drainingSeconds", "restartPolicyType",
    }  # fmt: skip


def test_railway_starts_it_at_its_port_and_the_shell_makes_way():
    shell, option, line = shlex.split(RAILWAY["deploy"]["startCommand"])
    assert (shell, option) == ("/bin/sh", "-c")
    assignment, exec_, *command = shlex.split(line)
    name, _, value = assignment.partition("=")
    assert name in NAMES
    assert (value, exec_) == ("$PORT", "exec")
    assert is_command(command)


def test_railway_waits_until_it_is_ready_and_lets_it_stop():
    assert is_route(RAILWAY["deploy"]["healthcheckPath"])
    assert RAILWAY["deploy"]["drainingSeconds"] > 10
    assert RAILWAY["deploy"]["restartPolicyType"] == "ALWAYS"
    assert RAILWAY["deploy"]["sleepApplication"] is False


def test_render_has_the_service_a_database_and_a_counter():
    assert SERVICES.keys() == {"web", "keyvalue"}
    assert WEB["runtime"] == "docker"
    assert (ROOT / WEB["dockerfilePath"]).is_file()
    assert is_route(WEB["healthCheckPath"])
    assert 10 < WEB["maxShutdownDelaySeconds"] <= 300
    assert WEB["autoDeploy"] is False


def test_render_names_settings_that_exist_and_its_port():
    assert VARIABLES.keys() - {"PORT"} <= NAMES.keys()
    assert VARIABLES["PORT"]["value"] == str(PORT)
    assert len(VARIABLES) == len(WEB["envVars"])


def test_render_is_told_no_secret():
    for name, each in VARIABLES.items():
        (how,) = each.keys() - {"key"}
        assert how in HOW_A_VALUE_IS_SAID
        assert how != "value" or name not in SECRETS
    assert VARIABLES["ENCRYPTION_KEY"] == {"key": "ENCRYPTION_KEY", "sync": False}


def test_render_wires_what_it_declares():
    (database,) = RENDER["databases"]
    assert VARIABLES["DATABASE_URL"]["fromDatabase"] == {
        "name": database["name"],
        "property": "connectionString",
    }
    assert VARIABLES["REDIS_URL"]["fromService"] == {
        "type": "keyvalue",
        "name": SERVICES["keyvalue"]["name"],
        "property": "connectionString",
    }
    assert database["ipAllowList"] == SERVICES["keyvalue"]["ipAllowList"] == []
