"""Tickets for streams: what a browser, which can send no header there, shows in its place.

A ticket is signed, works once and for half a minute: whoever finds it in a log has nothing.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from tradefleet.clock import Clock, Ids
from tradefleet.domain.errors import NotSignedIn
from tradefleet.domain.ids import UserId
from tradefleet.identity import Right, hash_of
from tradefleet.store import Store
from tradefleet.surfaces.api.caller import Caller

TICKET_SECONDS = 30
LENGTH_MAX = 1024
NOT_VALID = "This ticket was used already, is too old, or is none of ours."
SECRET_NAME = "live_tickets"


@dataclass(frozen=True, slots=True)
class Tickets:
    """Makes and takes tickets; every process of a database knows those of the others."""

    store: Store
    clock: Clock
    ids: Ids

    async def make(self, caller: Caller) -> str:
        """Return a ticket for who calls, with the same rights."""
        until = self.clock.now() + timedelta(seconds=TICKET_SECONDS)
        said = {
            "user": caller.user_id,
            "session": caller.session,
            "rights": sorted(right.value for right in caller.rights),
            "until": until.timestamp(),
            "once": self.ids.new(),
        }
        body = base64.urlsafe_b64encode(orjson.dumps(said)).rstrip(b"=")
        return f"{body.decode()}.{(await self._signed(body)).hex()}"

    async def take(self, ticket: str) -> Caller:
        """Return whose ticket it is, once; raise NotSignedIn when it is nobody's (any more)."""
        body, _, signature = ticket[:LENGTH_MAX].partition(".")
        expected = (await self._signed(body.encode())).hex()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise NotSignedIn(NOT_VALID)
        try:
            said = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (binascii.Error, orjson.JSONDecodeError):
            raise NotSignedIn(NOT_VALID) from None
        until = datetime.fromtimestamp(said["until"], UTC)
        is_late = self.clock.now() >= until
        if is_late or not await self.store.identity.spend(hash_of(f"ticket {body}"), until):
            raise NotSignedIn(NOT_VALID)
        rights = frozenset(map(Right, said["rights"]))
        return Caller(user_id=UserId(said["user"]), rights=rights, session=said["session"])

    async def _signed(self, body: bytes) -> bytes:
        return hmac.digest(await self.store.secret(SECRET_NAME), body, "sha256")
