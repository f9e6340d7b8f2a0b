"""Passwords: hashed with Argon2 beside the loop, and as slow for a user there is not."""

import asyncio

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import Refused, TooMany

LENGTH_MIN, LENGTH_MAX = 12, 256
DIFFERENT_LETTERS_MIN = 5
AT_ONCE = 2  # each takes a processor for a tenth of a second, and 64 MiB
WAITING_MAX = 32
BUSY_SECONDS = 5.0
BUSY = "Too many people are signing in at this moment; try again in a few seconds."


def check_new(password: Secret, names: tuple[str, ...]) -> None:
    """Refuse a password that would be guessed; the text never repeats it."""
    text = password.reveal()
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX:
        raise Refused(f"A password has {LENGTH_MIN} to {LENGTH_MAX} characters.")
    if len(set(text)) < DIFFERENT_LETTERS_MIN:
        raise Refused(f"A password has at least {DIFFERENT_LETTERS_MIN} different characters.")
    if any(name and name.lower() in text.lower() for name in names if len(name) > 3):
        raise Refused("A password does not contain your name.")


class Passwords:
    """Hashes and compares, a few at a time."""

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        self._hash = PasswordHash((hasher or Argon2Hasher(),))
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys = ""

    async def hash(self, password: Secret) -> str:
        return await self._beside(password, "") or ""

    async def is_right(self, password: Secret, hash: str | None) -> bool:
        """Say whether a password is the one that was hashed; as slow when there is none."""
        if not self._nobodys:
            self._nobodys = await self.hash(Secret("the password of nobody"))
        found = await self._beside(password, hash or self._nobodys)
        return found is not None and hash is not None

    async def _beside(self, password: Secret, hash: str) -> str | None:
        if self._waiting >= WAITING_MAX:
            raise TooMany(BUSY, BUSY_SECONDS)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._work, password, hash)
        finally:
            self._waiting -= 1

    def _work(self, password: Secret, hash: str) -> str | None:
        """Return a fresh hash, or the one given when the password is right, or None."""
        text = password.reveal()[: LENGTH_MAX + 1].encode("utf-8", "surrogatepass")
        if not hash:
            return self._hash.hash(text)
        try:
            return hash if self._hash.verify(text, hash) else None
        except UnknownHashError:
            return None
