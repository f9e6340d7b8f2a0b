"""Carry out the Dockerfile's steps by hand, in a folder, where no container engine is.

    python scripts/container_steps.py            builds, starts it on demo users, stops it
    python scripts/container_steps.py --keep DIR  the same, and leaves all of it in DIR

Each path that the Dockerfile names stands below the folder, as if that were /. What the last stage
does not copy is deleted before it runs. What this cannot show: the image that FROM names, for which
the Python that runs this script stands in, and the walls of a container.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
START_MAX = 90.0  # seconds until it must be ready
STOP_MAX = 10.0  # seconds in which it must have stopped
# The folders a step may name; below them everything is ours.
PLACES = ("/build", "/opt/tradefleet", "/var/lib/tradefleet")
PLACE = re.compile(rf"(?<![\w.])({'|'.join(PLACES)})(?=[/\s:;'\"]|$)")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word and the rest of its line."""

    word: str
    rest: str


@dataclass(slots=True)
class Stage:
    """What follows one FROM."""

    name: str
    image: str
    steps: list[Step] = field(default_factory=list)


def read_stages(text: str) -> list[Stage]:
    """Read a Dockerfile; ValueError names what is no instruction."""
    stages: list[Stage] = []
    for step in read_steps(text):
        if step.word == "FROM":
            image, _, name = step.rest.partition(" AS ")
            stages.append(Stage(name.strip(), image.strip()))
        elif stages:
            stages[-1].steps.append(step)
        elif step.word != "ARG":
            raise ValueError(f"{step.word} before FROM")
    return stages


def read_steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            if not word.isupper():
                raise ValueError(f"no instruction: {line}")
            yield Step(word, rest.strip())


def is_sent(name: str, rules: str) -> bool:
    """Say whether a file goes to the builder, by .dockerignore: the last rule that fits decides."""
    sent = True
    for line in rules.splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").strip("/")
        if fits(name, pattern):
            sent = rule.startswith("!")
    return sent


def fits(name: str, pattern: str) -> bool:
    """Say whether a rule names a file or a folder above it."""
    path = PurePosixPath(name)
    above = [str(each) for each in (path, *path.parents)][:-1]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in path.parts)
    return any(fnmatch(each, pattern) and each.count("/") == pattern.count("/") for each in above)


def send_context(to: Path) -> int:
    """Copy what the builder would be sent, of what git knows; return how many files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rules = (ROOT / ".dockerignore").read_text()
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    sent = [name for name in names if is_sent(name, rules)]
    for name in sent:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    return len(sent)


class ByHand:
    """Carries out the steps of all stages below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "root"
        self.context = folder / "context"
        self.workdir = "/"
        self.variables: dict[str, str] = {}
        self.command: list[str] = []
        self.health: list[str] = []
        self.user: int | None = None

    def here(self, text: str) -> str:
        """Put the places a text names below our folder."""
        return PLACE.sub(lambda found: f"{self.folder}{found[1]}", text)

    def place(self, path: str) -> Path:
        """Return where a path of the container is."""
        inside = PurePosixPath(self.workdir) / path
        if not str(inside).startswith(PLACES):
            raise ValueError(f"{inside} is not below {', '.join(PLACES)}")
        return self.folder / str(inside).lstrip("/")

    def environment(self) -> Mapping[str, str]:
        """Return what a process is given: what the stage says, and how packages are reached."""
        kept = {n: v for n, v in os.environ.items() if n.startswith(("PIP_", "SSL_", "LANG"))}
        path = f"{self.folder.parent}/bin:{os.defpath}"
        return {**kept, "PATH": path, "HOME": str(self.folder), **self.variables}

    def put_python(self) -> None:
        """Offer this Python by the name it has in an image."""
        python = self.folder.parent / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} "$@"\n')
        python.chmod(0o755)

    def user_that_runs(self) -> dict[str, int]:
        """Return USER as Popen wants it; nothing, and why, where it cannot be."""
        if os.geteuid() != 0 or self.user is None:
            return {}
        wanted = {"user": self.user, "group": self.user}
        program = [str(self.place("/opt/tradefleet/bin/python")), "-c", ""]
        try:
            subprocess.run(program, check=True, cwd="/", **wanted)  # type: ignore[call-overload]
        except PermissionError:
            say(
                f"NOT as user {self.user}",
                "who may not read this Python; say python3 of the system",
            )
            return {}
        return wanted

    def carry_out(self, stage: Stage) -> None:
        self.workdir, self.variables = "/", {}
        for step in stage.steps:
            STEPS[step.word](self, step.rest)

    def run(self, rest: str) -> None:
        if rest.startswith("apt-get "):
            say(
                f"RUN {shorter(rest)}",
                f"NOT done; pg_dump here: {shutil.which('pg_dump') or 'none'}",
            )
            return
        line = self.here(rest)
        if os.geteuid() != 0:  # only root may give a folder to another
            line = re.sub(r" -[og] \d+", "", line)
        began = time.monotonic()
        subprocess.run(
            ["sh", "-ec", line],
            cwd=self.folder / self.workdir.lstrip("/"),
            env=dict(self.environment()),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        say(f"RUN {shorter(rest)}", f"{time.monotonic() - began:.1f} s")

    def copy(self, rest: str) -> None:
        *sources, target = [word for word in shlex.split(rest) if not word.startswith("--")]
        if rest.startswith("--from="):
            if sources != [target]:
                raise ValueError(f"COPY {rest}: by hand a path stays what it is")
            say(f"COPY {rest}", "is in its place")
            return
        for source in sources:
            found = self.context / source
            to = self.place(target) / found.name if target.endswith(("/", ".")) else None
            to = to or self.place(target)
            to.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, to)
            else:
                shutil.copy2(found, to)
        say(f"COPY {rest}")

    def set_variables(self, rest: str) -> None:
        for word in shlex.split(rest):
            name, _, value = word.partition("=")
            before = self.environment()["PATH"]
            self.variables[name] = self.here(value).replace("$PATH", before)
        say(f"ENV {shorter(rest)}")

    def set_workdir(self, rest: str) -> None:
        self.workdir = rest
        self.place(rest).mkdir(parents=True, exist_ok=True)
        say(f"WORKDIR {rest}")

    def set_user(self, rest: str) -> None:
        self.user = int(rest.partition(":")[0])
        say(f"USER {rest}", "" if os.geteuid() == 0 else "not root here: runs as whoever runs this")

    def set_command(self, rest: str) -> None:
        self.command = json.loads(rest)
        say(f"CMD {rest}")

    def set_health(self, rest: str) -> None:
        self.health = json.loads(rest.partition("CMD ")[2])
        say("HEALTHCHECK", "is asked below")

    def note(self, word: str) -> None:
        say(word, "is for an engine")

    def forget_all_but(self, kept: list[str]) -> None:
        """Delete what the last stage has not copied."""
        for place in PLACES:
            path = self.folder / place.lstrip("/")
            if place not in kept and path.exists():
                shutil.rmtree(path)
                say(f"deleted {place}")


