"""Receivers that Apprise knows how to reach: optional, and in threads of their own.

The library blocks while it sends. Each address has one thread, so that none waits for another.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tradefleet.alert import AlertChange
from tradefleet.domain.credentials import Secret
from tradefleet.operations.alert_delivery.receiver import NotTaken
from tradefleet.operations.alert_delivery.words import told_together

if TYPE_CHECKING:
    from apprise import Apprise

SEND_SECONDS = 30.0
TEXT_MAX = 3_000  # characters; Apprise cuts what a receiver cannot take
NAMES_ADDRESSES = ("apprise", "urllib3", "requests_oauthlib")  # in what they log
NOT_INSTALLED = "Apprise is not installed: pip install 'tradefleet[apprise]'"
NOT_KNOWN = "Apprise knows no address like this one"


class AppriseReceiver:
    """One address."""

    def __init__(self, name: str, url: Secret) -> None:
        self.name = name
        self._url = url
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        for talkative in NAMES_ADDRESSES:
            logging.getLogger(talkative).setLevel(logging.CRITICAL)

    async def send(self, changes: Sequence[AlertChange]) -> str:
        text = told_together(changes, TEXT_MAX)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                took = await loop.run_in_executor(self._thread, self._notify, text)
        except TimeoutError:
            raise NotTaken(f"no answer within {SEND_SECONDS:.0f} s") from None
        if not took:
            raise NotTaken("Apprise could not deliver it")
        return "Apprise delivered it"

    def _notify(self, text: str) -> bool:
        """Send, in the thread."""
        return bool(self._opened().notify(body=text, title="Tradefleet"))

    def _opened(self) -> "Apprise":
        try:
            from apprise import Apprise
        except ImportError:
            raise NotTaken(NOT_INSTALLED, is_refusal=True) from None
        opened = Apprise()
        if not opened.add(self._url.reveal()):
            raise NotTaken(NOT_KNOWN, is_refusal=True)
        return opened
