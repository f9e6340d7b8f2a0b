"""What is installed beside us: pinned, reviewed, listed; what can newly reach out is noticed."""

import json
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from scripts import audit
from scripts.pins import ROOT, WrongPin, locks, pins_in, pins_of, reviews

SBOM = ROOT / ".venv-sbom" / "bin" / "python"
needs_sbom = pytest.mark.skipif(not SBOM.exists(), reason="say make sbom: .venv-sbom is not there")
REACHES_OUT = re.compile(
    r"^\s*(?:import|from)\s+(?:socket|ssl|socketserver|http\.client|http\.server|urllib\.request|"
    r"requests|urllib3|httpx|httpcore|aiohttp|websockets|grpc|pycurl|ftplib|smtplib|xmlrpc)\b"
    r"|\b(?:create|open)_connection\(|\bstart_server\(",
    re.MULTILINE,
)
WHAT_TO_DO = (
    "{name} can open connections and nobody has said so. Read what it does by itself (telemetry, "
    "looking for updates, proxies of the environment), say network = true and why it is here in "
    "requirements/review.toml, with the secrets that pass through it in sees; or do without it."
)
NOT_LOOKED_AT = ("test", "tests", "testing")


@cache
def reaches_out(name: str) -> str:
    """Return the first file of an installed package that can open a connection, "" for none."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return ""
    for file in files:
        if file.suffix == ".py" and not set(file.parts) & set(NOT_LOOKED_AT):
            path = Path(str(file.locate()))
            if path.exists() and REACHES_OUT.search(path.read_text(errors="replace")):
                return str(file)
    return ""


# ---- who runs with the service


def test_every_package_that_runs_with_the_service_is_reviewed_and_none_that_is_gone():
    assert audit.faults(["runtime"]) == [], (
        "requirements/review.toml says what each is for, whether it opens connections (network) "
        "and which secrets it sees; whoever adds a package has read that in its code"
    )


@pytest.mark.parametrize("name", sorted({pin.name for pin in pins_of("runtime")}))
def test_a_package_that_can_reach_the_network_is_known_to(name):
    said = reviews().get(name)
    assert not reaches_out(name) or (said and said.network), WHAT_TO_DO.format(name=name)


def test_a_package_that_can_reach_the_network_would_be_seen():
    assert reaches_out("aiohttp") and reaches_out("httpcore") and reaches_out("uvicorn")
    assert not reaches_out("markupsafe") and not reaches_out("nobody-made-this")
    assert REACHES_OUT.search("    from urllib.request import urlopen")
    assert not REACHES_OUT.search("# no socket here")


def test_whoever_handles_keys_is_named_as_risky():
    lines = "\n".join(audit.risky())
    for name in ("ccxt", "cryptography", "aiohttp", "python-telegram-bot", "pydantic", "asyncpg"):
        assert f"  {name} " in lines


def test_a_package_says_in_words_what_it_is_for():
    assert [name for name, each in reviews().items() if len(each.purpose) < 4] == []


# ---- pins


HASHED = "one==1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


def test_a_pin_is_read_with_its_hashes_and_its_marker():
    (pin,) = pins_in(HASHED.replace("==1.0", "==1.0 ; sys_platform == 'win32'"), "x")
    assert (pin.name, pin.version, pin.hashes) == ("one", "1.0", ("a" * 64,))
    assert pin.marker == 'sys_platform == "win32"'


@pytest.mark.parametrize(
    "text",
    [
        "one==1.0\n",
        "one>=1.0 --hash=sha256:" + "a" * 64,
        "one --hash=sha256:" + "a" * 64,
        "one==1.0 --hash=md5:" + "a" * 32,
        "one @ file:one.whl --hash=sha256:" + "a" * 64,
        "--find-links wheels",
        "# https" + "://example.org\n" + HASHED,
    ],
)
def test_what_is_not_one_release_by_its_hashes_is_refused(text):
    with pytest.raises(WrongPin):
        list(pins_in(text, "x"))


# ---- what is known of them


def answer(*dependencies: dict[str, object]) -> dict[str, object]:
    return {"dependencies": list(dependencies), "fixes": []}


CLEAN = {"name": "one", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "two", "skip_reason": "not found"}
HOLE = {"id": "X-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": ""}


def test_a_vulnerable_package_is_named_with_the_release_that_mends_it():
    code, lines = audit.verdict("x", answer(CLEAN | {"vulns": [HOLE]}, UNKNOWN))
    assert code == audit.VULNERABLE
    assert "  one 1.0: X-2026-1/CVE-2026-1; mended in 1.1" in lines


def test_a_package_that_could_not_be_looked_up_is_not_called_clean():
    assert audit.verdict("x", answer(CLEAN)) == (0, ["x: 1 packages asked about, 0 unknown"])
    code, lines = audit.verdict("x", answer(CLEAN, UNKNOWN))
    assert code == audit.UNANSWERED
    assert "they were NOT looked up" in lines[-1]


def test_a_program_that_cannot_ask_says_so_with_a_code_of_its_own(monkeypatch, tmp_path):
    broken = tmp_path / "pip-audit"
    broken.write_text("#!/bin/sh\necho 'no way out' >&2\nexit 1\n")
    broken.chmod(0o755)
    for program, why in [(broken, "no way out"), (tmp_path / "none", "No such file")]:
        monkeypatch.setattr(audit, "PROGRAM", program)
        code, lines = audit.asked("bootstrap")
        assert code == audit.UNANSWERED == 3
        assert why in lines[-1] and "exit code 3" in lines[-1]


def test_a_wrong_pin_is_told_before_anybody_is_asked(monkeypatch, capsys):
    monkeypatch.setattr(audit, "faults", lambda _names: ["runtime: one has no sha256"])
    monkeypatch.setattr(audit, "asked", lambda lock: pytest.fail(f"asked about {lock}"))
    assert audit.main(["runtime"]) == audit.WRONG
    assert "one has no sha256" in capsys.readouterr().out


# ---- the bill of materials


@needs_sbom
def test_the_bill_of_materials_is_valid_and_names_every_pin_with_its_hashes(tmp_path):
    """The program validates against CycloneDX's own schema; here it is read by other eyes."""
    subprocess.run([SBOM, "-m", "scripts.sbom", str(tmp_path)], check=True, cwd=ROOT, timeout=120)
    for lock in locks():
        bill = json.loads((tmp_path / f"{lock}.cdx.json").read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        listed = [
            (part["name"], part["version"], sorted(each["content"] for each in part["hashes"]))
            for part in bill["components"]
        ]
        pinned = [(pin.name, pin.version, sorted(pin.hashes)) for pin in pins_of(lock)]
        assert sorted(listed) == sorted(pinned)
        assert {part["purl"] for part in bill["components"]} == {
            f"pkg:pypi/{pin.name}@{pin.version}" for pin in pins_of(lock)
        }


@needs_sbom
def test_a_bill_that_is_none_would_be_refused():
    code = (
        "from scripts.sbom import bill_of, faults_of; text = bill_of('bootstrap'); "
        "assert not faults_of(text); assert faults_of(text.replace('SHA-256', 'SHA-0'))"
    )
    subprocess.run([SBOM, "-c", code], check=True, cwd=ROOT, timeout=60)
