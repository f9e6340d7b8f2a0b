"""Looks for keys where none may be: in the logs of hosts, and in the bytes of the database."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SHORTEST = 8  # bytes; a shorter form would be found by accident
SAMPLE = 8  # bytes by which a place is found where a form may begin
AROUND = 60


@dataclass(frozen=True, slots=True)
class Canary:
    """A value that must be nowhere but in the vault, and whose it is."""

    of: str
    secret: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A canary that was found; what stands around it is not told, for it may be the secret."""

    of: str
    where: str
    at: int


def forms_of(secret: str) -> set[bytes]:
    """Return every form in which a secret could be found: encoded, turned, and either half."""
    found = set()
    half = len(secret) // 2
    for part in (secret, secret[:half], secret[half:]):
        raw = part.encode()
        found |= {raw, raw.upper(), raw.lower(), raw[::-1], quote(part, safe="").encode()}
        found |= {raw.hex().encode(), raw.hex().upper().encode()}
        for shift in range(3):  # base64 of a text that has it inside, at any offset
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                found.add(alphabet(b"x" * shift + raw)[4 : len(raw) * 4 // 3 - 4])
    return {form for form in found if len(form) >= SHORTEST}


def decoded_forms(secret: str) -> set[bytes]:
    """Return what a secret that is written in base64 signs with, as bytes and as text."""
    try:
        raw = base64.b64decode(secret, validate=True)
    except ValueError:
        return set()
    found = {raw, raw.hex().encode(), repr(raw)[2:-1].encode()}
    return {form for form in found if len(form) >= SHORTEST}


def leaks(canaries: Iterable[Canary], written: Iterable[tuple[str, bytes]]) -> Iterator[Leak]:
    """Yield every canary found in what was written: (where, what)."""
    forms: dict[bytes, list[tuple[bytes, str]]] = {}
    for canary in canaries:
        for form in forms_of(canary.secret) | decoded_forms(canary.secret):
            forms.setdefault(form[:SAMPLE], []).append((form, canary.of))
    for where, data in written:
        for at, form_and_owner in _places(data, forms):
            form, of = form_and_owner
            if data.startswith(form, at):
                yield Leak(of, where, at)


def _places(
    data: bytes, forms: dict[bytes, list[tuple[bytes, str]]]
) -> Iterator[tuple[int, tuple[bytes, str]]]:
    """Yield where a form may begin: one walk over the data, however many forms there are."""
    for at in range(len(data) - SAMPLE + 1):
        known = forms.get(data[at : at + SAMPLE])
        if known is not None:
            for each in known:
                yield at, each


def files_of(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield files below a folder whose names end like one of these."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.endswith(tuple(names)):
            yield str(path.relative_to(folder)), path.read_bytes()
