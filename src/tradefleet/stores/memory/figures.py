"""What operators want counted, over the rows in memory."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from tradefleet.domain.ids import UserId
from tradefleet.figures import TIMED_MAX, Backlog, Dealings, Presence, Timed
from tradefleet.stores.memory.rows import Rows
from tradefleet.stores.memory.shared import NOBODY, Shared


class MemoryFigures:
    """Counts over everybody's rows."""

    def __init__(self, rows: Mapping[UserId, Rows], shared: Shared) -> None:
        self._rows = rows
        self._shared = shared

    async def backlog(self, now: datetime) -> Backlog:
        shared, every = self._shared, self._rows.values()
        notices = [each for each in shared.outbox.values() if each.due_at is not None]
        hooks = [hook for rows in every for hook in rows.webhooks.values() if hook is not None]
        leases = shared.leases.values()
        return Backlog(
            notices=len(notices),
            oldest_notice=min((each.notice.notice.at for each in notices), default=None),
            host_messages=len(shared.messages),
            webhooks_failing=sum(h.failures > 0 and h.next_at is not None for h in hooks),
            webhooks_disabled=sum(hook.next_at is None for hook in hooks),
            leases=sum(each.owner != NOBODY and each.expires_at > now for each in leases),
        )

    async def dealings(self, since: datetime) -> Dealings:
        every = list(self._rows.values())
        users = [user for rows in every for user in rows.user.values()]
        numbers: Counter[str] = Counter()
        won: Counter[str] = Counter()
        for rows in every:
            for trade in rows.trades.values():
                if trade.closed_at >= since:
                    strategy = rows.bots[trade.bot_id].strategy
                    numbers[strategy] += 1
                    won[strategy] += trade.is_winner
        return Dealings(
            users={user.id: Presence(user.created_at, seen(self._rows[user.id])) for user in users},
            tiers=Counter(user.tier for user in users),
            trades={name: (numbers[name], won[name]) for name in numbers},
            orders=[timed for rows in every for timed in sent(rows, since)][:TIMED_MAX],
        )


def seen(rows: Rows) -> datetime | None:
    """Return when a user or a bot of theirs did something last."""
    acted = [line.at for line in rows.audit if line.written.actor == line.written.user_id]
    return max(acted + [order.decided_at for order in rows.orders.values()], default=None)


def sent(rows: Rows, since: datetime) -> list[Timed]:
    first: dict[str, datetime] = {}
    for fill in rows.fills.values():
        first[fill.order_id] = min(first.get(fill.order_id, fill.filled_at), fill.filled_at)
    return [
        Timed(max(o.decided_at, o.hold_until or o.decided_at), o.sent_at, first.get(o.id))
        for o in rows.orders.values()
        if o.sent_at is not None and o.sent_at >= since
    ]
