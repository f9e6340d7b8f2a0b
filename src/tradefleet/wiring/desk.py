"""Puts questions to the venues that are open here, waiting not too long; has charts drawn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tradefleet.charting.studio import Studio
from tradefleet.domain.chart import Chart, Theme
from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import OutcomeUnknown, Refused, VenueUnavailable
from tradefleet.domain.market import Bar, Stream
from tradefleet.domain.user import Mode
from tradefleet.venue import Venue

KEY_CHECK_SECONDS = 20.0
BARS_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Desk:
    """The venues that are open in this process, by name, and where pictures are drawn."""

    venues: Mapping[str, Venue]
    studio: Studio

    async def check_key(self, venue: str, credentials: Credentials, mode: Mode) -> KeyReport:
        opened = self.venues.get(venue)
        if opened is None:
            raise Refused(f"❌ {venue} is not switched on in this service; nothing was kept.")
        try:
            async with asyncio.timeout(KEY_CHECK_SECONDS):
                return await opened.check_key(credentials, mode)
        except (TimeoutError, VenueUnavailable, OutcomeUnknown):  # a text may repeat the request
            raise KeyRefused(KeyFault.NETWORK, "") from None

    async def bars(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        opened = self.venues.get(stream.venue)
        if opened is None:
            raise Refused(f"❌ {stream.venue} is not switched on in this service.")
        try:
            async with asyncio.timeout(BARS_SECONDS):
                await opened.market.rules(stream.symbol)  # Refused: it is not traded there
                return await opened.market.history(stream, before=before, count=count)
        except TimeoutError:
            raise VenueUnavailable(f"no bars within {BARS_SECONDS:.0f} s") from None

    async def draw(self, chart: Chart, theme: Theme) -> bytes:
        return await self.studio.draw(chart, theme)
