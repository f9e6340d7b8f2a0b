"""Puts questions to the venues that are open here, and waits for the answer not too long."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import OutcomeUnknown, Refused, VenueUnavailable
from tradefleet.domain.user import Mode
from tradefleet.venue import Venue

KEY_CHECK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Desk:
    """The venues that are open in this process, by name."""

    venues: Mapping[str, Venue]

    async def check_key(self, venue: str, credentials: Credentials, mode: Mode) -> KeyReport:
        opened = self.venues.get(venue)
        if opened is None:
            raise Refused(f"❌ {venue} is not switched on in this service; nothing was kept.")
        try:
            async with asyncio.timeout(KEY_CHECK_SECONDS):
                return await opened.check_key(credentials, mode)
        except (TimeoutError, VenueUnavailable, OutcomeUnknown):  # a text may repeat the request
            raise KeyRefused(KeyFault.NETWORK, "") from None
