"""What is pinned: the packages of each lock file, with their hashes, and what was said of them.

It needs nothing but `packaging`, for it runs in the environment of `make sbom`, too.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
HASH = "--hash="


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one release; marker says for which Pythons and machines."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]  # sha256 of each file that may be installed, as hex


@dataclass(frozen=True, slots=True)
class Review:
    """What was said of a package by who has read it; sees: the secrets it meets, "" for none."""

    purpose: str
    network: bool
    sees: str


class WrongPin(Exception):
    """A lock file holds something that is not one release, by its hashes, from the usual index."""


def locks() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def pins_of(lock: str) -> list[Pin]:
    """Return what a lock file pins; WrongPin says what in it is none."""
    return list(pins_in((FOLDER / f"{lock}.txt").read_text(), lock))


def pins_in(text: str, lock: str) -> Iterator[Pin]:
    if "://" in text:
        raise WrongPin(f"{lock}: an address stands in it")
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        asked, *hashes = line.split(HASH)
        if asked.lstrip().startswith("-") or " @ " in asked:
            raise WrongPin(f"{lock}: {asked.strip()} is an option or a place, not a release")
        wish = Requirement(asked)
        exact = [each.version for each in wish.specifier if each.operator == "=="]
        if len(exact) != 1 or len(wish.specifier) != 1:
            raise WrongPin(f"{lock}: {wish.name} is not pinned to one release")
        if not hashes or not all(each.startswith("sha256:") for each in hashes):
            raise WrongPin(f"{lock}: {wish.name} has no sha256")
        yield Pin(
            name=canonicalize_name(wish.name),
            version=exact[0],
            marker=str(wish.marker or ""),
            hashes=tuple(each.strip().removeprefix("sha256:") for each in hashes),
        )


def reviews() -> dict[str, Review]:
    """Return what requirements/review.toml says of each package that runs with the service."""
    told = tomllib.loads((FOLDER / "review.toml").read_text())
    return {
        canonicalize_name(name): Review(
            purpose=each["for"], network=each.get("network", False), sees=each.get("sees", "")
        )
        for name, each in told.items()
    }
