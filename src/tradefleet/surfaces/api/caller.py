"""Who calls: every route of the API asks the door, and knows no other way to a user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tradefleet.domain.ids import UserId
from tradefleet.identity import Right as Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A user as the API knows them. session: the id of what they signed in with.

    strong: a second factor was given lately, or the user has none. in_person: it is no
    program of theirs, with a personal token. tier and overrides: how often they may call. address:
    where they call from.
    """

    user_id: UserId
    rights: frozenset[Right]
    session: str
    strong: bool = True
    in_person: bool = True
    tier: str = "free"
    overrides: Mapping[str, int] = field(default_factory=dict)
    address: str = ""


class Door(Protocol):
    """Turns what a request brings into a caller."""

    async def caller(self, authorization: str, address: str) -> Caller:
        """Return who calls with this Authorization header from this address.

        Raise NotSignedIn when it is missing, malformed, expired or revoked.
        """
