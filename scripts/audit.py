"""Look through what is pinned: hashes, reviews, and whether anything is known to be vulnerable.

    make audit            what runs with the service, and what builds and tests it
    make audit LOCKS=runtime

Exit codes: 0 nothing is known, 1 something is, 2 a pin or its review is wrong, 3 the database of
vulnerabilities could not be asked, which says nothing about the packages. What can be seen without
a network is looked at first, and always.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement

from scripts.pins import FOLDER, HASH, WrongPin, locks, pins_of, reviews

WELL, VULNERABLE, WRONG, UNANSWERED = 0, 1, 2, 3
PROGRAM = Path(sys.executable).parent / "pip-audit"
SECONDS = 600
UNHEARD = """
The database of vulnerabilities was not asked: {why}
This says nothing about the packages: they were NOT looked up. Try again where the package index
can be reached, and do not release before that (exit code 3).
"""


def faults(names: list[str]) -> list[str]:
    """Return what is wrong with pins and reviews, as it can be seen without a network."""
    wrong = []
    for lock in names:
        try:
            pins_of(lock)
        except (WrongPin, InvalidRequirement, OSError) as error:
            wrong.append(str(error))
    if wrong or "runtime" not in names:
        return wrong
    pinned, said = {pin.name for pin in pins_of("runtime")}, reviews().keys()
    wrong += [f"runtime: nobody has reviewed {name}" for name in sorted(pinned - said)]
    return wrong + [f"review.toml: {name} is not pinned any more" for name in sorted(said - pinned)]


def risky() -> list[str]:
    """Return a line for each package that secrets pass through."""
    return [f"  {name:<22} {each.sees}" for name, each in sorted(reviews().items()) if each.sees]


def asked(lock: str) -> tuple[int, list[str]]:
    """Ask about the pins of one lock; return an exit code of ours and what to say.

    The first of them is asked about alone: where that is not answered, nobody waits for the others.
    """
    first, *_ = pins_of(lock)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "first.txt"
        hashes = " ".join(f"{HASH}sha256:{each}" for each in first.hashes)
        alone.write_text(f"{first.name}=={first.version} {hashes}\n")
        code, lines = answered(f"{lock} (first of all {first.name})", alone)
    return (code, lines) if code == UNANSWERED else answered(lock, FOLDER / f"{lock}.txt")


def answered(name: str, requirements: Path) -> tuple[int, list[str]]:
    """Ask about all that a file of requirements names."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [str(PROGRAM), "--disable-pip", "--require-hashes", "--progress-spinner=off"]
        command += ["--format=json", f"--output={answer}", "--requirement", str(requirements)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return UNANSWERED, [unheard(str(error))]
        if not answer.exists():
            return UNANSWERED, [unheard(last_line(done.stderr))]
        return verdict(name, json.loads(answer.read_text()))


def unheard(why: str) -> str:
    return UNHEARD.format(why=why).strip()


def verdict(name: str, answer: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Read what was answered; a package that could not be looked up is no clean one."""
    lines, skipped = [], []
    for each in answer["dependencies"]:
        if "skip_reason" in each:
            skipped.append(each["skip_reason"])
        for found in each.get("vulns", ()):
            mended = ", ".join(found["fix_versions"]) or "no release yet"
            names = "/".join([found["id"], *found.get("aliases", ())])
            lines.append(f"  {each['name']} {each['version']}: {names}; mended in {mended}")
    told = [f"{name}: {len(answer['dependencies'])} packages asked about, {len(skipped)} unknown"]
    if lines:
        return VULNERABLE, [*told, *lines]
    return (UNANSWERED, [*told, unheard(skipped[0])]) if skipped else (WELL, told)


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "pip-audit said nothing"


def main(names: list[str]) -> int:
    names = names or locks()
    if wrong := faults(names):
        print("\n".join(wrong))
        return WRONG
    print(f"{', '.join(names)}: every pin is one release with its hashes, and no address is named.")
    print("Secrets pass through these; read their changes before each update:")
    print("\n".join(risky()), flush=True)
    codes = []
    for lock in names:
        code, lines = asked(lock)
        print("\n".join(lines), flush=True)
        codes.append(code)
        if code == UNANSWERED:
            break  # the next would wait as long for nothing
    return VULNERABLE if VULNERABLE in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
