"""Notices to users whom no other way reaches: they stay readable in the log."""

import logging

from tradefleet.store import OutboxNotice

logger = logging.getLogger(__name__)


class LogNotifier:
    """Writes a notice into the log; it reaches everybody, so it is asked last."""

    def reaches(self, notice: OutboxNotice) -> bool:
        return True

    async def deliver(self, notice: OutboxNotice) -> None:
        said = notice.notice
        logger.info("notice to %s (%s): %s", said.user_id, said.topic, said.text)
