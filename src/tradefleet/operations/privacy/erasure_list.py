"""The list of who was erased, outside of any database: what a backup brings back goes by it again.

A line names nobody: its mark is an HMAC of a user's id under a secret that every copy of the
database has, and no list. Several files hold the same list, so that one may be lost.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.operations.line_file import add_line

NAME = "erasures.jsonl"
SECRET_NAME = "order_ids"  # the oldest of the service's secrets: backups from before this have it
UNREADABLE = (
    "{file} cannot be read as the list of who was erased ({why}): without it a backup would bring "
    "them back. Mend it, or bring it from another copy."
)
UNWRITABLE = "Nobody can be erased while {file} cannot be written ({why})."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Somebody who was erased, as a backup from before may still know them."""

    mark: str
    pseudonym: UserId
    at: datetime


def mark_of(user_id: UserId, secret: bytes) -> str:
    return hmac.digest(secret, f"erased user {user_id}".encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class ErasureList:
    """The files of one list; the first is the one beside the backups."""

    files: Sequence[Path]

    def add(self, listed: Listed) -> None:
        """Write a line into every file, on the disk when this returns; Refused when it cannot."""
        said = {"mark": listed.mark, "pseudonym": listed.pseudonym, "at": listed.at.isoformat()}
        self._append(said)

    def withdraw(self, pseudonym: UserId) -> None:
        """Say that nobody was erased under a pseudonym after all."""
        self._append({"withdrawn": pseudonym})

    def _append(self, said: Mapping[str, str]) -> None:
        for file in self.files:
            try:
                add_line(file, json.dumps(said))
            except OSError as error:
                raise Refused(UNWRITABLE.format(file=file, why=error.strerror)) from None

    def read(self) -> Sequence[Listed]:
        """Return all that any of the files says, the oldest first; Refused for one not readable."""
        found: dict[UserId, Listed] = {}
        withdrawn: set[str] = set()
        for file in self.files:
            for line in self._lines(file):
                try:
                    said = json.loads(line)
                    if "withdrawn" in said:
                        withdrawn.add(said["withdrawn"])
                        continue
                    at = datetime.fromisoformat(said["at"])
                    listed = Listed(mark=said["mark"], pseudonym=UserId(said["pseudonym"]), at=at)
                except (ValueError, KeyError, TypeError):
                    why = "a line is damaged"
                    raise Refused(UNREADABLE.format(file=file, why=why)) from None
                found[listed.pseudonym] = listed
        kept = [each for each in found.values() if each.pseudonym not in withdrawn]
        return sorted(kept, key=lambda each: (each.at, each.pseudonym))

    def adopt(self, file: Path) -> int:
        """Take over what another list says, as one that lies beside a backup from elsewhere.

        Return how many it knew of whom this one did not.
        """
        known = {each.pseudonym for each in self.read()}
        fresh = [each for each in ErasureList((file,)).read() if each.pseudonym not in known]
        for listed in fresh:
            self.add(listed)
        return len(fresh)

    def _lines(self, file: Path) -> Sequence[str]:
        try:
            return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(UNREADABLE.format(file=file, why=type(error).__name__)) from None
