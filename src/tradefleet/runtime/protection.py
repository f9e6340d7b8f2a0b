"""Loop F: is every position guarded, by a stop at the venue or by one a host watches prices for?"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tradefleet.domain.ids import AccountId, BotId
from tradefleet.domain.market import Side
from tradefleet.domain.money import ZERO, money_context
from tradefleet.domain.order import Order, OrderKind, OrderState
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.hosted import HostedBot

logger = logging.getLogger(__name__)

AUDIT_EVERY = 10.0

LEAVING = frozenset({OrderState.CREATED, OrderState.SENDING, OrderState.OPEN, OrderState.CLOSING})


@dataclass(slots=True, kw_only=True, eq=False)
class ProtectionAudit:
    """seconds: for how long positions of an account were bare, all together; longest: the worst.

    bare: the bots whose position is bare now, and since when.
    """

    host: Host
    feeds: Mapping[str, Feed]
    seconds: defaultdict[AccountId, float] = field(default_factory=lambda: defaultdict(float))
    longest: float = 0.0
    bare: dict[BotId, datetime] = field(default_factory=dict)
    _counted_to: datetime | None = None

    async def run(self) -> None:
        while True:
            self.audit()
            await self.host.clock.sleep(AUDIT_EVERY)

    def audit(self) -> None:
        """Look at every position once; a stop that nobody watches is watched from now on."""
        now = self.host.clock.now()
        last, self._counted_to = self._counted_to or now, now
        before, self.bare = self.bare, {}
        with money_context():
            for bot in self.host.bots.values():
                since = self._bare_since(bot, last)
                if since is not None:
                    self._count(bot, before.get(bot.id), since, last, now)

    def _count(
        self, bot: HostedBot, known: datetime | None, since: datetime, last: datetime, now: datetime
    ) -> None:
        began = since if known is None else min(known, since)
        self.bare[bot.id] = began
        fresh = (now - (began if known is None else last)).total_seconds()
        self.seconds[bot.engine.spec.account_id] += fresh
        self.longest = max(self.longest, (now - began).total_seconds())
        if known is None:
            logger.warning("bot %s: its position is not protected since %s", bot.id, began)

    def _bare_since(self, bot: HostedBot, last: datetime) -> datetime | None:
        """Return since when nothing protects a bot's position, None when something does."""
        engine = bot.engine
        if engine.position is None:
            return None
        sells = [order for order in engine.working.values() if order.side is Side.SELL]
        lost = [o.sent_at for o in sells if is_lost(o) and o.sent_at is not None]
        leaving = sum((o.open_quantity for o in sells if protects(o)), ZERO)
        if not lost and engine.rules.round_quantity(engine.position.quantity - leaving) <= ZERO:
            return None
        if lost:
            return min(lost)
        return self._unwatched_since(bot, last)

    def _unwatched_since(self, bot: HostedBot, last: datetime) -> datetime | None:
        """Return since when no host watches prices for a bot's stop."""
        spec, levels = bot.engine.spec, bot.engine.levels
        book = self.host.books[spec.venue, spec.symbol]
        if levels.stop is None:
            return last
        if book.stop_of(spec.id) != levels.stop:
            logger.error("bot %s: its stop %s is not watched", bot.id, levels.stop)
            book.set(spec.id, levels.stop, levels.target)
            return last
        feed = self.feeds.get(spec.venue)
        if feed is None or spec.symbol in feed.stale:
            return last if feed is None else feed.prices.get(spec.symbol, last)
        return None


def is_lost(order: Order) -> bool:
    """Say whether nobody knows if a sell was accepted: nothing else may guard what it sells.

    A stop at the venue is none: a host watches it as well.
    """
    lost = order.state in (OrderState.UNKNOWN, OrderState.QUARANTINED)
    return lost and order.kind is not OrderKind.RESTING_STOP


def protects(order: Order) -> bool:
    """Say whether a sell takes care of its quantity: on its way out, or resting at the venue."""
    if order.kind is OrderKind.RESTING_STOP:
        return order.state is OrderState.OPEN
    return order.state in LEAVING