STEPS = {
    "RUN": ByHand.run,
    "COPY": ByHand.copy,
    "ENV": ByHand.set_variables,
    "WORKDIR": ByHand.set_workdir,
    "USER": ByHand.set_user,
    "CMD": ByHand.set_command,
    "HEALTHCHECK": ByHand.set_health,
    "EXPOSE": lambda hand, rest: hand.note(f"EXPOSE {rest}"),
    "STOPSIGNAL": lambda hand, rest: hand.note(f"STOPSIGNAL {rest}"),
}


def say(what: str, more: str = "") -> None:
    print(f"  {what:<92} {more}".rstrip(), flush=True)


def shorter(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 84 else f"{line[:83]}…"


def build(folder: Path) -> ByHand:
    """Carry out all steps, as a builder would."""
    hand = ByHand(folder)
    hand.folder.mkdir(parents=True)
    hand.context.mkdir()
    hand.put_python()
    print(f"Sent to the builder: {send_context(hand.context)} files")
    stages = read_stages((ROOT / "Dockerfile").read_text())
    for number, stage in enumerate(stages):
        print(f"Stage {stage.name or 'last'} (FROM {stage.image}; here Python {python()})")
        if number == len(stages) - 1:
            copied = [step.rest.split()[-1] for step in stage.steps if step.rest.startswith("--")]
            hand.forget_all_but([each for each in copied if each in PLACES])
            shutil.rmtree(hand.context)
        hand.carry_out(stage)
    return hand


def python() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def try_out(hand: ByHand) -> None:
    """Start what was built on demo users, ask how it is, stop it; raise when something is wrong."""
    port = str(free_port())
    environment = {
        **hand.environment(),
        "HTTP_PORT": port,
        "HTTP_HOST": "127.0.0.1",
        "ENVIRONMENT": "development",
        "LOG_LEVEL": "WARNING",
    }
    data = hand.place("/var/lib/tradefleet")
    as_user = hand.user_that_runs()
    began = time.monotonic()
    process = subprocess.Popen(
        [*hand.command, "--demo"],
        executable=shutil.which(hand.command[0], path=environment["PATH"]),
        cwd=data,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **as_user,  # type: ignore[call-overload]
    )
    try:
        wait_ready(process, port, began)
        say("ready", f"{time.monotonic() - began:.1f} s")
        health = subprocess.run(
            hand.health,
            executable=shutil.which(hand.health[0], path=environment["PATH"]),
            cwd=data,
            env=environment,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        say("HEALTHCHECK", f"exit code {health.returncode}")
        uid = Path(f"/proc/{process.pid}")
        if uid.exists():
            say("runs as user", str(uid.stat().st_uid))
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=STOP_MAX)
        say("SIGTERM", f"{time.monotonic() - asked:.2f} s, exit code {process.returncode}")
        say(said.strip().splitlines()[-1])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if health.returncode or process.returncode:
        raise SystemExit("It is not well; see above.")


def wait_ready(process: "subprocess.Popen[str]", port: str, began: float) -> None:
    while time.monotonic() < began + START_MAX:
        if process.poll() is not None:
            raise SystemExit(f"It ended at once:\n{process.communicate()[0]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("It did not get ready.")


def size_of(folder: Path) -> float:
    """Return the megabytes of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", type=Path, help="a new folder, where all of it is left")
    folder = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as passing:
        if folder is None:
            folder = Path(passing)
            folder.chmod(0o755)
        hand = build(folder.resolve() / "image")
        print("What was built")
        say("/opt/tradefleet", f"{size_of(hand.place('/opt/tradefleet')):.0f} MB")
        print("Tried out")
        try_out(hand)


if __name__ == "__main__":
    main()
