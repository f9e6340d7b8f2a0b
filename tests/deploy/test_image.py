"""The Dockerfile: pinned by hash, run by nobody in particular, with no secret in it."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from scripts.container_steps import STEPS, ByHand, is_sent, read_stages, read_steps
from tests.deploy.files import PORT, ROOT, SECRETS, image, is_command, is_route, read_yaml
from tradefleet.settings import NAMES

TEXT = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text()
# Variables of the interpreter and of the shell.
NOT_SETTINGS = {"PATH", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def said(word: str) -> list[str]:
    return [step.rest for step in image().steps if step.word == word]


def variables() -> dict[str, str]:
    pairs = [each.partition("=") for line in said("ENV") for each in shlex.split(line)]
    return {name: value for name, _, value in pairs}


def test_every_step_can_be_carried_out_by_hand():
    assert {step.word for step in read_steps(TEXT)} <= {*STEPS, "FROM", "ARG"}


def test_the_image_names_a_release_of_python_that_we_support():
    (named,) = (step.rest for step in read_steps(TEXT) if step.word == "ARG")
    found = re.fullmatch(r"PYTHON_IMAGE=python:3\.(\d+)-slim-\w+", named)
    assert found and int(found[1]) >= 11
    assert {stage.image for stage in read_stages(TEXT)} == {"${PYTHON_IMAGE}"}


def test_all_that_is_installed_is_pinned_by_its_hash_or_is_ours():
    runs = [step.rest for step in read_steps(TEXT) if step.word == "RUN"]
    installs = [part for run in runs for part in run.split("&&") if " install " in part]
    assert sum("apt-get install --yes --no-install-recommends" in part for part in installs) == 1
    pips = [part for part in installs if "/pip " in part]
    assert len(pips) == 3
    for part in pips:
        assert "--require-hashes --only-binary :all:" in part or "--no-index --no-deps" in part


def test_what_builds_the_package_is_found_in_the_lock_of_developers():
    (line,) = (s.rest for s in read_steps(TEXT) if s.word == "RUN" and s.rest.startswith("sed"))
    command = line.partition(">")[0]
    pinned = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert re.fullmatch(r"setuptools==\S+ \\\n(    --hash=sha256:\w{64}( \\)?\n)+", pinned.stdout)


def test_nothing_is_added_but_by_copying_and_no_shell_is_left_to_its_own():
    assert {step.word for step in read_steps(TEXT)}.isdisjoint({"ADD", "VOLUME", "SHELL"})
    for step in read_steps(TEXT):
        assert not re.search(r"\b(sudo|curl|wget|apt)\b(?!-get|/lists)", step.rest)
        assert step.word != "RUN" or ";" not in step.rest, "a step that fails must fail the build"


def test_it_is_not_run_by_root_and_says_so_in_numbers():
    (user,) = said("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    uid, gid = user.split(":")
    places = f"{variables()['DATA_DIR']} {variables()['DATA_DIR']}/backups"
    assert f"install -d -o {uid} -g {gid} -m 0700 {places}" in said("RUN")
    steps = [step.word for step in image().steps]
    assert "RUN" not in steps[steps.index("USER") :]


def test_its_variables_are_settings_and_no_secrets():
    assert variables().keys() - NOT_SETTINGS <= NAMES.keys()
    assert not variables().keys() & SECRETS
    assert variables()["ENVIRONMENT"] == "production"
    assert variables()["HTTP_HOST"] == "0.0.0.0"


def test_it_listens_where_it_says_and_is_asked_there():
    assert said("EXPOSE") == [variables()["HTTP_PORT"]] == [str(PORT)]
    (health,) = said("HEALTHCHECK")
    program = json.loads(health.partition("CMD ")[2])
    assert program[:2] == ["python", "-c"]
    compile(program[2], "HEALTHCHECK", "exec")
    (path,) = re.findall(r"\}(/\w+)'", program[2])
    assert is_route(path)


def test_it_starts_a_command_that_exists_and_hears_the_signal_itself():
    (command,) = said("CMD")
    assert is_command(json.loads(command)), "written as a list, so that no shell stands between"
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert not said("ENTRYPOINT")


@pytest.mark.parametrize(
    "name",
    [
        ".env", ".git/config", "data/encryption.key", "data/trading_service.db", "tests/doors.py",
        "requirements/bench.txt", "docker-compose.yml", "deploy/nginx/tls/privkey.pem",
        "src/tradefleet/__pycache__/x.pyc", "src/tradefleet.egg-info/PKG-INFO",
    ],
)  # fmt: skip
def test_what_the_image_does_not_need_is_not_sent_to_the_builder(name):
    assert not is_sent(name, IGNORED)


def test_what_is_copied_is_sent_to_the_builder():
    copied = [
        name
        for stage in read_stages(TEXT)
        for step in stage.steps
        if step.word == "COPY" and not step.rest.startswith("--from=")
        for name in step.rest.split()[:-1]
    ]
    for name in copied:
        path = ROOT / name
        files = list(path.rglob("*.py")) if path.is_dir() else [path]
        assert files
        assert all(is_sent(str(each.relative_to(ROOT)), IGNORED) for each in files)


def test_its_pg_dump_is_as_new_as_the_server_of_compose_and_no_lists_stay():
    (line,) = (rest for rest in said("RUN") if rest.startswith("apt-get"))
    server = read_yaml(ROOT / "docker-compose.yml")["services"]["postgres"]["image"]
    mine = re.search(r"postgresql-client-(\d+)", line)
    theirs = re.fullmatch(r"postgres:(\d+)-alpine", server)
    assert mine and theirs and int(mine[1]) >= int(theirs[1])
    assert line.endswith("rm -rf /var/lib/apt/lists/*")


# ---- the steps by hand


@pytest.fixture
def hand(tmp_path) -> ByHand:
    made = ByHand(tmp_path)
    made.folder.mkdir()
    made.context.mkdir()
    made.put_python()
    return made


def test_by_hand_every_place_stands_below_the_folder(hand):
    assert hand.here("cp /opt/tradefleet/x /build") == (
        f"cp {hand.folder}/opt/tradefleet/x {hand.folder}/build"
    )
    assert hand.here("cat /etc/passwd /optics /x/build") == "cat /etc/passwd /optics /x/build"
    with pytest.raises(ValueError, match="/etc/tradefleet is not below"):
        hand.place("/etc/tradefleet")


def test_by_hand_the_steps_without_installing_do_what_they_say(hand, capsys):
    (hand.context / "src").mkdir()
    (hand.context / "src" / "a.py").write_text("x = 1\n")
    for step in read_steps(
        "WORKDIR /build\nENV DATA_DIR=/var/lib/tradefleet A=b\nCOPY src src\n"
        "RUN python -c 'print(1)' && \\\n    install -d $DATA_DIR && cat src/a.py > /build/b\n"
        'USER 10001:10001\nCMD ["tradefleet", "serve"]\n'
    ):
        STEPS[step.word](hand, step.rest)
    assert hand.place("/build/b").read_text() == "x = 1\n"
    assert hand.place("/var/lib/tradefleet").is_dir()
    assert (hand.user, hand.command) == (10001, ["tradefleet", "serve"])
    hand.forget_all_but(["/var/lib/tradefleet"])
    assert not Path(hand.folder / "build").exists()
    assert "deleted /build" in capsys.readouterr().out


def test_by_hand_a_step_that_fails_ends_it(hand):
    hand.set_workdir("/build")
    with pytest.raises(subprocess.CalledProcessError):
        hand.run("false && true")
