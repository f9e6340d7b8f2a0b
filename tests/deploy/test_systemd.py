"""The systemd unit: verified by systemd where it is, hardened, naming what exists."""

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, is_command
from tradefleet.settings import NAMES

UNIT = DEPLOY / "systemd" / "tradefleet.service"
EXPOSED_MAX = 2.0  # of 10, as systemd-analyze counts
PROGRAM = "/opt/tradefleet/bin/tradefleet"
NOT_SETTINGS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


class Parser(configparser.RawConfigParser):
    """Keeps names as they are written."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def service() -> dict[str, str]:
    parser = Parser(strict=False, delimiters=("=",), inline_comment_prefixes=None)
    parser.read_string(UNIT.read_text())
    assert parser.sections() == ["Unit", "Service", "Install"]
    return dict(parser["Service"])


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("NO SYSTEMD-ANALYZE HERE: systemd itself has not looked at the unit")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong(tmp_path):
    unit = tmp_path / UNIT.name
    here = str(Path(sys.executable).parent / "tradefleet")
    unit.write_text(UNIT.read_text().replace(PROGRAM, here))
    found = analyze("verify", "--man=no", str(unit))
    assert found.returncode == 0, found.stderr
    assert UNIT.name not in found.stderr


def test_systemd_would_see_a_mistake(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("KillMode=", "KillModus="))
    assert "KillModus" in analyze("verify", "--man=no", str(unit)).stderr


def test_systemd_counts_it_among_the_hardened():
    found = analyze("security", "--offline=true", f"--threshold={EXPOSED_MAX * 10:.0f}", str(UNIT))
    assert found.returncode == 0, found.stdout[-200:] + found.stderr


def test_its_commands_are_the_programs():
    for name in ("ExecStartPre", "ExecStart"):
        words = shlex.split(service()[name])
        assert words[0] == PROGRAM
        assert is_command(["tradefleet", *words[1:]])


def test_its_variables_are_settings():
    names = {each.partition("=")[0] for each in shlex.split(service()["Environment"])}
    assert names - NOT_SETTINGS <= NAMES.keys()
    assert service()["EnvironmentFile"].startswith("/etc/"), "no secret is in the unit"


def test_it_is_started_again_by_whoever_is_not_root_and_has_the_time_to_stop():
    said = service()
    assert said["User"] not in ("", "root")
    assert said["Restart"] == "always"
    assert said["KillSignal"] == "SIGTERM"
    assert int(said["TimeoutStopSec"]) > 10
